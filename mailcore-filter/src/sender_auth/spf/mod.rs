//! SPF (RFC 7208): may this host send for that domain?
//!
//! [`record`] reads what a domain publishes, [`macros`] expands the names in it,
//! [`Spf`] asks DNS and decides. A check asks a bounded number of questions
//! (RFC 7208 section 4.6.4) within a bounded time, whatever is published.

mod evaluate;
pub mod macros;
pub mod record;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mailcore::address::{Domain, ReversePath};
use mailcore::seams::{Clock, Resolver};

use evaluate::Evaluation;

/// What a check came to (RFC 7208 section 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpfResult {
    /// Nothing is published, or the domain is none.
    None,
    /// The domain says nothing of this host.
    Neutral,
    /// The host may.
    Pass,
    /// The host may not.
    Fail,
    /// The host probably may not.
    SoftFail,
    /// DNS did not answer; later it may.
    TempError,
    /// What is published can't be understood.
    PermError,
}

impl SpfResult {
    /// As in Authentication-Results (RFC 8601 section 2.7.2).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is checked: a host and whom it says it sends for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfQuery<'a> {
    ip: IpAddr,
    helo: &'a str,
    local_part: &'a str,
    domain: &'a str,
}

impl<'a> SpfQuery<'a> {
    /// The identity of MAIL; that of HELO where the reverse path is null
    /// (RFC 7208 section 2.4).
    pub fn mail_from(ip: IpAddr, helo: &'a str, reverse_path: &'a ReversePath) -> Self {
        match reverse_path {
            ReversePath::Null => Self::helo(ip, helo),
            ReversePath::Address(address) => Self {
                ip: ip.to_canonical(),
                helo,
                local_part: address.local_part(),
                domain: address.domain().as_str(),
            },
        }
    }

    /// The identity of HELO (RFC 7208 section 2.3).
    pub fn helo(ip: IpAddr, helo: &'a str) -> Self {
        Self::of(ip, helo, ("", helo))
    }

    /// Any identity: a local part, which may be empty, and a domain.
    pub fn of(ip: IpAddr, helo: &'a str, (local_part, domain): (&'a str, &'a str)) -> Self {
        Self {
            // A client at ::ffff:192.0.2.1 is one at 192.0.2.1 (section 5).
            ip: ip.to_canonical(),
            helo,
            // RFC 7208 section 4.3.
            local_part: if local_part.is_empty() {
                "postmaster"
            } else {
                local_part
            },
            domain,
        }
    }
}

/// How much a check may ask and wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpfLimits {
    /// Terms that ask DNS; 10 (RFC 7208 section 4.6.4).
    pub lookups: u32,
    /// Answers without a record; 2.
    pub void_lookups: u32,
    /// Hosts of one MX answer, names of one PTR answer; 10.
    pub names: usize,
    /// For the whole check; 20 seconds.
    pub time: Duration,
    /// Octets of an explanation; 400.
    pub explanation: usize,
}

impl Default for SpfLimits {
    fn default() -> Self {
        Self {
            lookups: 10,
            void_lookups: 2,
            names: 10,
            time: Duration::from_secs(20),
            explanation: 400,
        }
    }
}

/// What a check came to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpfReport {
    /// The result.
    pub result: SpfResult,
    /// The domain that was asked; as given when it is none.
    pub domain: String,
    /// The term that decided, with those that led to it:
    /// `include:_spf.example.net > ip4:192.0.2.0/24`. Empty when none did.
    pub decided_by: String,
    /// Why it could not be checked.
    pub problem: Option<SpfProblem>,
    /// The domain's own words for a `fail`, in printable ASCII: show them as a
    /// third party's (RFC 7208 section 6.2).
    pub explanation: Option<String>,
}

/// Why a check ends in an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpfProblem {
    /// DNS did not answer.
    #[error("DNS gives no answer for {0}")]
    Dns(String),
    /// The check took too long.
    #[error("the check took too long")]
    Deadline,
    /// A record that can't be understood.
    #[error("the record of {domain}: {error}")]
    Record {
        /// Whose.
        domain: String,
        /// What of it.
        error: record::RecordError,
    },
    /// More than one record.
    #[error("{0} has more than one SPF record")]
    ManyRecords(String),
    /// `include` or `redirect` leads to a domain without a record.
    #[error("{0} has no SPF record, but another one relies on it")]
    NoRecord(String),
    /// More terms than [`SpfLimits::lookups`] ask DNS.
    #[error("more terms ask DNS than are allowed")]
    ManyLookups,
    /// More answers than [`SpfLimits::void_lookups`] were empty.
    #[error("more names lead nowhere than are allowed")]
    ManyVoidLookups,
    /// An MX answer with more hosts than [`SpfLimits::names`].
    #[error("{0} has too many mail exchangers")]
    ManyExchangers(String),
}

/// Checks hosts. Keeps nothing between two checks: caching is the resolver's.
#[derive(Debug, Clone)]
pub struct Spf {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    receiver: Domain,
    limits: SpfLimits,
}

impl Spf {
    /// Checks for the host `receiver`, which explanations may name.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>, receiver: Domain) -> Self {
        Self {
            resolver,
            clock,
            receiver,
            limits: SpfLimits::default(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn limits(mut self, limits: SpfLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks a host: `check_host()` of RFC 7208 section 4. Never fails: what
    /// goes wrong is a result, too.
    pub async fn check(&self, query: &SpfQuery<'_>) -> SpfReport {
        let mut evaluation = Evaluation::new(self, query);
        let deadline = self.clock.monotonic().after(self.limits.time);
        tokio::select! {
            biased;
            report = evaluation.run() => report,
            () = self.clock.sleep_until(deadline) => SpfReport {
                result: SpfResult::TempError,
                domain: query.domain.to_owned(),
                decided_by: String::new(),
                problem: Some(SpfProblem::Deadline),
                explanation: None,
            },
        }
    }
}

#[cfg(test)]
mod tests;
