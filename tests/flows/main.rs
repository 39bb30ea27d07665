//! Mail through whole servers: comes in, is kept, is read, goes out.
//!
//! Each flow runs within the process, without ports and with a clock that the
//! test moves.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod abuse;
mod abuse_sessions;
mod beside;
mod callout;
mod careless;
mod events;
mod expiry;
mod faults;
mod forwarding;
mod idle;
mod imapsieve;
mod journal;
mod kept;
mod lifetimes;
mod lists;
mod login_delay;
mod message_rules;
mod odd_octets;
mod quarantine;
mod quota;
mod read_only;
mod receive_and_read;
mod relay;
mod reload;
mod reopen;
mod routing;
mod rules;
mod services;
mod share_out;
mod submission_duties;
mod suppression;
mod virtual_time;
