//! Agents that do anything, a store that fails now and then, leases that end,
//! crashes: every recipient ends delivered, in exactly one notice of failure, or
//! with an operator.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{Bench, HOUR};
use crate::queue::{EntryStateKind, RunnerConfig};
use crate::seams::{DeliveryAgent, DeliveryJob, Entropy, Spool};
use crate::status::{Failure, Outcome, Status};
use crate::testing::SeededEntropy;

#[derive(Debug)]
struct Chaos {
    dice: SeededEntropy,
    /// How often each address was delivered or refused for good.
    delivered: Mutex<HashMap<String, u32>>,
    failed: Mutex<HashMap<String, u32>>,
}

#[async_trait]
impl DeliveryAgent for Chaos {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        // Notices arrive: they are counted elsewhere.
        if job.reverse_path.is_null() {
            return vec![Outcome::Delivered; job.recipients.len()];
        }
        assert_ne!(self.dice.random_u64() % 10, 0, "an agent with a bug");
        let mut outcomes = Vec::new();
        for recipient in &job.recipients {
            let count = |of: &Mutex<HashMap<String, u32>>| {
                let mut counts = of.lock().unwrap();
                *counts.entry(recipient.address.to_string()).or_default() += 1;
            };
            outcomes.push(match self.dice.random_u64() % 40 {
                0..4 => {
                    count(&self.delivered);
                    Outcome::Delivered
                }
                4..6 => {
                    count(&self.failed);
                    Outcome::Failed(Failure::local(Status::permanent(1, 1, "no")))
                }
                // Fewer outcomes than recipients: the rest is not known.
                6 => break,
                _ => Outcome::Deferred(Failure::local(Status::transient(4, 1, "later"))),
            });
        }
        outcomes
    }
}

/// What befalls the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its store fails, its leases end early.
    Mishaps,
    /// That, and it crashes now and then.
    Crashes,
}

async fn run(seed: u64, fate: Fate) {
    let chaos = Arc::new(Chaos {
        dice: SeededEntropy::new(seed),
        delivered: Mutex::default(),
        failed: Mutex::default(),
    });
    let mut bench = Bench::with_agent(RunnerConfig::default(), chaos.clone()).start();
    let names: Vec<String> = (0..30).map(|n| format!("u{n}@h{}.test", n % 4)).collect();
    for (id, three) in names.chunks(3).enumerate() {
        let to: Vec<&str> = three.iter().map(String::as_str).collect();
        bench.queue.put(bench.entry(id as u128, "s@ok.test", &to));
    }
    for _ in 0..40 {
        let chance = chaos.dice.random_u64();
        bench.queue.failures.store(3, Ordering::SeqCst);
        bench.clock.run_for(HOUR * 4).await;
        if chance.is_multiple_of(3) {
            bench.queue.end_leases();
        }
        // Often enough in the middle of an attempt that can't be settled.
        bench
            .clock
            .run_for(Duration::from_secs(chance % 1_800))
            .await;
        if fate == Fate::Crashes && chance % 5 < 2 {
            bench.crash().await;
        }
    }
    bench.clock.run_for(HOUR * 20).await;
    let mut bad = HashSet::new();
    for id in bench.queue.ids() {
        let entry = bench.queue.entry(id).await.unwrap().unwrap();
        let state = &entry.progress.state;
        assert_eq!(state.kind(), EntryStateKind::Bad, "seed {seed}: it is left");
        let left = entry.progress.recipients.iter();
        bad.extend(left.map(|it| it.recipient.address.to_string()));
    }
    let notices: Vec<String> = bench.notices().await;
    for name in &names {
        let group = format!("Final-Recipient: rfc822; {name}\r\nAction: failed\r\n");
        let told: usize = notices
            .iter()
            .map(|text| text.matches(&group).count())
            .sum();
        let delivered = chaos.delivered.lock().unwrap().get(name).copied();
        let refused = chaos.failed.lock().unwrap().get(name).copied();
        match (delivered, refused, told, bad.contains(name)) {
            (Some(1), None, 0, false)
            | (None, Some(1) | None, 1, false)
            | (None, None, 0, true) => {}
            // What is done when the server crashes may not be written down, and
            // is done again: never is nothing done, or somebody told twice.
            (done, _, told, bad)
                if fate == Fate::Crashes && told <= 1 && (done.is_some() || told == 1 || bad) => {}
            other => panic!("seed {seed}, {fate:?}: {name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn everybody_is_served_once_or_told_of_once() {
    for seed in 0..10 {
        run(seed, Fate::Mishaps).await;
    }
}

#[tokio::test]
async fn crashes_lose_nobody_and_tell_nobody_twice() {
    for seed in 100..110 {
        run(seed, Fate::Crashes).await;
    }
}
