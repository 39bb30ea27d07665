//! The lock that lets one process own a store. It goes with the process, however
//! that ends. The file also names its holder, for the message to a second one.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Octets of the lock file that are looked at.
const MAX_NAME: u64 = 64;

/// What was had of the lock.
#[derive(Debug)]
pub(crate) enum Lock {
    /// The store is ours.
    Owned(#[expect(dead_code, reason = "held, and dropped at the end")] Owned),
    /// It can be read but not written; nobody here writes it either. The lock
    /// file need not be there.
    Shared {
        file: Option<File>,
        /// Why it can't be written.
        reason: String,
    },
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another holds it: the process, if it can be told.
    Held(Option<u32>),
    Io(io::Error),
}

/// The lock as its holder has it.
#[derive(Debug)]
pub(crate) struct Owned(File);

impl Owned {
    /// Names this process in the file. Only a help: a failure costs a name.
    fn sign(mut self) -> Self {
        let name = format!("{}\n", std::process::id());
        let signed = self
            .0
            .set_len(0)
            .and_then(|()| self.0.write_all(name.as_bytes()));
        if let Err(error) = signed {
            tracing::debug!(%error, "the lock file does not name its holder");
        }
        self
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Nobody holds it from here on; a name left behind misleads nobody who
        // gets the lock.
        drop(self.0.set_len(0));
    }
}

/// True when the system forbids to write and will go on doing so.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

/// Takes the lock of the store in `root`. With `readable` a store that may not
/// be written is locked against those that write it.
pub(crate) fn take(root: &Path, readable: bool) -> Result<Lock, LockError> {
    let path = root.join("lock");
    let opened = File::options()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path);
    match opened {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Lock::Owned(Owned(file).sign())),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(holder(&file))),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        },
        Err(error) if readable && is_read_only(&error) => share(root, error.to_string()),
        Err(error) => Err(LockError::Io(error)),
    }
}

/// Locks the store in `root` against those that write it; for reading, because
/// of `reason`.
pub(crate) fn share(root: &Path, reason: String) -> Result<Lock, LockError> {
    let file = match File::open(root.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Lock::Shared { file: None, reason });
        }
        Err(error) => return Err(LockError::Io(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            let file = Some(file);
            Ok(Lock::Shared { file, reason })
        }
        Err(TryLockError::WouldBlock) => Err(LockError::Held(holder(&file))),
        Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
    }
}

fn holder(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(MAX_NAME).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
