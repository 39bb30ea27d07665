//! [`DnsLists`]: asks lists, many at a time, within a time.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::seams::{Clock, DnsError, Resolver};
use mailcore::time::Monotonic;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cache::Cache;
use super::health::{Change, Health, Standing};
use super::listing::{Answer, Listing, Listings};
use super::text::clean;
use super::zone::Judged;
use super::{Effect, Kind, ListWatch, Proof, Subject, Zone, ZoneChange, ZoneFault};

/// Records looked at of one answer.
const MAX_RECORDS: usize = 32;

/// How lists are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsListLimits {
    /// How long one question may take. Three go one after the other at worst: a
    /// test, the question, what is said about a listing.
    pub time: Duration,
    /// Questions under way at a time, of all sessions together.
    pub concurrent: usize,
    /// Answers kept.
    pub cached: usize,
    /// The longest that an answer is kept, whatever its TTL.
    pub longest: Duration,
    /// How long it is kept that something is not listed.
    pub not_listed: Duration,
    /// How often a list is tested.
    pub test_every: Duration,
    /// How soon a silent list is tested again; each time twice as long.
    pub retest: Duration,
    /// Unanswered questions in a row after which a list is silent.
    pub unanswered: u32,
}

impl Default for DnsListLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(3),
            concurrent: 256,
            cached: 20_000,
            longest: Duration::from_secs(3_600),
            not_listed: Duration::from_secs(300),
            test_every: Duration::from_secs(3_600),
            retest: Duration::from_secs(60),
            unanswered: 5,
        }
    }
}

/// Asks lists, and keeps what they answer and how they are. One serves all
/// tests: they share answers and what is known of lists. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DnsLists {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    watch: Option<Arc<dyn ListWatch>>,
    limits: DnsListLimits,
    addresses: Cache<Arc<[Ipv4Addr]>>,
    texts: Cache<Option<Arc<str>>>,
    health: Mutex<HashMap<(Domain, Kind), Arc<Health>>>,
    slots: Semaphore,
}

impl DnsLists {
    /// With these limits, of which [`DnsListLimits::default`] has the usual.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>, limits: DnsListLimits) -> Self {
        Self {
            inner: Arc::new(Inner {
                resolver,
                clock,
                watch: None,
                addresses: Cache::new(limits.cached),
                texts: Cache::new(limits.cached),
                health: Mutex::default(),
                slots: Semaphore::new(limits.concurrent.max(1)),
                limits,
            }),
        }
    }

    /// With somebody who is told when a list is turned off or on. It is not for
    /// what was asked already.
    #[must_use]
    pub fn watched_by(self, watch: Arc<dyn ListWatch>) -> Self {
        let inner = &self.inner;
        let mut lists = Self::new(
            Arc::clone(&inner.resolver),
            Arc::clone(&inner.clock),
            inner.limits.clone(),
        );
        if let Some(inner) = Arc::get_mut(&mut lists.inner) {
            inner.watch = Some(watch);
        }
        lists
    }

    /// The resolver, for what belongs to a listing and is no list.
    pub(super) fn resolver(&self) -> &dyn Resolver {
        self.inner.resolver.as_ref()
    }

    /// `future` within the time of one question.
    pub(super) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.inner.within(self.inner.limits.time, future).await
    }

    /// Asks each list about each subject that it takes. What has no answer in
    /// time is listed nowhere.
    pub async fn ask(&self, zones: &[Arc<Zone>], subjects: &[Subject]) -> Listings {
        let mut answers = Vec::new();
        let mut tasks = JoinSet::new();
        for zone in zones {
            for subject in subjects {
                let Some(name) = zone.question(subject) else {
                    continue;
                };
                let question = Question {
                    zone: Arc::clone(zone),
                    subject: subject.clone(),
                    name,
                };
                if let Some(answer) = self.inner.kept(&question) {
                    answers.push(answer);
                    continue;
                }
                let place = answers.len();
                answers.push(Answer::Silent(Arc::clone(zone)));
                let inner = Arc::clone(&self.inner);
                tasks.spawn(async move { (place, inner.answer(question).await) });
            }
        }
        // The tasks end with this future, should it be dropped.
        while let Some(ended) = tasks.join_next().await {
            if let Ok((place, answer)) = ended
                && let Some(kept) = answers.get_mut(place)
            {
                *kept = answer;
            }
        }
        Listings::of(answers)
    }
}

