//! Which mechanisms a service offers on a connection: [`Offer`].

use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

use super::anonymous::Anonymous;
use super::exchange::{Exchange, Run};
use super::external::External;
use super::login::Login;
use super::mechanism::Mechanism;
use super::oauth::Oauth;
use super::plain::Plain;
#[cfg(feature = "sasl")]
use super::{
    cram_md5::CramMd5,
    ntlm::Ntlm,
    scram::{Scram, ScramHash},
};
use crate::seams::{Authenticator, Entropy, OsEntropy, ProofKind};
use crate::wire::TlsInfo;

/// The mechanisms that a service offers: those that are configured, that its
/// authenticator can tell the truth of, and that suit the connection. A
/// mechanism that is not offered is not begun either.
#[derive(Debug, Clone)]
pub struct Offer {
    wanted: Vec<Mechanism>,
    /// Those of them that can be served.
    mechanisms: Vec<Mechanism>,
    in_clear: InClear,
    host: String,
    entropy: Arc<dyn Entropy>,
}

/// What may be used on a connection that others can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum InClear {
    /// Nothing: who listens could at least try passwords against what is seen.
    #[default]
    Nothing,
    /// Mechanisms that show no password: SCRAM, CRAM-MD5, NTLM.
    Challenges,
}

/// The connection that an exchange takes place on.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where the client is.
    pub peer: Option<IpAddr>,
    /// Which protocol: `smtp`, `imap`, `pop3`.
    pub protocol: &'static str,
    /// Its TLS.
    pub tls: Option<&'a TlsInfo>,
    /// Whether a password may pass.
    pub privacy: Privacy,
}

/// Whether others can read a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Privacy {
    /// Nobody can: TLS, or the process's own memory. Or the configuration says
    /// not to mind.
    Private,
    /// Somebody may listen.
    Exposed,
}

/// Why a mechanism is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotOffered {
    /// It is not known here, or not wanted.
    #[error("this mechanism is not offered; choose one of those announced")]
    Unknown,
    /// Not on a connection that others can read.
    #[error("this mechanism needs TLS; begin TLS first")]
    NeedsTls,
}

impl Offer {
    /// What `authenticator` can serve of the usual mechanisms
    /// ([`Mechanism::USUAL`]), with the system's randomness.
    pub fn new(authenticator: &dyn Authenticator) -> Self {
        Self::for_proofs(&authenticator.proofs())
    }

    /// What `authenticator` can serve of these mechanisms, announced in this
    /// order.
    pub fn among(authenticator: &dyn Authenticator, mechanisms: &[Mechanism]) -> Self {
        Self::of(&authenticator.proofs(), mechanisms)
    }

    /// Whatever these proofs are enough for, of the usual mechanisms.
    pub fn for_proofs(proofs: &[ProofKind]) -> Self {
        Self::of(proofs, &Mechanism::USUAL)
    }

