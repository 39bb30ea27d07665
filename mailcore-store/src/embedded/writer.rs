//! The writer thread: takes every request that waits, lets the sequencer decide
//! each, makes all of them durable with one write and one sync, makes them
//! visible, and only then answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use mailcore::event::EventCursor;
use mailcore::seams::StoreError;
use mailcore::time::Timestamp;

use super::index::{Index, MailboxState, Retention};
use super::log::{LogDirectory, LogError, LogWriter, MAX_PAYLOAD, Place};
use super::record::Record;
use super::replay::{Reach, catch_up};
use super::request::{Abort, Answer, Request};
use super::reserve::Reserve;
use super::sequencer::{Notes, Sequencer};
use super::shared::{Shared, index_error};

/// Requests gathered into one sync.
const MAX_GROUP: usize = 512;
/// Octets gathered into one sync, about.
const MAX_GATHERED: u64 = 8 << 20;
/// Groups that may be in the log before the index has to show them, asked or
/// not: bounds what the next start reads again.
const MAX_UNSEEN: u32 = 128;
/// After so long without a request the index shows what it has.
const QUIET: Duration = Duration::from_millis(20);
/// After so long without a request SQLite's write-ahead log is moved into its
/// file, so that no message waits for that later; or the index, when it could
/// not take a group, tries again.
const LONG_QUIET: Duration = Duration::from_millis(500);
/// Transactions of the index that are worth moving in a quiet moment.
const WORTH_MOVING: u32 = 64;
/// Groups between steps of removing what has had its time.
const TIDY_EVERY: u64 = 1_024;
/// Time between them, when there are fewer groups.
const TIDY_AFTER: Duration = Duration::from_secs(600);

/// What the thread owns.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Index,
    pub(crate) log: LogWriter,
    pub(crate) directory: LogDirectory,
    pub(crate) reserve: Reserve,
    pub(crate) retention: Retention,
    /// The log has groups that the index could not take.
    pub(crate) behind: bool,
    pub(crate) counts: Counts,
}

/// What the writer counts to know when upkeep is due.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Groups since the start.
    groups: u64,
    /// Groups that readers do not see yet.
    unseen: u32,
    /// Transactions of the index since SQLite's write-ahead log was moved.
    unmoved: u32,
    /// When what has had its time was last removed.
    tidied_at: Option<Timestamp>,
    /// Some of it is left.
    untidy: bool,
}

impl Counts {
    /// Whether this group removes what has had its time.
    fn is_tidying(&mut self, now: Timestamp) -> bool {
        let due = self.untidy
            || self.groups.is_multiple_of(TIDY_EVERY)
            || self.tidied_at.is_some_and(|at| at.after(TIDY_AFTER) <= now);
        if due || self.tidied_at.is_none() {
            self.tidied_at = Some(now);
        }
        due
    }
}

