//! Mail kept apart: what filters put in quarantine, for its recipients or for
//! administrators alone to look at, release or delete.
//!
//! The message is an entry of the queue in a state of its own, so that envelope
//! and content are kept as of any mail; what lists show of it is a record in
//! [`State`](crate::seams::State), with one key for each list that it stands in.
//! Intake writes both in the batch that answers the sender. Released mail goes to
//! the queue, past the filters, and is filed by its recipients' rules.

mod change;
mod keys;
mod mail;
mod purge;
mod store;

pub use change::{Actor, Chosen};
pub use mail::{QuarantineFinding, QuarantinedMail, QuarantinedRecipient};
pub use purge::{Purged, QuarantineLimits};
pub use store::{QuarantineError, QuarantineQuery, QuarantineSeams, QuarantineStore, Section};

pub(crate) use keys::changes;
pub(crate) use mail::Circumstances;
