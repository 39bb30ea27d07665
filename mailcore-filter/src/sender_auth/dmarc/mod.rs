//! DMARC (RFC 7489, RFC 9989): is a message from the domain that its From field
//! names, and what does that domain ask for when it is not?
//!
//! The organization that a domain belongs to is found in DNS (RFC 9989 section
//! 4.10), not in a list of suffixes, so that nothing here grows old.

pub mod record;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::seams::{Clock, Resolver};

pub use record::{Alignment, DmarcPolicy, DmarcRecord, FailureOption};
use walk::{Found, Unanswered, Walk};

/// Domains of one kind that are compared: a message may bring any number.
const MOST_DOMAINS: usize = 10;

/// For a whole check.
const TIME: Duration = Duration::from_secs(20);

/// What a check came to (RFC 8601 section 2.7, RFC 7489 section 11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DmarcResult {
    /// The domain publishes nothing.
    None,
    /// The message is from that domain.
    Pass,
    /// It is not proven to be.
    Fail,
    /// DNS did not answer; later it may.
    TempError,
    /// What is published can't be read, or no single domain is named.
    PermError,
}

impl DmarcResult {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DmarcQuery<'a> {
    /// The domains in its From field: one, in mail that is as it should be.
    pub from: &'a [Domain],
    /// The domain for which SPF passed.
    pub spf: Option<&'a Domain>,
    /// The domains whose signatures passed.
    pub dkim: &'a [Domain],
    /// The domains of which DNS did not answer whether they signed, or whether the
    /// host is theirs: mail that may be one of theirs has not failed (RFC 7489
    /// section 6.6.2).
    pub unanswered: &'a [Domain],
}

/// What made a message pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlignedBy {
    /// A signature.
    Dkim,
    /// The host it came from.
    Spf,
}

/// What a check came to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DmarcReport {
    /// The result.
    pub result: DmarcResult,
    /// The domain in From that it is about; of several the one that asks for
    /// most.
    pub domain: Option<Domain>,
    /// Where its record is.
    pub published_at: Option<Domain>,
    /// What is to be done: [`DmarcPolicy::None`] for what passes.
    pub policy: DmarcPolicy,
    /// What made it pass.
    pub aligned_by: Option<AlignedBy>,
    /// All that would have: what reports tell.
    pub proofs: Vec<AlignedBy>,
    /// The record.
    pub record: Option<Arc<DmarcRecord>>,
}

impl DmarcReport {
    fn of(result: DmarcResult, domain: Option<&Domain>) -> Self {
        Self {
            result,
            domain: domain.cloned(),
            published_at: None,
            policy: DmarcPolicy::None,
            aligned_by: None,
            proofs: Vec::new(),
            record: None,
        }
    }
}

impl DmarcReport {
    /// The policy that its record has for the domain, tried or not.
    pub fn published_policy(&self) -> DmarcPolicy {
        let (Some(record), Some(domain)) = (&self.record, &self.domain) else {
            return DmarcPolicy::None;
        };
        if self.published_at.as_ref() == Some(domain) {
            record.policy
        } else {
            record.subdomains.unwrap_or(record.policy)
        }
    }
}

/// Checks messages. Keeps nothing between two: caching is the resolver's.
#[derive(Debug, Clone)]
pub struct Dmarc {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    time: Duration,
}

impl Dmarc {
    /// Asks this resolver for policies, for 20 seconds at most.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            resolver,
            clock,
            time: TIME,
        }
    }

    /// With another time for a whole check.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Checks a message. Never fails: what goes wrong is a result, too.
    ///
    /// Mail with several domains in From is not proven to be of any: its result
    /// is an error, its policy the strictest that any of them asks for (RFC 7489
    /// section 6.6.1 leaves that to the receiver). Mail with more domains than are
    /// asked is to be refused: among those left out may be one that asks for it.
    pub async fn check(&self, query: &DmarcQuery<'_>) -> DmarcReport {
        let mut reports = Vec::new();
        let asked = query.from.len().clamp(1, MOST_DOMAINS);
        // To each its share: a forger's own domain, whose DNS is slow, must not take
        // the time of the one that is forged.
        let share = self.time / u32::try_from(asked).unwrap_or(u32::MAX);
        for domain in query.from.iter().take(asked) {
            let mut walk = Walk::new(&*self.resolver);
            let deadline = self.clock.monotonic().after(share);
            let report = tokio::select! {
                biased;
                report = check_one(&mut walk, domain, query) => report,
                () = self.clock.sleep_until(deadline) => Err(Unanswered),
            };
            reports.push(match report {
                Ok(report) => report,
                Err(Unanswered) => DmarcReport::of(DmarcResult::TempError, Some(domain)),
            });
        }
        if let [_] = query.from
            && let Some(report) = reports.pop()
        {
            return report;
        }
        let strictest = reports.into_iter().max_by_key(requested);
        let Some(mut report) = strictest else {
            return DmarcReport::of(DmarcResult::PermError, None);
        };
        report.policy = match query.from.len() > MOST_DOMAINS {
            true => DmarcPolicy::Reject,
            false => requested(&report),
        };
        report.result = DmarcResult::PermError;
        report.aligned_by = None;
        report.proofs.clear();
        report
    }
}

