//! ManageSieve: the session by transcripts and by any octets, the service over a
//! directory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a step that fails is a test that fails"
)]

mod hostile;
mod service;
mod transcripts;
mod world;
