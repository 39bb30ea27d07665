//! The Sender Rewriting Scheme, version 1: addresses of ours that stand for the
//! sender of a message that an address of ours sends on to another host.
//!
//! The next host sees a sender whose domain names us as its sender (RFC 7208
//! section 2.4), and a notice about the message comes to us and finds back:
//!
//! ```text
//! SRS0=hash=day=their-domain=their-local-part@ours
//! SRS1=hash=first-forwarder==rest-of-its-SRS0@ours
//! ```
//!
//! Only who has the key can make one, and it is good for [`VALID_DAYS`], so that
//! it is no way to send mail through us to anybody. This file is the form alone;
//! [`SrsRouter`](super::SrsRouter) uses it.

use thiserror::Error;

use super::key_ring::{MarkKey, MarkMac};
use crate::address::{Address, AddressError, Domain};
use crate::time::Timestamp;

/// Days that an address is good for: more than any queue keeps mail. What a
/// later forwarder makes of another's is good as long as its key is known; the
/// first one looks at the day.
pub const VALID_DAYS: i64 = 21;
/// Days are counted modulo this: two digits of base 32.
const DAYS: i64 = 1024;
/// Letters of the hash: 30 bits. They can be tried at RCPT alone, and finding
/// them gains a notice to one address; more would leave less of the 64 octets
/// to the sender's own address.
const HASH: usize = 6;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;

/// A key that addresses are made with.
pub type SrsKey = MarkKey;

/// Authenticates octets with a key.
pub type SrsMac = MarkMac;

/// Why an address stands for nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SrsError {
    /// Not of this form.
    #[error("this is no forwarding address")]
    Form,
    /// Made with another key, or changed.
    #[error("this forwarding address was not made here")]
    Forged,
    /// Too old.
    #[error("this forwarding address is no longer good")]
    Expired,
    /// No key to make one with.
    #[error("there is no key for forwarding addresses")]
    NoKey,
    /// Longer than an address can be (RFC 5321 section 4.5.3.1.1).
    #[error("the sender's address is too long to be forwarded under another")]
    TooLong(#[from] AddressError),
}

/// Makes and reads such addresses.
#[derive(Clone)]
pub struct Srs {
    mac: SrsMac,
    keys: Vec<SrsKey>,
}

impl std::fmt::Debug for Srs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srs").finish_non_exhaustive()
    }
}

impl Srs {
    /// With the newest key first, which makes addresses; all of them are good.
    pub fn new(mac: SrsMac, keys: Vec<SrsKey>) -> Self {
        Self { mac, keys }
    }

    /// The address at `ours` under which mail from `sender` goes on.
    ///
    /// # Errors
    /// [`SrsError::TooLong`], [`SrsError::NoKey`].
    pub fn forward(
        &self,
        sender: &Address,
        ours: &Domain,
        now: Timestamp,
    ) -> Result<Address, SrsError> {
        let key = self.keys.first().ok_or(SrsError::NoKey)?;
        let (local_part, domain) = (sender.local_part(), sender.domain().as_str());
        let chained = match split(local_part) {
            // As the first forwarder signed it, with the sign that it used.
            Some((Scheme::First, rest)) => Some((domain, rest)),
            Some((Scheme::Later, rest)) => later(rest).map(|(_, first, rest)| (first, rest)),
            None => None,
        };
        let text = if let Some((first, rest)) = chained {
            let hash = self.hash(key, &[first, rest]);
            format!("SRS1={hash}={first}={rest}")
        } else {
            let day = day_text(today(now));
            let hash = self.hash(key, &[&day, domain, local_part]);
            format!("SRS0={hash}={day}={domain}={local_part}")
        };
        Ok(Address::new(&text, ours.clone())?)
    }

