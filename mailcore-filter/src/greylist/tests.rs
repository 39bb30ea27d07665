use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::batch::StateChange;
use mailcore::plan::{Finding, Stage};
use mailcore::seams::{Clock, FilterSession, State, StateKey, StateValue, StoreError};
use mailcore::testing::VirtualClock;

use super::ledger::{Attempt, Decision, Ledger};
use super::*;
use crate::pipeline::{Look, Test};

/// Keeps values until the clock says that they are over, and counts writes.
#[derive(Debug)]
struct Memory {
    clock: VirtualClock,
    values: Mutex<HashMap<StateKey, StateValue>>,
    writes: AtomicUsize,
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
        self.writes.fetch_add(1, Ordering::Relaxed);
        for change in changes {
            let StateChange::Put {
                key,
                value,
                expires,
            } = change
            else {
                return Err(StoreError::Unsupported("other changes"));
            };
            let value = StateValue {
                value,
                version: 1,
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

struct Bench {
    clock: VirtualClock,
    memory: Arc<Memory>,
    ledger: Ledger,
}

fn bench(config: GreylistConfig) -> Bench {
    let clock = VirtualClock::new();
    let memory = Arc::new(Memory {
        clock: clock.clone(),
        values: Mutex::default(),
        writes: AtomicUsize::new(0),
    });
    let state = Arc::clone(&memory) as Arc<dyn State>;
    let ledger = Ledger::new(state, Arc::new(clock.clone()), config);
    Bench {
        clock,
        memory,
        ledger,
    }
}

impl Bench {
    async fn from(&self, sender: &str, ip: &str) -> Decision {
        let network = Network::of(ip.parse().unwrap(), 24).unwrap();
        self.of(GreylistClient::Network(network), network, sender)
            .await
    }

    async fn of(&self, client: GreylistClient, network: Network, sender: &str) -> Decision {
        let attempt = Attempt {
            client,
            network,
            sender: &ReversePath::parse(&format!("<{sender}>")).unwrap(),
            recipient: &"Ann@here.test".parse().unwrap(),
        };
        self.ledger.decide(&attempt).await.unwrap()
    }

    fn minutes(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(minutes * 60));
    }

    fn writes(&self) -> usize {
        self.memory.writes.load(Ordering::Relaxed)
    }
}

fn wait(minutes: u64) -> Decision {
    Decision::Wait(Duration::from_secs(minutes * 60))
}

#[tokio::test]
async fn the_first_attempt_waits_and_the_next_in_time_passes() {
    let bench = bench(GreylistConfig::default());
    assert_eq!(bench.from("bob@a.test", "192.0.2.1").await, wait(15));
    bench.minutes(10);
    // From its neighbour, with another tag.
    assert_eq!(
        bench.from("prvs=1234567890=bob@a.test", "192.0.2.9").await,
        wait(5)
    );
    assert_eq!(bench.writes(), 1);
    bench.minutes(5);
    assert_eq!(
        bench.from("bob@a.test", "192.0.2.9").await,
        Decision::Passed
    );
    assert_eq!(
        bench.from("bob@a.test", "192.0.2.9").await,
        Decision::KnownTriplet
    );
    assert_eq!(bench.writes(), 2);
    // Another sender, another network: unseen.
    assert_eq!(bench.from("eve@a.test", "192.0.2.1").await, wait(15));
    assert_eq!(bench.from("bob@a.test", "198.51.100.1").await, wait(15));
}

#[tokio::test]
async fn what_never_comes_again_is_forgotten_sooner_than_what_did() {
    let bench = bench(GreylistConfig::default());
    assert_eq!(bench.from("bob@a.test", "192.0.2.1").await, wait(15));
    bench.minutes(2 * 24 * 60);
    assert_eq!(bench.from("bob@a.test", "192.0.2.1").await, wait(15));
    bench.minutes(60);
    assert_eq!(
        bench.from("bob@a.test", "192.0.2.1").await,
        Decision::Passed
    );
    // Seen now and then it stays, by a write a day.
    for _ in 0..4 {
        bench.minutes(9 * 24 * 60);
        assert_eq!(
            bench.from("bob@a.test", "192.0.2.1").await,
            Decision::KnownTriplet
        );
    }
    bench.minutes(10 * 24 * 60);
    assert_eq!(bench.from("bob@a.test", "192.0.2.1").await, wait(15));
}

#[tokio::test]
async fn a_network_that_came_again_five_times_is_let_through() {
    let bench = bench(GreylistConfig::default());
    for name in ["a", "b", "c", "d", "e"] {
        let sender = format!("{name}@a.test");
        assert_eq!(bench.from(&sender, "192.0.2.1").await, wait(15));
        bench.minutes(20);
        assert_eq!(bench.from(&sender, "192.0.2.1").await, Decision::Passed);
    }
    let writes = bench.writes();
    assert_eq!(
        bench.from("new@b.test", "192.0.2.77").await,
        Decision::KnownClient
    );
    assert_eq!(bench.writes(), writes);
    assert_eq!(bench.from("new@b.test", "198.51.100.1").await, wait(15));
}

#[tokio::test]
async fn hosts_that_are_one_sender_share_a_triplet() {
    let bench = bench(GreylistConfig::default());
    let network = |text: &str| text.parse::<Network>().unwrap();
    let pool = GreylistClient::Provider("big.test".parse().unwrap());
    let (one, other) = (network("192.0.2.0/24"), network("198.51.100.0/24"));
    assert_eq!(bench.of(pool.clone(), one, "bob@a.test").await, wait(15));
    bench.minutes(15);
    assert_eq!(bench.of(pool, other, "bob@a.test").await, Decision::Passed);
}

#[tokio::test]
async fn a_flood_of_senders_writes_no_more_than_its_share() {
    let bench = bench(GreylistConfig {
        fresh_per_network: 10,
        fresh_in_all: 15,
        ..GreylistConfig::default()
    });
    for number in 0..20 {
        // Numbers are left out, so that these are told apart by their length.
        let sender = format!("{}@a.test", "x".repeat(number + 1));
        let wanted = if number < 10 {
            wait(15)
        } else {
            Decision::Crowded
        };
        assert_eq!(bench.from(&sender, "192.0.2.1").await, wanted, "{number}");
    }
    assert_eq!(bench.writes(), 10);
    for name in ["a", "b", "c", "d", "e"] {
        let sender = format!("{name}@b.test");
        assert_eq!(bench.from(&sender, "198.51.100.1").await, wait(15));
    }
    assert_eq!(
        bench.from("f@b.test", "203.0.113.1").await,
        Decision::NotAsked
    );
    assert_eq!(bench.writes(), 15);
    bench.minutes(60);
    assert_eq!(bench.from("f@b.test", "203.0.113.1").await, wait(15));
}

async fn said(test: &Greylist, ip: &str, spf: Option<&str>) -> Vec<&'static str> {
    let session = FilterSession::new(Some(SocketAddr::new(ip.parse().unwrap(), 25)));
    if let Some(result) = spf {
        let finding = Finding::new(Stage::Mail, "spf", result);
        session.memory.note(finding);
    }
    let sender = ReversePath::parse("<bob@a.test>").unwrap();
    let recipient = "ann@here.test".parse().unwrap();
    let look = Look::at(&session).from(&sender).to(&recipient);
    let said = test.look(&look).await;
    said.into_iter().map(|said| said.result).collect()
}

#[tokio::test]
async fn hosts_that_spf_names_are_one_and_those_of_the_house_are_not_asked() {
    let bench = bench(GreylistConfig::default());
    let mut config = GreylistConfig::default();
    config.allow.push("203.0.113.0/24".parse().unwrap());
    let state = Arc::clone(&bench.memory) as Arc<dyn State>;
    let test = Greylist::new(state, Arc::new(bench.clock.clone()), config);
    assert_eq!(said(&test, "192.0.2.1", Some("pass")).await, ["wait"]);
    bench.minutes(15);
    assert_eq!(said(&test, "192.0.2.1", Some("fail")).await, ["wait"]);
    assert!(said(&test, "198.51.100.1", Some("pass")).await.is_empty());
    assert!(said(&test, "203.0.113.9", None).await.is_empty());
}
