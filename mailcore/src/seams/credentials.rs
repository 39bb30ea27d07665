//! What a proof by challenge and response is checked against: [`Credentials`].

use std::net::IpAddr;
use std::sync::Arc;

use crate::account::Secret;

/// Whose credentials an exchange needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The name as the user typed it, as in
    /// [`AuthRequest::login`](super::AuthRequest::login).
    pub login: String,
    /// Which.
    pub kind: CredentialKind,
    /// Where the client is.
    pub peer: Option<IpAddr>,
    /// Which protocol: `smtp`, `imap`, `pop3`.
    pub protocol: &'static str,
}

/// A kind of credentials, as [`CredentialRequest`] asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialKind {
    /// Keys of SCRAM-SHA-1 (RFC 5802): [`Credentials::Scram`].
    ScramSha1,
    /// Keys of SCRAM-SHA-256 (RFC 7677): [`Credentials::Scram`].
    ScramSha256,
    /// For CRAM-MD5 (RFC 2195): [`Credentials::Passwords`] or
    /// [`Credentials::CramMd5`].
    CramMd5,
    /// For APOP (RFC 1939 section 7): [`Credentials::Passwords`].
    Apop,
    /// For NTLM (MS-NLMP): [`Credentials::NtHashes`].
    Ntlm,
}

/// What the client must prove to know. Where there are several, any one of
/// them does: an account may have a password for each of its devices.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// SCRAM's keys.
    Scram(ScramKeys),
    /// Passwords themselves.
    Passwords(Vec<Labelled<Secret>>),
    /// CRAM-MD5's keys.
    CramMd5(Vec<Labelled<CramMd5Key>>),
    /// MD4 of the password in UTF-16 (MS-NLMP section 3.3.1, `NTOWFv1`), 16
    /// octets each.
    NtHashes(Vec<Labelled<Secret>>),
}

/// One of several credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled<T> {
    /// What [`Verified::label`](super::Verified::label) says when this is the
    /// one that was proved.
    pub label: Option<Arc<str>>,
    /// The credential.
    pub value: T,
}

impl<T> Labelled<T> {
    /// The only one that an account has.
    pub fn only(value: T) -> Self {
        Self { label: None, value }
    }
}

/// What a server keeps for SCRAM: enough to check a proof, not enough to log
/// in elsewhere (RFC 5802 section 3). All keys share salt and iterations,
/// since the client is told those before it says which password it has.
#[derive(Debug, Clone)]
pub struct ScramKeys {
    /// 16 octets or more.
    pub salt: Vec<u8>,
    /// Rounds of hashing; 4,096 at the least.
    pub iterations: u32,
    /// One pair for each password.
    pub pairs: Vec<Labelled<ScramPair>>,
}

/// What proves and is proved by one password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramPair {
    /// Checks the client's proof.
    pub stored_key: Secret,
    /// Makes the server's.
    pub server_key: Secret,
}

/// What HMAC-MD5 makes of a password: its two inner states after the padded
/// key, from which no password can be had back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CramMd5Key {
    /// MD5's state after the key xor `0x36`.
    pub inner: Secret,
    /// MD5's state after the key xor `0x5c`.
    pub outer: Secret,
}
