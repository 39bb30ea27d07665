//! SCRAM's keys of one password as they are kept, and salts that are the same
//! whether there is such an account or not. Knows no accounts.

use mailcore::account::Secret;
use mailcore::seams::{CredentialKind, ScramKeys, ScramPair};

/// The layout written.
const LAYOUT: u8 = 1;
/// Octets of a salt.
const SALT: usize = 16;
const SHA1: usize = 20;
const SHA256: usize = 32;
/// Octets of a record.
const LENGTH: usize = 5 + 2 * SALT + 2 * SHA256 + 2 * SHA1;

/// What a client is told before it proves anything: the same for all passwords
/// of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    iterations: u32,
    sha256: [u8; SALT],
    sha1: [u8; SALT],
}

/// The keys of one password.
pub(super) struct Record {
    pub(super) parameters: Parameters,
    sha256: ScramPair,
    sha1: ScramPair,
}

impl Parameters {
    /// Those of a name, whether it is an account's or not: it shows nothing when
    /// an account gets its keys.
    pub(super) fn of(secret: &Secret, name: &str, iterations: u32) -> Self {
        let salt = |kind| {
            let made_up = ScramKeys::made_up(secret, kind, name, iterations);
            made_up.salt.first_chunk().copied().unwrap_or_default()
        };
        Self {
            iterations,
            sha256: salt(CredentialKind::ScramSha256),
            sha1: salt(CredentialKind::ScramSha1),
        }
    }

    pub(super) fn salt(&self, kind: CredentialKind) -> &[u8] {
        match kind {
            CredentialKind::ScramSha1 => &self.sha1,
            _ => &self.sha256,
        }
    }

    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }
}

impl Record {
    /// Blocks for some milliseconds.
    pub(super) fn derive(parameters: &Parameters, password: &Secret) -> Option<Self> {
        let pair = |kind| {
            let salt = parameters.salt(kind);
            ScramPair::derive(kind, password.expose(), salt, parameters.iterations)
        };
        Some(Self {
            parameters: parameters.clone(),
            sha256: pair(CredentialKind::ScramSha256)?,
            sha1: pair(CredentialKind::ScramSha1)?,
        })
    }

    pub(super) fn pair(&self, kind: CredentialKind) -> &ScramPair {
        match kind {
            CredentialKind::ScramSha1 => &self.sha1,
            _ => &self.sha256,
        }
    }

    pub(super) fn encode(&self) -> Secret {
        let parameters = &self.parameters;
        let mut octets = Vec::with_capacity(LENGTH);
        octets.push(LAYOUT);
        octets.extend_from_slice(&parameters.iterations.to_be_bytes());
        octets.extend_from_slice(&parameters.sha256);
        octets.extend_from_slice(&parameters.sha1);
        for pair in [&self.sha256, &self.sha1] {
            octets.extend_from_slice(pair.stored_key.expose());
            octets.extend_from_slice(pair.server_key.expose());
        }
        Secret::new(octets)
    }

    pub(super) fn decode(octets: &Secret) -> Option<Self> {
        let (&LAYOUT, rest) = octets.expose().split_first()? else {
            return None;
        };
        let (iterations, rest) = rest.split_first_chunk::<4>()?;
        let (salt256, rest) = rest.split_first_chunk::<SALT>()?;
        let (salt1, rest) = rest.split_first_chunk::<SALT>()?;
        let (sha256, sha1) = rest.split_at_checked(2 * SHA256)?;
        let pair = |keys: &[u8], length: usize| {
            let (stored, server) = keys.split_at_checked(length)?;
            (server.len() == length).then(|| ScramPair {
                stored_key: Secret::new(stored),
                server_key: Secret::new(server),
            })
        };
        Some(Self {
            parameters: Parameters {
                iterations: u32::from_be_bytes(*iterations),
                sha256: *salt256,
                sha1: *salt1,
            },
            sha256: pair(sha256, SHA256)?,
            sha1: pair(sha1, SHA1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were() {
        let parameters = Parameters::of(&Secret::new("own"), "ann@x.test", 4_096);
        let record = Record::derive(&parameters, &Secret::new("word")).unwrap();
        let octets = record.encode();
        assert_eq!(octets.expose().len(), LENGTH);
        let again = Record::decode(&octets).unwrap();
        assert_eq!(again.parameters, parameters);
        for kind in [CredentialKind::ScramSha1, CredentialKind::ScramSha256] {
            assert_eq!(again.pair(kind), record.pair(kind));
        }
        assert!(Record::decode(&Secret::new("")).is_none());
        assert!(Record::decode(&Secret::new(&octets.expose()[..LENGTH - 1])).is_none());
    }
}
