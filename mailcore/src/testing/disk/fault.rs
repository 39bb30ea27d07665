//! What can be made to fail, and how.

use std::fmt;
use std::io;
use std::ops::BitOr;

/// Kinds of operations, one or several.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ops(u16);

impl Ops {
    /// Reading from a file.
    pub const READ: Self = Self(1);
    /// Writing to a file.
    pub const WRITE: Self = Self(1 << 1);
    /// Syncing a file.
    pub const SYNC: Self = Self(1 << 2);
    /// Setting a file's length.
    pub const LENGTH: Self = Self(1 << 3);
    /// Making a file, or a second name of one.
    pub const CREATE: Self = Self(1 << 4);
    /// Opening a file, for reading or for both.
    pub const OPEN: Self = Self(1 << 5);
    /// Renaming a file.
    pub const RENAME: Self = Self(1 << 6);
    /// Removing a file's name.
    pub const UNLINK: Self = Self(1 << 7);
    /// Syncing a directory.
    pub const SYNC_DIR: Self = Self(1 << 8);
    /// Making directories.
    pub const MAKE_DIR: Self = Self(1 << 9);
    /// Listing a directory.
    pub const LIST: Self = Self(1 << 10);

    /// No operation.
    pub const NONE: Self = Self(0);
    /// Both kinds of sync.
    pub const SYNCS: Self = Self(Self::SYNC.0 | Self::SYNC_DIR.0);
    /// Everything that durability rests on: what a cut counts.
    pub const CHANGES: Self = Self(
        Self::WRITE.0
            | Self::SYNCS.0
            | Self::LENGTH.0
            | Self::CREATE.0
            | Self::RENAME.0
            | Self::UNLINK.0
            | Self::MAKE_DIR.0,
    );
    /// Everything.
    pub const ALL: Self = Self((1 << Self::KINDS) - 1);

    const NAMES: [&'static str; Self::KINDS] = [
        "read", "write", "sync", "length", "create", "open", "rename", "unlink", "sync_dir",
        "make_dir", "list",
    ];
    pub(super) const KINDS: usize = 11;

    /// True when each of `other` is one of these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn indices(self) -> impl Iterator<Item = usize> {
        (0..Self::KINDS).filter(move |index| self.0 & 1 << index != 0)
    }
}

impl BitOr for Ops {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.indices().map(|index| Self::NAMES[index]);
        f.debug_set().entries(names).finish()
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// EIO. A write may have written a part. After a failed sync it is unknown
    /// for good what reached the medium: reads show everything, and no later
    /// sync writes what is missing.
    Io,
    /// ENOSPC. A write may have written a part.
    Full,
    /// EROFS: the file system went read-only.
    ReadOnly,
    /// EMFILE: no file descriptor is left.
    Descriptors,
}

impl Fault {
    /// As the operating system reports it.
    pub(super) fn error(self) -> io::Error {
        /// The same number on every Unix.
        const EMFILE: i32 = 24;
        match self {
            Self::Io => io::Error::other("input/output error, put in by the test"),
            Self::Full => io::ErrorKind::StorageFull.into(),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
            Self::Descriptors => io::Error::from_raw_os_error(EMFILE),
        }
    }

    /// True when a failing write or sync may have done a part of its work.
    pub(super) fn does_a_part(self) -> bool {
        matches!(self, Self::Io | Self::Full)
    }
}

/// A fault that waits for its operation.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) ops: Ops,
    /// Operations until it strikes.
    pub(super) left: u64,
    pub(super) fault: Fault,
    /// It goes on from there.
    pub(super) lasts: bool,
}

impl Plan {
    /// Counts an operation; the fault when it strikes.
    pub(super) fn meets(&mut self, op: Ops) -> Option<Fault> {
        if !self.ops.contains(op) {
            return None;
        }
        match self.left {
            0 => self.lasts.then_some(self.fault),
            1 => {
                self.left = 0;
                Some(self.fault)
            }
            _ => {
                self.left -= 1;
                None
            }
        }
    }
}
