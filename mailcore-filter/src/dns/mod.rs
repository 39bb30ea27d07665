//! Lists in DNS (RFC 5782): of addresses, of domains, of those known for good
//! mail.
//!
//! | test | asks about | when |
//! |---|---|---|
//! | [`Dnsbl`] | the client | it connects |
//! | [`Rhsbl`] | the domain in MAIL FROM, the name in HELO | MAIL |
//! | [`RhsblFrom`] | the domains in the From field | the content is there |
//! | `Uribl` (feature `psl`; as a test of the pipeline, `content`) | the domains of URLs | the content is there |
//! | [`Backscatter`] | the client | MAIL FROM:<> |
//!
//! [`Zone`] is a list and what its answers mean, [`shipped`] knows some;
//! [`DnsLists`] asks lists: all at once, each question within a time, answers
//! kept as long as they hold. A list counts only while the entries that RFC 5782
//! section 5 asks for are as they must be, tested before the first question and
//! every hour: one that died, answers everything, or answers with an error is
//! off until a test finds it well, which the log says and a [`ListWatch`] is told.
//!
//! A list that gives no answer lists nobody. No list is asked unless somebody
//! names it: asking tells whoever runs it who sends mail here.

mod backscatter;
mod cache;
mod clients;
mod codes;
mod dnsbl;
mod except;
mod health;
mod lookup;
mod names;
mod results;
mod rhsbl;
pub mod shipped;
#[cfg(test)]
mod tests;
mod text;
#[cfg(feature = "psl")]
mod uribl;
#[cfg(feature = "content")]
mod uribl_test;
mod zone;

pub use backscatter::Backscatter;
pub use codes::{Codes, CodesError};
pub use dnsbl::Dnsbl;
pub use except::{ClientException, ClientExceptions, ExceptionError, NameExceptions};
pub use health::{ListWatch, ZoneChange, ZoneFault};
pub use lookup::{DnsListLimits, DnsLists, Listing, Listings};
pub use rhsbl::{AskHelo, Rhsbl, RhsblFrom};
#[cfg(feature = "psl")]
pub use uribl::Uribl;
pub use zone::{Effect, EffectError, Kind, Proof, Subject, Zone};
