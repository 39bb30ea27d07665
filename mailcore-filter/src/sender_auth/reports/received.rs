//! [`Received`]: reports of others about domains of ours, kept to be asked for.
//!
//! What comes in is bounded: reports of one day, rows of one report. Rows beyond
//! that are put together, so that sums stay right.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use mailcore::address::Domain;
use mailcore::batch::StateChange;
use mailcore::seams::{Clock, State, StateKey, StoreError};
use mailcore::time::Timestamp;

use super::aggregate::{AggregateReport, Row};
use super::tally::day_of;
use crate::sender_auth::dmarc::DmarcPolicy;

const NAMESPACE: &str = "dmarc-received";
/// How long reports are kept unless set otherwise.
const KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Reports taken on one day.
const MOST_A_DAY: i64 = 2_000;
/// Rows kept of one report.
const MOST_ROWS: usize = 1_000;
/// Entries in one read: each may be long.
const PAGE: usize = 50;

/// Reports of others.
#[derive(Debug, Clone)]
pub struct Received {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    kept_for: Duration,
}

/// Whether a report was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// It is kept.
    New,
    /// It was there already.
    Known,
    /// Too many came today.
    LeftOut,
}

/// Mail of a domain from one host, over all reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceSum {
    /// The domain in From.
    pub domain: String,
    /// The host; unspecified for hosts that were put together.
    pub source: IpAddr,
    /// Messages.
    pub messages: u64,
    /// Of them proven to be of the domain.
    pub passed: u64,
    /// Proven by a signature.
    pub dkim: u64,
    /// Proven by the host.
    pub spf: u64,
    /// Kept apart for the domain's sake.
    pub quarantined: u64,
    /// Refused for it.
    pub rejected: u64,
}

impl Received {
    /// Reports kept in `state` for 400 days.
    pub fn new(state: Arc<dyn State>, clock: Arc<dyn Clock>) -> Self {
        Self {
            state,
            clock,
            kept_for: KEPT_FOR,
        }
    }

    /// Kept for another time.
    #[must_use]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.kept_for = time;
        self
    }

    /// Keeps a report. The same organization's of the same name is the same report
    /// (RFC 9990 section 3.5.4).
    ///
    /// # Errors
    /// What the store says.
    pub async fn keep(&self, mut report: AggregateReport) -> Result<Kept, StoreError> {
        let key = key(&report);
        if self.state.read(&key).await?.is_some() {
            return Ok(Kept::Known);
        }
        let now = self.clock.now();
        let today = StateChange::Add {
            key: StateKey::new(NAMESPACE, &format!("n|{}", day_of(now))),
            amount: 1,
            expires: Some(now.after(Duration::from_secs(2 * 24 * 3_600))),
        };
        let after = self.state.change(vec![today]).await?;
        let taken = after.first().and_then(|it| it.as_ref()?.counter());
        if taken.unwrap_or_default() > MOST_A_DAY {
            return Ok(Kept::LeftOut);
        }
        fold(&mut report);
        let put = StateChange::Put {
            key,
            value: report.to_xml().into_bytes(),
            expires: Some(now.after(self.kept_for)),
        };
        self.state.change(vec![put]).await?;
        Ok(Kept::New)
    }

    /// Shows `each` report about `domain`, or about all, of mail since `since`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn each(
        &self,
        domain: Option<&Domain>,
        since: Option<Timestamp>,
        mut each: impl FnMut(AggregateReport) + Send,
    ) -> Result<(), StoreError> {
        let prefix = match domain {
            Some(domain) => format!("r|{domain}|"),
            None => "r|".to_owned(),
        };
        let mut after: Option<String> = None;
        loop {
            let page = (self.state)
                .scan(NAMESPACE, &prefix, after.as_deref(), PAGE)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.key.to_string());
            for (_, value) in &page {
                if let Ok(report) = AggregateReport::parse(&value.value)
                    && since.is_none_or(|since| report.end >= since.secs())
                {
                    each(report);
                }
            }
        }
    }
}

/// What reports come to for each domain and host, most mail first.
#[derive(Debug, Default)]
pub struct Sums {
    sums: BTreeMap<(String, IpAddr), SourceSum>,
}

impl Sums {
    /// Adds a report.
    pub fn add(&mut self, report: &AggregateReport) {
        for row in &report.rows {
            let domain = match row.header_from.as_str() {
                "" => report.policy.domain.clone(),
                domain => domain.to_owned(),
            };
            let key = (domain.clone(), row.source);
            let sum = self.sums.entry(key).or_insert_with(|| SourceSum {
                domain,
                source: row.source,
                messages: 0,
                passed: 0,
                dkim: 0,
                spf: 0,
                quarantined: 0,
                rejected: 0,
            });
            let mut add = |to: fn(&mut SourceSum) -> &mut u64, fits: bool| {
                let place = to(sum);
                *place = place.saturating_add(if fits { row.count } else { 0 });
            };
            add(|sum| &mut sum.messages, true);
            add(|sum| &mut sum.passed, row.passed());
            add(
                |sum| &mut sum.dkim,
                row.dkim == super::aggregate::Proof::Pass,
            );
            add(|sum| &mut sum.spf, row.spf == super::aggregate::Proof::Pass);
            let done = row.disposition;
            add(|sum| &mut sum.quarantined, done == DmarcPolicy::Quarantine);
            add(|sum| &mut sum.rejected, done == DmarcPolicy::Reject);
        }
    }

