//! Writing the one file that takes a run's place: every group with what is left
//! of it, under a name that does not count yet.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::census::{Census, read_run};
use super::hold::Turn;
use super::keep::{KeepError, Keeper};
use super::survey::Run;
use crate::embedded::fs::StoreFile;
use crate::embedded::index::{Moved, Takeover, read};
use crate::embedded::log::{
    Compacted, Extent, FrameHeader, FrameKind, Group, HEADER_LEN, LogDirectory, LogError, Lsn,
    MAX_PAYLOAD, Part, SEGMENT_HEADER, SegmentFile, SegmentHeader, SegmentId, push,
};
use crate::embedded::record::{BodySource, Effect, Floor, Record};

/// Octets gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Why a run is left as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// Evidence stays where it is.
    #[error("{0}")]
    Damaged(String),
    /// Less is dead than was thought.
    #[error("too little of it is dead")]
    NotWorthIt,
    #[error("the store is being closed")]
    Closing,
}

impl From<rusqlite::Error> for RunError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Keep(error.into())
    }
}

/// A run rewritten, not yet in its place.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) file: SegmentFile,
    /// The segment before the run.
    pub(super) previous: SegmentId,
    pub(super) taken: Takeover,
    pub(super) dropped: Vec<u64>,
    /// Octets of frames.
    pub(super) size: u64,
}

/// What rewriting goes by.
#[derive(Debug)]
pub(super) struct Rewrite<'r> {
    pub(super) log: &'r LogDirectory,
    pub(super) conn: &'r rusqlite::Connection,
    pub(super) turn: &'r Turn<'r>,
    /// Octets read and written in a second; 0 for as many as go.
    pub(super) rate: u64,
    /// The new file's frames must be at most this; given up otherwise.
    pub(super) at_most: u64,
}

/// The name that a file has until it is whole.
pub(super) fn unfinished(log: &LogDirectory, file: SegmentFile) -> PathBuf {
    let mut name = file.path(&log.path).into_os_string();
    name.push(".new");
    name.into()
}

/// Bodies of a group that are still needed: id and octets.
type KeptBodies = Vec<(u64, Vec<u8>)>;

/// The file being written.
#[derive(Debug)]
struct Output<'r> {
    rewrite: &'r Rewrite<'r>,
    file: Arc<dyn StoreFile>,
    path: PathBuf,
    id: SegmentId,
    last: Lsn,
    buffer: Vec<u8>,
    /// Where the buffer's octets go.
    at: u64,
    moved: Vec<Moved>,
}

