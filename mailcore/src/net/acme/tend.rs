//! [`Acme`]: sees to it that every certificate is there and is renewed in time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, RenewalInfo};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Mutex;

use super::account::account;
use super::order::Ordering;
use super::{AcmeConfig, AcmeError, AcmeSeams};
use crate::net::CertificateFacts;
use crate::time::Timestamp;

/// The longest wait after failures.
const MAX_RETRY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often an authority is asked when to renew, whatever it wishes (RFC 9773
/// section 4.3).
const ASK_RANGE: (Duration, Duration) = (
    Duration::from_secs(60 * 60),
    Duration::from_secs(24 * 60 * 60),
);

/// Gets certificates and renews them.
#[derive(Debug)]
pub struct Acme {
    config: AcmeConfig,
    seams: AcmeSeams,
    /// Held while certificates are tended, so that no two orders cross.
    standing: Mutex<HashMap<String, Standing>>,
}

/// What one look at the certificates came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tended {
    /// The first names of those that were got, and until when they hold.
    pub renewed: Vec<(String, Timestamp)>,
    /// The first names of those that were due and could not be got. What was
    /// there before is still there.
    pub failed: Vec<(String, AcmeError)>,
    /// When the next is due.
    pub next: Option<Timestamp>,
}

/// What is known of one certificate beside itself.
#[derive(Debug, Default)]
struct Standing {
    failures: u32,
    /// Not tried again before.
    pause_until: Option<Timestamp>,
    /// When it is to be renewed, and when the authority is to be asked again.
    plan: Option<(Timestamp, Timestamp)>,
}

/// A certificate as it is kept.
struct Kept {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    facts: CertificateFacts,
}

impl Acme {
    /// Of this authority, with these seams.
    pub fn new(config: AcmeConfig, seams: AcmeSeams) -> Self {
        Self {
            config,
            seams,
            standing: Mutex::default(),
        }
    }

    /// The certificates that are there, with their names.
    ///
    /// # Errors
    /// [`AcmeError`] of the first that can't be read.
    pub async fn certificates(
        &self,
    ) -> Result<Vec<(CertificateFacts, Arc<CertifiedKey>)>, AcmeError> {
        let mut found = Vec::new();
        for names in &self.config.certificates {
            if let Some(kept) = self.kept(names).await? {
                let key = CertifiedKey::from_der(kept.chain, kept.key, &self.seams.provider)
                    .map_err(|error| AcmeError::Unusable(error.to_string()))?;
                found.push((kept.facts, Arc::new(key)));
            }
        }
        Ok(found)
    }

    /// Gets what is missing and renews what is due. What failed not long ago is
    /// let be, unless [`Acme::forget_failures`] was called.
    pub async fn tend(&self) -> Tended {
        let mut standing = self.standing.lock().await;
        let mut tended = Tended::default();
        // One account, looked up when the first certificate needs it.
        let mut known = None;
        for names in &self.config.certificates {
            let Some(first) = names.first() else {
                continue;
            };
            let standing = standing.entry(first.clone()).or_default();
            let done = match self.due(names, standing, &mut known).await {
                Ok(Due::At(at)) => {
                    tended.next = tended.next.into_iter().chain([at]).min();
                    continue;
                }
                Ok(Due::Now(replaced)) => self.renew(names, replaced, &mut known).await,
                Err(error) => Err(error),
            };
            let now = self.seams.clock.now();
            let next = match done {
                Ok(facts) => {
                    *standing = Standing::default();
                    tended.renewed.push((first.clone(), facts.not_after));
                    facts.renewal_due()
                }
                Err(error) => {
                    tended.failed.push((first.clone(), error));
                    self.put_off(standing, now)
                }
            };
            tended.next = tended.next.into_iter().chain([next]).min();
        }
        tended
    }

    /// Has the next [`Acme::tend`] try everything that is due.
    pub async fn forget_failures(&self) {
        for standing in self.standing.lock().await.values_mut() {
            standing.pause_until = None;
        }
    }

    async fn due(
        &self,
        names: &[String],
        standing: &mut Standing,
        known: &mut Option<Account>,
    ) -> Result<Due, AcmeError> {
        let now = self.seams.clock.now();
        if let Some(until) = standing.pause_until.filter(|until| *until > now) {
            return Ok(Due::At(until));
        }
        let Some(kept) = self.kept(names).await? else {
            return Ok(Due::Now(None));
        };
        if !names.iter().all(|name| is_in(&kept.facts, name)) {
            return Ok(Due::Now(None));
        }
        let leaf = kept.chain.into_iter().next();
        let renew_at = match standing.plan {
            Some((renew_at, ask_at)) if now < ask_at => renew_at,
            _ => {
                let plan = self.plan(&kept.facts, leaf.as_ref(), known).await;
                standing.plan.insert(plan).0
            }
        };
        match renew_at <= now {
            true => Ok(Due::Now(leaf)),
            false => Ok(Due::At(renew_at)),
        }
    }

