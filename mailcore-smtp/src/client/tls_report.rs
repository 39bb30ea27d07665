//! [`TlsReport`]: how TLS to each domain went, counted for its reports (RFC
//! 8460). Sending them is another matter.
//!
//! Counts gather in memory and go to the store each minute.

mod day;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::batch::StateChange;
use mailcore::message::Date;
use mailcore::seams::{Clock, State, StateKey, StoreError, Tlsa};
use mailcore::time::Timestamp;

pub use self::day::{DayReport, PolicyCount};

const NAMESPACE: &str = "tls-report";
/// How long counts wait in memory.
const FLUSH_AFTER: Duration = Duration::from_secs(60);
/// How long a day's counts are kept: reports go out the day after.
const KEPT_FOR: Duration = Duration::from_secs(8 * 24 * 3_600);
/// Kinds of sessions that wait in memory; more are not told apart but left out.
const MAX_WAITING: usize = 10_000;
/// Changes in one write.
const WRITE: usize = 500;
/// Octets of a key in the store.
const MAX_KEY: usize = 512;

/// What became of a session (RFC 8460 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionCount {
    /// TLS as the policy asks.
    Success,
    /// `starttls-not-supported`
    StarttlsNotSupported,
    /// `certificate-host-mismatch`
    CertificateHostMismatch,
    /// `certificate-expired`
    CertificateExpired,
    /// `certificate-not-trusted`
    CertificateNotTrusted,
    /// `validation-failure`
    ValidationFailure,
    /// `tlsa-invalid`
    TlsaInvalid,
    /// `dnssec-invalid`
    DnssecInvalid,
    /// `dane-required`
    DaneRequired,
    /// `sts-policy-fetch-error`
    StsPolicyFetchError,
    /// `sts-policy-invalid`
    StsPolicyInvalid,
    /// `sts-webpki-invalid`
    StsWebpkiInvalid,
}

impl SessionCount {
    /// The result type; `success` for none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

/// The policy that a session was made under.
#[derive(Debug, Clone)]
pub(super) enum PolicyKind {
    Tlsa(Vec<Tlsa>),
    Sts(Vec<String>),
    None,
}

impl PolicyKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Tlsa(_) => "tlsa",
            Self::Sts(_) => "sts",
            Self::None => "no-policy-found",
        }
    }

    /// Its lines as reports quote them (RFC 8460 section 4.4).
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Tlsa(records) => records.iter().map(tlsa).collect(),
            Self::Sts(lines) => lines.clone(),
            Self::None => Vec::new(),
        }
    }
}

fn tlsa(record: &Tlsa) -> String {
    let hex: String = record
        .data
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let Tlsa {
        usage,
        selector,
        matching,
        ..
    } = record;
    format!("{usage} {selector} {matching} {hex}")
}

/// One kind of session: to whom, under which policy.
#[derive(Debug, Clone)]
pub(super) struct Session {
    domain: Domain,
    host: Domain,
    policy: PolicyKind,
}

impl Session {
    pub(super) fn new(domain: Domain, host: Domain, policy: PolicyKind) -> Self {
        Self {
            domain,
            host,
            policy,
        }
    }
}

/// Counts sessions.
#[derive(Debug)]
pub struct TlsReport {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    counts: HashMap<String, i64>,
    /// What the policies of these counts say.
    policies: HashMap<String, String>,
    /// True while a task waits to write.
    flushing: bool,
}

impl TlsReport {
    /// Counts kept in `state`.
    pub fn new(state: Arc<dyn State>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            state,
            clock,
            waiting: Mutex::default(),
        })
    }

    /// Counts a session.
    pub(super) fn count(self: &Arc<Self>, session: &Session, count: SessionCount) {
        let day = day_of(self.clock.now());
        let (domain, kind) = (&session.domain, session.policy.name());
        let policy = format!("{day}|{domain}|{kind}");
        let host = session.host.as_str();
        let mut key = format!("{policy}|{host}|{}", count.as_str());
        if key.len() > MAX_KEY {
            key = format!("{policy}||{}", count.as_str());
        }
        let mut waiting = self.waiting();
        if waiting.counts.len() >= MAX_WAITING && !waiting.counts.contains_key(&key) {
            return;
        }
        *waiting.counts.entry(key).or_default() += 1;
        let lines = session.policy.lines();
        if !lines.is_empty() {
            waiting.policies.insert(policy, lines.join("\n"));
        }
        if !std::mem::replace(&mut waiting.flushing, true) {
            let report = Arc::clone(self);
            tokio::spawn(async move {
                let until = report.clock.monotonic().after(FLUSH_AFTER);
                report.clock.sleep_until(until).await;
                if let Err(error) = report.flush().await {
                    tracing::warn!(%error, "counts for TLS reports can't be kept");
                }
            });
        }
    }

    /// Writes what waits: at the end, and each minute by itself. What can't be
    /// written is left out: reports are estimates, mail is not kept for them.
    ///
    /// # Errors
    /// What the store says.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let Waiting {
            counts, policies, ..
        } = std::mem::take(&mut *self.waiting());
        let expires = Some(self.clock.now().after(KEPT_FOR));
        let key = |key: String| StateKey::new(NAMESPACE, &key);
        let counts = counts.into_iter().map(|(text, amount)| StateChange::Add {
            key: key(text),
            amount,
            expires,
        });
        let policies = policies.into_iter().map(|(text, lines)| StateChange::Put {
            key: key(text),
            value: lines.into_bytes(),
            expires,
        });
        let changes: Vec<StateChange> = counts.chain(policies).collect();
        for changes in changes.chunks(WRITE) {
            self.state.change(changes.to_vec()).await?;
        }
        Ok(())
    }

    /// The counts of the day that `at` lies in (UTC) for one domain; those that
    /// wait in memory are written first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn day(&self, at: Timestamp, domain: &Domain) -> Result<DayReport, StoreError> {
        self.flush().await?;
        let day = day_of(at);
        let prefix = format!("{day}|{domain}|");
        let mut report = DayReport::new(day, domain.clone());
        let mut after: Option<String> = None;
        loop {
            let page = self
                .state
                .scan(NAMESPACE, &prefix, after.as_deref(), WRITE)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(report);
            };
            after = Some(last.key.to_string());
            for (key, value) in &page {
                if let Some(rest) = key.key.strip_prefix(&prefix) {
                    report.add(rest, value);
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn day_of(at: Timestamp) -> String {
    let date = Date::from_days(at.secs().div_euclid(24 * 3_600));
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}
