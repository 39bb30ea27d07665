//! [`Tally`]: what is counted of mail for the reports about it.
//!
//! Counts gather in memory and go to the store each minute, and at the end. A
//! forger can make up any number of hosts, senders and signatures: what is kept of
//! a day and of a domain is bounded, and the report says what was left out.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use mailcore::address::Domain;
use mailcore::batch::StateChange;
use mailcore::message::Date;
use mailcore::seams::{Clock, State, StateKey, StateValue, StoreError};
use mailcore::time::Timestamp;

use super::aggregate::Row;
use crate::sender_auth::dmarc::{Alignment, DmarcRecord};

const NAMESPACE: &str = "dmarc-report";
/// How long counts wait in memory.
const FLUSH_AFTER: Duration = Duration::from_secs(60);
/// How long a day's counts are kept: what can't be sent is tried again for some
/// days.
const KEPT_FOR: Duration = Duration::from_secs(4 * DAY.unsigned_abs());
/// Seconds.
const DAY: i64 = 24 * 3_600;
/// Domains counted on one day.
const MOST_DOMAINS: usize = 10_000;
/// Kinds of mail told apart on one day, of one domain and of all.
const MOST_ROWS_OF_ONE: usize = 1_000;
const MOST_ROWS: usize = 100_000;
/// Changes in one write, entries in one read.
const PAGE: usize = 500;

/// Counts messages.
#[derive(Debug)]
pub struct Tally {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: HashMap<String, Change>,
    /// What is known of the day at hand.
    day: i64,
    rows: HashSet<String>,
    domains: HashMap<Domain, usize>,
    /// True while a task waits to write.
    flushing: bool,
}

#[derive(Debug)]
enum Change {
    Put(String),
    Add(i64),
}

/// What was counted of one domain on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// The domain whose record held.
    pub domain: Domain,
    /// The record, as it was last.
    pub record: DmarcRecord,
    /// The first second that is counted.
    pub begin: i64,
    /// The last.
    pub end: i64,
    /// The mail.
    pub rows: Vec<Row>,
    /// Messages that are not among it, since there were too many kinds.
    pub left_out: i64,
    day: i64,
    keys: Vec<(String, i64)>,
}