    /// Whatever these proofs are enough for, of these mechanisms.
    pub fn of(proofs: &[ProofKind], wanted: &[Mechanism]) -> Self {
        Self {
            wanted: wanted.to_vec(),
            mechanisms: served(proofs, wanted),
            in_clear: InClear::default(),
            host: String::from("localhost"),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// The same, as far as `authenticator` can serve it now: what it keeps of its
    /// accounts may have changed.
    #[must_use]
    pub fn now(&self, authenticator: &dyn Authenticator) -> Self {
        Self {
            mechanisms: served(&authenticator.proofs(), &self.wanted),
            ..self.clone()
        }
    }

    /// The same without the mechanisms that are bound to TLS, unless somebody
    /// chose the mechanisms. mutt begins them over POP3 without a binding to
    /// give, cancels, and then takes each reply for that of the command after.
    #[must_use]
    pub fn unbound_unless_chosen(mut self) -> Self {
        if self.wanted == Mechanism::USUAL {
            self.wanted.retain(|mechanism| !mechanism.is_bound());
            self.mechanisms.retain(|mechanism| !mechanism.is_bound());
        }
        self
    }

    /// What may be used in clear.
    #[must_use]
    pub fn in_clear(mut self, in_clear: InClear) -> Self {
        self.in_clear = in_clear;
        self
    }

    /// The server's name, which some challenges show.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Where nonces come from.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// What is announced on this connection.
    pub fn announced<'a>(&'a self, on: Surroundings<'a>) -> impl Iterator<Item = Mechanism> + 'a {
        self.mechanisms
            .iter()
            .copied()
            .filter(move |&mechanism| self.check(mechanism, &on).is_ok())
    }

    /// True when a password may be checked on this connection by other means:
    /// IMAP's LOGIN, POP3's USER and PASS.
    pub fn takes_passwords(&self, on: Surroundings<'_>) -> bool {
        on.privacy == Privacy::Private
            && self
                .mechanisms
                .iter()
                .any(|mechanism| mechanism.needs() == ProofKind::Password)
    }

    fn check(&self, mechanism: Mechanism, on: &Surroundings<'_>) -> Result<(), NotOffered> {
        if !self.mechanisms.contains(&mechanism) {
            return Err(NotOffered::Unknown);
        }
        let may_pass = on.privacy == Privacy::Private
            || (!mechanism.is_plaintext() && self.in_clear == InClear::Challenges);
        match mechanism {
            Mechanism::External if certificate(on).is_none() => Err(NotOffered::Unknown),
            bound if bound.is_bound() && !can_bind(on) => Err(NotOffered::Unknown),
            _ if !may_pass => Err(NotOffered::NeedsTls),
            _ => Ok(()),
        }
    }

    /// A run of the mechanism with this name.
    ///
    /// # Errors
    /// When it is not offered on this connection.
    pub fn begin(&self, name: &str, on: Surroundings<'_>) -> Result<Exchange, NotOffered> {
        let mechanism = Mechanism::parse(name).ok_or(NotOffered::Unknown)?;
        self.check(mechanism, &on)?;
        let run = self.run(mechanism, &on).ok_or(NotOffered::Unknown)?;
        Ok(Exchange::new(run, on.peer, on.protocol))
    }

    fn run(&self, mechanism: Mechanism, on: &Surroundings<'_>) -> Option<Box<dyn Run>> {
        Some(match mechanism {
            Mechanism::Plain => Box::new(Plain),
            Mechanism::Login => Box::<Login>::default(),
            Mechanism::OauthBearer => Box::new(Oauth::Bearer),
            Mechanism::Xoauth2 => Box::new(Oauth::Xoauth2),
            Mechanism::External => Box::new(External(Arc::clone(certificate(on)?))),
            Mechanism::Anonymous => Box::new(Anonymous),
            #[cfg(feature = "sasl")]
            Mechanism::CramMd5 => Box::new(CramMd5::new(&*self.entropy, &self.host)),
            #[cfg(feature = "sasl")]
            Mechanism::Ntlm => Box::new(Ntlm::new(&*self.entropy, &self.host)),
            #[cfg(feature = "sasl")]
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                self.scram(ScramHash::Sha256, mechanism, on)
            }
            #[cfg(feature = "sasl")]
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => {
                self.scram(ScramHash::Sha1, mechanism, on)
            }
            #[cfg(not(feature = "sasl"))]
            _ => return None,
        })
    }

    #[cfg(feature = "sasl")]
    fn scram(&self, hash: ScramHash, mechanism: Mechanism, on: &Surroundings<'_>) -> Box<dyn Run> {
        use super::scram::Binding;
        let plus = match hash {
            ScramHash::Sha1 => Mechanism::ScramSha1Plus,
            ScramHash::Sha256 => Mechanism::ScramSha256Plus,
        };
        let binding = match on.tls {
            Some(tls) if mechanism.is_bound() => Binding::Required(tls.bindings.clone()),
            _ if self.check(plus, on).is_ok() => Binding::Passed,
            _ => Binding::Absent,
        };
        Box::new(Scram::new(hash, binding, &*self.entropy))
    }
}

fn served(proofs: &[ProofKind], wanted: &[Mechanism]) -> Vec<Mechanism> {
    let mut mechanisms: Vec<Mechanism> = Vec::new();
    for &mechanism in wanted {
        let serves = mechanism.is_built_in() && proofs.contains(&mechanism.needs());
        if serves && !mechanisms.contains(&mechanism) {
            mechanisms.push(mechanism);
        }
    }
    mechanisms
}

fn certificate<'a>(on: &Surroundings<'a>) -> Option<&'a Arc<crate::wire::ClientCertificate>> {
    on.tls?.client_certificate.as_ref()
}

