//! Space held back on the disk, so that a full one still takes what makes room
//! or loses nothing: expunges, flags, queue changes.
//!
//! When the disk is full the reserve is given up and bodies are refused; they
//! are taken again once the reserve could be made anew. What else keeps it from
//! being made (no descriptors, a failing disk) refuses nothing: whether mail can
//! be written shows when it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mailcore::time::Monotonic;

use super::fs::FileSystem;

/// Octets held back.
const RESERVE: usize = 4 << 20;

/// What else fails than space is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Whether the reserve is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    /// There is no room for it.
    NoRoom,
    /// It could not be made at this time, for another reason.
    Failed(Monotonic),
    /// Nobody has tried.
    New,
}

/// The reserve of one store.
#[derive(Debug)]
pub(crate) struct Reserve {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    state: State,
}

impl Reserve {
    /// The reserve in `path`; not held until [`Reserve::refill`].
    pub(crate) fn new(files: Arc<dyn FileSystem>, path: PathBuf) -> Self {
        Self {
            files,
            path,
            state: State::New,
        }
    }

    /// True while the space is held back.
    pub(crate) fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// True when the disk is not known to lack room for bodies.
    pub(crate) fn takes_bodies(&self) -> bool {
        self.state != State::NoRoom
    }

    /// Makes the reserve when it is not there. Failing is no error:
    /// [`Reserve::takes_bodies`] tells what it means.
    pub(crate) fn refill(&mut self, now: Monotonic) {
        match self.state {
            State::Held => return,
            State::Failed(at) if now.since(at) < AGAIN_AFTER => return,
            _ => {}
        }
        if !self.may_fit() {
            self.state = State::NoRoom;
            return;
        }
        let Err(error) = self.make() else {
            self.state = State::Held;
            return;
        };
        // What was made in part may be all the space there is.
        drop(self.files.unlink(&self.path));
        self.state = match is_full(&error) {
            true => State::NoRoom,
            false => {
                if !matches!(self.state, State::Failed(_)) {
                    tracing::warn!(%error, path = %self.path.display(), "no space can be held back; trying again by and by");
                }
                State::Failed(now)
            }
        };
    }

    /// False when it is known that there is no room, so that a full disk does not
    /// have every change write in vain.
    fn may_fit(&self) -> bool {
        let available = self
            .files
            .available(self.path.parent().unwrap_or(&self.path));
        available.map_or(true, |octets| octets >= RESERVE as u64)
            || self.files.open_read(&self.path).is_ok()
    }

    fn make(&self) -> io::Result<()> {
        let file = match self.files.create_new(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.files.open(&self.path)?
            }
            other => other?,
        };
        if file.len()? < RESERVE as u64 {
            file.write_all_at(&vec![0; RESERVE], 0)?;
        }
        Ok(())
    }

    /// Gives the space back to the disk.
    pub(crate) fn give_up(&mut self) {
        if self.state != State::NoRoom {
            tracing::error!(path = %self.path.display(), "the disk is full; mail is refused until there is room");
        }
        self.state = State::NoRoom;
        // A file that is not there holds nothing back either.
        drop(self.files.unlink(&self.path));
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
