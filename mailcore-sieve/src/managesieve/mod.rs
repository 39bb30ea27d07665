//! ManageSieve (RFC 5804): the protocol by which users keep their Sieve scripts
//! on the server.
//!
//! ```text
//! octets ─► Session (incoming, commands/, response, wording) ─► octets
//!               │ Question          ▲ Answer
//!               ▼                   │
//!             server: Authenticator, Directory::scripts, ScriptCheck
//! ```
//!
//! [`ManageSieve`] is what a server is built with; [`Session`] is the protocol
//! alone, for those who bring their own runner. What a script may say is not
//! known here: [`ScriptCheck`] is asked.

mod arguments;
mod check;
mod commands;
mod incoming;
mod response;
mod server;
mod session;
mod tokens;
mod wording;

pub use check::ScriptCheck;
pub use response::{Completion, Response, ResponseCode};
pub use server::ManageSieve;
pub use session::{
    Answer, Failure, Outcome, PlaintextLogin, Question, Request, Session, SessionConfig, Transport,
};