impl Tally {
    /// Counts kept in `state`.
    pub fn new(state: Arc<dyn State>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            state,
            clock,
            waiting: Mutex::default(),
        })
    }

    /// Counts a message under the record of `domain`.
    pub fn count(self: &Arc<Self>, domain: &Domain, record: &DmarcRecord, row: &Row) {
        let day = self.clock.now().secs().div_euclid(DAY);
        let xml = Row {
            count: 1,
            ..row.clone()
        }
        .to_xml();
        let place = place(day, domain);
        let hash = hash(&xml);
        let mut waiting = self.waiting();
        if waiting.day != day {
            waiting.day = day;
            waiting.rows.clear();
            waiting.domains.clear();
        }
        let row = format!("{place}|{hash}");
        if waiting.rows.contains(&row) {
            waiting.add(format!("n|{row}"));
        } else if waiting.makes_room(domain) {
            waiting.put(format!("p|{place}"), written(record));
            waiting.put(format!("r|{row}"), xml);
            waiting.add(format!("n|{row}"));
            waiting.rows.insert(row);
        } else if waiting.domains.contains_key(domain) {
            waiting.add(format!("x|{place}"));
        }
        if !std::mem::replace(&mut waiting.flushing, true) {
            let tally = Arc::clone(self);
            tokio::spawn(async move {
                let until = tally.clock.monotonic().after(FLUSH_AFTER);
                tally.clock.sleep_until(until).await;
                if let Err(error) = tally.flush().await {
                    tracing::warn!(%error, "counts for DMARC reports can't be kept");
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
        let changes = {
            let mut waiting = self.waiting();
            waiting.flushing = false;
            std::mem::take(&mut waiting.changes)
        };
        let expires = Some(self.clock.now().after(KEPT_FOR));
        let change = |(text, change): (String, Change)| {
            let key = StateKey::new(NAMESPACE, &text);
            match change {
                Change::Put(value) => StateChange::Put {
                    key,
                    value: value.into_bytes(),
                    expires,
                },
                Change::Add(amount) => StateChange::Add {
                    key,
                    amount,
                    expires,
                },
            }
        };
        let changes: Vec<StateChange> = changes.into_iter().map(change).collect();
        for changes in changes.chunks(PAGE) {
            self.state.change(changes.to_vec()).await?;
        }
        Ok(())
    }

    /// Days and domains that something was counted of, up to the day that `until`
    /// lies in, that day left out unless it is asked for.
    ///
    /// # Errors
    /// What the store says.
    pub async fn domains(&self, until: Until) -> Result<Vec<(i64, Domain)>, StoreError> {
        self.flush().await?;
        let today = self.clock.now().secs().div_euclid(DAY);
        let mut found = Vec::new();
        self.scan("p|", |key, _| {
            let mut parts = key.split('|').skip(1);
            let day = parts.next().and_then(|day| day.parse::<i64>().ok());
            let domain = parts.next().and_then(|domain| Domain::parse(domain).ok());
            if let (Some(day), Some(domain)) = (day, domain)
                && (day < today || until == Until::Now)
            {
                found.push((day, domain));
            }
        })
        .await?;
        Ok(found)
    }

    /// What was counted and not told yet; `None` for nothing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn read(&self, day: i64, domain: &Domain) -> Result<Option<Counted>, StoreError> {
        self.flush().await?;
        let place = place(day, domain);
        let Some(record) = self.value(&format!("p|{place}")).await? else {
            return Ok(None);
        };
        let Ok(record) = DmarcRecord::parse(&record.value) else {
            return Ok(None);
        };
        let (mut rows, mut keys) = (HashMap::new(), Vec::new());
        self.scan(&format!("r|{place}|"), |key, value| {
            let text = String::from_utf8_lossy(&value.value);
            if let (Some(row), Some(hash)) = (Row::from_xml(&text), key.rsplit('|').next()) {
                rows.insert(hash.to_owned(), row);
            }
        })
        .await?;
        let mut found = Vec::new();
        self.scan(&format!("n|{place}|"), |key, value| {
            let count = value.counter().unwrap_or_default();
            let row = key.rsplit('|').next().and_then(|hash| rows.remove(hash));
            if let (Some(mut row), Ok(told)) = (row, u64::try_from(count))
                && told > 0
            {
                row.count = told;
                found.push(row);
                keys.push((key.to_owned(), count));
            }
        })
        .await?;
        let left_out = self.value(&format!("x|{place}")).await?;
        let left_out = left_out.and_then(|it| it.counter()).unwrap_or_default();
        if found.is_empty() {
            return Ok(None);
        }
        if left_out > 0 {
            keys.push((format!("x|{place}"), left_out));
        }
        found.sort_by(|a, b| b.count.cmp(&a.count).then(a.source.cmp(&b.source)));
        let told = self.value(&format!("s|{place}")).await?;
        let told = told.and_then(|it| it.counter());
        let day_end = day.saturating_add(1).saturating_mul(DAY) - 1;
        Ok(Some(Counted {
            domain: domain.clone(),
            record,
            begin: told.map_or(day.saturating_mul(DAY), |end| end.saturating_add(1)),
            end: day_end.min(self.clock.now().secs()),
            rows: found,
            left_out,
            day,
            keys,
        }))
    }

    /// What was counted has been told: it is not told again, but what was counted
    /// meanwhile is.
    ///
    /// # Errors
    /// What the store says.
    pub async fn settle(&self, counted: &Counted) -> Result<(), StoreError> {
        let expires = Some(self.clock.now().after(KEPT_FOR));
        let told = counted.keys.iter().map(|(key, count)| StateChange::Add {
            key: StateKey::new(NAMESPACE, key),
            amount: -count,
            expires,
        });
        let place = place(counted.day, &counted.domain);
        let end = StateChange::Put {
            key: StateKey::new(NAMESPACE, &format!("s|{place}")),
            value: counted.end.to_be_bytes().to_vec(),
            expires,
        };
        self.state.change(told.chain([end]).collect()).await?;
        Ok(())
    }

    async fn value(&self, key: &str) -> Result<Option<StateValue>, StoreError> {
        self.state.read(&StateKey::new(NAMESPACE, key)).await
    }

    async fn scan(
        &self,
        prefix: &str,
        mut each: impl FnMut(&str, &StateValue) + Send,
    ) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.state.scan(NAMESPACE, prefix, after.as_deref(), PAGE);
            let page = page.await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.key.to_string());
            page.iter().for_each(|(key, value)| each(&key.key, value));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to when counts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Days that are over.
    Yesterday,
    /// What there is of today, too.
    Now,
}

impl Waiting {
    fn put(&mut self, key: String, value: String) {
        self.changes.insert(key, Change::Put(value));
    }

    fn add(&mut self, key: String) {
        match self.changes.entry(key).or_insert(Change::Add(0)) {
            Change::Add(amount) => *amount += 1,
            Change::Put(_) => {}
        }
    }

    /// Whether one more kind of mail of a domain is told apart.
    fn makes_room(&mut self, domain: &Domain) -> bool {
        if self.rows.len() >= MOST_ROWS {
            return false;
        }
        if let Some(rows) = self.domains.get_mut(domain) {
            *rows += 1;
            return *rows <= MOST_ROWS_OF_ONE;
        }
        let room = self.domains.len() < MOST_DOMAINS;
        if room {
            self.domains.insert(domain.clone(), 1);
        }
        room
    }
}

fn place(day: i64, domain: &Domain) -> String {
    format!("{day:07}|{domain}")
}

/// Names a row, however it is worded, in few octets.
fn hash(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let mut out = String::new();
    for octet in digest.as_ref().iter().take(16) {
        let _ = write!(out, "{octet:02x}");
    }
    out
}

/// A record as a domain would publish it.
fn written(record: &DmarcRecord) -> String {
    let mut text = format!("v=DMARC1; p={}", record.policy.as_str());
    for (tag, policy) in [("sp", record.subdomains), ("np", record.nonexistent)] {
        if let Some(policy) = policy {
            let _ = write!(text, "; {tag}={}", policy.as_str());
        }
    }
    for (tag, alignment) in [
        ("adkim", record.dkim_alignment),
        ("aspf", record.spf_alignment),
    ] {
        if alignment == Alignment::Strict {
            let _ = write!(text, "; {tag}=s");
        }
    }
    if record.is_testing {
        text.push_str("; t=y");
    }
    let options: Vec<_> = (record.failure_options.iter())
        .map(|option| option.as_str())
        .collect();
    let _ = write!(text, "; fo={}", options.join(":"));
    for (tag, uris) in [
        ("rua", &record.aggregate_reports),
        ("ruf", &record.failure_reports),
    ] {
        if !uris.is_empty() {
            let _ = write!(text, "; {tag}={}", uris.join(","));
        }
    }
    text
}

/// The day that a moment lies in, counted from 1970.
pub fn day_of(at: Timestamp) -> i64 {
    at.secs().div_euclid(DAY)
}

/// `2026-11-22`.
pub fn day_name(day: i64) -> String {
    let date = Date::from_days(day);
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use mailcore::testing::VirtualClock;

    use super::super::fake::FakeState;
    use super::*;

    fn record() -> DmarcRecord {
        let text = "v=DMARC1; p=reject; np=none; adkim=s; t=y; fo=1:d; rua=mailto:r@a.test!9k";
        DmarcRecord::parse(text.as_bytes()).unwrap()
    }

    fn row(host: u32) -> Row {
        Row::new(std::net::Ipv4Addr::from(host).into(), "a.test")
    }

    #[test]
    fn a_record_is_kept_whole() {
        let record = record();
        assert_eq!(DmarcRecord::parse(written(&record).as_bytes()), Ok(record));
    }

    #[tokio::test]
    async fn what_is_told_is_not_told_again_and_what_came_meanwhile_is() {
        let clock = VirtualClock::new();
        let state: Arc<FakeState> = Arc::default();
        let tally = Tally::new(state, Arc::new(clock.clone()));
        let domain: Domain = "a.test".parse().unwrap();
        for host in [1, 1, 2] {
            tally.count(&domain, &record(), &row(host));
        }
        assert_eq!(tally.domains(Until::Yesterday).await.unwrap(), []);
        let days = tally.domains(Until::Now).await.unwrap();
        let [(day, _)] = days[..] else {
            panic!("{days:?}")
        };
        let counted = tally.read(day, &domain).await.unwrap().unwrap();
        let counts: Vec<u64> = counted.rows.iter().map(|row| row.count).collect();
        assert_eq!((counts, &counted.record), (vec![2, 1], &record()));
        tally.count(&domain, &record(), &row(2));
        tally.settle(&counted).await.unwrap();
        let rest = tally.read(day, &domain).await.unwrap().unwrap();
        assert_eq!(rest.rows, [row(2)]);
        assert_eq!(rest.begin, counted.end + 1);
        tally.settle(&rest).await.unwrap();
        assert_eq!(tally.read(day, &domain).await.unwrap(), None);
        clock.advance(Duration::from_secs(24 * 3_600));
        tally.count(&domain, &record(), &row(2));
        let days = tally.domains(Until::Now).await.unwrap();
        assert_eq!(days.len(), 2);
    }

    #[tokio::test]
    async fn a_forger_fills_no_store() {
        let state: Arc<FakeState> = Arc::default();
        let kept: Arc<dyn State> = Arc::clone(&state) as _;
        let tally = Tally::new(kept, Arc::new(VirtualClock::new()));
        let domain: Domain = "a.test".parse().unwrap();
        for host in 0..1_500 {
            tally.count(&domain, &record(), &row(host));
        }
        let day = tally.domains(Until::Now).await.unwrap()[0].0;
        let counted = tally.read(day, &domain).await.unwrap().unwrap();
        assert_eq!((counted.rows.len(), counted.left_out), (1_000, 500));
        assert!(state.len() < 2_010);
    }
}
