//! SMTP for mailcore: sans-IO session machines, server and client (RFC 5321).
//!
//! ```text
//! octets ─► wire::Input ─► server::Session ─► octets
//!                              │ Question          ▲ Answer
//!                              ▼                   │
//!                          server host: Intake, Authenticator
//! ```
//!
//! [`command`], [`reply`], [`extension`] and [`data`] are the wire's values,
//! shared by both sides. [`Smtp`] is what a server is built with;
//! [`server::Session`] is the protocol alone, for those who bring their own
//! runner.
//!
//! ```
//! use mailcore::intake::HookError;
//! use mailcore::server::Server;
//! use mailcore_smtp::Smtp;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder("mx.example.com")
//!     .deliver_to("orders@example.com", |mail| async move {
//!         println!("{}", mail.subject());
//!         Ok::<(), HookError>(())
//!     })
//!     .listen("127.0.0.1:0", Smtp::mx())
//!     .start()
//!     .await?;
//! println!("listening on {:?}", server.address("smtp"));
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Spoken: RFC 5321, 1870 (SIZE), 2033 (LMTP), 2034 (ENHANCEDSTATUSCODES), 2920
//! (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS), 3461 (DSN), 4954 (AUTH), 6152
//! (8BITMIME), 6531 (SMTPUTF8).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod client;
pub mod command;
pub mod data;
pub mod extension;
pub mod reply;
pub mod server;

pub use server::Smtp;
