//! Callouts against a host made up.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::seams::StoreError;
use crate::testing::VirtualClock;

/// Keeps values until the clock says that they are over.
#[derive(Debug)]
struct Memory {
    clock: VirtualClock,
    values: Mutex<HashMap<StateKey, StateValue>>,
}

#[async_trait]
impl State for Memory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        let value = self.values.lock().unwrap().get(key).cloned();
        let now = self.clock.now();
        Ok(value.filter(|value| value.expires.is_none_or(|at| at > now)))
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        for change in changes {
            let StateChange::Put {
                key,
                value,
                expires,
            } = change
            else {
                return Err(StoreError::Unsupported("other changes"));
            };
            let version = 1;
            let value = StateValue {
                value,
                version,
                expires,
            };
            self.values.lock().unwrap().insert(key, value);
        }
        Ok(Vec::new())
    }

    async fn scan(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        Err(StoreError::Unsupported("scans"))
    }
}

/// Knows `ann`, says nothing of `slow`, and counts.
#[derive(Debug, Default)]
struct Host {
    asked: AtomicUsize,
}

#[async_trait]
impl RecipientCheck for Host {
    async fn check(&self, query: &RecipientQuery<'_>) -> Standing {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        match query.recipient.local_part() {
            "ann" => Standing::Known,
            "slow" => std::future::pending().await,
            _ => Standing::Unknown(Status::permanent(1, 1, "w".repeat(2 * MAX_WORDS))),
        }
    }
}

struct Bench {
    host: Arc<Host>,
    clock: VirtualClock,
    callout: Callout,
}

impl Bench {
    fn new() -> Self {
        let clock = VirtualClock::new();
        let host = Arc::new(Host::default());
        let memory = Memory {
            clock: clock.clone(),
            values: Mutex::default(),
        };
        let callout = Callout::new(
            host.clone(),
            Arc::new(memory),
            Arc::new(clock.clone()),
            CalloutConfig::default(),
        );
        Self {
            host,
            clock,
            callout,
        }
    }

    async fn ask(&self, user: &str, host: &str) -> Standing {
        let recipient = format!("{user}@x.test").parse().unwrap();
        let next_hop = NextHop::Host {
            host: host.parse().unwrap(),
            port: 25,
        };
        let agent = "smtp".into();
        let query = RecipientQuery::new(&agent, &next_hop, &recipient);
        self.callout.standing(&query).await
    }

    fn asked(&self) -> usize {
        self.host.asked.swap(0, Ordering::Relaxed)
    }
}

#[tokio::test]
async fn an_answer_is_believed_for_its_time_and_of_its_host_alone() {
    let bench = Bench::new();
    let hours = |hours: u64| Duration::from_secs(3_600 * hours);
    for _ in 0..2 {
        assert_eq!(bench.ask("ann", "one.test").await, Standing::Known);
        let Standing::Unknown(status) = bench.ask("bob", "one.test").await else {
            panic!("bob is known");
        };
        assert_eq!(status.text.len(), MAX_WORDS);
    }
    assert_eq!(bench.asked(), 2);
    bench.ask("ann", "two.test").await;
    assert_eq!(bench.asked(), 1, "another host");
    bench.clock.advance(hours(2));
    bench.ask("ann", "two.test").await;
    assert_eq!(bench.asked(), 0);
    bench.ask("bob", "one.test").await;
    assert_eq!(bench.asked(), 1, "unknown ones are asked for again");
    bench.clock.advance(hours(7 * 24));
    bench.ask("ann", "two.test").await;
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn those_who_ask_the_same_share_one_answer_and_leave_nothing_behind() {
    let bench = Bench::new();
    let both = tokio::join!(bench.ask("ann", "one.test"), bench.ask("Ann", "one.test"));
    assert_eq!(both, (Standing::Known, Standing::Known));
    assert_eq!(bench.asked(), 1);
    // A session that ends before the answer.
    let left = tokio::select! {
        biased;
        _ = bench.ask("slow", "one.test") => false,
        () = tokio::task::yield_now() => true,
    };
    assert!(left && bench.callout.running().is_empty());
}

#[tokio::test]
async fn a_host_that_says_nothing_is_waited_for_until_the_deadline() {
    let bench = Bench::new();
    let wait = async {
        bench.clock.until_someone_sleeps().await;
        bench.clock.advance(Duration::from_secs(10));
    };
    let (standing, ()) = tokio::join!(bench.ask("slow", "one.test"), wait);
    assert!(matches!(standing, Standing::NoAnswer(_)), "{standing:?}");
}
