//! Space held back on the disk, so that a full one still takes what makes room
//! or loses nothing: expunges, flags, queue changes.
//!
//! When the disk is full the reserve is given up and bodies are refused; they
//! are taken again once the reserve could be made anew.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::fs::FileSystem;

/// Octets held back.
const RESERVE: usize = 4 << 20;

/// The reserve of one store.
#[derive(Debug)]
pub(crate) struct Reserve {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    held: bool,
}

impl Reserve {
    /// The reserve in `path`; not held until [`Reserve::refill`].
    pub(crate) fn new(files: Arc<dyn FileSystem>, path: PathBuf) -> Self {
        Self {
            files,
            path,
            held: false,
        }
    }

    /// True when the disk has room for bodies.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Makes the reserve when it is not there. Failing is no error: the disk is
    /// still full.
    pub(crate) fn refill(&mut self) {
        if self.held || !self.may_fit() {
            return;
        }
        match self.make() {
            Ok(()) => self.held = true,
            // What was made in part may be all the space there is.
            Err(_) => drop(self.files.unlink(&self.path)),
        }
    }

    /// False when it is known that there is no room, so that a full disk does not
    /// have every change write in vain.
    fn may_fit(&self) -> bool {
        let available = self
            .files
            .available(self.path.parent().unwrap_or(&self.path));
        available.is_ok_and(|octets| octets >= RESERVE as u64)
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
        if self.held {
            tracing::error!(path = %self.path.display(), "the disk is full; mail is refused until there is room");
        }
        self.held = false;
        // A file that is not there holds nothing back either.
        drop(self.files.unlink(&self.path));
    }
}