impl Dmarc {
    /// The domain of the organization that `domain` belongs to; `None` when DNS
    /// does not answer.
    pub async fn organization(&self, domain: &Domain) -> Option<Domain> {
        let mut walk = Walk::new(&*self.resolver);
        let deadline = self.clock.monotonic().after(self.time);
        tokio::select! {
            biased;
            found = walk.organization(domain) => found.ok().map(|found| found.domain),
            () = self.clock.sleep_until(deadline) => None,
        }
    }
}

/// What a domain asks for, whether its mail passed or not.
fn requested(report: &DmarcReport) -> DmarcPolicy {
    let policy = report.published_policy();
    if report.record.as_ref().is_some_and(|it| it.is_testing) {
        policy.milder()
    } else {
        policy
    }
}

async fn check_one(
    walk: &mut Walk<'_>,
    domain: &Domain,
    query: &DmarcQuery<'_>,
) -> Result<DmarcReport, Unanswered> {
    let mut report = DmarcReport::of(DmarcResult::None, Some(domain));
    let (at, record) = match walk.at(domain).await? {
        Found::Record(record) => (domain.clone(), record),
        Found::Wrong(_) => {
            report.result = DmarcResult::PermError;
            return Ok(report);
        }
        Found::Nothing => match walk.organization(domain).await?.record {
            Some(found) => found,
            None => return Ok(report),
        },
    };
    report.published_at = Some(at);
    report.proofs = aligned(walk, domain, &record, query).await?;
    report.aligned_by = report.proofs.first().copied();
    let is_open = report.aligned_by.is_none() && may_be_aligned(walk, domain, query).await?;
    report.record = Some(record);
    if report.aligned_by.is_some() || is_open {
        report.result = match is_open {
            true => DmarcResult::TempError,
            false => DmarcResult::Pass,
        };
        return Ok(report);
    }
    report.result = DmarcResult::Fail;
    report.policy = wanted(walk, &report).await;
    Ok(report)
}

/// What is asked for a message that did not pass.
async fn wanted(walk: &Walk<'_>, report: &DmarcReport) -> DmarcPolicy {
    let policy = requested(report);
    let (Some(record), Some(domain)) = (&report.record, &report.domain) else {
        return policy;
    };
    match record.nonexistent {
        Some(nonexistent)
            if report.published_at.as_ref() != Some(domain) && !walk.exists(domain).await =>
        {
            if record.is_testing {
                nonexistent.milder()
            } else {
                nonexistent
            }
        }
        _ => policy,
    }
}

/// What proves that the message is of `domain`.
async fn aligned(
    walk: &mut Walk<'_>,
    domain: &Domain,
    record: &DmarcRecord,
    query: &DmarcQuery<'_>,
) -> Result<Vec<AlignedBy>, Unanswered> {
    let mut proofs = Vec::new();
    for signer in query.dkim.iter().take(MOST_DOMAINS) {
        if is_aligned(walk, domain, signer, record.dkim_alignment).await? {
            proofs.push(AlignedBy::Dkim);
            break;
        }
    }
    if let Some(sender) = query.spf {
        match is_aligned(walk, domain, sender, record.spf_alignment).await {
            Ok(true) => proofs.push(AlignedBy::Spf),
            // One proof is enough.
            Err(error) if proofs.is_empty() => return Err(error),
            Ok(false) | Err(_) => {}
        }
    }
    Ok(proofs)
}

/// Whether what DNS left open could have proven it. Any other domain may be silent
/// as it likes: a forger may own it.
async fn may_be_aligned(
    walk: &mut Walk<'_>,
    domain: &Domain,
    query: &DmarcQuery<'_>,
) -> Result<bool, Unanswered> {
    for other in query.unanswered.iter().take(MOST_DOMAINS) {
        if is_aligned(walk, domain, other, Alignment::Relaxed).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_aligned(
    walk: &mut Walk<'_>,
    domain: &Domain,
    other: &Domain,
    alignment: Alignment,
) -> Result<bool, Unanswered> {
    if domain == other {
        return Ok(true);
    }
    if alignment == Alignment::Strict {
        return Ok(false);
    }
    let own = walk.organization(domain).await?;
    // Nothing is asked of the DNS of others: a forger's would never answer, and mail
    // of which that is not known could not be held against anybody.
    if !is_within(other, &own.domain) {
        return Ok(false);
    }
    let its = walk.organization(other).await?;
    Ok(own.domain == its.domain)
}

/// Whether `name` is `domain` or below it.
fn is_within(name: &Domain, domain: &Domain) -> bool {
    let above = name.as_str().strip_suffix(domain.as_str());
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
mod tests;
