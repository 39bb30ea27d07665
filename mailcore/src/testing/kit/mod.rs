//! A whole server within a test: [`MemoryServer`], what it is asked for
//! ([`matchers`], [`Expectation`]) and what it gives ([`CapturedMail`]).

mod accounts;
mod builder;
mod capture;
mod error;
mod expect;
mod faults;
mod inside;
mod ledger;
mod logins;
mod mail;
mod mailbox;
pub mod matchers;
mod near;
mod report;
mod scope;
mod server;
mod talk;
mod witness;

pub use crate::message::Attachment;
pub use accounts::Unknown;
pub use builder::MemoryServerBuilder;
pub use capture::Answer;
pub use error::KitError;
pub use expect::{Exactly, Expectation, Goal, Nothing, One};
pub use faults::Faults;
pub use ledger::{Refused, RefusedWhat};
pub use mail::{CapturedMail, FilterVerdict, Place};
pub use mailbox::KitMailbox;
pub use report::Unmet;
pub use scope::Scope;
pub use server::MemoryServer;
