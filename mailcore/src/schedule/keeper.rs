//! One job's task: waits for its time, runs it, remembers what came of it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::memory::{Begun, Record};
use super::scheduler::{Asked, CORRECTION, Scheduler, Slot};
use super::{JobRun, LastRun, MissedRun};
use crate::event::{Event, EventId, EventName};
use crate::net::Shutdown;
use crate::time::Timestamp;

/// A run that is later than this was missed.
const LATE: Duration = Duration::from_secs(5 * 60);

/// How often a run is begun of which no end is known.
const MAX_BEGUN: u64 = 2;

/// What a result is cut with.
const CUT: &str = "…";

/// Keeps one job.
pub(super) struct Keeper {
    scheduler: Arc<Scheduler>,
    slot: Arc<Slot>,
    record: Record,
    next: Option<Next>,
}

/// The next run.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// The time that it is for.
    due: Timestamp,
    /// When it begins.
    at: Timestamp,
}

impl Keeper {
    pub(super) fn new(scheduler: Arc<Scheduler>, slot: Arc<Slot>) -> Self {
        let crontab = slot.job.crontab.as_ref().map(ToString::to_string);
        let now = scheduler.seams.clock.now();
        Self {
            record: Record::new(crontab.unwrap_or_default(), now),
            next: None,
            scheduler,
            slot,
        }
    }

