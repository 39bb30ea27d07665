//! Reports about mail that claims to be from a domain, sent to the domain's owner
//! and received from others (RFC 7489 section 7, RFC 9990, RFC 6591).
//!
//! ```text
//!  message ─► Observer (a filter, after all others) ─► Tally ─► State
//!                 │                                              │ each day
//!                 └► FailureReport ─► Post            Reporter ◄─┘─► Post
//!  report by mail ─► Collector (a filter) ─► unpack ─► AggregateReport ─► Received
//! ```
//!
//! What is counted gathers in memory and goes to the store each minute: a crash
//! loses a minute of statistics, never mail.

pub mod aggregate;
pub mod collect;
pub mod compose;
pub mod destination;
pub mod failure;
#[cfg(test)]
mod fake;
pub mod observe;
pub mod received;
pub mod reporter;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod unpack;
mod xml;

pub use aggregate::AggregateReport;
pub use collect::Collector;
pub use compose::Submitter;
pub use destination::{Destination, Destinations};
pub use failure::FailureReports;
pub use observe::Observer;
pub use received::Received;
pub use reporter::{Post, Reporter};
pub use tally::Tally;
