//! The log: the truth of the store, a sequence of frame groups in append-only
//! segments.
//!
//! What a group's record means is [`super::record`]'s; `docs/storage.md` gives
//! the layout octet by octet.

mod directory;
mod frame;
mod reader;
mod scan;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

pub use directory::LogError;
pub(crate) use directory::{LogDirectory, Place, Tail};
pub(crate) use frame::{BLOCK, FrameHeader, FrameKind, HEADER_LEN, MAX_PAYLOAD, push, span};
pub use frame::{Lsn, StoreId};
pub(crate) use reader::Item;
pub use reader::{Damage, Loss};
pub use segment::SegmentId;
pub(crate) use segment::{FORMAT, OLDEST_FORMAT};
pub use writer::LogOptions;
pub(crate) use writer::LogWriter;
