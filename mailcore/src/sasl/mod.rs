//! SASL for all protocols (RFC 4422): which mechanisms are offered ([`Offer`]),
//! and one run of one of them ([`Exchange`]).
//!
//! Pure: an exchange turns the client's responses into challenges and into
//! inquiries, which an [`Authenticator`](crate::seams::Authenticator) answers
//! ([`Inquiry::put_to`]). Base64, the `*` that cancels, and how failures are
//! worded and paid for are the protocols' to deal with. What clients need of
//! the mechanisms that show no password is in [`client`].

mod anonymous;
#[cfg(feature = "sasl")]
mod apop;
pub mod client;
#[cfg(feature = "sasl")]
mod cram_md5;
mod exchange;
mod external;
mod inquiry;
mod login;
mod mechanism;
#[cfg(feature = "sasl")]
mod ntlm;
mod oauth;
mod offer;
mod plain;
mod prepare;
#[cfg(feature = "sasl")]
mod scram;

#[cfg(feature = "sasl")]
pub use apop::Apop;
pub use exchange::{Exchange, Progress, SaslError};
pub use inquiry::{Claim, Finding, Inquiry};
pub use mechanism::Mechanism;
#[cfg(feature = "sasl")]
pub use ntlm::nt_hash;
pub use offer::{InClear, NotOffered, Offer, Privacy, Surroundings};
pub use prepare::{MAX_LOGIN, MAX_PASSWORD};
#[cfg(feature = "sasl")]
pub use scram::MIN_ITERATIONS;

#[cfg(test)]
mod tests;
