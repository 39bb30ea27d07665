//! [`StoreKey`]: encrypts what must be known again in clear, so that a copy of
//! the database alone does not tell it.
//!
//! A sealed secret is an octet for the layout (1), a nonce of 24 octets, and
//! the text under XChaCha20-Poly1305 with its tag. Account and name are
//! authenticated with it: a secret moved to another place does not open.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use mailcore::account::{AccountId, Secret};
use mailcore::seams::{DirectoryError, Entropy};
use zeroize::{Zeroize, Zeroizing};

use super::keep::Change;

/// Octets of a key.
const KEY: usize = 32;
/// Octets of a nonce.
const NONCE: usize = 24;
/// The layout written.
const LAYOUT: u8 = 1;
/// Octets of a sealed secret that is empty.
pub(super) const EMPTY: usize = 1 + NONCE + 16;
/// What salts of names without an account are made of.
const MADE_UP: &str = "mailcore 2026-11 directory made-up salts";

/// The key that a directory's secrets are encrypted with.
#[derive(Clone)]
pub struct StoreKey(Arc<Secret>);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(***)")
    }
}

impl StoreKey {
    /// A key from its octets.
    pub fn new(octets: [u8; KEY]) -> Self {
        Self(Arc::new(Secret::new(octets)))
    }

    /// Reads the key's file, 64 hexadecimal digits; makes it, for its owner
    /// alone, when there is none. Blocks.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]: the file can't be read or made, or
    /// holds something else.
    pub fn open(path: &Path, entropy: &dyn Entropy) -> Result<Self, DirectoryError> {
        let failed = |error: &dyn fmt::Display| {
            DirectoryError::Unavailable(format!("{}: {error}", path.display()))
        };
        match make(path, entropy) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&error)),
            _ => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let text = Zeroizing::new(text);
        parse(text.trim()).ok_or_else(|| failed(&"not a key; restore it from a backup"))
    }

    pub(super) fn seal(
        &self,
        entropy: &dyn Entropy,
        (account, name): (&AccountId, &str),
        secret: &Secret,
    ) -> Result<Arc<[u8]>, DirectoryError> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let aad = place(account, name);
        let payload = Payload {
            msg: secret.expose(),
            aad: &aad,
        };
        let sealed = self
            .cipher()
            .and_then(|it| it.encrypt(&XNonce::from(nonce), payload).ok())
            .ok_or_else(|| DirectoryError::Invalid("the secret can't be encrypted".into()))?;
        let mut out = vec![LAYOUT];
        out.extend_from_slice(&nonce);
        out.extend(sealed);
        Ok(out.into())
    }

    pub(super) fn unseal(
        &self,
        (account, name): (&AccountId, &str),
        sealed: &[u8],
    ) -> Result<Secret, DirectoryError> {
        let open = || {
            let (&LAYOUT, rest) = sealed.split_first()? else {
                return None;
            };
            let (nonce, text) = rest.split_first_chunk::<NONCE>()?;
            let aad = place(account, name);
            let payload = Payload {
                msg: text,
                aad: &aad,
            };
            let text = self
                .cipher()?
                .decrypt(&XNonce::from(*nonce), payload)
                .ok()?;
            Some(Secret::new(text))
        };
        open().ok_or_else(|| {
            DirectoryError::Unavailable(format!(
                "the secret {name} of {account} does not open with this key; restore the key \
                 that it was kept with, or keep the secret anew"
            ))
        })
    }

    /// Encrypts a secret that is no account's; it opens at this place alone.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] when it is too long.
    pub fn seal_at(
        &self,
        place: &str,
        secret: &Secret,
        entropy: &dyn Entropy,
    ) -> Result<Arc<[u8]>, DirectoryError> {
        self.seal(entropy, (&AccountId::new(""), place), secret)
    }

    /// Undoes [`StoreKey::seal_at`].
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]: sealed with another key, at another
    /// place, or damaged.
    pub fn unseal_at(&self, place: &str, sealed: &[u8]) -> Result<Secret, DirectoryError> {
        self.unseal((&AccountId::new(""), place), sealed)
            .map_err(|_| {
                DirectoryError::Unavailable(format!(
                    "{place} does not open with this store's key; restore the key that it was kept \
                     with, or keep it anew"
                ))
            })
    }

    fn cipher(&self) -> Option<XChaCha20Poly1305> {
        let key: [u8; KEY] = self.0.expose().try_into().ok()?;
        Some(XChaCha20Poly1305::new(&Key::from(key)))
    }
}

