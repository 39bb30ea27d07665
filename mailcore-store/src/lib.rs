//! Stores for mailcore: implementations of its storage seams.
//!
//! What a mailbox or a queue entry means is mailcore's; only keeping them is
//! here.

#[cfg(feature = "directory")]
pub mod directory;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "memory")]
pub mod memory;

#[cfg(feature = "memory")]
pub use memory::{MemoryLimits, MemoryStore};
