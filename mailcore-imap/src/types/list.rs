//! [`ListPattern`]: which mailboxes LIST and LSUB name.

use std::collections::BTreeMap;

use mailcore::mailbox::{HIERARCHY_DELIMITER, composed};

/// Octets allowed in a pattern, reference included.
pub const MAX_PATTERN: usize = 2_000;

/// `list-mailbox` joined to its reference: `*` matches anything, `%` anything
/// but the hierarchy delimiter (RFC 3501 section 6.3.8). In UTF-8.
///
/// Each place in the pattern is a bit, and all places that a name's front can
/// lead to are followed at once: going back to a wildcard to try again takes
/// hours for a pattern and names made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPattern {
    /// Places; the one behind the last is the end.
    places: usize,
    /// Those of `*`.
    stars: Vec<u64>,
    /// Those of `%`.
    percents: Vec<u64>,
    /// Those of each octet.
    octets: BTreeMap<u8, Vec<u64>>,
}

impl ListPattern {
    /// The pattern `mailbox` under `reference`; `None` over [`MAX_PATTERN`].
    /// The inbox's name is folded and letters are composed, as
    /// [`mailcore::mailbox::MailboxName`] does.
    pub fn new(reference: &str, mailbox: &str) -> Option<Self> {
        let text = format!("{reference}{mailbox}");
        if text.len() > MAX_PATTERN {
            return None;
        }
        let text = composed(&text).into_owned();
        let first = text.split(HIERARCHY_DELIMITER).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") {
            let rest = text.get(5..).unwrap_or_default();
            return Some(Self::of(&format!("INBOX{rest}")));
        }
        Some(Self::of(&text))
    }

    fn of(text: &str) -> Self {
        let mut octets: Vec<u8> = Vec::with_capacity(text.len());
        for octet in text.bytes() {
            match (octets.last_mut(), octet) {
                // Side by side, the one that reaches further is both.
                (Some(last @ (b'*' | b'%')), b'*') => *last = b'*',
                (Some(b'*' | b'%'), b'%') => {}
                _ => octets.push(octet),
            }
        }
        let none = vec![0; octets.len() / 64 + 1];
        let mut pattern = Self {
            places: octets.len(),
            stars: none.clone(),
            percents: none.clone(),
            octets: BTreeMap::new(),
        };
        let mut inbox = b"INBOX".iter();
        for (place, octet) in octets.into_iter().enumerate() {
            match octet {
                b'*' => mark(&mut pattern.stars, place),
                b'%' => mark(&mut pattern.percents, place),
                _ => {
                    let places = pattern.octets.entry(octet);
                    mark(places.or_insert_with(|| none.clone()), place);
                }
            }
            // Letters of a pattern such as `inb%` still match `INBOX` in any case.
            match inbox.next() {
                Some(letter) if letter.eq_ignore_ascii_case(&octet) => {
                    let places = pattern.octets.entry(*letter);
                    mark(places.or_insert_with(|| none.clone()), place);
                }
                _ => inbox = [].iter(),
            }
        }
        pattern
    }

    /// How much work it is to match: its octets.
    pub fn weight(&self) -> usize {
        self.places
    }

    /// True when `name` matches. Takes time in proportion to the product of
    /// the two lengths, a 64th of it.
    pub fn matches(&self, name: &str) -> bool {
        let mut at = vec![0; self.stars.len()];
        mark(&mut at, 0);
        self.pass(&mut at);
        for octet in name.bytes() {
            self.step(&mut at, octet);
            self.pass(&mut at);
            if at.iter().all(|word| *word == 0) {
                return false;
            }
        }
        let last = at.get(self.places / 64).copied().unwrap_or(0);
        last & (1 << (self.places % 64)) != 0
    }

    /// From each place over `octet`.
    fn step(&self, at: &mut [u64], octet: u8) {
        let mut takes: &[u64] = &[];
        if let Some(places) = self.octets.get(&octet) {
            takes = places;
        }
        let takes = takes.iter().copied().chain(std::iter::repeat(0));
        let within = match char::from(octet) {
            HIERARCHY_DELIMITER => 0,
            _ => u64::MAX,
        };
        let wildcards = self.stars.iter().zip(&self.percents);
        let mut carried = 0;
        for ((word, (star, percent)), takes) in at.iter_mut().zip(wildcards).zip(takes) {
            let moves = *word & takes;
            let stays = *word & (star | (percent & within));
            *word = stays | (moves << 1) | carried;
            carried = moves >> 63;
        }
    }

    /// Past wildcards that take nothing more. No two are side by side.
    fn pass(&self, at: &mut [u64]) {
        let wildcards = self.stars.iter().zip(&self.percents);
        let mut carried = 0;
        for (word, (star, percent)) in at.iter_mut().zip(wildcards) {
            let passes = *word & (star | percent);
            *word |= (passes << 1) | carried;
            carried = passes >> 63;
        }
    }
}

fn mark(places: &mut [u64], place: usize) {
    if let Some(word) = places.get_mut(place / 64) {
        *word |= 1 << (place % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition itself, exponential and evident.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|i| naive(rest, &name[i..])),
            (Some((b'%', rest)), _) => {
                let reach = name.iter().position(|&b| b == b'/').unwrap_or(name.len());
                (0..=reach).any(|i| naive(rest, &name[i..]))
            }
            (Some((a, p)), Some((b, n))) => a == b && naive(p, n),
            _ => false,
        }
    }

    #[test]
    fn the_inbox_matches_in_any_case() {
        let matches = |pattern: &str| ListPattern::new("", pattern).unwrap().matches("INBOX");
        assert!(matches("inbox") && matches("InB%") && matches("*") && matches("%"));
        assert!(ListPattern::new("inbox/", "%").unwrap().matches("INBOX/a"));
    }

    #[test]
    fn a_pattern_made_to_be_tried_again_and_again_is_matched_at_once() {
        let name = "a".repeat(1_000);
        let pattern = format!("*a%{}b%c", "a".repeat(500));
        let pattern = ListPattern::new("", &pattern).unwrap();
        // Seconds each by going back.
        assert!((0..500).all(|_| !pattern.matches(&name)));
        let name = format!("{name}b/{name}bc");
        assert!(
            ListPattern::new("", &format!("*{}bc", "%a".repeat(600)))
                .unwrap()
                .matches(&name)
        );
        assert!(
            !ListPattern::new("", &format!("%{}bc", "%a".repeat(600)))
                .unwrap()
                .matches(&name)
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,9}", front in "[ab/]{60,66}|") {
            let (pattern, name) = (format!("{front}{pattern}"), format!("{front}{name}"));
            let fast = ListPattern::new("", &pattern).unwrap().matches(&name);
            prop_assert_eq!(fast, naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
