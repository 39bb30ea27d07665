//! [`Scheduler`]: the jobs of a server, what they are up to, and those who ask.
//!
//! Each job has a task of its own ([`keeper`](super::keeper)), so that none
//! overlaps itself and none waits for another.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::keeper::Keeper;
use super::{Crontab, Job, JobMemory, LastRun, Utc, Zone};
use crate::net::Shutdown;
use crate::seams::{Clock, Entropy, StoreError};
use crate::time::Timestamp;

/// Octets of a job's name.
const MAX_NAME: usize = 64;

/// How often the clocks are compared.
const COMPARE: Duration = Duration::from_secs(6 * 60 * 60);

/// A wall clock that is set back by more was wrong before: schedules then count
/// from what it shows now. One set back by less is waited for, so that no run
/// is repeated (as cron does it).
pub(super) const CORRECTION: Duration = Duration::from_secs(3 * 60 * 60);

/// What a scheduler works with.
#[derive(Debug, Clone)]
pub struct SchedulerSeams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter and the ids of events.
    pub entropy: Arc<dyn Entropy>,
    /// What outlives the process; without it every start is the first.
    pub memory: Option<JobMemory>,
}

/// How a scheduler works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SchedulerConfig {
    /// Whose time schedules are written in.
    pub zone: Arc<dyn Zone>,
    /// Jobs that there may be.
    pub max_jobs: usize,
    /// Runs at a time; those that somebody asked for do not count.
    pub at_once: usize,
    /// How long after the start a missed run is made up for.
    pub after_start: Duration,
    /// Octets kept of what a run says.
    pub result_len: usize,
    /// How long a run may go on when the server goes down.
    pub drain_for: Duration,
    /// Runs nothing by itself, only what is asked for: for an operator's
    /// commands on data at rest.
    pub idle: bool,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            zone: Arc::new(Utc),
            max_jobs: 256,
            at_once: 2,
            after_start: Duration::from_secs(60),
            result_len: 1_000,
            drain_for: Duration::from_secs(10),
            idle: false,
        }
    }
}

/// A job as an operator sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its schedule; `None` when it is only run on demand.
    pub crontab: Option<Crontab>,
    /// When it is to begin next.
    pub next: Option<Timestamp>,
    /// When the run began that goes on.
    pub running_since: Option<Timestamp>,
    /// The last run that ended, before a restart or after.
    pub last: Option<LastRun>,
}

/// Why a job was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddJobError {
    /// The name is none.
    #[error("{0:?} can't be a job's name; it takes 1 to 64 letters, digits, -, _ and . of ASCII")]
    Name(Arc<str>),
    /// The name is taken.
    #[error("there is a job {0:?} already; give this one another name")]
    Duplicate(Arc<str>),
    /// Too many jobs.
    #[error("there are {0} jobs already; SchedulerConfig::max_jobs allows no more")]
    TooMany(usize),
}

/// Why a job was not run on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunNowError {
    /// No job of that name.
    #[error("there is no such job")]
    NoSuchJob,
    /// It is running, or about to; it never overlaps itself.
    #[error("the job is running; ask again when it has ended")]
    Running,
    /// The server went down before the end.
    #[error("the server is going down")]
    GoingDown,
}

/// Runs jobs at their times.
///
/// *Once*: a time that has come is used once, over restarts and changes of the
/// clock. A run that a shutdown ends, or that fails once one has begun, counts
/// as not run. One that the process dies in is begun once more at the next start, and then counts as failed, so
/// that a job that takes the server down can't do so for ever.
/// *Failure*: an event `JobFailed`, and the next try at the job's next time.
/// A store that takes no changes keeps no job from running.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) seams: SchedulerSeams,
    pub(super) config: SchedulerConfig,
    /// Places of runs.
    pub(super) places: Semaphore,
    /// Counts the times that the clock was set back by more than
    /// [`CORRECTION`].
    pub(super) corrections: watch::Sender<u64>,
    jobs: Mutex<Vec<Arc<Slot>>>,
    added: Notify,
}

/// A job and what it is up to.
pub(super) struct Slot {
    pub(super) job: Job,
    shown: Mutex<Shown>,
    ask: mpsc::Sender<Asked>,
    /// Taken by the job's task.
    asked: Mutex<Option<mpsc::Receiver<Asked>>>,
}

/// Somebody who waits for a run.
pub(super) type Asked = oneshot::Sender<LastRun>;

/// What changes of a job's [`JobStatus`].
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) next: Option<Timestamp>,
    pub(super) running_since: Option<Timestamp>,
    pub(super) last: Option<LastRun>,
}

impl Scheduler {
    /// A scheduler without jobs.
    pub fn new(seams: SchedulerSeams, config: SchedulerConfig) -> Arc<Self> {
        Arc::new(Self {
            places: Semaphore::new(config.at_once.clamp(1, Semaphore::MAX_PERMITS)),
            corrections: watch::Sender::new(0),
            jobs: Mutex::default(),
            added: Notify::new(),
            seams,
            config,
        })
    }

