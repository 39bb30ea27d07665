//! The durable queue: its entries, when they are tried again, who runs them,
//! and the notices about those that fail.

pub mod dsn;
mod entry;
mod runner;
mod schedule;

pub(crate) use entry::kept_findings;
pub use entry::{
    DoneRecipient, Ended, EntryState, EntryStateKind, Origin, QueueEntry, QueueId, QueueProgress,
    QueueRecipient, Urgency, decode_entry, decode_params, decode_progress,
};
pub use runner::{
    DestinationLimits, DestinationState, OperateError, Operated, Operation, QueueRunner, Rate,
    RunnerConfig, RunnerSeams, Whose, remove_outlived,
};
pub use schedule::{RetrySchedule, ScheduleError};
