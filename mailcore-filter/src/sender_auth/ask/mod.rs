//! The checks of a sender as tests of mail: each asked at its stage, its result kept
//! for those after it, for the fields that are written and for reports.
//!
//! ```text
//!  mail ─► spf        content ─► dkim, arc ─► dmarc ─► bimi ─► AuthenticationFields
//! ```
//!
//! None of them asks anybody but the DNS of the domains that a message names. Where
//! that does not answer, a result says so and nothing is held against the mail.

mod arc;
mod author;
mod dkim;
mod dmarc;
mod fields;
mod spf;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use arc::ArcTest;
pub use dkim::DkimTest;
pub use dmarc::DmarcTest;
pub use fields::{AuthenticationFields, Logins, ReceivedSpf};
pub use spf::SpfTest;

/// How long one check may ask: less than a test may take, so that what it has found
/// by then is told.
const TIME: Duration = Duration::from_secs(5);
