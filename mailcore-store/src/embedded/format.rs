//! The format of a store: the file that names it, and a look at every part that
//! may be of a newer one before anything is written.
//!
//! Format 2 differs from 1 in what records may hold. Every record and effect
//! names the version of its own layout, so older ones stay readable as they are;
//! [`super::migrate`] keeps a copy of an older store before the first new one is
//! written.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mailcore::seams::Entropy;
use thiserror::Error;

use super::fs::FileSystem;
use super::index::INDEX_VERSION;
use super::layout::Layout;
use super::log::{FORMAT, LogDirectory, LogError, OLDEST_FORMAT, StoreId};

/// The format file is three short lines.
const MAX_FILE: usize = 4_096;
/// Where SQLite keeps `user_version` in its file, big-endian (the SQLite file
/// format, section 1.3).
const USER_VERSION_AT: usize = 60;
/// Octets in which a damaged identity may differ from the right one.
const NEARLY: usize = 4;

/// What becomes of a store in an older format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Migration {
    /// It is migrated; what it was is kept in `before-format-<n>` in the store's
    /// directory, to be removed by the operator.
    #[default]
    Automatic,
    /// It is not opened.
    Refuse,
}

/// Why a store's format is not one to work with. Nothing was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The store was written by a newer version.
    #[error(
        "{path}: format {found} is newer than {FORMAT}, which this program knows; use a newer program"
    )]
    Newer {
        /// The format file.
        path: PathBuf,
        /// The format it names.
        found: u32,
    },
    /// The index was made by a newer version.
    #[error(
        "{path}: tables of version {found}, newer than {INDEX_VERSION}, which this program knows; \
         use a newer program, or remove index.db, -wal and -shm: this one builds them anew from the log"
    )]
    NewerIndex {
        /// The index.
        path: PathBuf,
        /// The version it names.
        found: u32,
    },
    /// The store is older, and the options forbid to change that.
    #[error(
        "{path}: format {found} is older than {FORMAT} and migration is refused; allow it (a copy \
         is kept), or use the program that wrote this store"
    )]
    Older {
        /// The format file.
        path: PathBuf,
        /// The format it names.
        found: u32,
    },
    /// The format file is not one.
    #[error(
        "{0}: not a mailcore store's format file, and there is no log to make it anew from; choose \
         another directory or restore the file"
    )]
    NotAStore(PathBuf),
    /// The format file is damaged, and it can't be told whose the log is.
    #[error(
        "{0}: damaged, and the segments in log/ are of more than one store; restore the file, or \
         move the segments out that belong elsewhere"
    )]
    Mixed(PathBuf),
    /// The operating system refused.
    #[error("{path}: {source}; check that the directory exists and may be read")]
    Io {
        /// What was being read.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What is known of a store that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) format: u32,
    pub(crate) identity: StoreId,
    /// The format file itself is there. Without it the log's headers speak.
    pub(crate) file: bool,
    /// The index has tables of an older version.
    pub(crate) old_index: bool,
    /// There was a format file, and it was not to be trusted.
    pub(crate) damaged: bool,
}

/// What a store says of itself: its format and whose it is.
type Named = (u32, StoreId);

impl Found {
    pub(crate) fn is_old(&self) -> bool {
        self.format < FORMAT
    }
}

/// Looks at a store without writing anything; `None` where none is.
///
/// # Errors
/// [`FormatError`]; above all when any part is newer than this program.
pub(crate) fn look(
    layout: &Layout,
    files: &std::sync::Arc<dyn FileSystem>,
) -> Result<Option<Found>, FormatError> {
    let path = layout.format();
    let octets = match read_file(&**files, &path) {
        Ok(octets) => Some(octets),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(FormatError::Io { path, source }),
    };
    let directory = LogDirectory {
        files: std::sync::Arc::clone(files),
        path: layout.log.clone(),
        store: StoreId([0; 16]),
        generations: Default::default(),
    };
    let (named, file, damaged) = match octets {
        None => {
            let newest = directory.newest_header()?;
            (newest.map(|it| (it.format, it.store)), false, false)
        }
        Some(octets) => match trusted(&octets, &path, &directory)? {
            Some(named) => (Some(named), true, false),
            None => (Some(from_headers(&path, &directory)?), false, true),
        },
    };
    let index = index_version(&layout.index)?;
    if index > INDEX_VERSION {
        return Err(FormatError::NewerIndex {
            path: layout.index.clone(),
            found: u32::try_from(index).unwrap_or(u32::MAX),
        });
    }
    Ok(named.map(|(format, identity)| Found {
        format,
        identity,
        file,
        old_index: (1..INDEX_VERSION).contains(&index),
        damaged,
    }))
}

