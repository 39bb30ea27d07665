//! IMAP as a client: reads, collects and moves mail on other servers (RFC
//! 9051, RFC 3501).
//!
//! - [`Client`] is one connection, with a method for each command.
//! - [`ClientSession`] is the protocol without IO: a
//!   [`Machine`](mailcore::wire::Machine) that greets, secures the connection,
//!   sends commands and hands out what comes.
//!
//! Servers are taken as they are: forms that the grammar does not know are
//! read where their meaning is plain. What a server may make the client hold
//! is bounded by [`Limits`]. Which messages are collected, and what becomes of
//! them, is the caller's to say.

mod append;
mod auth;
mod capabilities;
mod command;
mod commands;
mod config;
mod connection;
mod connector;
mod error;
mod fetch;
mod framer;
mod idle;
mod mailboxes;
mod messages;
mod name;
mod news;
mod output;
mod response;
mod search;
mod select;
mod session;
#[cfg(test)]
mod tests;
mod tls;

pub use append::AppendOptions;
pub use auth::{Credentials, Mechanism, Proof};
pub use capabilities::Capabilities;
pub use command::Command;
pub use commands::Client;
pub use config::{ClientConfig, Limits, PasswordUse, Security, Timeouts};
pub use connector::Connector;
pub use error::{ClientError, ProtocolFault};
pub use fetch::{FetchEvent, Fetching, Item};
pub use mailboxes::{AccountMailbox, Listing};
pub use messages::By;
pub use name::{NameForm, RemoteName};
pub use news::News;
pub use response::{
    BodyKey, BodyStructure, Code, Condition, CopyUid, Counters, Data, Encoding, Fetched, Found,
    ListedMailbox, Namespaces, PermanentFlags, QuotaRoot, SinglePart, Status, Vanished,
};
pub use select::{Access, Changes, Selected};
pub use session::{Answer, ClientSession, CommandId, Event, Question};
#[cfg(feature = "tls")]
pub use tls::verified_config;
