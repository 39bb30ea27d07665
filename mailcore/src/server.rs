//! Assembling a server: seams in, running listeners out.
//!
//! [`Server::builder`] takes the seams one by one; [`Builder::start`] checks
//! that what each service needs is there, binds every listener or says which
//! one it can't, and only then lets anything run. No globals: two servers live
//! in one process.

mod agents;
mod beside;
mod builder;
mod connect;
mod events;
mod handle;
mod holds;
mod parts;
mod readers;
mod reload;
mod running;
mod send;
mod submission;
mod tail;

pub use agents::{AgentParts, IntoAgent};
pub use builder::{Builder, Server};
pub use connect::ConnectError;
pub use handle::{ServiceHandle, ServiceState};
pub use holds::{Hold, Holds};
pub use parts::{IntoService, Parts, StartError, Stores};
pub use reload::Reloaded;
pub use running::RunningServer;
pub use submission::{Delivered, Submission, SubmitError};
