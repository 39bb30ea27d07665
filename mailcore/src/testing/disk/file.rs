//! The seam on the simulated disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::content::{BLOCK, Content};
use super::fault::{Fault, Ops};
use super::inode::Inode;
use super::names::Number;
use super::{Go, SimulatedDisk, State, power_is_off};
use crate::files::{FileSystem, StoreFile};

impl SimulatedDisk {
    fn handle(&self, state: &mut State, number: Number, writable: bool) -> Arc<dyn StoreFile> {
        if let Some(file) = state.files.get_mut(&number) {
            file.open += 1;
        }
        Arc::new(Handle {
            disk: self.clone(),
            number,
            writable,
        })
    }

    fn open_as(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn StoreFile>> {
        let mut state = self.state();
        state.enter_whole(Ops::OPEN)?;
        let number = state.names.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(&mut state, number, writable))
    }
}

impl FileSystem for SimulatedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        let mut state = self.state();
        if !state.names.has_parent(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.find(path).is_some() || state.names.has_directory(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = state.last + 1;
        state.rename_step(Ops::CREATE, |state, now| {
            state.last = number;
            state.files.insert(number, Inode::default());
            state.names.link(path, number, now);
        })?;
        Ok(self.handle(&mut state, number, true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        self.open_as(path, true)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        self.open_as(path, false)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.enter_whole(Ops::LIST)?;
        match state.names.has_directory(directory) {
            true => Ok(state.names.list(directory)),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.names.has_directory(directory) {
            return Ok(());
        }
        let go = state.enter(Ops::MAKE_DIR)?;
        if let Go::Badly(fault) = go {
            return Err(fault.error());
        }
        if matches!(go, Go::Well) || state.dice.coin() {
            state.names.make_directories(directory);
        }
        match go {
            Go::Well => Ok(()),
            _ => Err(power_is_off()),
        }
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        if !state.names.has_directory(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        match state.enter(Ops::SYNC_DIR)? {
            Go::Well => state.names.sync(directory),
            Go::Cut => return Err(power_is_off()),
            Go::Badly(fault) => {
                if fault.does_a_part() {
                    state.names.sync_badly(directory, &state.dice);
                }
                return Err(fault.error());
            }
        }
        state.sweep();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let number = state.names.find(from).ok_or(io::ErrorKind::NotFound)?;
        if !state.names.has_parent(to) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.rename_step(Ops::RENAME, |state, now| {
            state.names.rename((from, to), number, now);
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let number = state.names.find(from).ok_or(io::ErrorKind::NotFound)?;
        if !state.names.has_parent(to) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.find(to).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename_step(Ops::CREATE, |state, now| {
            state.names.link(to, number, now);
        })
    }

    fn available(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state();
        if state.off {
            return Err(power_is_off());
        }
        Ok(state.capacity.map_or(u64::MAX, |capacity| {
            capacity.saturating_sub(state.used()) * BLOCK as u64
        }))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.names.find(path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.rename_step(Ops::UNLINK, |state, now| state.names.unlink(path, now))
    }
}

/// An open file.
#[derive(Debug)]
struct Handle {
    disk: SimulatedDisk,
    number: Number,
    writable: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(file) = self.disk.state().inode(self.number) {
            file.open -= 1;
        }
    }
}

impl Handle {
    fn check_writable(&self) -> io::Result<()> {
        match self.writable {
            true => Ok(()),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl StoreFile for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.enter_whole(Ops::READ)?;
        Ok(state.inode(self.number)?.live.read(buffer, offset))
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state();
        let go = state.enter(Ops::WRITE)?;
        let room = state.room(self.number, data.len(), offset)?;
        let (length, error) = match go {
            Go::Well if room == data.len() => (room, None),
            Go::Well => (room, Some(Fault::Full.error())),
            Go::Cut => (room, Some(power_is_off())),
            Go::Badly(fault) if fault.does_a_part() => {
                let part = state.dice.index(data.len().min(room) + 1);
                (part, Some(fault.error()))
            }
            Go::Badly(fault) => (0, Some(fault.error())),
        };
        let now = state.now;
        if length > 0 {
            let part = &data[..length];
            state.inode(self.number)?.write(part, offset, now);
        }
        error.map_or(Ok(()), Err)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        let go = state.enter(Ops::SYNC)?;
        let file = state.files.get_mut(&self.number);
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        match go {
            Go::Well => {
                file.sync();
                Ok(())
            }
            Go::Cut => Err(power_is_off()),
            Go::Badly(fault) => {
                if fault.does_a_part() {
                    file.sync_badly(&state.dice);
                }
                Err(fault.error())
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        if state.off {
            return Err(power_is_off());
        }
        Ok(state.inode(self.number)?.live.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check_writable()?;
        let number = self.number;
        let mut state = self.disk.state();
        state.rename_step(Ops::LENGTH, |state, now| {
            if let Ok(file) = state.inode(number) {
                file.set_len(length, now);
            }
        })
    }
}

impl State {
    /// How many octets of a write fit on the disk.
    fn room(&mut self, number: Number, length: usize, offset: u64) -> io::Result<usize> {
        let Some(capacity) = self.capacity else {
            return Ok(length);
        };
        let mut free = capacity.saturating_sub(self.used());
        let file = self.inode(number)?;
        for block in Content::touched(offset, length) {
            if file.live.holds(block) {
                continue;
            }
            if free == 0 {
                let fits = (block * BLOCK) as u64;
                let fits = usize::try_from(fits.saturating_sub(offset)).unwrap_or(length);
                return Ok(fits.min(length));
            }
            free -= 1;
        }
        Ok(length)
    }
}
