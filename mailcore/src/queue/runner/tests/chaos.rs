//! Agents that do anything, a store that fails now and then: every recipient
//! ends delivered, or in exactly one notice of failure.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{Bench, HOUR};
use crate::queue::RunnerConfig;
use crate::seams::{DeliveryAgent, DeliveryJob, Entropy};
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

async fn run(seed: u64) {
    let chaos = Arc::new(Chaos {
        dice: SeededEntropy::new(seed),
        delivered: Mutex::default(),
        failed: Mutex::default(),
    });
    let bench = Bench::with_agent(RunnerConfig::default(), chaos.clone()).start();
    let names: Vec<String> = (0..30).map(|n| format!("u{n}@h{}.test", n % 4)).collect();
    for (id, three) in names.chunks(3).enumerate() {
        let to: Vec<&str> = three.iter().map(String::as_str).collect();
        bench.queue.put(bench.entry(id as u128, "s@ok.test", &to));
    }
    for _ in 0..20 {
        bench.queue.failures.store(3, Ordering::SeqCst);
        bench.clock.run_for(HOUR * 9).await;
    }
    assert!(
        bench.queue.ids().is_empty(),
        "seed {seed}: the queue is not empty"
    );
    let notices: Vec<String> = bench.notices().await;
    for name in &names {
        let group = format!("Final-Recipient: rfc822; {name}\r\nAction: failed\r\n");
        let told: usize = notices
            .iter()
            .map(|text| text.matches(&group).count())
            .sum();
        let delivered = chaos.delivered.lock().unwrap().get(name).copied();
        let refused = chaos.failed.lock().unwrap().get(name).copied();
        match (delivered, refused, told) {
            (Some(1), None, 0) | (None, Some(1) | None, 1) => {}
            other => panic!("seed {seed}: {name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn everybody_is_served_once_or_told_of_once() {
    for seed in 0..20 {
        run(seed).await;
    }
}
