//! What is to be done and when: [`Job`]; what it is told when its time comes:
//! [`JobRun`]; what came of it: [`LastRun`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Crontab;
use crate::net::Shutdown;
use crate::time::Timestamp;

/// How long a run may take unless its job says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

type Ending = Pin<Box<dyn Future<Output = Result<String, JobError>> + Send>>;
type Work = Arc<dyn Fn(JobRun) -> Ending + Send + Sync>;

/// Work with a name, done at set times or when asked for.
///
/// A run that is going on when the next falls due is let finish; that next one
/// is left out.
#[derive(Clone)]
#[must_use]
pub struct Job {
    pub(super) name: Arc<str>,
    pub(super) crontab: Option<Crontab>,
    pub(super) missed: MissedRun,
    pub(super) jitter: Duration,
    pub(super) time_limit: Duration,
    pub(super) work: Work,
}

/// What becomes of a run whose time passed unused: the server was down, or the
/// clock was set forward. However many were missed, it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissedRun {
    /// It is made up for once, soon.
    #[default]
    RunOnce,
    /// It is left out; the next is at its time.
    Skip,
}

/// A run, as its job sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobRun {
    /// When it began, by the server's clock.
    pub began: Timestamp,
    /// The time that the run is for; `None` when somebody asked for it.
    pub due: Option<Timestamp>,
    /// The server's end. A run may go on for
    /// [`SchedulerConfig::drain_for`](super::SchedulerConfig::drain_for) and is
    /// then dropped at its next await; one that takes long looks here and ends
    /// by an error, which counts as not run.
    pub shutdown: Shutdown,
}

/// Why a run failed, for the log and the operator. Any error becomes one by
/// `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError(pub(super) String);

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRun {
    /// When it began.
    pub began: Timestamp,
    /// How long it took, by the steady clock, to the millisecond.
    pub took: Duration,
    /// What it said of itself, or why it failed; cut to
    /// [`SchedulerConfig::result_len`](super::SchedulerConfig::result_len).
    pub outcome: Result<String, String>,
}

impl Job {
    /// Work to be done at these times. It returns what is worth a line in the
    /// log, or why it failed; then it is tried again at its next time.
    ///
    /// The name has up to 64 letters, digits, `-`, `_` and `.` of ASCII. A run
    /// is remembered under it.
    pub fn new<F, T>(name: impl Into<Arc<str>>, crontab: Crontab, work: F) -> Self
    where
        F: Fn(JobRun) -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, JobError>> + Send + 'static,
    {
        Self {
            crontab: Some(crontab),
            ..Self::on_demand(name, work)
        }
    }

    /// Work that is done only when somebody asks for it, by
    /// [`Scheduler::run_now`](super::Scheduler::run_now).
    pub fn on_demand<F, T>(name: impl Into<Arc<str>>, work: F) -> Self
    where
        F: Fn(JobRun) -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, JobError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            crontab: None,
            missed: MissedRun::default(),
            jitter: Duration::ZERO,
            time_limit: TIME_LIMIT,
            work: Arc::new(move |run| Box::pin(work(run))),
        }
    }

    /// What becomes of missed runs; made up for unless set.
    pub fn missed(mut self, missed: MissedRun) -> Self {
        self.missed = missed;
        self
    }

    /// Begins each run later by a random time below this, so that many servers
    /// do not all begin at once. None unless set.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Drops a run that takes longer, which counts as failed. 24 hours unless
    /// set.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("crontab", &self.crontab)
            .field("missed", &self.missed)
            .field("jitter", &self.jitter)
            .finish_non_exhaustive()
    }
}

impl JobError {
    /// A failure in words: what went wrong and what would be right.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for JobError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
