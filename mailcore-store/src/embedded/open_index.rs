//! Bringing what is derived in step with the log when a store is opened: the
//! index, built anew where it cannot be used, and the extents.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::body::extent::Extents;
use super::fs::FileSystem;
use super::index::{Index, is_damage, read};
use super::layout::{Layout, io_error};
use super::log::{LogDirectory, LogError, Lsn, Place, StoreId};
use super::replay::{Reach, Replayed, catch_up, look_ahead};
use super::sequencer::extent_body;
use super::shared::in_doubt;
use super::store::OpenError;

/// The index, in step with the log; built anew when it cannot be used. One of an
/// older version is removed first: it is no evidence of anything.
pub(crate) fn open_index(
    layout: &Layout,
    directory: &LogDirectory,
    forget: bool,
) -> Result<(Index, Replayed, bool), OpenError> {
    let index_error = |source| OpenError::Index {
        path: layout.index.clone(),
        source,
    };
    if forget {
        tracing::info!("the index is of an older version; building it anew from the log");
    } else if layout.index.exists() {
        if !in_doubt(&layout.index).exists()
            && let Some(mut index) =
                Index::open(&layout.index, directory.store).map_err(index_error)?
            && let Some(others) = directory.settle(index.word().map_err(index_error)?.as_ref())?
        {
            if index.applied == Place::START {
                // Made, and nothing taken in yet.
                let compacted = directory.generations.compacted();
                index.adopt(&compacted).map_err(index_error)?;
            }
            let vouched = Lsn(index.applied.next.0.saturating_sub(1));
            look_ahead(directory, index.applied, vouched)?;
            directory.secure(index.applied)?;
            match catch_up(&mut index, directory, Reach::all(vouched)) {
                Ok(replayed) => {
                    directory.clear(&others)?;
                    return Ok((index, replayed, false));
                }
                Err(LogError::Apply(error)) if is_damage(&error.0) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tracing::warn!(index = %layout.index.display(), "the index can't be used; building it anew from the log");
    }
    let others = directory.settle(None)?.unwrap_or_default();
    if layout.index.exists() {
        // What is there stays when the log can't be read.
        look_ahead(directory, Place::START, Lsn(0))?;
        match forget {
            true => remove_index(layout)?,
            false => set_aside(layout)?,
        }
    }
    let mut index = Index::open(&layout.index, directory.store)
        .map_err(index_error)?
        .ok_or_else(|| index_error(rusqlite::Error::InvalidQuery))?;
    index
        .adopt(&directory.generations.compacted())
        .map_err(index_error)?;
    let secured = directory.secure(Place::START);
    let taken = secured.and_then(|()| catch_up(&mut index, directory, Reach::all(Lsn(0))));
    match taken {
        Ok(replayed) => {
            directory.clear(&others)?;
            let rebuilt = replayed.groups > 0;
            // What is left here costs one more rebuilding.
            drop(std::fs::remove_file(in_doubt(&layout.index)));
            Ok((index, replayed, rebuilt))
        }
        Err(error) => {
            drop(index);
            remove_index(layout)?;
            Err(error.into())
        }
    }
}

fn set_aside(layout: &Layout) -> Result<(), OpenError> {
    remove(layout, &["-wal", "-shm"])?;
    match std::fs::rename(&layout.index, layout.set_aside()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(&layout.index, error))
        }
        _ => Ok(()),
    }
}

fn remove_index(layout: &Layout) -> Result<(), OpenError> {
    remove(layout, &["-wal", "-shm", ""])
}

fn remove(layout: &Layout, suffixes: &[&str]) -> Result<(), OpenError> {
    for suffix in suffixes {
        let mut name = layout.index.clone().into_os_string();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(Path::new(&name), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The extents, without those that nothing refers to. In a store with damage
/// all stay: what referred to them may be what is lost.
pub(crate) fn open_extents(
    layout: &Layout,
    files: &Arc<dyn FileSystem>,
    identity: StoreId,
    (index, sound): (&Index, bool),
) -> Result<Extents, OpenError> {
    let index_error = |source| OpenError::Index {
        path: layout.index.clone(),
        source,
    };
    if sound {
        index.forget_dead_extents().map_err(index_error)?;
    }
    let known = |id| !sound || !matches!(read::body(index.connection(), extent_body(id)), Ok(None));
    Extents::open(Arc::clone(files), layout.extents.clone(), identity, &known)
        .map_err(|source| io_error(&layout.extents, source))
}
