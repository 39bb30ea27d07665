//! What is known of a mailbox that somebody has open: its counters as of the
//! last commit, what led to them, and its watchers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use mailcore::mailbox::{Changes, MailboxStatus, ModSeq, UidSet};
use mailcore::seams::StoreError;
use tokio::sync::watch;

use super::columns::{Columns, Places, Summaries};
use super::recent::{Fresh, Kept, Recent};
use super::shared::lock;

/// A mailbox's counters as of the last commit, and its watchers.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: u64,
    kept: Kept,
    state: Mutex<LiveState>,
    columns: Mutex<Option<Arc<Columns>>>,
    places: Mutex<Places>,
    summaries: Mutex<Summaries>,
    /// When the columns were last asked for, in the order of asking.
    asked: AtomicU64,
}

#[derive(Debug)]
struct LiveState {
    /// The log position the counters are from.
    as_of: u64,
    status: Option<MailboxStatus>,
    /// What led to them.
    recent: Option<Recent>,
    /// `None` once the mailbox is deleted.
    watchers: Option<watch::Sender<ModSeq>>,
}

impl Live {
    pub(crate) fn new(id: u64, kept: Kept) -> Self {
        let state = LiveState {
            as_of: 0,
            status: None,
            recent: None,
            watchers: Some(watch::Sender::new(ModSeq::MIN)),
        };
        Self {
            id,
            kept,
            state: Mutex::new(state),
            columns: Mutex::default(),
            places: Mutex::default(),
            summaries: Mutex::default(),
            asked: AtomicU64::new(0),
        }
    }

    /// The counters.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it is deleted.
    pub(crate) fn status(&self) -> Result<MailboxStatus, StoreError> {
        lock(&self.state).status.ok_or(StoreError::NoSuchMailbox)
    }

    /// What changed after `since`, when that is in memory.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`] when it is deleted.
    pub(crate) fn changes(&self, since: ModSeq) -> Result<Option<Changes>, StoreError> {
        let state = lock(&self.state);
        let status = state.status.ok_or(StoreError::NoSuchMailbox)?;
        // Every change takes a ModSeq, and the counters are never behind what was
        // acknowledged.
        if since >= status.highest_modseq {
            return Ok(Some(Changes {
                changed: Vec::new(),
                vanished: UidSet::EMPTY,
                complete: true,
                status,
            }));
        }
        let recent = state.recent.as_ref();
        Ok(recent.and_then(|it| it.changes(since, status)))
    }

    /// Lets go of what led to the counters.
    pub(crate) fn forget_recent(&self) {
        lock(&self.state).recent = None;
    }

    /// Takes counters over that are as of `as_of`, unless newer ones are held.
    pub(crate) fn update(&self, as_of: u64, status: MailboxStatus) {
        self.update_by(as_of, status, None);
    }

    /// As [`Live::update`], with what changed.
    pub(crate) fn update_by(&self, as_of: u64, status: MailboxStatus, fresh: Option<Fresh>) {
        let mut state = lock(&self.state);
        if state.as_of > as_of {
            return;
        }
        state.as_of = as_of;
        let modseq = |it: &MailboxStatus| it.highest_modseq;
        if state.status.as_ref().map(modseq) != Some(status.highest_modseq) {
            let before = state.recent.take();
            state.recent = Recent::extended(before, fresh, status.highest_modseq, &self.kept);
        }
        state.status = Some(status);
        if let Some(watchers) = &state.watchers {
            watchers.send_if_modified(|modseq| {
                let changed = *modseq != status.highest_modseq;
                *modseq = status.highest_modseq;
                changed
            });
        }
    }

    /// The mailbox is gone.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.as_of = u64::MAX;
        state.status = None;
        state.recent = None;
        state.watchers = None;
    }

    /// The columns held; they may be older than the counters.
    pub(crate) fn columns(&self) -> Option<Arc<Columns>> {
        static ORDER: AtomicU64 = AtomicU64::new(1);
        self.asked
            .store(ORDER.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        lock(&self.columns).clone()
    }

    /// Holds columns, unless newer ones are held.
    pub(crate) fn hold_columns(&self, columns: &Arc<Columns>) {
        let mut held = lock(&self.columns);
        if held.as_ref().is_none_or(|it| it.as_of <= columns.as_of) {
            *held = Some(Arc::clone(columns));
        }
    }

    /// Where the messages' octets lie, as far as that is held.
    /// When the columns were last asked for, in the order of asking.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn places(&self) -> MutexGuard<'_, Places> {
        lock(&self.places)
    }

    /// The messages' summaries, as far as they are held.
    pub(crate) fn summaries(&self) -> MutexGuard<'_, Summaries> {
        lock(&self.summaries)
    }

    /// Lets go of the pages.
    pub(crate) fn drop_pages(&self) {
        self.places().clear();
        self.summaries().clear();
        let mut held = lock(&self.columns);
        if let Some(columns) = held.as_ref().filter(|it| it.has_pages()) {
            *held = Some(Arc::new(columns.without_pages()));
        }
    }

    /// True when somebody waits for changes.
    pub(crate) fn is_watched(&self) -> bool {
        let state = lock(&self.state);
        state
            .watchers
            .as_ref()
            .is_some_and(|it| it.receiver_count() > 0)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<ModSeq> {
        match &lock(&self.state).watchers {
            Some(watchers) => watchers.subscribe(),
            None => watch::channel(ModSeq::MIN).1,
        }
    }
}
