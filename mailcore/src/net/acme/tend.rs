//! [`Acme`]: sees to it that every certificate is there and is renewed in time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Mutex;

use super::account::{account, new_account};
use super::order::{Issued, Ordering};
use super::plan::Plan;
use super::{AcmeConfig, AcmeError, AcmeSeams};
use crate::net::CertificateFacts;
use crate::time::Timestamp;

/// The longest wait after failures.
const MAX_RETRY: Duration = Duration::from_secs(24 * 60 * 60);
/// Gets certificates and renews them.
#[derive(Debug)]
pub struct Acme {
    pub(super) config: AcmeConfig,
    pub(super) seams: AcmeSeams,
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
    /// Not tried again before, and since when.
    pause: Option<(Timestamp, Timestamp)>,
    plan: Option<Plan>,
}

/// A certificate as it is kept.
struct Kept {
    key: CertifiedKey,
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

    /// The certificates that are there, with their names. One that is damaged is
    /// told of and left out: [`Acme::tend`] gets another.
    ///
    /// # Errors
    /// [`AcmeError::Store`].
    pub async fn certificates(
        &self,
    ) -> Result<Vec<(CertificateFacts, Arc<CertifiedKey>)>, AcmeError> {
        let mut found = Vec::new();
        for names in &self.config.certificates {
            if let Some(kept) = self.kept(names).await? {
                found.push((kept.facts, Arc::new(kept.key)));
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
                    self.announce(names).await;
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
            standing.pause = None;
        }
    }

    async fn due(
        &self,
        names: &[String],
        standing: &mut Standing,
        known: &mut Option<Account>,
    ) -> Result<Due, AcmeError> {
        let now = self.seams.clock.now();
        // A clock that was set back makes no wait longer.
        if let Some((since, until)) = standing.pause
            && (since..until).contains(&now)
        {
            return Ok(Due::At(until));
        }
        let Some(kept) = self.kept(names).await? else {
            return Ok(Due::Now(None));
        };
        if !names.iter().all(|name| is_in(&kept.facts, name)) {
            return Ok(Due::Now(None));
        }
        let leaf = kept.key.cert.first().cloned();
        let plan = match standing.plan {
            Some(plan) if plan.holds(now) => plan,
            _ => {
                let plan = self.plan(&kept.facts, leaf.as_ref(), known).await;
                *standing.plan.insert(plan)
            }
        };
        match plan.renew_at <= now {
            true => Ok(Due::Now(leaf)),
            false => Ok(Due::At(plan.renew_at)),
        }
    }

    async fn renew(
        &self,
        names: &[String],
        replaced: Option<CertificateDer<'static>>,
        known: &mut Option<Account>,
    ) -> Result<CertificateFacts, AcmeError> {
        let issued = match self.issue(names, replaced.as_ref(), known).await {
            Err(error) if error.is_unknown_account() => {
                tracing::warn!(%error, "making another account");
                *known = Some(new_account(&self.config, &self.seams).await?);
                self.issue(names, replaced.as_ref(), known).await?
            }
            issued => issued?,
        };
        let pem = format!("{}\n{}", issued.key.trim_end(), issued.chain);
        // What could not be used later must not take the place of what can.
        let kept = self.read(pem.as_bytes())?;
        let (store, name) = (&self.seams.store, file_name("certificate", names));
        store.save(&name, pem.into_bytes()).await?;
        self.announce(names).await;
        Ok(kept.facts)
    }

    async fn issue(
        &self,
        names: &[String],
        replaced: Option<&CertificateDer<'static>>,
        known: &mut Option<Account>,
    ) -> Result<Issued, AcmeError> {
        let replaces = replaced.map(CertificateIdentifier::try_from);
        let ordering = Ordering {
            config: &self.config,
            seams: &self.seams,
            account: self.account(known).await?,
            names,
            key: self.key_for(names).await?,
        };
        ordering.certificate(replaces.and_then(Result::ok)).await
    }

    pub(super) async fn account<'a>(
        &self,
        known: &'a mut Option<Account>,
    ) -> Result<&'a Account, AcmeError> {
        let found = match known.take() {
            Some(found) => found,
            None => account(&self.config, &self.seams).await?,
        };
        Ok(known.insert(found))
    }

    async fn kept(&self, names: &[String]) -> Result<Option<Kept>, AcmeError> {
        let name = file_name("certificate", names);
        let Some(pem) = self.seams.store.load(&name).await? else {
            return Ok(None);
        };
        let kept = self.read(&pem).inspect_err(|error| {
            tracing::error!(name, %error, "a kept certificate is damaged; another is got");
        });
        Ok(kept.ok())
    }

    fn read(&self, pem: &[u8]) -> Result<Kept, AcmeError> {
        let wrong = |error: &dyn std::fmt::Display| AcmeError::Unusable(error.to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| wrong(&error))?;
        let leaf = chain.first();
        let leaf = leaf.ok_or_else(|| wrong(&"there is no certificate"))?;
        let facts = CertificateFacts::of(leaf).map_err(|error| wrong(&error))?;
        let key = CertifiedKey::from_der(chain, key, &self.seams.provider);
        let key = key.map_err(|error| wrong(&error))?;
        Ok(Kept { key, facts })
    }

    /// The wait after a failure: doubled with each, and never the same for two
    /// servers.
    fn put_off(&self, standing: &mut Standing, now: Timestamp) -> Timestamp {
        let doubled = 1_u32.checked_shl(standing.failures).unwrap_or(u32::MAX);
        let wait = self.config.retry.saturating_mul(doubled).min(MAX_RETRY);
        standing.failures = standing.failures.saturating_add(1);
        let until = now.after(wait.saturating_add(self.some_of(wait / 10)));
        standing.pause = Some((now, until));
        until
    }

    pub(super) fn some_of(&self, most: Duration) -> Duration {
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

/// The name that something of a certificate is kept under.
pub(super) fn file_name(what: &str, names: &[String]) -> String {
    let first = names.first().map_or("", String::as_str);
    let letters = first.chars().map(|it| match it {
        it if it.is_ascii_alphanumeric() || it == '.' || it == '-' => it.to_ascii_lowercase(),
        _ => '_',
    });
    format!("{what}-{}.pem", letters.collect::<String>())
}
