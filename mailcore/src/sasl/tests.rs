use proptest::prelude::*;

use super::*;
use crate::account::{AccountId, Identity};
use crate::seams::{AuthError, ProofKind};
use crate::wire::TlsInfo;

/// Can tell the truth of everything.
#[derive(Debug)]
pub(super) struct Anyone;

#[async_trait::async_trait]
impl crate::seams::Authenticator for Anyone {
    async fn authenticate(&self, _: &crate::seams::AuthRequest) -> Result<Identity, AuthError> {
        Err(AuthError::Invalid)
    }

    fn proofs(&self) -> Vec<ProofKind> {
        Mechanism::ALL.map(Mechanism::needs).to_vec()
    }
}

/// No chance at all, so that an exchange can be had again.
#[derive(Debug)]
struct Zeros;

impl crate::seams::Entropy for Zeros {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(0);
    }
}

/// A run of this mechanism within TLS, with all that it may need.
pub(super) fn exchange(mechanism: Mechanism) -> Exchange {
    exchange_within(mechanism, &tls())
}

pub(super) fn tls() -> TlsInfo {
    let mut tls = TlsInfo::default();
    tls.bindings.exporter = Some(crate::account::Secret::new([7; 32]));
    tls.client_certificate = Some(std::sync::Arc::new(crate::wire::ClientCertificate::new(
        b"der",
    )));
    tls
}

pub(super) fn exchange_within(mechanism: Mechanism, tls: &TlsInfo) -> Exchange {
    let on = Surroundings {
        peer: None,
        protocol: "imap",
        tls: Some(tls),
        privacy: Privacy::Private,
    };
    Offer::among(&Anyone, &Mechanism::ALL)
        .entropy(std::sync::Arc::new(Zeros))
        .begin(mechanism.as_str(), on)
        .unwrap()
}

fn spoken() -> impl Iterator<Item = Mechanism> {
    Mechanism::ALL
        .into_iter()
        .filter(|mechanism| mechanism.is_built_in())
}

#[test]
fn an_exchange_ends_once() {
    let mut exchange = exchange(Mechanism::Plain);
    assert!(matches!(exchange.start(Some(b"\0u\0p")), Progress::Ask(_)));
    let identity = Identity {
        account: AccountId::new("u"),
        login: "u".into(),
    };
    assert!(matches!(
        exchange.answer(Ok(Finding::Identity(identity))),
        Progress::Authenticated(_)
    ));
    assert!(matches!(
        exchange.step(b"\0u\0p"),
        Progress::Failed(SaslError::Finished)
    ));
}

proptest! {
    #[test]
    fn no_response_does_harm_or_logs_anybody_in(responses: [Vec<u8>; 4]) {
        for mechanism in spoken() {
            let mut exchange = exchange(mechanism);
            let mut progress = exchange.start(None);
            for response in &responses {
                prop_assert!(!matches!(progress, Progress::Authenticated(_)));
                progress = match progress {
                    Progress::Ask(_) => exchange.answer(Err(AuthError::Invalid)),
                    _ => exchange.step(response),
                };
            }
        }
    }
}
