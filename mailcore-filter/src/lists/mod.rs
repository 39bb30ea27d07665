//! Lists kept here, as against those that DNS publishes.

mod access;
mod network;
mod pattern;
mod rules;

pub use access::AccessList;
pub use network::{Network, NetworkError};
pub use pattern::{Pattern, PatternError};
pub use rules::{AccessListError, Decision};
