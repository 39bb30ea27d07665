//! The test kit by itself: servers within a test, and what they are asked for.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod evidence;
mod faults;
mod foreign;
mod mailboxes;
mod outgoing;
mod shared;

use mailcore::testing::{MemoryServer, MemoryServerBuilder};
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;

/// A server that speaks everything, for `app.test`.
pub fn server() -> MemoryServerBuilder {
    MemoryServer::builder("app.test")
        .stores(MemoryStore::with)
        .serve(Smtp::mx())
        .serve(Smtp::submission())
        .serve(Imap::new())
        .serve(Pop3::new())
}
