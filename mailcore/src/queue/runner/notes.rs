//! When of an attempt that goes on the part that is done is written down:
//! [`Notes`].
//!
//! Each time, all that is left and all that is done of the entry is written, so
//! one time for each of many jobs would be the square of them.

use std::time::Duration;

use crate::time::Monotonic;

/// Times that an attempt's jobs are written down when they end one after the
/// other at once.
const SHARES: usize = 16;
/// What is done waits no longer than this to be written down.
const LONGEST: Duration = Duration::from_secs(1);

/// What an attempt did since it was last written down. A crash repeats no more
/// than a sixteenth of its jobs, and only those of the last second.
#[derive(Debug)]
pub(super) struct Notes {
    /// Jobs at which it is written down.
    enough: usize,
    jobs: usize,
    written_at: Monotonic,
}

impl Notes {
    pub(super) fn new(jobs: usize, now: Monotonic) -> Self {
        Self {
            enough: (jobs / SHARES).max(1),
            jobs: 0,
            written_at: now,
        }
    }

    /// Counts a job by which so many recipients got the message.
    pub(super) fn add(&mut self, served: usize) {
        self.jobs += usize::from(served > 0);
    }

    pub(super) fn any(&self) -> bool {
        self.jobs > 0
    }

    /// When what is done is to be written down, whatever ends meanwhile.
    pub(super) fn due_at(&self) -> Monotonic {
        self.written_at.after(LONGEST)
    }

    /// True when it is time; what is done counts as written then.
    pub(super) fn take_due(&mut self, now: Monotonic) -> bool {
        let due = self.any() && (self.jobs >= self.enough || now >= self.due_at());
        if due {
            self.jobs = 0;
            self.written_at = now;
        }
        due
    }
}
