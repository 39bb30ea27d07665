//! Where mail goes: the [`DirectoryRouter`] decides from the directory and the
//! rules kept there ([`DomainRules`], [`AddressHandler`]), [`SmartHosts`] sends
//! some mail by hosts of its own, [`SrsRouter`] gives mail that is sent on a
//! sender of ours ([`srs`]), [`SuppressionRouter`] keeps mail from those who are
//! to get none ([`SuppressionList`]), and [`mx`] orders the hosts that DNS names.
//!
//! Connections are made elsewhere, by the delivery agents.

mod directory_router;
mod handler;
mod host;
mod key_ring;
mod lists;
mod masked;
pub mod mx;
mod onward;
mod rule_book;
mod rules;
mod smart_hosts;
pub mod srs;
mod srs_router;
mod suppression;
mod suppression_router;

pub use directory_router::DirectoryRouter;
pub use handler::{AddressHandler, Delivery, HandlerError};
pub use host::{HostError, HostRoute, Protocol};
pub use key_ring::{KeyRing, KeyRingError, KeyRingSeams, MarkKey, MarkMac};
pub use masked::masked_local_part;
pub(crate) use onward::onward;
pub use rules::{DomainRules, Recipients, RuleError, SubAddresses, handler_key, keys};
pub use smart_hosts::{SmartHost, SmartHostRule, SmartHostRules, SmartHosts};
pub use srs_router::{SrsRouter, SrsSeams};
pub use suppression::{Suppressed, Suppression, SuppressionError, SuppressionList};
pub use suppression_router::SuppressionRouter;
