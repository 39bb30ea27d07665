//! IMAP for mailcore: a sans-IO session machine and the server around it, and a
//! client (RFC 3501, and RFC 9051 where both sides speak it).
//!
//! ```text
//! octets ─► wire::Input ─► session::Session ─► octets
//!           codec::framer     │ codec, commands, view, render
//!                             │ Question            ▲ Answer, Notice
//!                             ▼                     │
//!                     server::SessionHost: Storage, Commit, Authenticator
//! ```
//!
//! [`types`] is the grammar, [`codec`] its octets, [`view`] the sequence
//! numbers. [`server::Imap`] is what a server is built with;
//! [`session::Session`] is the protocol alone, for those who bring their own
//! runner. [`client::Client`] is the other side: it collects and moves mail that
//! is on other servers.
//!
//! ```
//! use mailcore::seams::Abilities;
//! use mailcore::time::Monotonic;
//! use mailcore::wire::{Machine, Step};
//! use mailcore_imap::session::{Config, Peer, Session, Transport};
//!
//! let config = Config::new("imap.example.com").into();
//! let peer = Peer { address: None, transport: Transport::Tls };
//! let mut session = Session::new(config, Abilities::default(), peer);
//! let Step::Send(greeting) = session.step(Monotonic::default()) else {
//!     panic!("a server speaks first");
//! };
//! assert!(greeting.starts_with(b"* OK [CAPABILITY IMAP4rev1 "));
//! session.receive(b"a1 LOGIN alice secret\r\n");
//! // The question that only a directory can answer.
//! assert!(matches!(session.step(Monotonic::default()), Step::Ask(_)));
//! ```
//!
//! What is announced is derived from the store's abilities and the
//! configuration; `docs/rfc.md` lists every extension with the transcript that
//! shows it.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod client;
pub mod codec;
mod commands;
mod render;
mod search;
pub mod server;
pub mod session;
pub mod types;
pub mod view;
pub mod wording;
