//! The durable queue: its entries, when they are tried again, who runs them,
//! and the notices about those that fail.

mod entry;
mod schedule;

pub use entry::{
    Origin, QueueEntry, QueueId, QueueProgress, QueueRecipient, decode_entry, decode_progress,
};
pub use schedule::{RetrySchedule, ScheduleError};
