//! Mail server building blocks without wire format and without disk.

pub mod account;
pub mod address;
pub mod envelope;
pub mod mailbox;
pub mod status;
pub mod time;
