//! The mechanisms by name: [`Mechanism`].

use std::fmt;

use crate::seams::{CredentialKind, ProofKind};

/// A mechanism that this server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// SCRAM-SHA-256-PLUS (RFC 7677), tied to the TLS connection.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802), tied to the TLS connection.
    ScramSha1Plus,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// OAUTHBEARER (RFC 7628).
    OauthBearer,
    /// XOAUTH2: what OAUTHBEARER was before it was a standard.
    Xoauth2,
    /// EXTERNAL (RFC 4422 appendix A): the client's TLS certificate.
    External,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: never a standard, still used by much mail software.
    Login,
    /// CRAM-MD5 (RFC 2195).
    CramMd5,
    /// NTLM (MS-NLMP), which Outlook calls secure password authentication.
    Ntlm,
    /// ANONYMOUS (RFC 4505): for test servers.
    Anonymous,
}

impl Mechanism {
    /// All of them, those to be preferred first.
    pub const ALL: [Self; 12] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::OauthBearer,
        Self::Xoauth2,
        Self::External,
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::Ntlm,
        Self::Anonymous,
    ];

    /// Those that are offered unless somebody says otherwise: not CRAM-MD5 and
    /// NTLM, for which secrets are kept that can be used elsewhere, nor
    /// ANONYMOUS.
    pub const USUAL: [Self; 9] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::OauthBearer,
        Self::Xoauth2,
        Self::External,
        Self::Plain,
        Self::Login,
    ];

    /// The mechanism with this registered name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::Ntlm => "NTLM",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// What the authenticator must be able to tell the truth of.
    pub fn needs(self) -> ProofKind {
        match self {
            Self::ScramSha256Plus | Self::ScramSha256 => {
                ProofKind::Credentials(CredentialKind::ScramSha256)
            }
            Self::ScramSha1Plus | Self::ScramSha1 => {
                ProofKind::Credentials(CredentialKind::ScramSha1)
            }
            Self::OauthBearer | Self::Xoauth2 => ProofKind::Bearer,
            Self::External => ProofKind::Certificate,
            Self::Plain | Self::Login => ProofKind::Password,
            Self::CramMd5 => ProofKind::Credentials(CredentialKind::CramMd5),
            Self::Ntlm => ProofKind::Credentials(CredentialKind::Ntlm),
            Self::Anonymous => ProofKind::Anonymous,
        }
    }

    /// True when who listens learns what is enough to log in: to be offered
    /// under TLS alone.
    pub fn is_plaintext(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Login | Self::OauthBearer | Self::Xoauth2
        )
    }

    /// True when the proof is tied to the TLS connection.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// True when this build of the library speaks it: some need feature `sasl`.
    pub fn is_built_in(self) -> bool {
        cfg!(feature = "sasl") || !matches!(self.needs(), ProofKind::Credentials(_))
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for mechanism in Mechanism::ALL {
            let name = mechanism.as_str().to_ascii_lowercase();
            assert_eq!(Mechanism::parse(&name), Some(mechanism));
        }
        assert_eq!(Mechanism::parse("DIGEST-MD5"), None);
    }
}
