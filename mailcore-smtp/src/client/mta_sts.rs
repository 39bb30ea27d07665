//! MTA-STS (RFC 8461): which hosts a domain's policy names, and whether they
//! must show a valid certificate.
//!
//! [`MtaSts`] keeps policies for as long as they say. One that was seen stays
//! in force until then, whatever becomes of its DNS record or web server: who
//! could take those away must not be able to take the policy away.

#[cfg(feature = "http")]
mod fetch;
mod policy;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::batch::StateChange;
use mailcore::seams::{Clock, Resolver, State, StateKey};
use mailcore::time::{Monotonic, Timestamp};
use thiserror::Error;

pub use self::policy::{StsMode, StsPolicy, StsPolicyError};
use super::tls_report::{PolicyKind, Session, SessionCount, TlsReport};

const NAMESPACE: &str = "mta-sts";
/// How long a policy that could not be fetched is not asked for again (RFC 8461
/// section 3.3).
const RETRY_AFTER: Duration = Duration::from_secs(300);
/// After which a policy is fetched anew though its id stayed (RFC 8461 section
/// 3.3).
const REFRESH_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Domains whose failures are remembered.
const MAX_FAILURES: usize = 10_000;

/// Fetches `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
#[async_trait]
pub trait PolicyFetcher: Debug + Send + Sync {
    /// The policy's octets: status 200, media type `text/plain`, no redirects,
    /// at most 64 kB in at most 60 s, with a valid certificate (RFC 8461
    /// section 3.3).
    async fn fetch(&self, domain: &Domain) -> Result<Vec<u8>, FetchError>;
}

/// Why a policy could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The web server's certificate is not valid.
    #[error("the certificate is not valid: {0}")]
    Certificate(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Finds policies.
#[derive(Debug)]
pub struct MtaSts {
    state: Arc<dyn State>,
    fetcher: Arc<dyn PolicyFetcher>,
    clock: Arc<dyn Clock>,
    report: Option<Arc<TlsReport>>,
    /// Fetches that failed, and until when they are not repeated.
    failures: Mutex<HashMap<Domain, Monotonic>>,
}

/// A policy as kept.
#[derive(Debug, Clone)]
struct Kept {
    id: String,
    fetched: Timestamp,
    policy: Arc<StsPolicy>,
}

impl MtaSts {
    /// Policies kept in `state`, fetched by `fetcher`.
    pub fn new(
        state: Arc<dyn State>,
        fetcher: Arc<dyn PolicyFetcher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            state,
            fetcher,
            clock,
            report: None,
            failures: Mutex::default(),
        }
    }

    /// Counts policies that could not be had.
    #[must_use]
    pub fn report(mut self, report: Arc<TlsReport>) -> Self {
        self.report = Some(report);
        self
    }

    /// The policy in force for a domain.
    pub async fn policy(
        self: &Arc<Self>,
        resolver: &dyn Resolver,
        domain: &Domain,
    ) -> Option<Arc<StsPolicy>> {
        let domain = domain.to_ascii().ok()?;
        let kept = self.kept(&domain).await;
        let announced = announced(resolver, &domain).await;
        let (Some(id), may_fetch) = (announced, self.may_fetch(&domain)) else {
            return kept.map(|kept| kept.policy);
        };
        match kept {
            Some(kept) if kept.id == id => {
                if may_fetch && self.is_old(&kept) {
                    let (sts, id) = (Arc::clone(self), id);
                    // Mail need not wait for what is only to last longer.
                    tokio::spawn(async move { sts.fetch(&domain, id).await });
                }
                Some(kept.policy)
            }
            kept if may_fetch => {
                let fresh = self.fetch(&domain, id).await;
                fresh.or(kept.map(|kept| kept.policy))
            }
            kept => kept.map(|kept| kept.policy),
        }
    }

    fn is_old(&self, kept: &Kept) -> bool {
        let age = self.clock.now().since(kept.fetched);
        age >= REFRESH_AFTER.min(kept.policy.max_age / 2)
    }

    /// Fetches and keeps.
    async fn fetch(&self, domain: &Domain, id: String) -> Option<Arc<StsPolicy>> {
        let (policy, text) = match self.fetched(domain).await {
            Ok(fetched) => fetched,
            Err((text, count)) => {
                tracing::info!(%domain, error = text, "no MTA-STS policy");
                self.failed(domain, count);
                return None;
            }
        };
        let now = self.clock.now();
        let head = format!("{id}\n{}\n", now.secs());
        let put = StateChange::Put {
            key: StateKey::new(NAMESPACE, domain.as_str()),
            value: [head.as_bytes(), &text].concat(),
            expires: Some(now.after(policy.max_age)),
        };
        if let Err(error) = self.state.change(vec![put]).await {
            tracing::warn!(%domain, %error, "an MTA-STS policy can't be kept");
        }
        Some(Arc::new(policy))
    }

    async fn fetched(
        &self,
        domain: &Domain,
    ) -> Result<(StsPolicy, Vec<u8>), (String, SessionCount)> {
        let text = self.fetcher.fetch(domain).await.map_err(|error| {
            let count = match &error {
                FetchError::Certificate(_) => SessionCount::StsWebpkiInvalid,
                FetchError::Failed(_) => SessionCount::StsPolicyFetchError,
            };
            (error.to_string(), count)
        })?;
        let policy = StsPolicy::parse(&text)
            .map_err(|error| (error.to_string(), SessionCount::StsPolicyInvalid))?;
        Ok((policy, text))
    }

    async fn kept(&self, domain: &Domain) -> Option<Kept> {
        let key = StateKey::new(NAMESPACE, domain.as_str());
        let value = self.state.read(&key).await.ok()??.value;
        let mut parts = value.splitn(3, |octet| *octet == b'\n');
        let text = |part: Option<&[u8]>| Some(std::str::from_utf8(part?).ok()?.to_owned());
        let (id, fetched) = (text(parts.next())?, text(parts.next())?);
        let fetched = Timestamp::from_secs(fetched.parse().ok()?);
        let policy = StsPolicy::parse(parts.next()?).ok()?;
        let holds = self.clock.now() < fetched.after(policy.max_age);
        holds.then(|| Kept {
            id,
            fetched,
            policy: Arc::new(policy),
        })
    }

    fn failed(&self, domain: &Domain, count: SessionCount) {
        if let Some(report) = &self.report {
            let host = Domain::parse(&format!("mta-sts.{domain}"));
            let host = host.unwrap_or_else(|_| domain.clone());
            let session = Session::new(domain.clone(), host, PolicyKind::Sts(Vec::new()));
            report.count(&session, count);
        }
        let now = self.clock.monotonic();
        let failures = self.failures.lock();
        let mut failures = failures.unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_FAILURES {
            failures.retain(|_, until| *until > now);
        }
        if failures.len() < MAX_FAILURES {
            failures.insert(domain.clone(), now.after(RETRY_AFTER));
        }
    }

    fn may_fetch(&self, domain: &Domain) -> bool {
        let failures = self.failures.lock();
        let failures = failures.unwrap_or_else(PoisonError::into_inner);
        let until = failures.get(domain);
        until.is_none_or(|until| *until <= self.clock.monotonic())
    }
}

/// The id that DNS announces (RFC 8461 section 3.1). An answer that is missing
/// announces nothing: a policy that is kept does not need one.
async fn announced(resolver: &dyn Resolver, domain: &Domain) -> Option<String> {
    let name = Domain::parse(&format!("_mta-sts.{domain}")).ok()?;
    let found = resolver.txt(&name).await.ok()?;
    policy::record_id(&found.records)
}