    /// Keeps the job until the shutdown begins.
    pub(super) async fn keep(mut self, mut asked: mpsc::Receiver<Asked>, mut shutdown: Shutdown) {
        let mut corrections = self.scheduler.corrections.subscribe();
        self.recall().await;
        loop {
            self.slot.shown().next = self.next.map(|next| next.at);
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                Some(asked) = asked.recv() => self.on_demand(asked, &shutdown).await,
                // The sender is the scheduler's, which is held here.
                _ = corrections.changed() => self.plan(),
                () = self.wait() => self.on_time(&mut shutdown).await,
            }
        }
    }

    async fn wait(&self) {
        match self.next {
            Some(next) if !self.scheduler.config.idle => {
                self.scheduler.seams.clock.sleep_until_wall(next.at).await
            }
            _ => pending().await,
        }
    }

    fn now(&self) -> Timestamp {
        self.scheduler.seams.clock.now()
    }

    /// Goes on where the server left off.
    async fn recall(&mut self) {
        let name = &*self.slot.job.name;
        let known = match &self.scheduler.seams.memory {
            Some(memory) => memory.load(name).await,
            None => Ok(None),
        };
        let mut is_new = false;
        match known {
            // A schedule that was changed counts from now.
            Ok(Some(known)) if known.crontab != self.record.crontab => {
                self.record.last = known.last;
                is_new = true;
            }
            Ok(Some(known)) => self.record = known,
            Ok(None) => is_new = true,
            Err(error) => tracing::warn!(
                job = name,
                %error,
                "can't read when this job ran last; it runs at its next time"
            ),
        }
        self.slot.shown().last = self.record.last.clone();
        if is_new {
            // So that one that is never up at the job's time makes up for it.
            self.save(None).await;
        }
        self.give_up_interrupted().await;
        self.plan();
        self.plan_missed();
    }

    /// A run that the process died in is not begun for ever.
    async fn give_up_interrupted(&mut self) {
        let Some(begun) = self.record.begun else {
            return;
        };
        if self.slot.job.missed == MissedRun::RunOnce && begun.times < MAX_BEGUN {
            return;
        }
        self.record.begun = None;
        self.record.counted = self.record.counted.max(begun.due);
        let last = LastRun {
            began: begun.due,
            took: Duration::ZERO,
            outcome: Err("the server ended in the middle of it".to_owned()),
        };
        self.ended(last).await;
    }

    /// Finds the next run.
    fn plan(&mut self) {
        let now = self.now();
        if self.record.counted > now.after(CORRECTION) {
            // The clock was wrong then.
            self.record.counted = now;
        }
        let (job, config) = (&self.slot.job, &self.scheduler.config);
        let due = (job.crontab.as_ref())
            .and_then(|crontab| crontab.next_after(self.record.counted, &*config.zone));
        self.next = due.map(|due| Next {
            due,
            at: due.after(self.jitter()),
        });
    }

    /// Sees to a run that should have been before now.
    fn plan_missed(&mut self) {
        let now = self.now();
        let Some(next) = &mut self.next else {
            return;
        };
        if next.due > now {
            return;
        }
        match self.slot.job.missed {
            MissedRun::RunOnce => next.at = now.after(self.scheduler.config.after_start),
            MissedRun::Skip => {
                self.record.counted = now;
                self.plan();
            }
        }
    }

    /// A random time below the job's jitter.
    fn jitter(&self) -> Duration {
        let most = u64::try_from(self.slot.job.jitter.as_millis()).unwrap_or(u64::MAX);
        match most {
            0 => Duration::ZERO,
            most => Duration::from_millis(self.scheduler.seams.entropy.random_u64() % most),
        }
    }

    /// The time of the next run has come.
    async fn on_time(&mut self, shutdown: &mut Shutdown) {
        let Some(next) = self.next else {
            return;
        };
        let late = self.now().since(next.at);
        if late > LATE && self.slot.job.missed == MissedRun::Skip {
            self.record.counted = self.now();
            self.plan();
            return;
        }
        let scheduler = Arc::clone(&self.scheduler);
        let _place = tokio::select! {
            biased;
            () = shutdown.begun() => return,
            place = scheduler.places.acquire() => place,
        };
        let times = self.record.begun.map_or(0, |begun| begun.times);
        self.record.begun = Some(Begun {
            due: next.due,
            times: times + 1,
        });
        self.save(None).await;
        let ended = self.work(Some(next.due), shutdown).await;
        self.record.begun = None;
        match ended {
            Some(last) => {
                // Those that fell due meanwhile had their turn in this one.
                self.record.counted = next.due.max(self.now());
                self.ended(last).await;
                self.plan();
            }
            None => self.save(None).await,
        }
    }

    /// Somebody asked for a run.
    async fn on_demand(&mut self, asked: Asked, shutdown: &Shutdown) {
        if let Some(last) = self.work(None, shutdown).await {
            self.ended(last.clone()).await;
            // Who asked may have stopped waiting.
            let _ = asked.send(last);
        }
    }

    /// Runs the job; `None` when the shutdown ended it.
    async fn work(&self, due: Option<Timestamp>, shutdown: &Shutdown) -> Option<LastRun> {
        let (job, clock) = (&self.slot.job, &self.scheduler.seams.clock);
        let (began, from) = (clock.now(), clock.monotonic());
        self.slot.shown().running_since = Some(began);
        let run = JobRun {
            began,
            due,
            shutdown: shutdown.clone(),
        };
        // In a task of its own: a panic is its own, too. Dropping the set ends it.
        let (mut running, work) = (JoinSet::new(), Arc::clone(&job.work));
        running.spawn(async move { work(run).await });
        let outcome = tokio::select! {
            biased;
            ended = running.join_next() => Some(match ended {
                Some(Ok(outcome)) => outcome.map_err(|error| error.0),
                _ => Err("it ended by a panic".to_owned()),
            }),
            () = clock.sleep_until(from.after(job.time_limit)) => {
                Some(Err(format!("it took longer than {:?} and was ended", job.time_limit)))
            }
            () = self.drained(shutdown.clone()) => None,
        };
        self.slot.shown().running_since = None;
        // That it could not be done while the server goes down says nothing.
        let outcome = outcome.filter(|outcome| outcome.is_ok() || !shutdown.has_begun())?;
        let took = clock.monotonic().since(from).as_millis();
        let len = self.scheduler.config.result_len;
        Some(LastRun {
            began,
            took: Duration::from_millis(u64::try_from(took).unwrap_or(u64::MAX)),
            outcome: match outcome {
                Ok(text) => Ok(cut(text, len)),
                Err(text) => Err(cut(text, len)),
            },
        })
    }

    async fn drained(&self, mut shutdown: Shutdown) {
        shutdown.begun().await;
        let clock = &self.scheduler.seams.clock;
        let until = clock.monotonic().after(self.scheduler.config.drain_for);
        clock.sleep_until(until).await;
    }

    /// Remembers a run and tells of it.
    async fn ended(&mut self, last: LastRun) {
        let seams = &self.scheduler.seams;
        let now = seams.clock.now();
        let (name, field, text) = match &last.outcome {
            Ok(text) => (EventName::JobDone, "result", text),
            Err(text) => (EventName::JobFailed, "error", text),
        };
        let event = Event {
            id: EventId(seams.entropy.id(now)),
            at: now,
            name,
            trace: None,
            account: None,
            fields: Vec::new(),
        };
        let event = event
            .with("job", &self.slot.job.name)
            .with(field, text)
            .with("took_ms", last.took.as_millis());
        self.slot.shown().last = Some(last.clone());
        self.record.last = Some(last);
        self.save(Some(event)).await;
    }

    /// Writes down what stands. A store that takes no changes is no reason not
    /// to run a job: it may be the one that makes room.
    async fn save(&self, event: Option<Event>) {
        let name = &*self.slot.job.name;
        let Some(memory) = &self.scheduler.seams.memory else {
            return;
        };
        if let Err(error) = memory.save(name, &self.record, self.now(), event).await {
            tracing::warn!(job = name, %error, "can't remember this job's runs");
        }
    }
}

/// At most `len` octets of a text, and a sign where there was more.
fn cut(mut text: String, len: usize) -> String {
    if text.len() > len {
        text.truncate(text.floor_char_boundary(len.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
    text
}
