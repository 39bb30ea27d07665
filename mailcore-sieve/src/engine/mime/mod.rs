//! As much of RFC 5322 and MIME as scripts look at: [`PlainMail`].
//!
//! It lets the engine stand alone, and reads what scripts make of a message. Any
//! octets are some message; nothing here fails, and all of it is linear.

mod addresses;
pub(crate) mod charset;
pub(crate) mod date;
pub(crate) mod header;
pub(crate) mod html;
mod plain;
mod structure;
mod transfer;
pub(crate) mod value;
mod words;
pub(crate) mod write;

pub use plain::PlainMail;
