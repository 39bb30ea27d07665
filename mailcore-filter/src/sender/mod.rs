//! Checks of the sending host and of the sender's address.
//!
//! | file | asks |
//! |---|---|
//! | [`reverse`] | whether the client's address has names that lead back to it |
//! | [`helo`] | whether the name in HELO is one, and the client's |
//! | [`mx_check`] | whether mail to the sender would reach a host |
//!
//! All of it asks the DNS of the sender's own domain. What DNS does not answer
//! counts for nothing.

pub mod helo;
pub mod mx_check;
pub mod reverse;

pub use helo::HeloName;
pub use mx_check::SenderDomain;
pub use reverse::{Iprev, IprevResult, ReverseNames};
