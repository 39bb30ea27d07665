//! Who sent a message, as far as DNS and signatures tell.

#[cfg(feature = "dkim")]
pub mod arc;
#[cfg(feature = "dkim")]
pub mod dkim;
pub mod dmarc;
#[cfg(feature = "dmarc-reports")]
pub mod reports;
#[cfg(feature = "dkim")]
pub mod signing;
pub mod spf;
