//! Filters for mailcore: decisions about mail on its way in.
//!
//! ```text
//!  connect ─► helo ─► mail ─► rcpt ─► data ─► message      (mailcore::seams::Filter)
//!     │                 │       │
//!  client            sender  recipient                     AccessList
//! ```
//!
//! A filter is given to the server's builder and asked at the stages it is
//! about. What is here so far: [`AccessList`], which allows and denies by
//! client, sender and recipient; [`sender_auth::spf`], which says whether a host
//! may send for a domain; `sender_auth::dkim` (feature `dkim`), which checks and
//! makes signatures of domains; [`sender_auth::dmarc`], which says what the domain
//! of a From field asks for; `sender_auth::arc` (feature `dkim`), which checks
//! chains of seals; `content` (feature `content`), which says what text a message
//! shows and where it leads; [`sender`], which asks DNS about clients and senders;
//! [`greylist`], which puts unknown senders off once; [`batv`], which signs senders
//! of ours.
//!
//! | RFC | what of it |
//! |---|---|
//! | 3463 section 3.8 | `X.7.1` for what a list denies |
//! | 4406, 4407 | Sender ID |
//! | 4632 section 3.1 | networks as `address/prefix` |
//! | 5321 section 3.1 | 554 in place of a greeting |
//! | 5518 | VBR |
//! | 5782 | lists in DNS of addresses and of names, and their test entries |
//! | 6376, 8301, 8463 | DKIM with RSA and Ed25519: checks, and signatures with keys that rotate |
//! | 6647 | greylisting |
//! | 7208 | SPF, asked at MAIL; Received-SPF |
//! | 7505 | a null MX as a sender's |
//! | 8617 | ARC: checks and seals |
//! | 7489, 9989 | DMARC, and what it asks for |
//! | 5965, 6591 | reports of single messages that failed DMARC (feature `dmarc-reports`) |
//! | 7489, 9990 | aggregate reports, sent and received (feature `dmarc-reports`) |
//! | 8601 | Authentication-Results |
//!
//! ```
//! use mailcore_filter::AccessList;
//!
//! let list = AccessList::parse(
//!     "deny  client    192.0.2.0/24\n\
//!      allow client    192.0.2.7      # the one good host there\n\
//!      deny  sender    .example.net\n\
//!      deny  recipient retired@example.com\n",
//! )?;
//! assert_eq!(list.len(), 4);
//! # Ok::<(), mailcore_filter::AccessListError>(())
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod batv;
#[cfg(feature = "content")]
pub mod content;
pub mod dns;
pub mod greylist;
pub mod lists;
pub mod pipeline;
#[cfg(feature = "psl")]
mod registered;
#[cfg(feature = "rules")]
pub mod rules;
pub mod sender;
pub mod sender_auth;
#[cfg(test)]
mod testing;

pub use lists::{AccessList, AccessListError};
#[cfg(feature = "psl")]
pub use registered::registered_domain;
