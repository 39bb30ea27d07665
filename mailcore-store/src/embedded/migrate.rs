//! Before a store of an older format is changed: a copy of it, complete and on
//! stable storage, beside it.
//!
//! What is never written again (ended segments, extents) gets a second name and
//! takes no space until the store removes its own; what may still be written is
//! copied. A crash in the midst of it leaves a copy without its marker, which
//! the next start makes anew.

use std::io;
use std::path::{Path, PathBuf};

use super::body::extent::ExtentId;
use super::fs::FileSystem;
use super::layout::Layout;
use super::log::{LogDirectory, SegmentId};

/// There once the copy is complete.
const COMPLETE: &str = "complete";
/// Octets copied at a time.
const CHUNK: usize = 1 << 20;

/// The folder of the copy made before the store became one of `format`.
pub(crate) fn folder(layout: &Layout, format: u32) -> PathBuf {
    layout.root.join(format!("before-format-{format}"))
}

/// Keeps the store as it is in `to`, unless a complete copy is there.
///
/// # Errors
/// What the operating system reports, with the file it is about.
pub(crate) fn keep_copy(
    layout: &Layout,
    directory: &LogDirectory,
    to: &Path,
) -> Result<(), (PathBuf, io::Error)> {
    let files = &*directory.files;
    let copy = Copier { files };
    let (log, extents) = (to.join("log"), to.join("extents"));
    for folder in [to, &log, &extents] {
        on(folder, files.create_dir_all(folder))?;
    }
    if on(to, files.list(to))?.iter().any(|name| name == COMPLETE) {
        return Ok(());
    }
    for folder in [to, &log, &extents] {
        copy.empty(folder)?;
    }
    let path = layout.format();
    match files.open_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => copy.octets(&path, &to.join("format"))?,
    }
    let newest = directory
        .newest_header()
        .map_err(|error| (directory.path.clone(), io::Error::other(error.to_string())))?;
    // From here on the log may be gone on with.
    let written = newest.map_or(SegmentId(0), |it| it.id);
    for name in on(&layout.log, files.list(&layout.log))? {
        let (from, to) = (layout.log.join(&name), log.join(&name));
        match segment(&name) {
            Some(id) if id < written => copy.name(&from, &to)?,
            Some(_) => copy.octets(&from, &to)?,
            None => {}
        }
    }
    for name in on(&layout.extents, files.list(&layout.extents))? {
        if ExtentId::from_file_name(&name).is_some() {
            copy.name(&layout.extents.join(&name), &extents.join(&name))?;
        }
    }
    for folder in [&log, &extents, to, &layout.root] {
        on(folder, files.sync_dir(folder))?;
    }
    // From here on it is whole.
    let marker = to.join(COMPLETE);
    let written = files.create_new(&marker).and_then(|file| {
        file.write_all_at(b"this copy is complete\n", 0)?;
        file.sync_data()
    });
    on(&marker, written)?;
    on(to, files.sync_dir(to))
}

/// The segment that a file of the log belongs to.
fn segment(name: &str) -> Option<SegmentId> {
    let digits = name.strip_suffix(".log")?.get(..16)?;
    u64::from_str_radix(digits, 16).ok().map(SegmentId)
}

fn on<T>(path: &Path, result: io::Result<T>) -> Result<T, (PathBuf, io::Error)> {
    result.map_err(|error| (path.to_owned(), error))
}

struct Copier<'a> {
    files: &'a dyn FileSystem,
}

impl Copier<'_> {
    /// Removes what an attempt cut short left.
    fn empty(&self, folder: &Path) -> Result<(), (PathBuf, io::Error)> {
        for name in on(folder, self.files.list(folder))? {
            let ours = ["format", COMPLETE].contains(&name.as_str())
                || segment(&name).is_some()
                || ExtentId::from_file_name(&name).is_some();
            if ours {
                let path = folder.join(name);
                on(&path, self.files.unlink(&path))?;
            }
        }
        Ok(())
    }

    /// A second name for a file that nobody writes any more; a copy where the
    /// file system has no such thing.
    fn name(&self, from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
        match self.files.hard_link(from, to) {
            Ok(()) => Ok(()),
            Err(_) => self.octets(from, to),
        }
    }

    fn octets(&self, from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
        let source = on(from, self.files.open_read(from))?;
        let target = on(to, self.files.create_new(to))?;
        let (mut buffer, mut at) = (vec![0; CHUNK], 0);
        loop {
            let filled = on(from, source.read_at(&mut buffer, at))?;
            let Some(octets) = buffer.get(..filled).filter(|it| !it.is_empty()) else {
                break;
            };
            on(to, target.write_all_at(octets, at))?;
            at += filled as u64;
        }
        on(to, target.sync_data())
    }
}
