//! The embedded store: an append-only log that is the truth, and a SQLite
//! index derived from it.
//!
//! ```text
//! commit ─► sequencer (numbers, preconditions) ─► effects ─► log (one write, one sync)
//!                                                   └─► apply ─► index ─► readers
//! ```
//! One writer thread owns log, sequencer and index; readers have SQLite
//! connections and file handles of their own. The formats on disk are described
//! in `docs/storage.md`.

mod annotations;
mod body;
mod check;
mod columns;
mod commit;
mod compact;
mod format;
pub mod fs;
mod health;
mod index;
mod layout;
mod leases;
mod live;
mod lock;
mod log;
mod migrate;
mod names;
mod namespaces;
mod octets;
mod open_index;
mod queue;
mod recent;
mod record;
mod replay;
mod request;
mod reserve;
mod sequencer;
mod shared;
mod storage;
mod store;
mod summaries;
#[cfg(test)]
mod tests;
mod undelete;
mod upkeep;
mod values;
mod working_copy;
mod writer;

pub use check::CheckReport;
pub use compact::{CompactReport, Compaction, CompactionHold};
pub use format::{FormatError, Migration};
pub use index::Retention;
pub use log::{Damage, IndexFault, LogError, LogOptions, Loss, Lsn, SegmentId, StoreId};
pub use store::{EmbeddedOptions, EmbeddedStore, OpenError, OpenReport};
