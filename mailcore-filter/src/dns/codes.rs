//! [`Codes`]: which answers of a list are meant.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use thiserror::Error;

/// Addresses that a list answers with, by octets:
///
/// ```text
/// codes = octet 3("." octet)
/// octet = part *("," part)
/// part  = "*" / number / number "-" number / "&" number
/// ```
///
/// `&n` is any octet that has one of the bits of `n` set: lists made of several
/// others (SURBL, URIBL) give each of them a bit.
///
/// ```
/// use mailcore_filter::dns::Codes;
///
/// let codes: Codes = "127.0.0.2-4,9".parse()?;
/// assert!(codes.contains([127, 0, 0, 9].into()));
/// let phishing: Codes = "127.0.0.&8".parse()?;
/// assert!(phishing.contains([127, 0, 0, 72].into()));
/// # Ok::<(), mailcore_filter::dns::CodesError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Codes {
    text: String,
    octets: [OctetSet; 4],
}

/// Why a text names no codes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} names no answers of a list; write 127.0.0.2, 127.0.0.2-11,20, 127.0.*.1 or 127.0.0.&8"
)]
pub struct CodesError(String);

/// One bit for each octet there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct OctetSet([u128; 2]);

impl OctetSet {
    fn place(octet: u8) -> (usize, u128) {
        (usize::from(octet >> 7), 1 << (octet & 0x7f))
    }

    fn insert(&mut self, octet: u8) {
        let (half, bit) = Self::place(octet);
        if let Some(bits) = self.0.get_mut(half) {
            *bits |= bit;
        }
    }

    fn contains(self, octet: u8) -> bool {
        let (half, bit) = Self::place(octet);
        self.0.get(half).is_some_and(|bits| bits & bit != 0)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for part in text.split(',') {
            set.add(part)?;
        }
        Some(set)
    }

    fn add(&mut self, part: &str) -> Option<()> {
        if part == "*" {
            self.0 = [u128::MAX; 2];
            return Some(());
        }
        if let Some(mask) = part.strip_prefix('&') {
            let mask = number(mask).filter(|mask| *mask != 0)?;
            let meant = (0..=u8::MAX).filter(|octet| octet & mask != 0);
            meant.for_each(|octet| self.insert(octet));
            return Some(());
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        (first..=last).for_each(|octet| self.insert(octet));
        Some(())
    }
}

/// Digits alone: `parse` takes a sign, too.
fn number(text: &str) -> Option<u8> {
    (text.bytes().all(|octet| octet.is_ascii_digit())).then(|| text.parse().ok())?
}

impl Codes {
    /// True when this answer is meant.
    pub fn contains(&self, answer: Ipv4Addr) -> bool {
        let sets = self.octets.iter();
        (sets.zip(answer.octets())).all(|(set, octet)| set.contains(octet))
    }
}

impl FromStr for Codes {
    type Err = CodesError;

    fn from_str(text: &str) -> Result<Self, CodesError> {
        let parts = text.split('.').map(OctetSet::parse);
        let octets: Option<Vec<_>> = parts.collect();
        match octets.and_then(|octets| octets.try_into().ok()) {
            Some(octets) => Ok(Self {
                text: text.to_owned(),
                octets,
            }),
            None => Err(CodesError(text.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_numbers_ranges_lists_masks_and_stars() {
        for (codes, answer, want) in [
            ("127.0.0.2", "127.0.0.2", true),
            ("127.0.0.2", "127.0.0.3", false),
            ("127.0.0.2-11", "127.0.0.11", true),
            ("127.0.0.2-11", "127.0.0.12", false),
            ("127.0.0.2,4-7", "127.0.0.6", true),
            ("127.0.0.2,4-7", "127.0.0.3", false),
            ("127.0.*.1-3", "127.0.15.2", true),
            ("127.0.*.1-3", "127.0.15.0", false),
            ("127.0.0.&8", "127.0.0.72", true),
            ("127.0.0.&8", "127.0.0.64", false),
            ("127.0.0.&72", "127.0.0.64", true),
            ("127.255.255.128-255", "127.255.255.254", true),
            ("127.255.255.128-255", "127.255.255.127", false),
        ] {
            let codes: Codes = codes.parse().unwrap();
            assert_eq!(codes.contains(answer.parse().unwrap()), want, "{codes}");
        }
    }

    #[test]
    fn what_names_no_codes_says_how_to_write_them() {
        for bad in [
            "",
            "127",
            "127.0.0",
            "127.0.0.2.3",
            "127.0.0.256",
            "127.0.0.",
            "127.0.0.4-2",
            "127.0.0.&0",
            "127.0.0.+2",
            "127.0.0.-2",
            "127.0.0.2,",
            "127.0.0.2 ",
            "a.b.c.d",
        ] {
            let error = bad.parse::<Codes>().unwrap_err();
            assert!(error.to_string().contains("write 127.0.0.2"), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_what_lies_in_it_and_nothing_else(
            first: u8, more: u8, asked: u8,
        ) {
            let last = first.saturating_add(more);
            let codes: Codes = format!("127.0.0.{first}-{last}").parse().unwrap();
            let answer = Ipv4Addr::new(127, 0, 0, asked);
            prop_assert_eq!(codes.contains(answer), (first..=last).contains(&asked));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.,&*-]{0,40}") {
            let _ = text.parse::<Codes>();
        }
    }
}
