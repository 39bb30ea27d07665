//! The writer thread: takes every request that waits, lets the sequencer decide
//! each, makes all of them durable with one write and one sync, makes them
//! visible, and only then answers.

use std::sync::Arc;

use mailcore::event::EventCursor;
use mailcore::seams::{CommitError, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::index::{Index, MailboxState};
use super::log::{LogDirectory, LogError, LogWriter, MAX_PAYLOAD, Place};
use super::record::Record;
use super::replay::{Reach, catch_up};
use super::reserve::Reserve;
use super::sequencer::{Notes, Refusal, Sequencer};
use super::shared::{Shared, index_error};

/// Requests that may wait for the writer; more wait at the door.
pub(crate) const MAX_WAITING: usize = 1_024;
/// Requests gathered into one sync.
const MAX_GROUP: usize = 512;
/// Octets gathered into one sync, about.
const MAX_GATHERED: u64 = 8 << 20;
/// Events kept for consumers that are behind.
const MAX_EVENTS: u64 = 200_000;
/// Groups between removals of what has expired.
const TIDY_EVERY: u64 = 4_096;

/// What a request is answered with once the group's fate is known.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A request's work, on the writer thread.
pub(crate) type Work = Box<dyn FnOnce(&mut Sequencer<'_>) -> (Answer, Result<(), Abort>) + Send>;

/// The group must be given up.
#[derive(Debug)]
pub(crate) struct Abort(pub(crate) StoreError);

/// A request to the writer.
pub(crate) struct Request(Work);

impl Shared {
    /// Has the writer do `work`, durably. Once this has been polled to the point
    /// of waiting for the answer, dropping it changes nothing.
    ///
    /// # Errors
    /// What `work` refuses, or why nothing could be written.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Sequencer<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, CommitError> {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |sequencer| {
            let outcome = work(sequencer);
            let abort = match &outcome {
                Err(Refusal::Index(error)) => Err(Abort(index_error(error))),
                // A refusal after a change would be half a change.
                Err(_) if !sequencer.effects.is_empty() => Err(Abort(StoreError::Unavailable(
                    "a request could not be finished",
                ))),
                _ => Ok(()),
            };
            let answer: Answer = Box::new(move |durable| {
                let result = match (durable, outcome) {
                    (Ok(()), Ok(value)) => Ok(value),
                    (_, Err(Refusal::Store(error))) => Err(CommitError::Store(error)),
                    (_, Err(Refusal::Precondition(at))) => Err(CommitError::Precondition(at)),
                    (Ok(()), Err(Refusal::Index(error))) => {
                        Err(CommitError::Store(index_error(&error)))
                    }
                    (Err(error), _) => Err(CommitError::Store(error)),
                };
                // The asker may have gone away; what was done stays done.
                drop(sender.send(result));
            });
            (answer, abort)
        });
        let queue = super::shared::lock(&self.queue).clone();
        let closed = || CommitError::Store(StoreError::Unavailable("the store is closed"));
        queue
            .ok_or_else(closed)?
            .send(Request(work))
            .await
            .map_err(|_| closed())?;
        receiver.await.map_err(|_| closed())?
    }
}

/// What the thread owns.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Index,
    pub(crate) log: LogWriter,
    pub(crate) directory: LogDirectory,
    pub(crate) reserve: Reserve,
    /// The log has groups that the index could not take.
    pub(crate) behind: bool,
    pub(crate) groups: u64,
}

