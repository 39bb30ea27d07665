//! The form of a signed sender (draft-levine-smtp-batv-01):
//!
//! ```text
//! prvs=KDDDSSSSSS=local-part@domain
//! ```
//!
//! K is the number of the key, DDD the last digits of the day that the address
//! ends on, counted from 1970, SSSSSS six hexadecimal digits that only who has the
//! key can make. This file is the form alone.

use mailcore::address::{Address, AddressError};
use mailcore::route::{MarkKey, MarkMac};
use mailcore::time::Timestamp;
use thiserror::Error;

const SCHEME: &str = "prvs=";
/// Octets that a sign adds to a local part.
pub(super) const ADDED: usize = SCHEME.len() + TAG + 1;
const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;
/// Days are counted modulo this.
const DAYS: i64 = 1_000;
/// Digits of key, day and hash.
const TAG: usize = 10;
/// Octets of the hash.
const HASH: usize = 3;

/// Why a local part is no good sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TagError {
    /// Not of this form.
    #[error("this is no signed sender")]
    Form,
    /// Made with another key, or changed.
    #[error("this signed sender was not made here")]
    Forged,
    /// Too old.
    #[error("this signed sender is no longer good")]
    Expired,
    /// No key to make one with.
    #[error("there is no key for signed senders")]
    NoKey,
    /// Longer than an address can be (RFC 5321 section 4.5.3.1.1).
    #[error("the address is too long to be signed")]
    TooLong(#[from] AddressError),
}

/// Makes and reads such addresses.
#[derive(Clone)]
pub struct Tags {
    mac: MarkMac,
    keys: Vec<MarkKey>,
    valid_days: i64,
}

impl std::fmt::Debug for Tags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tags").finish_non_exhaustive()
    }
}

impl Tags {
    /// With the newest key first, which makes addresses; all of them are good.
    /// What is made is good for so many days.
    pub fn new(mac: MarkMac, keys: Vec<MarkKey>, valid_days: u16) -> Self {
        Self {
            mac,
            keys,
            valid_days: i64::from(valid_days).min(DAYS / 2),
        }
    }

    /// The address, signed.
    ///
    /// # Errors
    /// [`TagError::TooLong`], [`TagError::NoKey`].
    pub fn sign(&self, address: &Address, now: Timestamp) -> Result<Address, TagError> {
        let key = self.keys.first().ok_or(TagError::NoKey)?;
        let day = today(now).saturating_add(self.valid_days).rem_euclid(DAYS);
        // All keys are tried, so that their number says nothing.
        let head = format!("0{day:03}");
        let hash = self.hash(key, &head, address);
        let local_part = format!("{SCHEME}{head}{hash}={}", address.local_part());
        Ok(Address::new(&local_part, address.domain().clone())?)
    }

    /// The address that was signed.
    ///
    /// # Errors
    /// Why it is none, [`TagError::Form`] for one that was not signed at all.
    pub fn verify(&self, address: &Address, now: Timestamp) -> Result<Address, TagError> {
        let (tag, local_part) = split(address.local_part()).ok_or(TagError::Form)?;
        let signed = Address::new(local_part, address.domain().clone())?;
        let (head, given) = tag.split_at_checked(4).ok_or(TagError::Form)?;
        let day = head.get(1..).and_then(|day| day.parse::<i64>().ok());
        let day = day.ok_or(TagError::Form)?;
        let mut good = false;
        for key in &self.keys {
            good |= same(&self.hash(key, head, &signed), given);
        }
        if !good {
            return Err(TagError::Forged);
        }
        let left = (day - today(now)).rem_euclid(DAYS);
        if left > self.valid_days {
            return Err(TagError::Expired);
        }
        Ok(signed)
    }

    fn hash(&self, key: &MarkKey, head: &str, address: &Address) -> String {
        // Hosts on the way may have changed the case of letters.
        let text = format!("{head}{}", address.folded());
        let mac = (self.mac)(key, text.as_bytes());
        let octets = mac.iter().take(HASH);
        octets.map(|octet| format!("{octet:02x}")).collect()
    }
}

