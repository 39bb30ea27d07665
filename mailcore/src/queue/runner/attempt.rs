//! One attempt: an entry's jobs run side by side, within the limits.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::QueueRunner;
use super::destination::PutOff;
use super::destinations::{Claim, Finding, HopKey};
use super::expand::{Routed, no_agent};
use super::line::Rank;
use super::slots::Lane;
use crate::envelope::Recipient;
use crate::queue::QueueEntry;
use crate::seams::{DeliveryJob, NextHop};
use crate::status::{Failure, Outcome, Status};
use crate::time::Monotonic;
use crate::transcript::Transcript;

/// What became of each recipient.
pub(super) type Outcomes = Vec<(Recipient, Outcome)>;

/// What one attempt did.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Recipients that something became of.
    pub(super) outcomes: Outcomes,
    /// Recipients whose destination takes nothing now.
    pub(super) put_off: Vec<(Recipient, PutOff)>,
    /// Jobs that an agent was given.
    pub(super) jobs: usize,
}

/// A job's end.
enum JobEnd {
    Done(Outcomes),
    PutOff(Vec<Recipient>, PutOff),
}

impl Round {
    fn put_off(&mut self, recipients: Vec<Recipient>, put_off: &PutOff) {
        let each = recipients.into_iter().map(|it| (it, put_off.clone()));
        self.put_off.extend(each);
    }

    fn add(&mut self, end: JobEnd) {
        match end {
            JobEnd::Done(outcomes) => {
                self.jobs += 1;
                self.outcomes.extend(outcomes);
            }
            JobEnd::PutOff(recipients, put_off) => self.put_off(recipients, &put_off),
        }
    }
}

impl QueueRunner {
    /// Serves every recipient of `entry` once. What is not known at `deadline`
    /// is deferred.
    pub(super) async fn attempt(
        self: Arc<Self>,
        entry: &Arc<QueueEntry>,
        deadline: Monotonic,
    ) -> Round {
        let Routed { jobs, done } = self.route_all(entry).await;
        let mut round = Round {
            outcomes: done,
            ..Round::default()
        };
        let mut running = JoinSet::new();
        let mut pending = Vec::new();
        for (key, recipients) in jobs {
            let claim = match self.claim(entry, &key) {
                Ok(claim) => claim,
                Err(put_off) => {
                    round.put_off(recipients, &put_off);
                    continue;
                }
            };
            let job = Job {
                key,
                recipients: recipients.clone(),
                claim,
                deadline,
            };
            let (runner, entry) = (self.clone(), entry.clone());
            let task = running.spawn(async move { runner.job(&entry, job).await });
            pending.push((task.id(), recipients));
        }
        while let Some(ended) = running.join_next_with_id().await {
            match ended {
                Ok((id, end)) => {
                    pending.retain(|(task, _)| *task != id);
                    round.add(end);
                }
                Err(error) => {
                    // The other jobs' outcomes are known and must be settled,
                    // so this one's recipients are deferred, not the entry.
                    tracing::error!(id = %entry.id, %error, "a delivery agent panicked");
                    let status = Status::transient(3, 0, "the delivery was broken off");
                    for (_, all) in pending.extract_if(.., |(task, _)| *task == error.id()) {
                        round.add(JobEnd::Done(defer_all(all, &status)));
                    }
                }
            }
        }
        round
    }

    /// A place at the destination. Where many entries are held, no destination
    /// may hold more than a share of them: the others' mail lies behind.
    fn claim(&self, entry: &QueueEntry, key: &HopKey) -> Result<Claim, PutOff> {
        let most = self.config.max_leased;
        let crowded = self.held() >= most / 2;
        let share = if crowded { (most / 4).max(1) } else { most };
        if crowded && entry.progress.attempts > 0 && key.1 != NextHop::Local {
            self.retries_in_turn()?;
        }
        self.destinations.claim(key, share)
    }

    async fn job(&self, entry: &QueueEntry, job: Job) -> JobEnd {
        let Job {
            key,
            recipients,
            mut claim,
            deadline,
        } = job;
        let Some(agent) = self.seams.agents.get(&key.0).cloned() else {
            return JobEnd::Done(defer_all(recipients, &no_agent(&key.0)));
        };
        let clock = &self.seams.clock;
        let ready = async {
            // The destination first: a job that waits for a slow one must not
            // hold one of the slots that all share.
            claim.enter(Rank::of(entry)).await?;
            let slot = self.slots.take(lane(entry, &key), Rank::of(entry)).await;
            claim.recheck().map(|()| slot)
        };
        let _slot = tokio::select! {
            ready = ready => match ready {
                Ok(slot) => slot,
                Err(put_off) => return JobEnd::PutOff(recipients, put_off),
            },
            () = clock.sleep_until(deadline) => {
                let until = clock.monotonic();
                return JobEnd::PutOff(recipients, PutOff { until, failure: None });
            }
        };
        let began = clock.monotonic();
        let deliver = agent.deliver(DeliveryJob {
            trace: entry.trace,
            reverse_path: entry.reverse_path.clone(),
            params: entry.params.clone(),
            recipients: recipients.clone(),
            next_hop: key.1.clone(),
            message: entry.message.clone(),
            received_at: entry.received_at,
            agent: key.0.clone(),
            transcript: Transcript::default(),
        });
        tokio::select! {
            outcomes = deliver => {
                claim.report(began, Finding::of(&outcomes));
                JobEnd::Done(pair(recipients, outcomes))
            }
            () = clock.sleep_until(deadline) => {
                let status = Status::transient(4, 7, "the delivery took too long and was broken off");
                JobEnd::Done(defer_all(recipients, &status))
            }
        }
    }
}

/// What one job needs.
struct Job {
    key: HopKey,
    recipients: Vec<Recipient>,
    claim: Claim,
    deadline: Monotonic,
}

fn lane(entry: &QueueEntry, key: &HopKey) -> Lane {
    match key.1 {
        NextHop::Local => Lane::Local,
        _ if entry.progress.attempts == 0 => Lane::First,
        _ => Lane::Retry,
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