fn can_bind(on: &Surroundings<'_>) -> bool {
    on.tls.is_some_and(|tls| {
        tls.bindings.exporter.is_some() || tls.bindings.server_end_point.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::CredentialKind;
    use crate::wire::ClientCertificate;

    const ALL: [ProofKind; 8] = [
        ProofKind::Password,
        ProofKind::Bearer,
        ProofKind::Certificate,
        ProofKind::Anonymous,
        ProofKind::Credentials(CredentialKind::ScramSha1),
        ProofKind::Credentials(CredentialKind::ScramSha256),
        ProofKind::Credentials(CredentialKind::CramMd5),
        ProofKind::Credentials(CredentialKind::Ntlm),
    ];

    fn on(tls: Option<&TlsInfo>) -> Surroundings<'_> {
        Surroundings {
            peer: None,
            protocol: "imap",
            tls,
            privacy: match tls {
                Some(_) => Privacy::Private,
                None => Privacy::Exposed,
            },
        }
    }

    fn names(offer: &Offer, tls: Option<&TlsInfo>) -> String {
        let names: Vec<_> = offer.announced(on(tls)).map(Mechanism::as_str).collect();
        names.join(" ")
    }

    #[test]
    fn only_what_the_authenticator_can_check_is_offered() {
        let tls = TlsInfo::default();
        let offer = Offer::of(&[ProofKind::Password], &Mechanism::ALL);
        assert_eq!(names(&offer, Some(&tls)), "PLAIN LOGIN");
        assert!(offer.begin("plain", on(Some(&tls))).is_ok());
        for name in ["SCRAM-SHA-256", "XOAUTH2", "EXTERNAL", "ANONYMOUS", "X"] {
            let refused = offer.begin(name, on(Some(&tls)));
            assert_eq!(refused.err(), Some(NotOffered::Unknown), "{name}");
        }
        assert_eq!(names(&Offer::of(&ALL, &[]), Some(&tls)), "");
    }

    #[test]
    fn a_certificate_is_asked_for_where_one_was_shown() {
        let offer = Offer::of(&ALL, &[Mechanism::External]);
        let mut tls = TlsInfo::default();
        assert_eq!(names(&offer, Some(&tls)), "");
        tls.client_certificate = Some(Arc::new(ClientCertificate::new(b"der")));
        assert_eq!(names(&offer, Some(&tls)), "EXTERNAL");
    }

    #[cfg(feature = "sasl")]
    #[test]
    fn in_clear_nothing_is_offered_or_what_shows_no_password() {
        let offer = Offer::of(&ALL, &Mechanism::ALL);
        assert_eq!(names(&offer, None), "");
        let refused = offer.begin("SCRAM-SHA-1", on(None));
        assert_eq!(refused.err(), Some(NotOffered::NeedsTls));
        let offer = offer.in_clear(InClear::Challenges);
        assert_eq!(
            names(&offer, None),
            "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 NTLM ANONYMOUS"
        );
        assert!(!offer.takes_passwords(on(None)));
        assert!(offer.takes_passwords(on(Some(&TlsInfo::default()))));
    }

    #[cfg(feature = "sasl")]
    #[test]
    fn what_is_tied_to_tls_is_offered_where_there_is_something_to_tie_it_to() {
        let offer = Offer::of(&ALL, &Mechanism::USUAL);
        let mut tls = TlsInfo::default();
        assert_eq!(
            names(&offer, Some(&tls)),
            "SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN LOGIN"
        );
        tls.bindings.server_end_point = Some(crate::account::Secret::new([1; 32]));
        assert!(names(&offer, Some(&tls)).starts_with("SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS "));
    }
}
