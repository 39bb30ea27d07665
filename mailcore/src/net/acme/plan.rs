//! When a certificate is renewed: when the authority says (RFC 9773), else after
//! two thirds of its time.

use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, RenewalInfo};
use rustls_pki_types::CertificateDer;

use super::AcmeError;
use super::tend::Acme;
use crate::net::CertificateFacts;
use crate::time::Timestamp;

/// How often an authority is asked when to renew, whatever it wishes (RFC 9773
/// section 4.3).
const ASK_RANGE: (Duration, Duration) = (
    Duration::from_secs(60 * 60),
    Duration::from_secs(24 * 60 * 60),
);

/// When one certificate is to be renewed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) renew_at: Timestamp,
    made_at: Timestamp,
    /// The authority is asked again.
    ask_at: Timestamp,
}

impl Plan {
    /// False once the authority is to be asked again, and when the clock was set
    /// back behind the moment it was asked.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        (self.made_at..self.ask_at).contains(&now)
    }
}

impl Acme {
    /// A random time of those that the authority suggests (RFC 9773 section
    /// 4.2), else after two thirds of the certificate's time and a little more,
    /// so that not all come at once.
    pub(super) async fn plan(
        &self,
        facts: &CertificateFacts,
        leaf: Option<&CertificateDer<'static>>,
        known: &mut Option<Account>,
    ) -> Plan {
        let made_at = self.seams.clock.now();
        let third = facts.not_after.since(facts.renewal_due());
        let plan = |renew_at, wait| Plan {
            renew_at,
            made_at,
            ask_at: made_at.after(wait),
        };
        let own = facts.renewal_due().after(self.some_of(third / 10));
        let asked = match leaf.map(CertificateIdentifier::try_from) {
            Some(Ok(id)) => self.ask(&id, known).await,
            _ => return plan(own, ASK_RANGE.1),
        };
        match asked {
            Ok((info, again)) => {
                let window = info.suggested_window;
                let start = Timestamp::from_secs(window.start.unix_timestamp());
                let end = Timestamp::from_secs(window.end.unix_timestamp());
                if let Some(page) = info.explanation_url {
                    tracing::info!(page, "the authority explains when it wants a renewal");
                }
                // Whatever it says, there must be time to try in.
                let last = facts.renewal_due().after(third / 3 * 2);
                let at = start.after(self.some_of(end.since(start))).min(last);
                plan(at, again.clamp(ASK_RANGE.0, ASK_RANGE.1))
            }
            Err(error) => {
                tracing::debug!(%error, "the authority does not say when to renew");
                plan(own, ASK_RANGE.1)
            }
        }
    }

    async fn ask(
        &self,
        id: &CertificateIdentifier<'_>,
        known: &mut Option<Account>,
    ) -> Result<(RenewalInfo, Duration), AcmeError> {
        Ok(self.account(known).await?.renewal_info(id).await?)
    }
}
