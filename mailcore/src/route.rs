//! Where mail goes: the [`DirectoryRouter`] decides from the directory,
//! [`SmartHosts`] sends some mail by hosts of its own, and [`mx`] orders the
//! hosts that DNS names.
//!
//! Connections are made elsewhere, by the delivery agents.

mod directory_router;
pub mod mx;
mod smart_hosts;

pub use directory_router::DirectoryRouter;
pub use smart_hosts::{SmartHost, SmartHostRule, SmartHostRules, SmartHosts};