    /// Takes a job, while the scheduler runs or before.
    ///
    /// # Errors
    /// [`AddJobError`].
    pub fn add(&self, job: Job) -> Result<(), AddJobError> {
        let name = Arc::clone(&job.name);
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(AddJobError::Name(name));
        }
        let mut jobs = lock(&self.jobs);
        if jobs.iter().any(|slot| slot.job.name == name) {
            return Err(AddJobError::Duplicate(name));
        }
        if jobs.len() >= self.config.max_jobs {
            return Err(AddJobError::TooMany(jobs.len()));
        }
        let next = job
            .crontab
            .as_ref()
            .and_then(|crontab| crontab.next_after(self.seams.clock.now(), &*self.config.zone));
        let (ask, asked) = mpsc::channel(1);
        jobs.push(Arc::new(Slot {
            job,
            shown: Mutex::new(Shown {
                next,
                ..Shown::default()
            }),
            ask,
            asked: Mutex::new(Some(asked)),
        }));
        self.added.notify_one();
        Ok(())
    }

    /// Reads what is remembered of the jobs, for [`Scheduler::list`] of a
    /// scheduler that does not run; [`Scheduler::run`] does so by itself.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn recall(&self) -> Result<(), StoreError> {
        let Some(memory) = &self.seams.memory else {
            return Ok(());
        };
        let slots = lock(&self.jobs).clone();
        for slot in slots {
            if let Some(record) = memory.load(&slot.job.name).await? {
                let mut shown = slot.shown();
                shown.last = shown.last.take().or(record.last);
            }
        }
        Ok(())
    }

    /// Every job, in the order in which they were added.
    pub fn list(&self) -> Vec<JobStatus> {
        let status = |slot: &Arc<Slot>| {
            let shown = slot.shown();
            JobStatus {
                name: Arc::clone(&slot.job.name),
                crontab: slot.job.crontab.clone(),
                next: shown.next,
                running_since: shown.running_since,
                last: shown.last.clone(),
            }
        };
        lock(&self.jobs).iter().map(status).collect()
    }

    /// Runs a job now and waits for its end. Its next time stays what it was.
    /// Dropping this does not stop the run. Waits for [`Scheduler::run`] to be
    /// called.
    ///
    /// # Errors
    /// [`RunNowError`]. A run that failed is no error here: see
    /// [`LastRun::outcome`].
    pub async fn run_now(&self, name: &str) -> Result<LastRun, RunNowError> {
        let slot = lock(&self.jobs)
            .iter()
            .find(|slot| &*slot.job.name == name)
            .map(Arc::clone)
            .ok_or(RunNowError::NoSuchJob)?;
        if slot.shown().running_since.is_some() {
            return Err(RunNowError::Running);
        }
        let (asked, answer) = oneshot::channel();
        slot.ask.try_send(asked).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RunNowError::Running,
            mpsc::error::TrySendError::Closed(_) => RunNowError::GoingDown,
        })?;
        answer.await.map_err(|_| RunNowError::GoingDown)
    }

    /// Runs jobs until the shutdown begins, and then lets those that run
    /// finish. Dropping the future ends them at once. Once only: what is told
    /// to go down stays so.
    pub async fn run(self: Arc<Self>, mut shutdown: Shutdown) {
        let mut keepers = JoinSet::new();
        let mut ahead = self.ahead();
        loop {
            self.keep_new(&mut keepers, &shutdown);
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                () = self.added.notified() => {}
                () = self.nap(), if !keepers.is_empty() => {
                    let now = self.ahead();
                    let correction = i64::try_from(CORRECTION.as_millis()).unwrap_or(i64::MAX);
                    if now < ahead.saturating_sub(correction) {
                        tracing::warn!("the clock was set back; schedules count from its time now");
                        self.corrections.send_modify(|count| *count += 1);
                    }
                    ahead = now;
                }
            }
        }
        while keepers.join_next().await.is_some() {}
    }

    /// Milliseconds by which wall time is ahead of steady time.
    fn ahead(&self) -> i64 {
        let steady = self.seams.clock.monotonic().since_origin().as_millis();
        let wall = self.seams.clock.now().millis();
        wall.saturating_sub(i64::try_from(steady).unwrap_or(i64::MAX))
    }

    async fn nap(&self) {
        let clock = &self.seams.clock;
        clock.sleep_until(clock.monotonic().after(COMPARE)).await;
    }

    fn keep_new(self: &Arc<Self>, keepers: &mut JoinSet<()>, shutdown: &Shutdown) {
        for slot in lock(&self.jobs).iter() {
            if let Some(asked) = lock(&slot.asked).take() {
                let keeper = Keeper::new(Arc::clone(self), Arc::clone(slot));
                keepers.spawn(keeper.keep(asked, shutdown.clone()));
            }
        }
    }
}

impl Slot {
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        lock(&self.shown)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("job", &self.job)
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
