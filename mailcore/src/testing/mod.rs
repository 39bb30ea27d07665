//! The test kit: a clock that tests move, randomness that repeats, DNS made
//! up, and suites that any implementation of a seam can be run against.
//!
//! Everything here panics with a message where a test should fail; nothing
//! here belongs in a server.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test kit reports by panicking"
)]

mod clock;
pub mod conformance;
pub mod crash;
mod dice;
pub mod disk;
mod entropy;
pub mod faults;
mod kit;
mod resolver;

pub use clock::VirtualClock;
pub use entropy::SeededEntropy;
pub use kit::*;
pub use resolver::FixedResolver;