/// The local part that was signed, whoever signed it.
pub(super) fn core(local_part: &str) -> Option<&str> {
    split(local_part).map(|(_, core)| core)
}

/// The tag, and the local part that was signed.
fn split(local_part: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = local_part.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let (tag, local_part) = rest.split_once('=')?;
    let (head, hash) = tag.split_at_checked(4)?;
    let digits = head.bytes().all(|octet| octet.is_ascii_digit());
    let fits = tag.len() == TAG && digits && hash.bytes().all(|octet| octet.is_ascii_hexdigit());
    (fits && !local_part.is_empty()).then_some((tag, local_part))
}

/// Whether two hashes are the same but for case, in a time that does not tell
/// where they differ.
fn same(ours: &str, given: &str) -> bool {
    let pairs = ours.bytes().zip(given.bytes());
    let differ = pairs.fold(0, |sum, (ours, given)| {
        sum | (ours ^ given.to_ascii_lowercase())
    });
    ours.len() == given.len() && std::hint::black_box(differ) == 0
}

fn today(now: Timestamp) -> i64 {
    now.millis().div_euclid(DAY_MILLIS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::mac;
    use super::*;

    fn tags(keys: &[MarkKey]) -> Tags {
        Tags::new(mac, keys.to_vec(), 7)
    }

    fn day(number: i64) -> Timestamp {
        Timestamp::from_millis(number * DAY_MILLIS)
    }

    const KEY: MarkKey = [7; 32];
    const OTHER: MarkKey = [8; 32];

    #[test]
    fn a_signed_sender_has_the_published_form_and_is_good_for_a_week() {
        let ann: Address = "Ann@a.test".parse().unwrap();
        let signed = tags(&[KEY]).sign(&ann, day(20_998)).unwrap();
        let text = signed.to_string();
        // The day a week later, modulo 1,000.
        assert!(text.starts_with("prvs=0005"), "{text}");
        assert!(text.ends_with("=Ann@a.test") && text.len() == 26, "{text}");
        let back = |address: &Address, keys: &[MarkKey], at| tags(keys).verify(address, day(at));
        assert_eq!(back(&signed, &[KEY], 20_998), Ok(ann.clone()));
        assert_eq!(back(&signed, &[OTHER, KEY], 21_005), Ok(ann.clone()));
        assert_eq!(back(&signed.folded(), &[KEY], 21_005), Ok(ann.folded()));
        assert_eq!(back(&signed, &[KEY], 21_006), Err(TagError::Expired));
        assert_eq!(back(&signed, &[OTHER], 20_998), Err(TagError::Forged));
        assert_eq!(back(&signed, &[], 20_998), Err(TagError::Forged));
        assert_eq!(back(&ann, &[KEY], 20_998), Err(TagError::Form));
        let moved = signed.local_part().replace("Ann", "bob");
        let moved = Address::new(&moved, ann.domain().clone()).unwrap();
        assert_eq!(back(&moved, &[KEY], 20_998), Err(TagError::Forged));
        let long = Address::new(&"x".repeat(60), ann.domain().clone()).unwrap();
        let error = tags(&[KEY]).sign(&long, day(1)).unwrap_err();
        assert!(matches!(error, TagError::TooLong(_)));
    }

    proptest! {
        #[test]
        fn every_address_comes_back_and_nothing_panics(
            local_part in "[a-zA-Z0-9=+.é-]{1,20}",
            noise in ".{0,48}",
            at in 0..40_000i64,
        ) {
            let tags = tags(&[KEY]);
            let address = Address::new(&local_part, "a.test".parse().unwrap()).unwrap();
            let signed = tags.sign(&address, day(at)).unwrap();
            prop_assert_eq!(tags.verify(&signed, day(at + 7)), Ok(address));
            for noise in [noise.clone(), format!("prvs={noise}"), format!("prvs=0123{noise}")] {
                if let Ok(address) = Address::new(&noise, "a.test".parse().unwrap()) {
                    prop_assert!(tags.verify(&address, day(at)).is_err());
                }
            }
        }
    }
}