    /// When to renew: a random time of those that the authority suggests (RFC
    /// 9773 section 4.2), else after two thirds of the certificate's time and a
    /// little more, so that not all come at once.
    async fn plan(
        &self,
        facts: &CertificateFacts,
        leaf: Option<&CertificateDer<'static>>,
        known: &mut Option<Account>,
    ) -> (Timestamp, Timestamp) {
        let now = self.seams.clock.now();
        let third = facts.not_after.since(facts.renewal_due());
        let own = facts.renewal_due().after(self.some_of(third / 10));
        let asked = match leaf.map(CertificateIdentifier::try_from) {
            Some(Ok(id)) => self.ask(&id, known).await,
            _ => return (own, now.after(ASK_RANGE.1)),
        };
        match asked {
            Ok((info, again)) => {
                let window = info.suggested_window;
                let start = Timestamp::from_secs(window.start.unix_timestamp());
                let end = Timestamp::from_secs(window.end.unix_timestamp());
                let at = start.after(self.some_of(end.since(start)));
                (at, now.after(again.clamp(ASK_RANGE.0, ASK_RANGE.1)))
            }
            Err(error) => {
                tracing::debug!(%error, "the authority does not say when to renew");
                (own, now.after(ASK_RANGE.1))
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

    async fn renew(
        &self,
        names: &[String],
        replaced: Option<CertificateDer<'static>>,
        known: &mut Option<Account>,
    ) -> Result<CertificateFacts, AcmeError> {
        let account = self.account(known).await?;
        let replaces = replaced.as_ref().map(CertificateIdentifier::try_from);
        let ordering = Ordering {
            config: &self.config,
            seams: &self.seams,
            account,
            names,
        };
        let issued = ordering.certificate(replaces.and_then(Result::ok)).await?;
        let pem = format!("{}\n{}", issued.key.trim_end(), issued.chain);
        // What could not be used later must not take the place of what can.
        let kept = parse(pem.as_bytes())?;
        CertifiedKey::from_der(kept.chain, kept.key, &self.seams.provider)
            .map_err(|error| AcmeError::Unusable(error.to_string()))?;
        let (store, name) = (&self.seams.store, kept_as(names));
        store.save(&name, pem.into_bytes()).await?;
        Ok(kept.facts)
    }

    async fn account<'a>(&self, known: &'a mut Option<Account>) -> Result<&'a Account, AcmeError> {
        let found = match known.take() {
            Some(found) => found,
            None => account(&self.config, &self.seams).await?,
        };
        Ok(known.insert(found))
    }

    async fn kept(&self, names: &[String]) -> Result<Option<Kept>, AcmeError> {
        let kept = self.seams.store.load(&kept_as(names)).await?;
        kept.map(|pem| parse(&pem)).transpose()
    }

    /// The wait after a failure: doubled with each, and never the same for two
    /// servers.
    fn put_off(&self, standing: &mut Standing, now: Timestamp) -> Timestamp {
        let doubled = 1_u32.checked_shl(standing.failures).unwrap_or(u32::MAX);
        let wait = self.config.retry.saturating_mul(doubled).min(MAX_RETRY);
        standing.failures = standing.failures.saturating_add(1);
        let until = now.after(wait.saturating_add(self.some_of(wait / 10)));
        standing.pause_until = Some(until);
        until
    }

    fn some_of(&self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.seams.entropy.random_u64() % millis.max(1))
    }
}

enum Due {
    /// In place of this one, where there is one.
    Now(Option<CertificateDer<'static>>),
    At(Timestamp),
}

/// A wildcard must be in it as such: that it covers another is not enough.
fn is_in(facts: &CertificateFacts, name: &str) -> bool {
    facts.names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The name that a certificate is kept under.
fn kept_as(names: &[String]) -> String {
    let first = names.first().map_or("", String::as_str);
    let letters = first.chars().map(|it| match it {
        it if it.is_ascii_alphanumeric() || it == '.' || it == '-' => it.to_ascii_lowercase(),
        _ => '_',
    });
    format!("certificate-{}.pem", letters.collect::<String>())
}

fn parse(pem: &[u8]) -> Result<Kept, AcmeError> {
    let wrong = |error: rustls_pki_types::pem::Error| AcmeError::Unusable(error.to_string());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(wrong)?;
    let leaf = chain.first();
    let leaf = leaf.ok_or_else(|| AcmeError::Unusable("there is no certificate".to_owned()))?;
    let facts = CertificateFacts::of(leaf);
    let facts = facts.map_err(|error| AcmeError::Unusable(error.to_string()))?;
    Ok(Kept { chain, key, facts })
}