impl Rewrite<'_> {
    /// Rewrites a run. What was begun is removed on failure.
    pub(super) fn run(&self, run: &Run) -> Result<Rewritten, RunError> {
        let parts: Vec<Part> = run.members.iter().map(|it| it.part).collect();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return Err(RunError::NotWorthIt);
        };
        let header = first.header.ok_or(RunError::NotWorthIt)?;
        let census = self.census(&parts)?;
        let file = last.id().file(last.file.generation.saturating_add(1));
        let path = unfinished(self.log, file);
        let written = self.write(run, &census, (header, file));
        if written.is_err() {
            // The next start removes it otherwise.
            drop(self.log.files.unlink(&path));
        }
        written
    }

    fn census(&self, parts: &[Part]) -> Result<Census, RunError> {
        let mut census = Census::default();
        let mut from = SEGMENT_HEADER;
        let damage = read_run(self.log, parts, &mut |_, group| {
            census.take(group.lsn, &decode(&group)?);
            self.pace(group.end.saturating_sub(from));
            from = group.end;
            self.turn.check()
        })?;
        if !self.turn.may_go_on() {
            return Err(RunError::Closing);
        }
        // A compacted segment may stand for more groups than it holds.
        let stands_for = parts.iter().filter_map(|it| it.last).max();
        census.last.0 = census.last.0.max(stands_for.unwrap_or_default());
        damage.map_or(Ok(census), |it| Err(RunError::Damaged(it.to_string())))
    }

    /// Waits for as long as so many octets should take.
    fn pace(&self, octets: u64) {
        if let Some(millis) = octets.saturating_mul(1_000).checked_div(self.rate)
            && millis > 0
        {
            self.turn.pause(Duration::from_millis(millis));
        }
    }

    fn write(
        &self,
        run: &Run,
        census: &Census,
        (header, file): (SegmentHeader, SegmentFile),
    ) -> Result<Rewritten, RunError> {
        let path = unfinished(self.log, file);
        let fail = |source| LogError::io(&path, source);
        drop(self.log.files.unlink(&path));
        let mut output = Output {
            rewrite: self,
            file: self.log.files.create_new(&path).map_err(fail)?,
            path: path.clone(),
            id: file.id,
            last: census.last.0,
            buffer: Vec::with_capacity(BUFFER),
            at: SEGMENT_HEADER,
            moved: Vec::new(),
        };
        let mut keeper = Keeper::new(self.conn, census, run.is_prefix);
        self.copy(run, census, (&mut keeper, &mut output))?;
        output.flush()?;
        let header = SegmentHeader {
            id: file.id,
            compacted: Some(Compacted {
                generation: file.generation,
                end: output.at,
                last: census.last.0,
            }),
            ..header
        };
        output
            .file
            .write_all_at(&header.encode(), 0)
            .map_err(fail)?;
        output.file.sync_data().map_err(fail)?;
        let rewritten = Rewritten {
            file,
            previous: header.previous,
            taken: Takeover {
                moved: output.moved,
                expunges: keeper.made_one,
            },
            dropped: keeper.dropped,
            size: output.at - SEGMENT_HEADER,
        };
        self.verify(&*output.file, header, &rewritten)?;
        Ok(rewritten)
    }

    fn copy(
        &self,
        run: &Run,
        census: &Census,
        (keeper, output): (&mut Keeper<'_>, &mut Output<'_>),
    ) -> Result<(), RunError> {
        let parts: Vec<Part> = run.members.iter().map(|it| it.part).collect();
        let (last, at) = census.last;
        let mut failed = None;
        let mut ended = false;
        let damage = read_run(self.log, &parts, &mut |part, group| {
            let done = self.turn.check().map_err(RunError::from).and_then(|()| {
                let (mut record, bodies) = self.left_of(keeper, part, &group)?;
                if group.lsn == last {
                    ended = true;
                    self.close(keeper, &mut record)?;
                }
                output.group(group.lsn, &record, &bodies)
            });
            // What read_run takes as an error is the log's; ours waits outside.
            done.map_err(|error| match error {
                RunError::Log(error) => error,
                other => {
                    failed = Some(other);
                    closing()
                }
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match damage {
            Ok(None) => {}
            Ok(Some(it)) => return Err(RunError::Damaged(it.to_string())),
            Err(_) if !self.turn.may_go_on() => return Err(RunError::Closing),
            Err(error) => return Err(error.into()),
        }
        if !ended {
            let effects = Vec::new();
            let mut record = Record { at, effects };
            self.close(keeper, &mut record)?;
            output.group(last, &record, &[])?;
        }
        Ok(())
    }

    /// What is still needed of a group, with its bodies.
    fn left_of(
        &self,
        keeper: &mut Keeper<'_>,
        part: &Part,
        group: &Group,
    ) -> Result<(Record, KeptBodies), RunError> {
        // One moment of the index for all that belongs together.
        let moment = self.conn.unchecked_transaction()?;
        let Record { at, effects } = decode(group)?;
        let mut kept = Vec::with_capacity(effects.len());
        for (place, effect) in effects.into_iter().enumerate() {
            keeper.decide((group.lsn, place), effect, &mut kept)?;
        }
        moment.finish()?;
        let mut bodies = Vec::new();
        for effect in &mut kept {
            if let Effect::Body {
                id,
                source: BodySource::Frame(frame),
                length,
                ..
            } = effect
            {
                let offset = group.bodies.get(*frame as usize).copied().flatten();
                let octets = offset.map(|it| self.body(part, it, *length)).transpose()?;
                let octets = octets.flatten().ok_or_else(|| {
                    RunError::Damaged(format!("body {id} in group {} can't be read", group.lsn))
                })?;
                *frame = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
                bodies.push((*id, octets));
            }
        }
        Ok((Record { at, effects: kept }, bodies))
    }

    /// A body frame's payload, when it is what it should be.
    fn body(&self, part: &Part, offset: u64, length: u64) -> Result<Option<Vec<u8>>, LogError> {
        let path = part.file.path(&self.log.path);
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(MAX_PAYLOAD);
        let mut octets = vec![0; HEADER_LEN + length];
        let filled = self
            .log
            .open(&path)?
            .read_at(&mut octets, offset)
            .map_err(|source| LogError::io(&path, source))?;
        octets.truncate(filled);
        let header = FrameHeader::decode(self.log.store, &octets).ok();
        let payload = octets.split_off(HEADER_LEN.min(octets.len()));
        let sound = header.is_some_and(|it| {
            it.kind == FrameKind::Body && it.file_id == part.id().0 && it.verify(&payload).is_ok()
        });
        Ok(sound.then_some(payload))
    }

    /// Adds what the effects left out had counted.
    fn close(&self, keeper: &Keeper<'_>, record: &mut Record) -> Result<(), RunError> {
        let mut lost: Vec<u64> = keeper.lost.iter().copied().collect();
        lost.sort_unstable();
        for mailbox in lost {
            if keeper.stands(mailbox)?
                && let Some(floor) = keeper.census.floors.get(&mailbox)
            {
                let threads = keeper.threads.get(&mailbox).cloned().unwrap_or_default();
                let floor = Floor {
                    threads,
                    ..floor.clone()
                };
                record.effects.push(Effect::Floor(floor));
            }
        }
        let mut numbers = keeper.census.numbers;
        if keeper.lost_events {
            let first = read::first_event(self.conn)?;
            // With none left, all that the run states are gone.
            numbers.first_event = first.unwrap_or(numbers.event).max(numbers.first_event);
        }
        record.effects.push(Effect::Numbers(numbers));
        Ok(())
    }

    /// Reads the file back before it may take the place of others.
    fn verify(
        &self,
        file: &dyn StoreFile,
        header: SegmentHeader,
        rewritten: &Rewritten,
    ) -> Result<(), RunError> {
        let range = crate::embedded::log::Range {
            file: rewritten.file,
            from: SEGMENT_HEADER,
            first: header.first_lsn,
            extent: Extent::Sealed(SEGMENT_HEADER + rewritten.size),
            last: header.compacted.map(|it| it.last),
        };
        let (mut bad, mut bodies) = (None, 0);
        crate::embedded::log::read_segment::<LogError>(file, self.log.store, range, &mut |item| {
            match item {
                crate::embedded::log::Item::Group(group) => {
                    decode(&group)?;
                    bodies += group.bodies.len();
                }
                crate::embedded::log::Item::Damage(it) => bad = Some(it),
            }
            Ok(())
        })?;
        match bad {
            Some(it) => Err(RunError::Damaged(it.to_string())),
            None if bodies != rewritten.taken.moved.len() => Err(RunError::Damaged(
                "the new segment does not hold what was written to it".into(),
            )),
            None => Ok(()),
        }
    }
}

fn closing() -> LogError {
    LogError::from(std::io::Error::from(std::io::ErrorKind::Interrupted))
}

fn decode(group: &Group) -> Result<Record, LogError> {
    Record::decode(&group.record).map_err(|_| LogError::Record(group.lsn))
}

impl Turn<'_> {
    /// Fails when the store is being closed.
    fn check(&self) -> Result<(), LogError> {
        match self.may_go_on() {
            true => Ok(()),
            false => Err(closing()),
        }
    }
}

impl Output<'_> {
    /// Writes what is left of a group; nothing for nothing.
    fn group(
        &mut self,
        lsn: Lsn,
        record: &Record,
        bodies: &[(u64, Vec<u8>)],
    ) -> Result<(), RunError> {
        if record.effects.is_empty() {
            return Ok(());
        }
        let octets = record.encode();
        if octets.len() > MAX_PAYLOAD {
            return Err(RunError::Damaged(format!(
                "record {lsn} would be too large"
            )));
        }
        let mut index = 0;
        for (id, body) in bodies {
            self.moved.push(Moved {
                id: *id,
                place: self.at + self.buffer.len() as u64,
            });
            self.frame((FrameKind::Body, lsn, index), body);
            index += 1;
        }
        self.frame((FrameKind::Record, lsn, index), &octets);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        match self.at + self.buffer.len() as u64 - SEGMENT_HEADER > self.rewrite.at_most {
            true => Err(RunError::NotWorthIt),
            false => Ok(()),
        }
    }

    fn frame(&mut self, (kind, lsn, index): (FrameKind, Lsn, u32), payload: &[u8]) {
        let header = FrameHeader {
            file_id: self.id.0,
            lsn,
            index,
            synced: self.last,
            ..FrameHeader::plain(kind, payload)
        };
        push(self.rewrite.log.store, &header, payload, &mut self.buffer);
    }

    fn flush(&mut self) -> Result<(), RunError> {
        let written = self.file.write_all_at(&self.buffer, self.at);
        written.map_err(|source| LogError::io(&self.path, source))?;
        self.at += self.buffer.len() as u64;
        self.rewrite.pace(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }
}
