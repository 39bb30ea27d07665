//! Checks of the sending host and of the sender's address.
//!
//! | file | asks |
//! |---|---|
//! | [`reverse`] | whether the client's address has names that lead back to it |
//! | [`helo`] | whether the name in HELO is one, and the client's |
//! | [`mx_check`] | whether mail to the sender would reach a host |
//! | [`sender_id`] | whether the client may send for who sent the message last |
//! | [`vbr`] | whether somebody who is trusted vouches for its domain |
//! | [`callback`] | that host, whether it knows the sender |
//!
//! The first four ask the DNS of the client and of the sender's own domain alone. What DNS does not answer
//! counts for nothing.

pub mod callback;
pub mod helo;
pub mod mx_check;
pub mod reverse;
pub mod sender_id;
pub mod vbr;

pub use callback::{Callback, CallbackConfig, CallbackSeams};
pub use helo::HeloName;
pub use mx_check::SenderDomain;
pub use reverse::{Iprev, IprevResult, ReverseNames};
pub use sender_id::SenderId;
pub use vbr::Vbr;