impl Writer {
    /// Works until every sender is gone, then leaves the index in order.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            self.group(first, &mut queue);
        }
        self.shared.close_readers();
        self.shared.extents.close();
        if let Err(error) = self.index.checkpoint() {
            tracing::warn!(%error, "the index was left with its write-ahead log; the next start takes it in");
        }
    }

    fn group(&mut self, first: Request, queue: &mut mpsc::Receiver<Request>) {
        if let Err(error) = self.ready() {
            let error = log_error(&error);
            self.make_room(&error);
            let waiting = std::iter::from_fn(|| queue.try_recv().ok()).take(MAX_GROUP);
            return std::iter::once(first)
                .chain(waiting)
                .for_each(|it| self.refuse(it, &error));
        }
        let (mut answers, mut notes) = (Vec::new(), Vec::new());
        let gathered = self.gather(first, queue, &mut answers, &mut notes);
        let result = match gathered {
            Ok(()) => self.write().map_err(GroupError::All),
            Err(error) => Err(GroupError::Last(error)),
        };
        match &result {
            Ok(()) => self.publish(notes),
            Err(error) => {
                tracing::error!(%error, "a group of changes was refused");
                self.make_room(error.cause());
                self.log.discard();
                if let Err(error) = self.index.rollback() {
                    tracing::error!(%error, "the index can't be rolled back");
                    self.behind = true;
                }
            }
        }
        answer_all(answers, result);
        if self.log.is_full()
            && let Err(error) = self.log.roll()
        {
            tracing::error!(%error, "no new log segment can be made; the current one grows on");
        }
    }

    /// Puts right what an earlier group left wrong.
    fn ready(&mut self) -> Result<(), LogError> {
        self.log.recover()?;
        // While catching up the index needs the space more.
        if !self.behind {
            self.reserve.refill();
        }
        if self.behind {
            self.index.rollback()?;
            catch_up(
                &mut self.index,
                &self.directory,
                Reach::all(self.log.synced()),
            )?;
            self.behind = false;
            self.republish()?;
        }
        Ok(())
    }

    /// Answers a request without letting it write.
    fn refuse(&mut self, request: Request, error: &StoreError) {
        let (shared, now) = (Arc::clone(&self.shared), self.shared.clock.now());
        if self.index.begin().is_ok() {
            let mut sequencer = Sequencer::new(&mut self.index, &shared, Place::START, now);
            let (answer, _) = (request.0)(&mut sequencer);
            drop(self.index.rollback());
            answer(Err(error.clone()));
        }
    }

    /// Sequences and applies the first request and those that wait behind it.
    fn gather(
        &mut self,
        first: Request,
        queue: &mut mpsc::Receiver<Request>,
        answers: &mut Vec<Answer>,
        notes: &mut Vec<Notes>,
    ) -> Result<(), StoreError> {
        self.index.begin().map_err(|error| index_error(&error))?;
        let (shared, now) = (Arc::clone(&self.shared), self.shared.clock.now());
        let start = self.log.place().offset;
        let mut next = Some(first);
        while let Some(request) = next {
            let mut sequencer = Sequencer::new(&mut self.index, &shared, self.log.place(), now);
            sequencer.bodies_refused = !self.reserve.is_held();
            let (answer, result) = (request.0)(&mut sequencer);
            answers.push(answer);
            result.map_err(|Abort(error)| error)?;
            let Sequencer {
                effects,
                bodies,
                notes: noted,
                ..
            } = sequencer;
            notes.push(noted);
            if !effects.is_empty() {
                let record = Record {
                    at: now.millis(),
                    effects,
                }
                .encode();
                if record.len() > MAX_PAYLOAD {
                    return Err(StoreError::TooLarge {
                        limit: MAX_PAYLOAD as u64,
                    });
                }
                self.log.push(&bodies, &record);
                self.index.applied = self.log.place();
            }
            let more = answers.len() < MAX_GROUP && self.log.place().offset - start < MAX_GATHERED;
            next = if more { queue.try_recv().ok() } else { None };
        }
        self.groups += 1;
        if self.groups.is_multiple_of(TIDY_EVERY) {
            self.index
                .tidy(now, MAX_EVENTS)
                .map_err(|error| index_error(&error))?;
        }
        self.index
            .write_counters()
            .map_err(|error| index_error(&error))
    }

    /// Makes the group durable, then visible.
    fn write(&mut self) -> Result<(), StoreError> {
        self.log.flush().map_err(|error| log_error(&error))?;
        if let Err(error) = self.index.commit() {
            // Durable all the same: the answer is yes, and the index takes the
            // group from the log before anything else is written.
            tracing::error!(%error, "the index could not take a group; it follows from the log");
            self.behind = true;
            self.make_room(&index_error(&error));
        }
        Ok(())
    }

    /// On a full disk: the reserve is what the next group lives on.
    fn make_room(&mut self, error: &StoreError) {
        if matches!(error, StoreError::DiskFull) {
            self.reserve.give_up();
        }
    }

    fn publish(&mut self, notes: Vec<Notes>) {
        let as_of = self.index.applied.next.0;
        // Before the counters: who sees a message there can claim it.
        self.shared.note_filed(self.index.filed.drain());
        let changed: Vec<MailboxState> = self.index.settle();
        for state in changed {
            if let Some(live) = self.shared.live_if_open(state.id) {
                live.update(as_of, state.status());
            }
        }
        for id in std::mem::take(&mut self.index.deleted) {
            self.shared.claim_untold(id);
            if let Some(live) = self.shared.live_if_open(id) {
                live.close();
            }
        }
        let spool = notes.iter().any(|it| it.spool);
        let mut leases = self.shared.leases();
        notes
            .iter()
            .flat_map(|it| &it.leases_ended)
            .for_each(|id| leases.end(*id));
        drop(leases);
        if spool {
            self.shared
                .spool_changed
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        self.publish_events();
    }

    fn publish_events(&self) {
        let newest = EventCursor(self.index.counters.event.saturating_sub(1));
        self.shared.newest_event.send_if_modified(|cursor| {
            let changed = *cursor != newest;
            *cursor = newest;
            changed
        });
    }

    /// After the index caught up with the log: what watchers may have missed.
    fn republish(&mut self) -> Result<(), rusqlite::Error> {
        let as_of = self.index.applied.next.0;
        for live in self.shared.all_live() {
            match self.index.mailbox(live.id)? {
                Some(state) => live.update(as_of, state.status()),
                None => live.close(),
            }
        }
        self.publish_events();
        Ok(())
    }
}

/// Why a group was given up.
#[derive(Debug, Clone, thiserror::Error)]
enum GroupError {
    /// It could not be made durable.
    #[error("{0}")]
    All(StoreError),
    /// Its last request could not be finished; the others are innocent.
    #[error("{0}")]
    Last(StoreError),
}

impl GroupError {
    fn cause(&self) -> &StoreError {
        match self {
            Self::All(error) | Self::Last(error) => error,
        }
    }
}

fn answer_all(mut answers: Vec<Answer>, result: Result<(), GroupError>) {
    let others = match result {
        Ok(()) => Ok(()),
        Err(GroupError::All(error)) => Err(error),
        Err(GroupError::Last(error)) => {
            if let Some(last) = answers.pop() {
                last(Err(error));
            }
            Err(StoreError::Unavailable(
                "a change gathered with this one failed; try again",
            ))
        }
    };
    answers
        .into_iter()
        .for_each(|answer| answer(others.clone()));
}

/// An error of the log as the seams name it.
pub(crate) fn log_error(error: &LogError) -> StoreError {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        LogError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => {
            StoreError::DiskFull
        }
        LogError::Io { source, .. } if source.kind() == ReadOnlyFilesystem => {
            StoreError::ReadOnly(error.to_string())
        }
        LogError::Apply(error) => index_error(error),
        other => StoreError::Io {
            context: "writing the log".into(),
            source: Arc::new(LogFailure(other.to_string())),
        },
    }
}

/// The log's words, shared by all whose group failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct LogFailure(String);
