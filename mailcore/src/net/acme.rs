//! Certificates from an authority that hands them out to programs: ACME (RFC
//! 8555), with TLS-ALPN-01 (RFC 8737), HTTP-01 and DNS-01, and renewal when the
//! authority says (RFC 9773).
//!
//! [`Acme::tend`] does what is due and returns; who calls it when is the host's
//! affair, or a [`Job`](crate::schedule::Job)'s. The certificates that it got
//! are shown by whoever reads [`Acme::certificates`].

mod account;
mod challenges;
mod config;
mod http;
mod keep;
mod keys;
mod order;
mod plan;
mod tend;
#[cfg(test)]
mod tests;

pub use challenges::ChallengeStore;
pub use config::{
    AcmeConfig, AcmeError, AcmeSeams, Challenge, DnsPublisher, ExternalAccount, KeyChoice,
};
pub use keep::{AcmeFolder, AcmeStore};
pub use tend::{Acme, Tended};