impl Writer {
    /// Begins to work, on a thread of its own.
    pub(crate) fn start(self, queue: Receiver<Request>) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("mailcore-store".into())
            .spawn(move || self.run(queue))
    }

    /// Works until every sender is gone, then leaves the index in order.
    fn run(mut self, queue: Receiver<Request>) {
        loop {
            let wait = match (
                self.counts.unseen > 0,
                self.behind
                    || self.counts.unmoved > WORTH_MOVING
                    || self.shared.health.needs_care(),
            ) {
                (true, _) => Some(QUIET),
                (false, true) => Some(LONG_QUIET),
                (false, false) => None,
            };
            let first = match wait {
                Some(wait) => queue.recv_timeout(wait),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match first {
                Ok(first) => self.group(first, &queue),
                Err(RecvTimeoutError::Timeout) => self.use_quiet(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tell_space(&queue);
        }
        self.reveal();
        self.shared.close_readers();
        self.shared.extents.close();
        if let Err(error) = self.index.checkpoint() {
            tracing::warn!(%error, "the index was left with its write-ahead log; the next start takes it in");
        }
    }

    /// Does what nobody should have to wait for.
    fn use_quiet(&mut self) {
        if self.counts.unseen > 0 {
            self.reveal();
            if !self.behind {
                // They are in the tables now, and memory is for who works.
                self.index.forget_held();
            }
        } else if self.behind {
            // A failure was told when it came up first.
            drop(self.ready());
        } else if self.shared.health.changes_succeed().is_err() {
            self.try_again();
        } else {
            self.counts.unmoved = 0;
            if let Err(error) = self.index.checkpoint_some() {
                tracing::warn!(%error, "the index's write-ahead log can't be moved into its file");
            }
        }
    }

    /// Finds out whether what was in the way of the last change is gone, so that
    /// nobody has to try who would rather not in vain: a new segment is a write,
    /// a sync and a name.
    fn try_again(&mut self) {
        let before = self.log.place().segment;
        let tried = self.ready().and_then(|()| match self.log.place().segment {
            // Making one was what had failed.
            after if after != before => Ok(()),
            _ => self.log.roll(),
        });
        match tried {
            Ok(()) => self.recovered(),
            Err(error) => tracing::debug!(%error, "the store still takes no changes"),
        }
    }

    /// Changes succeed again.
    fn recovered(&self) {
        if self.shared.health.succeed() {
            tracing::warn!("the store takes changes again");
            // Who works on the queue was told to wait.
            let changed = &self.shared.spool_changed;
            changed.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Notes what may last: where the log could not go on in another segment, or
    /// where even the space held back is used up.
    fn note_trouble(&self, error: &StoreError, went_on: bool, reserve_held: bool) {
        let lasting = match error {
            StoreError::ReadOnly(_) => true,
            StoreError::Io { .. } => !went_on,
            StoreError::DiskFull => !reserve_held,
            _ => false,
        };
        if lasting {
            self.shared.health.fail(error);
        }
    }

    /// Tells operators when space has become low or sufficient.
    fn tell_space(&mut self, queue: &Receiver<Request>) {
        let Some(change) = self.shared.health.untold() else {
            return;
        };
        // In vain, and tried again when changes succeed.
        if self.shared.health.changes_succeed().is_ok() {
            let shared = Arc::clone(&self.shared);
            let told = move || shared.health.tell(change);
            self.group(Request::space(change, told), queue);
        }
    }

    /// Shows readers everything that was acknowledged.
    fn reveal(&mut self) {
        self.counts.unseen = 0;
        if self.behind {
            return;
        }
        self.counts.unmoved = self.counts.unmoved.saturating_add(1);
        match self.index.commit() {
            Ok(()) => self.shared.set_unseen(false),
            Err(error) => self.fall_behind(&index_error(&error)),
        }
    }

    /// Where nothing can be written, what was acknowledged before is shown.
    fn reveal_waiting(&mut self) {
        if self.counts.unseen > 0 {
            self.reveal();
        }
    }

    /// The log is durable all the same: what was answered stays true, and the
    /// index takes the groups from the log before anything else is written.
    fn fall_behind(&mut self, error: &StoreError) {
        tracing::error!(%error, "the index could not take a group; it follows from the log");
        self.behind = true;
        self.shared.set_behind(true);
        self.shared.set_unseen(true);
        self.answer_to(error);
    }

    fn group(&mut self, first: Request, queue: &Receiver<Request>) {
        let (held, before) = (self.reserve.is_held(), self.log.place());
        if let Err(error) = self.ready() {
            let error = log_error(&error);
            self.note_trouble(&error, false, held);
            self.answer_to(&error);
            self.reveal_waiting();
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
            Ok(()) => {
                if self.log.synced() >= before.next {
                    self.recovered();
                }
                self.publish(notes);
            }
            Err(error) => {
                tracing::error!(%error, "a group of changes was refused");
                let went_on = self.log.place().segment != before.segment;
                self.note_trouble(error.cause(), went_on, self.reserve.is_held());
                self.answer_to(error.cause());
                self.log.discard();
                self.take_back();
            }
        }
        answer_all(answers, result);
        if self.log.is_full()
            && let Err(error) = self.log.roll()
        {
            tracing::error!(%error, "no new log segment can be made; the current one grows on");
        }
    }

    /// Takes a group that failed out of the index. Those before it that nobody
    /// has seen go with it, and come from the log again before anybody looks:
    /// who asks for them waits for this thread.
    fn take_back(&mut self) {
        if let Err(error) = self.index.rollback() {
            return self.fall_behind(&index_error(&error));
        }
        if self.index.applied.next <= self.log.synced() {
            self.behind = true;
            if let Err(error) = self.follow() {
                self.fall_behind(&log_error(&error));
            }
        }
        self.counts.unseen = 0;
    }

    /// Puts right what an earlier group left wrong.
    fn ready(&mut self) -> Result<(), LogError> {
        // While catching up the index needs the space more.
        let follows = self.behind;
        if follows {
            self.follow()?;
        }
        self.log.recover()?;
        if !follows {
            self.reserve.refill(self.shared.clock.monotonic());
        }
        Ok(())
    }

    /// Has the index take what it lacks from the log, and show it. What was
    /// acknowledged is read so even where nothing can be written to the log;
    /// a refused group may lie behind it in a file that is not sealed yet.
    fn follow(&mut self) -> Result<(), LogError> {
        self.index.rollback()?;
        let reach = Reach::synced(self.log.synced());
        catch_up(&mut self.index, &self.directory, reach)?;
        self.counts.unseen = 0;
        self.republish()?;
        self.behind = false;
        self.shared.set_unseen(false);
        self.shared.set_behind(false);
        Ok(())
    }

    /// Answers a request without letting it write.
    fn refuse(&mut self, request: Request, error: &StoreError) {
        let (shared, now) = (Arc::clone(&self.shared), self.shared.clock.now());
        if self.index.begin_group().is_ok() {
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
        queue: &Receiver<Request>,
        answers: &mut Vec<Answer>,
        notes: &mut Vec<Notes>,
    ) -> Result<(), StoreError> {
        self.index
            .begin_group()
            .map_err(|error| index_error(&error))?;
        let (shared, now) = (Arc::clone(&self.shared), self.shared.clock.now());
        let start = self.log.place().offset;
        let mut next = Some(first);
        while let Some(request) = next {
            let mut sequencer = Sequencer::new(&mut self.index, &shared, self.log.place(), now);
            sequencer.bodies_refused = !self.reserve.takes_bodies();
            let Request(work, place) = request;
            let (answer, result) = work(&mut sequencer);
            answers.push(answer);
            // Its place is free for the next.
            drop(place);
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
        self.counts.groups += 1;
        if self.counts.is_tidying(now) {
            self.counts.untidy = self
                .index
                .tidy(now, &self.retention)
                .map_err(|error| index_error(&error))?;
        }
        Ok(())
    }

    /// Makes the group durable. The index shows it when somebody looks.
    fn write(&mut self) -> Result<(), StoreError> {
        self.log.flush().map_err(|error| log_error(&error))?;
        self.counts.unseen += 1;
        self.shared.set_unseen(true);
        Ok(())
    }

    /// Whether the group must be visible before anybody is told of it.
    fn is_awaited(
        &self,
        notes: &[Notes],
        changed: &[MailboxState],
        accounts: &BTreeSet<Arc<str>>,
    ) -> bool {
        // A lease must not end while readers see the queue as it was before.
        let told = |it: &Notes| it.reveal || it.spool || !it.leases_ended.is_empty();
        // Who watches is answered from what was gathered, where that is whole.
        let asked = |state: &MailboxState| {
            let fresh = self.index.fresh.get(&state.id);
            let modseq = state.status().highest_modseq;
            !fresh.is_some_and(|it| it.reaches(modseq)) && self.shared.is_watched(state.id)
        };
        self.counts.unseen >= MAX_UNSEEN
            || notes.iter().any(told)
            || changed.iter().any(asked)
            || self.shared.is_any_watched(accounts)
    }

    /// On a full disk: the reserve is what the next group lives on. Of a damaged
    /// index: the next start makes another.
    fn answer_to(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Damaged(_)) {
            self.shared.doubt_index();
        }
        if matches!(error, StoreError::DiskFull) {
            self.reserve.give_up();
        }
    }

    fn publish(&mut self, notes: Vec<Notes>) {
        let as_of = self.index.applied.next.0;
        // Before the counters: who sees a message there can claim it.
        self.shared.note_filed(self.index.filed.drain());
        let changed: Vec<MailboxState> = self.index.settle();
        let mut accounts = std::mem::take(&mut self.index.touched);
        self.shared.names.forget(&accounts);
        accounts.extend(changed.iter().map(|it| it.account.clone()));
        if self.is_awaited(&notes, &changed, &accounts) {
            self.reveal();
        }
        let mut fresh = std::mem::take(&mut self.index.fresh);
        for state in changed {
            if let Some(live) = self.shared.live_if_open(state.id) {
                live.update_by(as_of, state.status(), fresh.remove(&state.id));
            }
        }
        self.shared.trim_recent();
        for id in std::mem::take(&mut self.index.deleted) {
            self.shared.claim_untold(id);
            if let Some(live) = self.shared.live_if_open(id) {
                live.close();
            }
        }
        self.shared
            .tell_accounts(|account| accounts.contains(account));
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
        self.shared.names.forget_all();
        for live in self.shared.all_live() {
            match self.index.mailbox(live.id)? {
                Some(state) => live.update(as_of, state.status()),
                None => live.close(),
            }
        }
        self.shared.tell_accounts(|_| true);
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
        LogError::Apply(error) => index_error(&error.0),
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
