//! The embedded store: an append-only log that is the truth, and a SQLite
//! index derived from it.

pub mod fs;
#[cfg(test)]
mod fs_fault;
mod log;

pub use log::{Damage, LogError, LogOptions, Loss, Lsn, SegmentId, StoreId};