    /// By domain, and there most mail first.
    pub fn finish(self) -> Vec<SourceSum> {
        let mut sums: Vec<_> = self.sums.into_values().collect();
        sums.sort_by(|a, b| {
            let by_domain = a.domain.cmp(&b.domain);
            by_domain.then(b.messages.cmp(&a.messages))
        });
        sums
    }
}

fn key(report: &AggregateReport) -> StateKey {
    let name = format!("{}|{}", report.organization, report.id);
    let digest = digest(&SHA256, name.as_bytes());
    let mut hash = String::new();
    for octet in digest.as_ref().iter().take(16) {
        let _ = write!(hash, "{octet:02x}");
    }
    // Domains are short; what claims to be one need not be.
    let domain: String = report.policy.domain.chars().take(80).collect();
    StateKey::new(
        NAMESPACE,
        &format!("r|{domain}|{:012}|{hash}", report.begin),
    )
}

/// Puts rows together that are too many, and leaves out what fills the store.
fn fold(report: &mut AggregateReport) {
    report.rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    let rest = report.rows.split_off(report.rows.len().min(MOST_ROWS));
    for row in &mut report.rows {
        row.signatures.truncate(10);
        row.hosts.truncate(3);
        row.reasons.truncate(3);
    }
    let mut folded: BTreeMap<_, Row> = BTreeMap::new();
    for row in rest {
        let key = (row.disposition, row.dkim, row.spf);
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let sum = folded.entry(key).or_insert_with(|| {
            let mut sum = Row::new(nowhere, &*report.policy.domain);
            (sum.disposition, sum.dkim, sum.spf) = key;
            sum.count = 0;
            sum
        });
        sum.count = sum.count.saturating_add(row.count);
    }
    report.rows.extend(folded.into_values());
}

#[cfg(test)]
mod tests {
    use mailcore::testing::VirtualClock;

    use super::super::aggregate::{Proof, PublishedPolicy};
    use super::super::fake::FakeState;
    use super::*;

    fn report(id: &str, rows: u32) -> AggregateReport {
        let policy = PublishedPolicy {
            domain: "a.test".into(),
            ..PublishedPolicy::default()
        };
        let mut report = AggregateReport::new("b.test", id, policy);
        let row = |host| {
            let mut row = Row::new(Ipv4Addr::from(host).into(), "a.test");
            row.dkim = if host % 2 == 0 {
                Proof::Pass
            } else {
                Proof::Fail
            };
            row
        };
        report.rows = (1..=rows).map(row).collect();
        report.end = 100;
        report
    }

    #[tokio::test]
    async fn reports_are_kept_once_and_summed_by_host() {
        let clock = Arc::new(VirtualClock::new());
        let received = Received::new(Arc::<FakeState>::default(), clock);
        assert_eq!(received.keep(report("1", 2)).await.unwrap(), Kept::New);
        assert_eq!(received.keep(report("1", 2)).await.unwrap(), Kept::Known);
        assert_eq!(received.keep(report("2", 1)).await.unwrap(), Kept::New);
        let (mut sums, domain) = (Sums::default(), "a.test".parse().unwrap());
        let add = |report: AggregateReport| sums.add(&report);
        received.each(Some(&domain), None, add).await.unwrap();
        let sums = sums.finish();
        let told: Vec<_> = (sums.iter())
            .map(|sum| (sum.source.to_string(), sum.messages, sum.passed))
            .collect();
        assert_eq!(told, [("0.0.0.1".into(), 2, 0), ("0.0.0.2".into(), 1, 1)]);
        let mut late = 0;
        let since = Some(Timestamp::from_secs(101));
        received.each(None, since, |_| late += 1).await.unwrap();
        assert_eq!(late, 0);
    }

    #[tokio::test]
    async fn strangers_fill_no_store_and_sums_stay_right() {
        let mut long = report("1", 5_000);
        fold(&mut long);
        assert_eq!((long.rows.len(), long.messages()), (1_002, 5_000));
        let clock = Arc::new(VirtualClock::new());
        let received = Received::new(Arc::<FakeState>::default(), clock);
        for id in 0..MOST_A_DAY {
            received.keep(report(&id.to_string(), 1)).await.unwrap();
        }
        let more = received.keep(report("one more", 1)).await.unwrap();
        assert_eq!(more, Kept::LeftOut);
    }
}
