//! Who may touch the log's files: one compaction at a time, and none while a
//! check or a backup reads them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// See the file's description.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// A run is being rewritten.
    running: bool,
    /// Readers that need the files to stay as they are.
    held: u32,
    /// The store is being closed.
    closed: bool,
}

/// Keeps compaction from changing files until it is dropped.
#[derive(Debug)]
#[must_use = "compaction goes on as soon as this is dropped"]
pub struct CompactionHold(Arc<Holds>);

impl Drop for CompactionHold {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.held = state.held.saturating_sub(1);
        self.0.changed.notify_all();
    }
}

/// Leave to rewrite one run.
#[derive(Debug)]
pub(super) struct Turn<'h>(&'h Holds);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
        self.0.changed.notify_all();
    }
}

impl Turn<'_> {
    /// False when the store is being closed: what is not finished is given up.
    pub(super) fn may_go_on(&self) -> bool {
        !self.0.state().closed
    }

    /// Waits for so long, less when the store is being closed.
    pub(super) fn pause(&self, time: Duration) {
        let state = self.0.state();
        let closed = |state: &mut State| !state.closed;
        drop(self.0.changed.wait_timeout_while(state, time, closed));
    }
}

impl Holds {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, mut state: MutexGuard<'_, State>) {
        while state.running {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a run that is being rewritten, and keeps others from starting.
    pub(crate) fn hold(self: &Arc<Self>) -> CompactionHold {
        let mut state = self.state();
        state.held += 1;
        self.wait(state);
        CompactionHold(Arc::clone(self))
    }

    /// Leave to rewrite a run; `None` while somebody holds the files, another
    /// compaction runs or the store is being closed.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        let mut state = self.state();
        if state.running || state.held > 0 || state.closed {
            return None;
        }
        state.running = true;
        Some(Turn(self))
    }

    /// Has what runs give up, and waits for that.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.changed.notify_all();
        self.wait(state);
    }
}
