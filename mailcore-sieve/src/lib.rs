//! Sieve (RFC 5228) for mailcore: a compiler and an interpreter without IO,
//! message rules, and what a server needs to have mail handle itself.
//!
//! ```text
//! text ─► engine::parse ─► Script ─► engine::compile ─► Program (shared, compact)
//!                                                          │
//!                      Mail + Environment ─► engine::Run ──┴─► Step::Ask(Question) ─► host
//!                                                              Step::Done(Outcome: actions)
//! ```
//!
//! [`engine`] needs nothing of the rest: without the feature `host` this crate
//! is a Sieve library for any program.
//!
//! ```
//! use std::sync::Arc;
//! use mailcore_sieve::engine::{
//!     Action, Answer, Compiler, Environment, Event, Limits, PlainMail, Question, Run, Step,
//! };
//!
//! let script = br#"
//!     require ["fileinto", "mailbox"];
//!     if allof (header :contains "subject" "invoice", mailboxexists "Bills") {
//!         fileinto "Bills";
//!     }
//! "#;
//! let program = Arc::new(Compiler::new().compile("mine", script)?);
//! let mail = PlainMail::new(&b"From: shop@example.org\r\nSubject: Your invoice\r\n\r\n"[..]);
//! let environment = Environment::new(Event::Delivery);
//! let limits = Limits::default();
//! let mut run = Run::new(program, &mail, &environment, &limits);
//! let mut answer = None;
//! let outcome = loop {
//!     match run.step(answer.take())? {
//!         Step::Ask(Question::MailboxesExist(_)) => answer = Some(Answer::Yes),
//!         Step::Ask(_) => answer = Some(Answer::No),
//!         Step::Done(outcome) => break outcome,
//!     }
//! };
//! assert!(matches!(&outcome.actions[..], [Action::FileInto(filed)] if filed.place.mailbox == "Bills"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

#[cfg(feature = "rules")]
pub mod autoreply;
pub mod engine;
#[cfg(feature = "host")]
pub mod filter;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "host")]
pub mod letter;
#[cfg(feature = "host")]
mod mail;
#[cfg(feature = "managesieve")]
pub mod managesieve;
#[cfg(feature = "rules")]
pub mod rules;

#[cfg(feature = "host")]
pub use mail::{Extent, MessageMail};
