//! One attempt: an entry's jobs run side by side, within the limits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::destination::PutOff;
use super::destinations::{Claim, Finding, HopKey};
use super::expand::{Onward, Routed, no_agent};
use super::held::LeaseCell;
use super::line::Rank;
use super::notes::Notes;
use super::slots::Lane;
use super::{QueueRunner, deadline};
use crate::envelope::Recipient;
use crate::queue::{DoneRecipient, QueueEntry};
use crate::seams::{DeliveryJob, NextHop};
use crate::status::{Failure, Outcome, Status};
use crate::time::Monotonic;
use crate::transcript::Transcript;

/// Octets that may be kept of what hosts said, for all recipients of an entry:
/// each attempt writes down what is left of it, and a store takes no batch of
/// any size. What a host says is in a status and in the reply it came by.
const ALL_WORDS: usize = 512 * 1_024;
/// Octets kept for one recipient, of many and of few.
const WORDS: std::ops::RangeInclusive<usize> = 16..=8 * 1_024;

/// What became of each recipient.
pub(super) type Outcomes = Vec<(Recipient, Outcome)>;

/// What one attempt did.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Recipients that something became of, not written down yet.
    pub(super) outcomes: Outcomes,
    /// Recipients whose destination takes nothing now.
    pub(super) put_off: Vec<(Recipient, PutOff)>,
    /// Recipients that become entries of their own, not written down yet.
    pub(super) onward: Onward,
    /// Recipients already written down as done.
    pub(super) noted: Vec<DoneRecipient>,
    /// Jobs that an agent was given, not told of yet.
    pub(super) asked: Vec<Asked>,
    /// True when an agent was given a job.
    pub(super) asked_any: bool,
    /// True when an agent panicked.
    pub(super) broke: bool,
    /// Octets kept of what a host says of one recipient.
    words: usize,
}

/// A job that an agent was given.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: HopKey,
    pub(super) delivered: usize,
    pub(super) deferred: usize,
    pub(super) failed: usize,
    pub(super) took: Duration,
    pub(super) transcript: Transcript,
}

/// A job's end.
enum JobEnd {
    Done(Outcomes, Option<Asked>),
    PutOff(Vec<Recipient>, PutOff),
}

impl JobEnd {
    /// Recipients that got the message.
    fn served(&self) -> usize {
        let Self::Done(outcomes, _) = self else {
            return 0;
        };
        let served =
            |outcome: &Outcome| matches!(outcome, Outcome::Delivered | Outcome::Relayed { .. });
        outcomes.iter().filter(|(_, it)| served(it)).count()
    }
}

impl Round {
    /// True when nothing happened but that nobody takes anything now.
    pub(super) fn is_only_put_off(&self) -> bool {
        let nothing = self.outcomes.is_empty() && self.noted.is_empty();
        nothing && !self.asked_any && !self.put_off.is_empty()
    }

    fn put_off(&mut self, recipients: Vec<Recipient>, mut put_off: PutOff) {
        put_off.failure = put_off.failure.map(|it| it.cut(self.words));
        let each = recipients.into_iter().map(|it| (it, put_off.clone()));
        self.put_off.extend(each);
    }

    fn add(&mut self, end: JobEnd) {
        match end {
            JobEnd::Done(outcomes, asked) => {
                self.asked_any = true;
                let outcomes = outcomes.into_iter();
                let cut = |(recipient, outcome): (_, Outcome)| (recipient, outcome.cut(self.words));
                self.outcomes.extend(outcomes.map(cut));
                self.asked.extend(asked);
            }
            JobEnd::PutOff(recipients, put_off) => self.put_off(recipients, put_off),
        }
    }
}

impl Asked {
    fn new(job: &DeliveryJob, outcomes: &[Outcome], took: Duration) -> Self {
        let mut asked = Self {
            key: (job.agent.clone(), job.next_hop.clone()),
            delivered: 0,
            deferred: 0,
            failed: 0,
            took,
            transcript: job.transcript.clone(),
        };
        for outcome in outcomes {
            match outcome {
                Outcome::Deferred(_) | Outcome::Unreachable(_) => asked.deferred += 1,
                Outcome::Failed(_) => asked.failed += 1,
                _ => asked.delivered += 1,
            }
        }
        asked
    }
}

