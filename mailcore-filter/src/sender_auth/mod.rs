//! Who sent a message, as far as DNS and signatures tell.

#[cfg(feature = "dkim")]
pub mod arc;
#[cfg(feature = "dkim")]
pub mod dkim;
pub mod dmarc;
#[cfg(feature = "dkim")]
pub mod signing;
#[cfg(feature = "dmarc-reports")]
pub mod reports;
pub mod spf;
