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

pub(crate) use directory::{LogDirectory, Place};
pub use directory::LogError;
pub(crate) use frame::{BLOCK, FrameHeader, FrameKind, HEADER_LEN};
pub use frame::{Lsn, StoreId};
pub use reader::{Damage, Loss};
pub(crate) use reader::{Group, Item};
pub use segment::SegmentId;
pub(crate) use segment::FORMAT;
pub use writer::LogOptions;
pub(crate) use writer::{LogWriter, Refused, Written};
pub(crate) use frame::{push, span};
