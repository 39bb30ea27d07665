//! One attempt: an entry's jobs run side by side, within the limits.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::QueueRunner;
use super::expand::no_agent;
use super::hops::HopKey;
use crate::envelope::Recipient;
use crate::queue::QueueEntry;
use crate::seams::DeliveryJob;
use crate::status::{Failure, Outcome, Status};
use crate::time::Monotonic;
use crate::transcript::Transcript;

/// What became of each recipient.
pub(super) type Outcomes = Vec<(Recipient, Outcome)>;

impl QueueRunner {
    /// Serves every recipient of `entry` once. What is not known at `deadline`
    /// is deferred.
    pub(super) async fn attempt(
        self: Arc<Self>,
        entry: &Arc<QueueEntry>,
        deadline: Monotonic,
    ) -> Outcomes {
        let routed = self.route_all(entry).await;
        let mut outcomes = routed.done;
        let mut running = JoinSet::new();
        let mut pending = Vec::new();
        for (key, recipients) in routed.jobs {
            let (runner, entry, all) = (self.clone(), entry.clone(), recipients.clone());
            let task =
                running.spawn(async move { runner.job(&entry, key, recipients, deadline).await });
            pending.push((task.id(), all));
        }
        while let Some(ended) = running.join_next_with_id().await {
            match ended {
                Ok((id, done)) => {
                    pending.retain(|(task, _)| *task != id);
                    outcomes.extend(done);
                }
                Err(error) => {
                    // The other jobs' outcomes are known and must be settled,
                    // so this one's recipients are deferred, not the entry.
                    tracing::error!(id = %entry.id, %error, "a delivery agent panicked");
                    let status = Status::transient(3, 0, "the delivery was broken off");
                    for (_, all) in pending.extract_if(.., |(task, _)| *task == error.id()) {
                        outcomes.extend(defer_all(all, &status));
                    }
                }
            }
        }
        outcomes
    }

    async fn job(
        &self,
        entry: &QueueEntry,
        key: HopKey,
        recipients: Vec<Recipient>,
        deadline: Monotonic,
    ) -> Outcomes {
        let Some(agent) = self.seams.agents.get(&key.0).cloned() else {
            return defer_all(recipients, &no_agent(&key.0));
        };
        let job = DeliveryJob {
            trace: entry.trace,
            reverse_path: entry.reverse_path.clone(),
            params: entry.params.clone(),
            recipients: recipients.clone(),
            next_hop: key.1.clone(),
            message: entry.message.clone(),
            received_at: entry.received_at,
            agent: key.0.clone(),
            transcript: Transcript::default(),
        };
        let deliver = async {
            // The hop first: a job that waits for a slow hop must not hold one
            // of the slots that all hops share.
            let _hop = self.hops.acquire(key).await;
            let _slot = self.jobs.acquire().await;
            agent.deliver(job).await
        };
        tokio::select! {
            outcomes = deliver => pair(recipients, outcomes),
            () = self.seams.clock.sleep_until(deadline) => {
                let status = Status::transient(4, 7, "the delivery took too long and was broken off");
                defer_all(recipients, &status)
            }
        }
    }
}

/// Recipients with their outcomes; those an agent left out are deferred.
fn pair(recipients: Vec<Recipient>, outcomes: Vec<Outcome>) -> Outcomes {
    if outcomes.len() < recipients.len() {
        tracing::error!("a delivery agent gave fewer outcomes than it had recipients");
    }
    let missing = Status::transient(3, 0, "the delivery's outcome is not known");
    let rest = std::iter::repeat_with(|| Outcome::Deferred(Failure::local(missing.clone())));
    recipients
        .into_iter()
        .zip(outcomes.into_iter().chain(rest))
        .collect()
}

fn defer_all(recipients: Vec<Recipient>, status: &Status) -> Outcomes {
    let defer = |recipient| (recipient, Outcome::Deferred(Failure::local(status.clone())));
    recipients.into_iter().map(defer).collect()
}