    /// Whom a notice to one of our addresses is for.
    ///
    /// # Errors
    /// Why it is for nobody.
    pub fn reverse(&self, local_part: &str, now: Timestamp) -> Result<Address, SrsError> {
        let (scheme, rest) = split(local_part).ok_or(SrsError::Form)?;
        if scheme == Scheme::Later {
            let (given, first, rest) = later(rest).ok_or(SrsError::Form)?;
            self.check(given, &[first, rest])?;
            let first = Domain::parse(first).map_err(|_| SrsError::Form)?;
            return Address::new(&format!("SRS0{rest}"), first).map_err(|_| SrsError::Form);
        }
        let mut parts = rest.get(1..).unwrap_or_default().splitn(4, '=');
        let (Some(given), Some(day), Some(domain), Some(local_part)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SrsError::Form);
        };
        self.check(given, &[day, domain, local_part])?;
        let made = day_of(day).ok_or(SrsError::Form)?;
        if (today(now) - made).rem_euclid(DAYS) > VALID_DAYS {
            return Err(SrsError::Expired);
        }
        let domain = Domain::parse(domain).map_err(|_| SrsError::Form)?;
        Address::new(local_part, domain).map_err(|_| SrsError::Form)
    }

    fn check(&self, given: &str, parts: &[&str]) -> Result<(), SrsError> {
        let mut good = false;
        for key in &self.keys {
            good |= same(&self.hash(key, parts), given);
        }
        if good { Ok(()) } else { Err(SrsError::Forged) }
    }

    fn hash(&self, key: &SrsKey, parts: &[&str]) -> String {
        let mut octets = Vec::new();
        for part in parts {
            // Hosts on the way may have changed the case of letters.
            octets.extend_from_slice(part.to_lowercase().as_bytes());
            // No sign that stands between parts, so that they can't be cut anew.
            octets.push(0);
        }
        let mac = (self.mac)(key, &octets);
        mac.iter()
            .take(HASH)
            .map(|octet| letter(i64::from(*octet)))
            .collect()
    }
}

/// True for a local part that means to be of this form.
pub fn is_srs(local_part: &str) -> bool {
    split(local_part).is_some()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    First,
    Later,
}

/// The scheme and what follows its name, the sign after it included.
fn split(local_part: &str) -> Option<(Scheme, &str)> {
    let (name, rest) = local_part.split_at_checked(4)?;
    let scheme = match name {
        it if it.eq_ignore_ascii_case("SRS0") => Scheme::First,
        it if it.eq_ignore_ascii_case("SRS1") => Scheme::Later,
        _ => return None,
    };
    rest.starts_with(['=', '+', '-']).then_some((scheme, rest))
}

/// Hash, first forwarder, and the rest with the sign before it.
fn later(rest: &str) -> Option<(&str, &str, &str)> {
    let (hash, rest) = rest.get(1..)?.split_once('=')?;
    let (first, rest) = rest.split_once('=')?;
    Some((hash, first, rest))
}

/// Whether two hashes are the same but for case, in a time that does not tell
/// where they differ.
fn same(ours: &str, given: &str) -> bool {
    let pairs = ours.bytes().zip(given.bytes());
    let differ = pairs.fold(0, |sum, (ours, given)| {
        sum | (ours.to_ascii_uppercase() ^ given.to_ascii_uppercase())
    });
    ours.len() == given.len() && std::hint::black_box(differ) == 0
}

fn letter(value: i64) -> char {
    let at = usize::try_from(value.rem_euclid(32)).unwrap_or_default();
    BASE32.get(at).map_or('A', |octet| char::from(*octet))
}

fn today(now: Timestamp) -> i64 {
    now.millis().div_euclid(DAY_MILLIS).rem_euclid(DAYS)
}

fn day_text(day: i64) -> String {
    [letter(day / 32), letter(day)].iter().collect()
}

