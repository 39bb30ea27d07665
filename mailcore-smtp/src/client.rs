//! SMTP as a client: hands messages to other hosts.
//!
//! - [`Session`] is the protocol without IO: a
//!   [`Machine`](mailcore::wire::Machine) that greets, secures the connection,
//!   authenticates and runs one transaction after the other.
//! - [`RemoteAgent`] is the [`DeliveryAgent`](mailcore::seams::DeliveryAgent)
//!   over it: it finds the hosts, connects, keeps connections for reuse, and
//!   turns replies into outcomes.
//! - [`Outgoing`] has a server's builder make one.
//!
//! When to try again, and what the sender is told, is the queue's duty.

mod callout;
mod config;
mod connection;
#[cfg(feature = "tls")]
mod dane;
mod delivery;
mod downgrade;
mod error;
mod in_time;
mod lmtp_agent;
mod login;
#[cfg(feature = "tls")]
mod mta_sts;
mod outgoing;
mod output;
mod pool;
mod relay_test;
mod remote_agent;
mod running;
mod secured;
mod session;
mod source;
mod targets;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_policy;
#[cfg(feature = "tls")]
mod tls_report;
mod transaction;

pub use config::{
    Chunking, Credentials, HostSettings, LoopbackHosts, PasswordUse, PoolLimits, Protocol,
    RemoteConfig, RouteSettings, SessionConfig, SourceAddress, Timeouts, TlsPolicy,
};
pub use error::{SessionError, TlsFault, TlsFaultKind};
pub use lmtp_agent::LmtpPlace;
#[cfg(unix)]
pub use lmtp_agent::UnixDialer;
#[cfg(feature = "tls")]
pub use mta_sts::{FetchError, MtaSts, PolicyFetcher, StsMode, StsPolicy, StsPolicyError};
pub use outgoing::Outgoing;
pub use relay_test::RelayTest;
pub use remote_agent::{RemoteAgent, RemoteAgentBuilder, RemoteSeams};
pub use session::{Answer, Question, Session};
#[cfg(feature = "tls")]
pub use tls::{opportunistic_config, verified_config};
#[cfg(feature = "tls")]
pub use tls_policy::{Dane, TlsPolicies, TlsRule};
#[cfg(feature = "tls")]
pub use tls_report::{DayReport, PolicyCount, SessionCount, TlsReport};
pub use transaction::{
    ContentNeeds, OptionalParams, Stage, Transaction, TransactionResult, Unsent,
};
