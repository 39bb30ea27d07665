//! SMTP as a client: hands messages to other hosts.
//!
//! - [`Session`] is the protocol without IO: a
//!   [`Machine`](mailcore::wire::Machine) that greets, secures the connection,
//!   authenticates and runs one transaction after the other.
//! - [`RemoteAgent`] is the [`DeliveryAgent`](mailcore::seams::DeliveryAgent)
//!   over it: it finds the hosts, connects, keeps connections for reuse, and
//!   turns replies into outcomes.
//!
//! When to try again, and what the sender is told, is the queue's duty.

mod config;
mod connection;
mod delivery;
mod error;
mod pool;
mod remote_agent;
mod session;
mod targets;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod transaction;

pub use config::{
    Credentials, HostSettings, PasswordUse, PoolLimits, RemoteConfig, SessionConfig, Timeouts,
    TlsPolicy,
};
pub use error::SessionError;
pub use remote_agent::{RemoteAgent, RemoteAgentBuilder, RemoteSeams};
pub use session::{Answer, Question, Session};
#[cfg(feature = "tls")]
pub use tls::{opportunistic_config, verified_config};
pub use transaction::{ContentNeeds, EightBit, Stage, Transaction, TransactionResult, Unsent};
