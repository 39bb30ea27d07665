//! One argon2id hash, made or checked. Blocks for tens of milliseconds; who may
//! do so, and how many at once, is decided elsewhere.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Blocks (of 1 KiB) reserved at least. The C library of Linux systems keeps
/// what is freed in pieces of up to 32 MiB, for each of its arenas, so that a
/// burst of guesses would cost its memory for good; a greater piece goes back
/// to the system at once, and of it only what is used is ever real.
const RESERVED: usize = 33 * 1024;

/// The PHC string of a new password; `None` when these parameters can't hash.
pub(super) fn hash(params: &Params, password: &[u8], salt: &[u8]) -> Option<String> {
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    run(algorithm, version, params, (password, salt), &mut out)?;
    let phc = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(params).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(Output::new(&out).ok()?),
    };
    Some(phc.to_string())
}

/// True when the PHC string is this password's.
pub(super) fn verify(phc: &str, password: &[u8]) -> bool {
    matches(phc, password).unwrap_or(false)
}

/// True when the PHC string was made by [`hash`] with these parameters.
pub(super) fn is_made_with(params: &Params, phc: &str) -> bool {
    let made = PasswordHash::new(phc).ok().and_then(|phc| {
        let params = Params::try_from(&phc).ok()?;
        let same = phc.algorithm == Algorithm::Argon2id.ident()
            && phc.version == Some(Version::V0x13.into());
        same.then_some(params)
    });
    let numbers = |it: &Params| (it.m_cost(), it.t_cost(), it.p_cost());
    made.is_some_and(|it| numbers(&it) == numbers(params))
}

fn matches(phc: &str, password: &[u8]) -> Option<bool> {
    let phc = PasswordHash::new(phc).ok()?;
    let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
    let version = match phc.version {
        Some(version) => Version::try_from(version).ok()?,
        None => Version::default(),
    };
    let params = Params::try_from(&phc).ok()?;
    let (salt, expected) = (phc.salt?, phc.hash?);
    let mut buffer = [0; Output::MAX_LENGTH];
    let out = buffer.get_mut(..expected.len())?;
    run(algorithm, version, &params, (password, &salt), out)?;
    // `Output` compares in constant time.
    Some(Output::new(out).ok()? == expected)
}

fn run(
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    (password, salt): (&[u8], &[u8]),
    out: &mut [u8],
) -> Option<()> {
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(RESERVED));
    memory.resize(blocks, Block::new());
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(password, salt, out, &mut memory)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

    #[test]
    fn what_others_write_is_read_and_the_other_way_round() {
        let params = Params::new(64, 2, 1, None).unwrap();
        let ours = hash(&params, b"secret", b"saltsaltsaltsalt").unwrap();
        let theirs = Argon2::from(params)
            .hash_password_with_salt(b"secret", b"saltsaltsaltsalt")
            .unwrap();
        assert_eq!(ours, theirs.to_string());
        assert!(verify(&theirs.to_string(), b"secret"));
        assert!(!verify(&ours, b"Secret"));
        Argon2::default()
            .verify_password(b"secret", ours.as_str())
            .unwrap();
        assert!(!verify("$argon2id$v=19$m=64,t=2,p=1$c2FsdA", b"secret"));
        assert!(!verify("", b""));
    }
}
