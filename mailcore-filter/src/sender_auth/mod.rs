//! Who sent a message, as far as DNS and signatures tell.
//!
//! [`spf`], `dkim`, [`dmarc`] and `arc` check, and know nothing of sessions; `ask`
//! puts them into the [pipeline](crate::pipeline), `outcome` has what they came to
//! for all who ask later, and `results` writes it (feature `dkim`).

#[cfg(feature = "dkim")]
pub mod arc;
#[cfg(feature = "dkim")]
pub mod ask;
#[cfg(feature = "dkim")]
pub mod bimi;
#[cfg(feature = "dkim")]
pub mod dkim;
pub mod dmarc;
#[cfg(feature = "dkim")]
pub mod outcome;
#[cfg(feature = "dmarc-reports")]
pub mod reports;
#[cfg(feature = "dkim")]
pub mod results;
#[cfg(feature = "dkim")]
mod sealed;
#[cfg(feature = "dkim")]
pub mod signing;
pub mod spf;
#[cfg(feature = "dkim")]
mod written;
