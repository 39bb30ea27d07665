//! POP3 for mailcore: a server session without IO, and the service that runs
//! it (RFC 1939, RFC 2449, RFC 2595, RFC 3206, RFC 5034, RFC 6856).
//!
//! ```text
//! octets ─► Session (commands/, maildrop, multiline, wording) ─► octets
//!               │ Question          ▲ Answer
//!               ▼                   │
//!             server: Authenticator, Storage (a folder of the account)
//! ```
//!
//! [`Pop3`] is what a server is built with; [`session::Session`] is the
//! protocol alone, for those who bring their own runner:
//!
//! ```
//! use mailcore::time::Monotonic;
//! use mailcore::wire::{Machine, Step};
//! use mailcore_pop3::session::{Session, SessionConfig, Transport};
//!
//! let config = SessionConfig::new("mail.example.com".parse()?);
//! let mut session = Session::new(config, Transport::Tls);
//! session.receive(b"QUIT\r\n");
//! let Step::Send(octets) = session.step(Monotonic::default()) else {
//!     panic!("a session begins with its greeting");
//! };
//! assert_eq!(
//!     octets,
//!     "+OK mail.example.com POP3 ready\r\n+OK mail.example.com closing\r\n"
//! );
//! # Ok::<(), mailcore::address::AddressError>(())
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod arguments;
mod commands;
pub mod maildrop;
pub mod multiline;
pub mod reply;
mod server;
pub mod session;
mod wording;

pub use server::{ApopUse, Folders, Pop3};
