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