impl QueueRunner {
    /// Serves every recipient of `entry` once. What is not known at `deadline`
    /// is deferred. What of it must not be done twice is written down as it
    /// ends, under `lease`; the rest comes back.
    pub(super) async fn attempt(
        self: Arc<Self>,
        entry: &Arc<QueueEntry>,
        lease: &LeaseCell,
        deadline: Monotonic,
    ) -> Round {
        if deadline::is_over(entry, self.seams.clock.now()) {
            return Round {
                outcomes: deadline::all_missed(entry),
                ..Round::default()
            };
        }
        let Routed { jobs, onward, done } = self.route_all(entry).await;
        let mut round = Round {
            words: words_of_each(entry, jobs.values().map(Vec::len).sum()),
            outcomes: done,
            onward,
            ..Round::default()
        };
        if !round.onward.is_empty() && !jobs.is_empty() {
            let still: Vec<&[Recipient]> = jobs.values().map(Vec::as_slice).collect();
            self.note_down(entry, lease, &mut round, &still).await;
        }
        let jobs = self.begin_jobs(entry, jobs, deadline, &mut round);
        self.see_through(entry, lease, jobs, &mut round).await;
        round
    }

    /// Starts on all that may begin; the others are put off.
    fn begin_jobs(
        self: &Arc<Self>,
        entry: &Arc<QueueEntry>,
        jobs: BTreeMap<HopKey, Vec<Recipient>>,
        deadline: Monotonic,
        round: &mut Round,
    ) -> Running {
        let mut running = Running {
            notes: Notes::new(jobs.len(), self.seams.clock.monotonic()),
            jobs: JoinSet::new(),
            pending: HashMap::new(),
        };
        for (hop, recipients) in jobs {
            let claim = match self.claim(entry, &hop) {
                Ok(claim) => claim,
                Err(put_off) => {
                    round.put_off(recipients, put_off);
                    continue;
                }
            };
            let job = Job {
                hop,
                recipients: recipients.clone(),
                claim,
                deadline,
            };
            let (runner, entry) = (self.clone(), entry.clone());
            let job = async move { runner.job(&entry, job).await };
            let task = running.jobs.spawn(job);
            running.pending.insert(task.id(), recipients);
        }
        running
    }

    /// Gathers what the jobs come to, until all have ended or are broken off.
    async fn see_through(
        &self,
        entry: &QueueEntry,
        lease: &LeaseCell,
        running: Running,
        round: &mut Round,
    ) {
        let clock = &self.seams.clock;
        let mut breaks_off = self.breaks_off.subscribe();
        let Running {
            mut jobs,
            mut pending,
            mut notes,
        } = running;
        loop {
            tokio::select! {
                ended = jobs.join_next_with_id() => match ended {
                    None => break,
                    Some(ended) => notes.add(gather(entry, ended, &mut pending, round)),
                },
                () = clock.sleep_until(notes.due_at()), if notes.any() => {}
                _ = breaks_off.wait_for(|now| *now) => {
                    break_off(entry, &mut jobs, &mut pending, (round, clock.monotonic()));
                    break;
                }
            }
            // All that ended while the last ones were written down.
            while let Some(ended) = jobs.try_join_next_with_id() {
                notes.add(gather(entry, ended, &mut pending, round));
            }
            if jobs.is_empty() || !notes.take_due(clock.monotonic()) {
                continue;
            }
            let still: Vec<&[Recipient]> = pending.values().map(Vec::as_slice).collect();
            self.note_down(entry, lease, round, &still).await;
        }
    }

    /// Writes down what is done while `pending` are still served.
    async fn note_down(
        &self,
        entry: &QueueEntry,
        lease: &LeaseCell,
        round: &mut Round,
        pending: &[&[Recipient]],
    ) {
        if let Some(batch) = self.part(entry, round, pending).await {
            self.commit_held(entry.id, lease, batch).await;
        }
    }