/// One subject in one list.
#[derive(Debug)]
struct Question {
    zone: Arc<Zone>,
    subject: Subject,
    name: Domain,
}

impl Inner {
    fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let until = self.now().after(time);
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.clock.sleep_until(until) => None,
        }
    }

    /// The answer, when it is known and needs no more said about it: most are.
    fn kept(&self, question: &Question) -> Option<Answer> {
        let health = self.health(&question.zone, question.subject.kind());
        if health.standing(self.now()) == Standing::Off {
            return Some(Answer::Off);
        }
        let answers = self.addresses.find(&question.name, self.now())?;
        let good = health.standing(self.now()) == Standing::Good;
        (good && answers.is_empty()).then_some(Answer::NotListed)
    }

    async fn answer(&self, question: Question) -> Answer {
        let kind = question.subject.kind();
        let health = self.health(&question.zone, kind);
        if !self.is_good(&health, &question.zone, kind).await {
            return Answer::Off;
        }
        let answers = match self.records(&question.name).await {
            Ok(answers) => answers,
            Err(Unanswered::Busy) => return Answer::Silent(question.zone),
            Err(Unanswered::Silent) => {
                let change = health.unanswered(self.now(), &self.limits);
                self.tell(&question.zone, kind, change);
                return Answer::Silent(question.zone);
            }
        };
        health.answered();
        match question.zone.judge(&answers) {
            Judged::NotListed | Judged::Found(Effect::Ignored, _) => Answer::NotListed,
            Judged::Refused(answer) => {
                let change = health.refused(answer, self.now(), &self.limits);
                self.tell(&question.zone, kind, change);
                Answer::Off
            }
            Judged::Found(effect, code) => Answer::Found(Listing {
                text: self.text(&question.name).await,
                zone: question.zone,
                subject: question.subject,
                effect,
                code,
            }),
        }
    }

    /// Whether a list counts, found out when it is time for that. Sessions that
    /// come while one of them tests go by what was known, or wait when nothing
    /// was.
    async fn is_good(&self, health: &Health, zone: &Zone, kind: Kind) -> bool {
        let testing = match health.standing(self.now()) {
            Standing::Good => return true,
            Standing::Off => return false,
            Standing::Untested => health.testing.lock().await,
            standing => match health.testing.try_lock() {
                Ok(testing) => testing,
                Err(_) => return standing == Standing::GoodUntilTested,
            },
        };
        // Whoever held the lock before may have told.
        match health.standing(self.now()) {
            Standing::Good => return true,
            Standing::Off => return false,
            _ => {}
        }
        let result = self.test(zone, kind).await;
        let change = health.tested(result, self.now(), &self.limits);
        drop(testing);
        self.tell(zone, kind, change);
        result.is_ok()
    }

    /// RFC 5782 section 5.
    async fn test(&self, zone: &Zone, kind: Kind) -> Result<(), ZoneFault> {
        let [listed, unlisted] =
            test_entries(zone, kind).map(|entry| entry.and_then(|entry| zone.question(&entry)));
        let (listed, unlisted) =
            tokio::join!(self.entry(listed.as_ref()), self.entry(unlisted.as_ref()),);
        let (Ok(listed), Ok(unlisted)) = (listed, unlisted) else {
            return Err(ZoneFault::Silent);
        };
        let mut all = listed.iter().chain(&unlisted).flat_map(|it| it.iter());
        if let Some(answer) = all.find(|answer| zone.is_refusal(**answer)) {
            return Err(ZoneFault::Refuses(*answer));
        }
        if unlisted.is_some_and(|answers| !answers.is_empty()) {
            return Err(ZoneFault::ListsEverything);
        }
        match listed {
            Some(answers) if answers.is_empty() => Err(ZoneFault::NoTestEntry),
            _ => Ok(()),
        }
    }

    async fn entry(&self, name: Option<&Domain>) -> Result<Option<Arc<[Ipv4Addr]>>, Unanswered> {
        match name {
            Some(name) => self.records(name).await.map(Some),
            None => Ok(None),
        }
    }

    /// A records of a name, as kept or as asked for.
    async fn records(&self, name: &Domain) -> Result<Arc<[Ipv4Addr]>, Unanswered> {
        if let Some(answers) = self.addresses.find(name, self.now()) {
            return Ok(answers);
        }
        let asked = async {
            let _slot = self.slots.acquire().await.map_err(|_| Unanswered::Busy)?;
            let asked = self.resolver.ipv4_addresses(name);
            let answer = self.within(self.limits.time, asked).await;
            answer.ok_or(Unanswered::Silent)
        };
        let asked = self.within(self.limits.time, asked).await;
        let (answers, ttl) = match asked.ok_or(Unanswered::Busy)?? {
            Ok(lookup) => {
                let answers = lookup.records.into_iter().take(MAX_RECORDS).collect();
                (answers, lookup.ttl)
            }
            Err(DnsError::NotFound { .. }) => (Arc::from([]), self.limits.not_listed),
            Err(_) => return Err(Unanswered::Silent),
        };
        let (name, now) = (name.clone(), self.now());
        let until = now.after(ttl.min(self.limits.longest));
        self.addresses.keep(name, Arc::clone(&answers), until, now);
        Ok(answers)
    }

    /// What a list says about a listing. That it says nothing makes none less.
    async fn text(&self, name: &Domain) -> Option<Arc<str>> {
        if let Some(text) = self.texts.find(name, self.now()) {
            return text;
        }
        let asked = self.resolver.txt(name);
        let (text, ttl) = match self.within(self.limits.time / 2, asked).await? {
            Ok(lookup) => {
                let text = lookup.records.iter().find_map(|text| clean(text));
                (text.map(Arc::from), lookup.ttl)
            }
            Err(DnsError::NotFound { .. }) => (None, self.limits.not_listed),
            Err(_) => return None,
        };
        let (name, now) = (name.clone(), self.now());
        let until = now.after(ttl.min(self.limits.longest));
        self.texts.keep(name, text.clone(), until, now);
        text
    }

    fn health(&self, zone: &Zone, kind: Kind) -> Arc<Health> {
        let mut all = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((zone.name.clone(), kind)).or_default())
    }

    fn tell(&self, zone: &Zone, kind: Kind, change: Option<Change>) {
        let zone = zone.shown();
        let fault = match change {
            None => return,
            Some(Change::Off(fault)) => {
                tracing::warn!(zone, %kind, %fault, "a DNS list does not count until a test finds it well");
                Some(fault)
            }
            Some(Change::On) => {
                tracing::info!(zone, %kind, "a DNS list counts again");
                None
            }
        };
        if let Some(watch) = &self.watch {
            watch.changed(&ZoneChange {
                zone: zone.to_owned(),
                kind,
                fault,
            });
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy)]
enum Unanswered {
    /// The list did not answer.
    Silent,
    /// It was not asked: too much else is.
    Busy,
}

/// What is listed by any list that works, when it has such an entry, and what is
/// by none.
fn test_entries(zone: &Zone, kind: Kind) -> [Option<Subject>; 2] {
    let v4 = |last| Ipv4Addr::new(127, 0, 0, last);
    // ::FFFF:7F00:2, as it is and not as the IPv4 address it stands for.
    let v6 = |last| Subject::Address(IpAddr::V6(v4(last).to_ipv6_mapped()));
    let name = |name| Domain::parse(name).ok().map(Subject::Name);
    let [listed, unlisted] = match kind {
        Kind::V4 => [2, 1].map(|last| Some(Subject::Address(v4(last).into()))),
        Kind::V6 => [2, 1].map(|last| Some(v6(last))),
        Kind::Name => ["test", "invalid"].map(name),
    };
    let listed = match (&zone.proof, kind) {
        (Proof::Nothing, _) => None,
        (Proof::Name(name), Kind::Name) => Some(Subject::Name(name.clone())),
        _ => listed,
    };
    [listed, unlisted]
}
