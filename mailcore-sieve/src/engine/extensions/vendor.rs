//! Tests and actions of our own, for scripts that run at the events of a session.
//! Their words are those of other vendors of such scripts, so that theirs need
//! few changes.

mod greylist;
mod ip;
mod lookup;
mod network;
mod session;

pub(super) use greylist::GREYLIST;
pub(super) use ip::IP;
pub(super) use lookup::LOOKUP;
pub(super) use session::SESSION;
