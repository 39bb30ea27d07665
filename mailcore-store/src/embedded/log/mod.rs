//! The log: the truth of the store, a sequence of frame groups in append-only
//! segments.
//!
//! What a group's record means is [`super::record`]'s; `docs/storage.md` gives
//! the layout octet by octet.

mod directory;
mod frame;
mod generations;
mod reader;
mod scan;
mod secure;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

pub use directory::{IndexFault, LogError};
pub(crate) use directory::{LogDirectory, Part, Place, Tail};
pub(crate) use frame::{BLOCK, FrameHeader, FrameKind, HEADER_LEN, MAX_PAYLOAD, push, span};
pub use frame::{Lsn, StoreId};
pub(crate) use generations::{Generations, Word};
pub use reader::{Damage, Loss};
pub(crate) use reader::{Extent, Group, Item, Range, read_segment};
pub use segment::SegmentId;
pub(crate) use segment::{
    Compacted, FORMAT, OLDEST_FORMAT, SEGMENT_HEADER, SegmentFile, SegmentHeader,
};
pub use writer::LogOptions;
pub(crate) use writer::LogWriter;
