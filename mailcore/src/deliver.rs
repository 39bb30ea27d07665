//! Delivery agents that end here: mailboxes, and [`list`]s. Agents that reach other hosts live
//! in their protocol's crate, the host's own in [`crate::intake::HookAgent`].

pub mod list;
mod mailbox;

pub use mailbox::MailboxAgent;