    /// A place at the destination. Where many entries are held, no destination
    /// may hold more than a share of them: the others' mail lies behind.
    fn claim(&self, entry: &QueueEntry, key: &HopKey) -> Result<Claim, PutOff> {
        let (held, most) = match entry.progress.attempts {
            0 => (self.load.all(), self.config.max_leased),
            _ => (self.load.retries(), self.most_retries()),
        };
        let crowded = held >= most / 2;
        let share = if crowded { (most / 4).max(1) } else { most };
        self.destinations.claim(key, share)
    }

    async fn job(&self, entry: &QueueEntry, job: Job) -> JobEnd {
        let Job {
            hop: key,
            recipients,
            mut claim,
            deadline,
        } = job;
        let Some(agent) = self.routing.agent(&key.0) else {
            return JobEnd::Done(defer_all(recipients, &no_agent(&key.0)), None);
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
        let job = DeliveryJob {
            trace: entry.trace,
            reverse_path: entry.reverse_path.clone(),
            params: entry.params.clone(),
            origin: entry.origin,
            recipients: recipients.clone(),
            next_hop: key.1.clone(),
            message: entry.message.clone(),
            findings: Arc::clone(&entry.findings),
            received_at: entry.received_at,
            agent: key.0.clone(),
            transcript: Transcript::default(),
        };
        let asked = |outcomes: &[Outcome]| {
            let took = clock.monotonic().since(began);
            Some(Asked::new(&job, outcomes, took))
        };
        tokio::select! {
            outcomes = agent.deliver(job.clone()) => {
                let at = self.seams.clock.now();
                let outcomes = outcomes.into_iter().map(|outcome| outcome.said_at(at));
                let outcomes: Vec<_> = outcomes.collect();
                claim.report(began, Finding::of(&outcomes));
                let asked = asked(&outcomes);
                JobEnd::Done(pair(recipients, outcomes), asked)
            }
            () = clock.sleep_until(deadline) => {
                let status = Status::transient(4, 7, "the delivery took too long and was broken off");
                JobEnd::Done(defer_all(recipients, &status), asked(&[]))
            }
        }
    }
}

/// Octets kept of what a host says of one of an entry's recipients, when so many
/// are served now.
fn words_of_each(entry: &QueueEntry, served: usize) -> usize {
    let progress = &entry.progress;
    let all = served.max(progress.recipients.len()) + progress.done.len();
    (ALL_WORDS / all.max(1)).clamp(*WORDS.start(), *WORDS.end())
}

type Ended = Result<(tokio::task::Id, JobEnd), tokio::task::JoinError>;
type Pending = HashMap<tokio::task::Id, Vec<Recipient>>;

/// Adds what a job did to its round. The other jobs' outcomes are known and must
/// be settled, so of one that panicked the recipients are deferred, not the
/// entry. Gives back how many got the message.
fn gather(entry: &QueueEntry, ended: Ended, pending: &mut Pending, round: &mut Round) -> usize {
    match ended {
        Ok((id, end)) => {
            pending.remove(&id);
            let served = end.served();
            round.add(end);
            served
        }
        Err(error) => {
            tracing::error!(id = %entry.id, %error, "a delivery agent panicked");
            let status = Status::transient(3, 0, "the delivery was broken off");
            let recipients = pending.remove(&error.id()).unwrap_or_default();
            round.broke = true;
            round.add(JobEnd::Done(defer_all(recipients, &status), None));
            0
        }
    }
}

/// Ends the jobs that run. Those that ended already count; the recipients of the
/// others are to be tried by whoever works on the queue next.
fn break_off(
    entry: &QueueEntry,
    jobs: &mut JoinSet<JobEnd>,
    pending: &mut Pending,
    (round, now): (&mut Round, Monotonic),
) {
    while let Some(ended) = jobs.try_join_next_with_id() {
        gather(entry, ended, pending, round);
    }
    jobs.abort_all();
    for recipients in std::mem::take(pending).into_values() {
        let (until, failure) = (now, None);
        round.put_off(recipients, PutOff { until, failure });
    }
}

/// The jobs of an attempt that have begun.
struct Running {
    jobs: JoinSet<JobEnd>,
    /// Whom each serves.
    pending: Pending,
    notes: Notes,
}

/// What one job needs.
struct Job {
    hop: HopKey,
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