/// What the format file says; `None` when it is damaged: no such file, or one
/// that differs a little from what the log says.
fn trusted(
    octets: &[u8],
    path: &Path,
    directory: &LogDirectory,
) -> Result<Option<Named>, FormatError> {
    let named = match parse(octets, path) {
        Err(FormatError::NotAStore(_)) => return Ok(None),
        other => other?,
    };
    let (format, identity) = named;
    let is_off = directory.newest_header()?.is_some_and(|newest| {
        // The file is the first to be of a newer format. Two stores differ in
        // almost every octet; segments of another one are refused as such.
        let apart = identity.octets_apart(newest.store);
        (1..=NEARLY).contains(&apart) || apart == 0 && newest.format > format
    });
    Ok((!is_off).then_some(named))
}

/// What every sound header in the log agrees on.
fn from_headers(path: &Path, directory: &LogDirectory) -> Result<Named, FormatError> {
    let mut agreed: Option<Named> = None;
    for header in directory.sound_headers()? {
        match &mut agreed {
            None => agreed = Some((header.format, header.store)),
            Some((format, store)) if *store == header.store => {
                *format = header.format.max(*format);
            }
            Some(_) => return Err(FormatError::Mixed(path.to_owned())),
        }
    }
    let named = agreed.ok_or_else(|| FormatError::NotAStore(path.to_owned()))?;
    tracing::warn!(file = %path.display(), "the format file is damaged; the log's headers say what it should");
    Ok(named)
}

/// The version of the index's tables as its file has it; 0 when unknown. SQLite
/// is not asked: it would write.
fn index_version(path: &Path) -> Result<i64, FormatError> {
    let mut head = [0; USER_VERSION_AT + 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) => {}
        // Too short to be one, or none: what opens it decides.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
            ) =>
        {
            return Ok(0);
        }
        Err(source) => {
            return Err(FormatError::Io {
                path: path.to_owned(),
                source,
            });
        }
    }
    let (_, version) = head.split_at(USER_VERSION_AT);
    let sound = head.starts_with(b"SQLite format 3\0");
    Ok(version
        .try_into()
        .ok()
        .filter(|_| sound)
        .map_or(0, |octets| i64::from(u32::from_be_bytes(octets))))
}

fn read_file(files: &dyn FileSystem, path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; MAX_FILE];
    let length = files.open_read(path)?.read_at(&mut octets, 0)?;
    octets.truncate(length);
    Ok(octets)
}

fn parse(octets: &[u8], path: &Path) -> Result<(u32, StoreId), FormatError> {
    let bad = || FormatError::NotAStore(path.to_owned());
    let text = std::str::from_utf8(octets).map_err(|_| bad())?;
    let mut lines = text.lines();
    if lines.next() != Some("mailcore store") {
        return Err(bad());
    }
    let found = lines
        .next()
        .and_then(|it| it.strip_prefix("format "))
        .and_then(|it| it.parse().ok())
        .filter(|it| *it >= OLDEST_FORMAT)
        .ok_or_else(bad)?;
    // Before the rest, which a newer format may have written otherwise.
    if found > FORMAT {
        let path = path.to_owned();
        return Err(FormatError::Newer { path, found });
    }
    let id = lines
        .next()
        .and_then(|it| it.strip_prefix("id "))
        .and_then(StoreId::from_hex)
        .ok_or_else(bad)?;
    Ok((found, id))
}

/// Writes the format file, replacing an older one as a whole.
///
/// # Errors
/// What the operating system reports; the older one then stands.
pub(crate) fn write(
    layout: &Layout,
    files: &dyn FileSystem,
    (format, id): (u32, StoreId),
) -> io::Result<()> {
    let (new, path) = (layout.root.join("format.new"), layout.format());
    match files.unlink(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.create_new(&new)?;
    file.write_all_at(
        format!("mailcore store\nformat {format}\nid {}\n", id.hex()).as_bytes(),
        0,
    )?;
    file.sync_data()?;
    files.rename(&new, &path)?;
    files.sync_dir(&layout.root)
}

/// The identity of a new store.
pub(crate) fn new_identity(entropy: &dyn Entropy) -> StoreId {
    let mut octets = [0; 16];
    entropy.fill(&mut octets);
    StoreId(octets)
}

impl StoreId {
    fn hex(self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn octets_apart(self, other: Self) -> usize {
        let pairs = self.0.iter().zip(&other.0);
        pairs.filter(|(one, other)| one != other).count()
    }

    fn from_hex(text: &str) -> Option<Self> {
        let value = u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)?;
        Some(Self(value.to_be_bytes()))
    }

    /// The number in blob keys and event ids; tells nothing of the identity.
    pub(crate) fn number(self) -> u64 {
        let mut octets = [0; 8];
        blake3::Hasher::new_derive_key("mailcore store number")
            .update(&self.0)
            .finalize_xof()
            .fill(&mut octets);
        u64::from_be_bytes(octets)
    }
}