fn day_of(text: &str) -> Option<i64> {
    let digit = |octet: u8| {
        let octet = octet.to_ascii_uppercase();
        let at = BASE32.iter().position(|it| *it == octet)?;
        i64::try_from(at).ok()
    };
    match text.as_bytes() {
        [high, low] => Some(digit(*high)? * 32 + digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: SrsKey = [7; 32];
    const OTHER: SrsKey = [8; 32];

    /// Tells texts and keys apart, which is all that these tests ask of it.
    fn mac(key: &SrsKey, text: &[u8]) -> [u8; 32] {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        let mut mac = [0; 32];
        for octet in key.iter().chain(text) {
            sum = (sum ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
        for (at, octet) in mac.iter_mut().enumerate() {
            *octet = sum
                .rotate_right(u32::try_from(at).unwrap() * 7)
                .to_be_bytes()[0];
        }
        mac
    }

    fn srs(keys: &[SrsKey]) -> Srs {
        Srs::new(mac, keys.to_vec())
    }

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn day(number: i64) -> Timestamp {
        Timestamp::from_millis(number * DAY_MILLIS)
    }

    fn ours() -> Domain {
        "b.test".parse().unwrap()
    }

    #[test]
    fn a_sender_is_wrapped_in_the_published_form_and_found_again() {
        let sender = address("Ann=x@a.test");
        let forwarded = srs(&[KEY]).forward(&sender, &ours(), day(20_000)).unwrap();
        let text = forwarded.to_string();
        let parts: Vec<&str> = text.split('=').collect();
        assert_eq!(parts[0], "SRS0");
        assert_eq!((parts[1].len(), parts[2].len()), (HASH, 2));
        assert_eq!(&parts[3..], ["a.test", "Ann", "x@b.test"]);
        let local_part = forwarded.local_part();
        let back = |local_part: &str, keys: &[SrsKey], at| srs(keys).reverse(local_part, day(at));
        assert_eq!(back(local_part, &[KEY], 20_021), Ok(sender));
        assert_eq!(
            back(&local_part.to_lowercase(), &[OTHER, KEY], 20_000),
            Ok(address("ann=x@a.test"))
        );
        assert_eq!(back(local_part, &[KEY], 20_022), Err(SrsError::Expired));
        assert_eq!(back(local_part, &[OTHER], 20_000), Err(SrsError::Forged));
        assert_eq!(back(local_part, &[], 20_000), Err(SrsError::Forged));
        let moved = local_part.replace("a.test", "c.test");
        assert_eq!(back(&moved, &[KEY], 20_000), Err(SrsError::Forged));
        for text in ["SRS0=", "SRS0=a=b", "SRS1=a", "ann", "SRS0"] {
            assert_eq!(back(text, &[KEY], 20_000), Err(SrsError::Form), "{text}");
        }
    }

    #[test]
    fn a_third_forwarder_leads_back_to_the_first() {
        let (second, third) = (ours(), "c.test".parse().unwrap());
        let from_first = address("SRS0=HHHH=TT=orig.test=ann@first.test");
        let at_second = srs(&[KEY]).forward(&from_first, &second, day(1)).unwrap();
        let text = at_second.to_string();
        assert!(text.starts_with("SRS1="), "{text}");
        let end = "=first.test==HHHH=TT=orig.test=ann";
        assert!(text.ends_with(&format!("{end}@b.test")), "{text}");
        let at_third = srs(&[OTHER]).forward(&at_second, &third, day(2)).unwrap();
        let text = at_third.to_string();
        assert!(text.ends_with(&format!("{end}@c.test")), "{text}");
        let back = srs(&[OTHER]).reverse(at_third.local_part(), day(900));
        assert_eq!(back, Ok(from_first));
    }

    #[test]
    fn days_wrap_around() {
        let srs = srs(&[KEY]);
        let forwarded = srs
            .forward(&address("a@a.test"), &ours(), day(1023))
            .unwrap();
        let back = |at| srs.reverse(forwarded.local_part(), day(at));
        assert!(back(1030).is_ok());
        assert_eq!(back(1022), Err(SrsError::Expired));
    }

    #[test]
    fn what_would_be_too_long_is_an_error() {
        let sender = address(&format!("{}@a.test", "x".repeat(60)));
        let forwarded = srs(&[KEY]).forward(&sender, &ours(), day(1));
        assert!(matches!(forwarded, Err(SrsError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn every_sender_comes_back_and_nothing_panics(
            local_part in "[a-zA-Z0-9=+.-]{1,24}",
            noise in ".{0,80}",
        ) {
            let srs = srs(&[KEY]);
            let sender = Address::new(&local_part, "a.test".parse().unwrap()).unwrap();
            let forwarded = srs.forward(&sender, &ours(), day(5)).unwrap();
            let back = srs.reverse(forwarded.local_part(), day(5));
            prop_assert!(is_srs(&local_part) || back == Ok(sender));
            for noise in [noise.clone(), format!("SRS1={noise}"), format!("SRS0={noise}")] {
                let _ = srs.reverse(&noise, day(5));
                if let Ok(sender) = Address::new(&noise, "a.test".parse().unwrap()) {
                    let _ = srs.forward(&sender, &ours(), day(5));
                }
            }
        }
    }
}
