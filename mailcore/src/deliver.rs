//! Delivery agents that end here: mailboxes. Agents that reach other hosts live
//! in their protocol's crate, the host's own in [`crate::intake::HookAgent`].

mod mailbox;

pub use mailbox::MailboxAgent;