/// A key with the chance that encrypting needs.
#[derive(Clone)]
pub(super) struct Sealer {
    key: StoreKey,
    entropy: Arc<dyn Entropy>,
    made_up: Secret,
}

impl Sealer {
    pub(super) fn new(key: StoreKey, entropy: Arc<dyn Entropy>) -> Self {
        let made_up = Secret::new(blake3::derive_key(MADE_UP, key.0.expose()));
        Self {
            key,
            entropy,
            made_up,
        }
    }

    /// What salts of names without an account are made of.
    pub(super) fn made_up(&self) -> &Secret {
        &self.made_up
    }

    pub(super) fn seal(
        &self,
        account: &AccountId,
        name: &str,
        secret: &Secret,
    ) -> Result<Arc<[u8]>, DirectoryError> {
        self.key.seal(&*self.entropy, (account, name), secret)
    }

    /// The change that keeps a secret of an account.
    pub(super) fn put(
        &self,
        account: &AccountId,
        name: &str,
        secret: &Secret,
    ) -> Result<Change, DirectoryError> {
        let sealed = self.seal(account, name, secret)?;
        Ok(Change::PutSecret(account.clone(), name.into(), sealed))
    }

    pub(super) fn open(
        &self,
        account: &AccountId,
        name: &str,
        sealed: &[u8],
    ) -> Result<Secret, DirectoryError> {
        self.key.unseal((account, name), sealed)
    }
}

/// What is authenticated beside the secret.
fn place(account: &AccountId, name: &str) -> Vec<u8> {
    [account.as_str().as_bytes(), &[0], name.as_bytes()].concat()
}

fn parse(text: &str) -> Option<StoreKey> {
    let mut octets = [0; KEY];
    if text.len() != 2 * KEY || !text.is_ascii() {
        return None;
    }
    for (place, octet) in octets.iter_mut().enumerate() {
        let digits = text.get(2 * place..2 * place + 2)?;
        *octet = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(StoreKey::new(octets))
}

/// Makes the file, in full or not at all.
fn make(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    if path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let mut octets = [0; KEY];
    entropy.fill(&mut octets);
    let text = Zeroizing::new(octets.map(|it| format!("{it:02x}")).concat());
    octets.zeroize();
    // Of two who make it at once each has a file of its own, and the first to
    // be there stays.
    let mut mark = [0; 8];
    entropy.fill(&mut mark);
    let new = path.with_extension(format!("{:016x}.new", u64::from_be_bytes(mark)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    writeln!(file, "{}", *text)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&new, path);
    std::fs::remove_file(&new)?;
    linked?;
    super::sync_parent(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::seams::OsEntropy;

    #[test]
    fn of_many_who_make_the_key_at_once_all_have_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.key");
        let open = || {
            StoreKey::open(&path, &OsEntropy)
                .unwrap()
                .0
                .expose()
                .to_vec()
        };
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_opens_in_its_place_with_its_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.key");
        let key = StoreKey::open(&path, &OsEntropy).unwrap();
        let account = AccountId::new("a@x.test");
        let place = (&account, "apop");
        let sealed = key.seal(&OsEntropy, place, &Secret::new("word")).unwrap();
        assert!(!sealed.windows(4).any(|it| it == b"word"));
        let again = StoreKey::open(&path, &OsEntropy).unwrap();
        assert_eq!(again.unseal(place, &sealed).unwrap().expose(), b"word");
        assert!(key.unseal((&account, "ntlm"), &sealed).is_err());
        assert!(StoreKey::new([7; KEY]).unseal(place, &sealed).is_err());
        assert!(key.unseal(place, &sealed[..20]).is_err());
        std::fs::write(&path, "short").unwrap();
        assert!(StoreKey::open(&path, &OsEntropy).is_err());
    }
}
