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
//!
//! ```
//! use std::sync::Arc;
//!
//! use mailcore::seams::SystemClock;
//! use mailcore::testing::FixedResolver;
//! use mailcore_filter::dns::{DnsListLimits, DnsLists, Dnsbl, Effect, Zone, shipped};
//! use mailcore_filter::pipeline::Pipeline;
//!
//! let (resolver, clock) = (Arc::new(FixedResolver::new()), Arc::new(SystemClock::new()));
//! let lists = DnsLists::new(resolver, clock.clone(), DnsListLimits::default());
//! let own = Zone::addresses("bl.example.org".parse()?)
//!     .meaning("127.0.0.2-11".parse()?, Effect::Listed)
//!     .meaning("127.0.0.20".parse()?, Effect::Score(2.5));
//! let mut zones = shipped::zones(shipped::Purpose::Dnsbl);
//! zones.push(own);
//! let pipeline = Pipeline::new(clock).test(Arc::new(Dnsbl::new(lists, zones)));
//! assert_eq!(pipeline.names().collect::<Vec<_>>(), ["dnsbl"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backscatter;
mod cache;
mod clients;
mod codes;
mod dnsbl;
mod effect;
mod except;
mod health;
mod listing;
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
pub use effect::{Effect, EffectError};
pub use except::{ClientException, ClientExceptions, ExceptionError, NameExceptions};
pub use health::{ListWatch, ZoneChange, ZoneFault};
pub use listing::{Listing, Listings};
pub use lookup::{DnsListLimits, DnsLists};
pub use rhsbl::{AskHelo, Rhsbl, RhsblFrom};
#[cfg(feature = "psl")]
pub use uribl::Uribl;
pub use zone::{Kind, Proof, Subject, Zone};
