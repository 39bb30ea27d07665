//! Sans-IO protocol plumbing: the [`Machine`] that every protocol session is,
//! and the [`Input`] buffer with the one place where lines end.
//!
//! No socket, clock or runtime here; [`crate::net::drive`] runs a machine.

mod lines;
mod machine;
mod tally;
mod tls_info;

pub use lines::{Input, Line};
pub use machine::{Machine, Step};
pub use tally::Tally;
pub use tls_info::{ChannelBindings, ClientCertificate, TlsInfo};
