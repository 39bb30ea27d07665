//! Mail server building blocks without wire format and without disk.

pub mod account;
pub mod address;
pub mod batch;
pub mod deliver;
pub mod envelope;
pub mod event;
pub mod intake;
pub mod limits;
pub mod mailbox;
pub mod message;
pub mod net;
pub mod pack;
pub mod plan;
pub mod queue;
pub mod route;
pub mod sasl;
pub mod seams;
pub mod server;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod wire;
