//! How strings are compared: [`Comparator`] (RFC 4790 section 9, RFC 5051).

use std::borrow::Cow;
use std::cmp::Ordering;

use unicode_normalization::UnicodeNormalization;

/// A comparator that scripts name in `:comparator` (RFC 5228 section 2.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Comparator {
    /// `i;octet`.
    Octet,
    /// `i;ascii-casemap`.
    #[default]
    AsciiCasemap,
    /// `i;ascii-numeric`.
    AsciiNumeric,
    /// `i;unicode-casemap`.
    UnicodeCasemap,
}

impl Comparator {
    /// All that there are.
    pub const ALL: [Self; 4] = [
        Self::Octet,
        Self::AsciiCasemap,
        Self::AsciiNumeric,
        Self::UnicodeCasemap,
    ];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Octet => "i;octet",
            Self::AsciiCasemap => "i;ascii-casemap",
            Self::AsciiNumeric => "i;ascii-numeric",
            Self::UnicodeCasemap => "i;unicode-casemap",
        }
    }

    /// The comparator of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|comparator| comparator.as_str() == name)
    }

    /// True when it looks for strings in others, as `:contains` and `:matches` do.
    pub fn finds_substrings(self) -> bool {
        self != Self::AsciiNumeric
    }

    /// Which of two strings comes first. Folded text ([`Comparator::fold`]) gives
    /// what it was made of gives.
    pub fn compare(self, left: &[u8], right: &[u8]) -> Ordering {
        match self {
            Self::Octet => left.cmp(right),
            Self::AsciiCasemap => left
                .iter()
                .map(u8::to_ascii_uppercase)
                .cmp(right.iter().map(u8::to_ascii_uppercase)),
            Self::AsciiNumeric => Number::read(left).cmp(&Number::read(right)),
            Self::UnicodeCasemap => self.fold(left).cmp(&self.fold(right)),
        }
    }

    /// The form of a string in which equal strings have equal octets.
    pub fn fold(self, text: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Octet => Cow::Borrowed(text),
            // Letters become capitals, not small ones: it decides on which side of
            // them `_` and its neighbours are (RFC 4790 section 9.2.1).
            Self::AsciiCasemap => Cow::Owned(text.to_ascii_uppercase()),
            Self::AsciiNumeric => Cow::Borrowed(Number::read(text).canonical()),
            Self::UnicodeCasemap => {
                let mut folded = Vec::with_capacity(text.len());
                fold_unicode(text, &mut folded, |_| ());
                Cow::Owned(folded)
            }
        }
    }

    /// The characters that one becomes when its string is folded.
    pub(super) fn fold_character(self, character: char, mut into: impl FnMut(char)) {
        match self {
            Self::Octet | Self::AsciiNumeric => into(character),
            Self::AsciiCasemap => into(character.to_ascii_uppercase()),
            Self::UnicodeCasemap if character.is_ascii() => into(character.to_ascii_uppercase()),
            Self::UnicodeCasemap => std::iter::once(capital(character))
                .nfkd()
                .for_each(|piece| into(capital(piece))),
        }
    }
}

/// Where a character begins, before and after its text was folded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    origin: u32,
    folded: u32,
}

impl Begin {
    fn new(origin: usize, folded: usize) -> Self {
        let small = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            origin: small(origin),
            folded: small(folded),
        }
    }

    pub(super) fn origin(&self) -> usize {
        self.origin as usize
    }

    pub(super) fn folded(&self) -> usize {
        self.folded as usize
    }
}

/// A number as `i;ascii-numeric` sees it: the digits a string begins with. Strings
/// that begin with none are all the same and above every number (RFC 4790 section
/// 9.1.1).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Number<'a> {
    /// By length and then by digits, leading zeros gone.
    Digits(usize, &'a [u8]),
    Infinite,
}

impl<'a> Number<'a> {
    fn read(text: &'a [u8]) -> Self {
        let end = text
            .iter()
            .position(|octet| !octet.is_ascii_digit())
            .unwrap_or(text.len());
        let digits = text.get(..end).unwrap_or_default();
        let zeros = digits.iter().take_while(|&&octet| octet == b'0').count();
        match digits.get(zeros..).unwrap_or_default() {
            _ if digits.is_empty() => Self::Infinite,
            significant => Self::Digits(significant.len(), significant),
        }
    }

    fn canonical(self) -> &'a [u8] {
        match self {
            Self::Digits(0, _) => b"0",
            Self::Digits(_, digits) => digits,
            Self::Infinite => b"",
        }
    }
}

/// Appends `text` in capitals and decomposed (RFC 5051 section 2), telling where
/// each character begins. Octets that are no UTF-8 stay as they are.
pub(super) fn fold_unicode(text: &[u8], into: &mut Vec<u8>, mut begins: impl FnMut(Begin)) {
    let mut at = 0;
    for chunk in text.utf8_chunks() {
        for (offset, character) in chunk.valid().char_indices() {
            begins(Begin::new(at + offset, into.len()));
            Comparator::UnicodeCasemap.fold_character(character, |folded| {
                into.extend_from_slice(folded.encode_utf8(&mut [0; 4]).as_bytes());
            });
        }
        at += chunk.valid().len();
        for &octet in chunk.invalid() {
            begins(Begin::new(at, into.len()));
            into.push(octet);
            at += 1;
        }
    }
}

/// The capital of a character where it is one character: RFC 5051 asks for simple
/// mappings, which `ß` has none of.
fn capital(character: char) -> char {
    let mut capitals = character.to_uppercase();
    match (capitals.next(), capitals.next()) {
        (Some(capital), None) => capital,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compare(comparator: Comparator, left: &str, right: &str) -> Ordering {
        comparator.compare(left.as_bytes(), right.as_bytes())
    }

    #[test]
    fn numbers_are_ordered_by_value_and_strings_without_any_are_above_all() {
        let numeric = Comparator::AsciiNumeric;
        let order = ["0", "1", "9", "10", "99999999999999999999999", "none"];
        for (index, left) in order.iter().enumerate() {
            for (other, right) in order.iter().enumerate() {
                assert_eq!(compare(numeric, left, right), index.cmp(&other));
            }
        }
        assert_eq!(compare(numeric, "007 a", "7"), Ordering::Equal);
        assert_eq!(compare(numeric, "", "-1"), Ordering::Equal);
    }

    #[test]
    fn case_is_that_of_ascii_or_of_all_letters() {
        let ascii = Comparator::AsciiCasemap;
        let unicode = Comparator::UnicodeCasemap;
        assert_eq!(compare(ascii, "Straße", "sTRAßE"), Ordering::Equal);
        assert_ne!(compare(ascii, "Äpfel", "äpfel"), Ordering::Equal);
        assert_eq!(compare(unicode, "Äpfel", "äPFEL"), Ordering::Equal);
        assert_eq!(compare(unicode, "a\u{308}pfel", "Äpfel"), Ordering::Equal);
        assert_eq!(compare(unicode, "ﬁ", "FI"), Ordering::Equal);
        assert_eq!(compare(unicode, "\u{1fb3}", "\u{1fbc}"), Ordering::Equal);
        assert_eq!(compare(ascii, "a", "_"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn folded_text_compares_as_its_origin(left: Vec<u8>, right in "[aAäÄ0-9_ﬁ]{0,4}") {
            for comparator in Comparator::ALL {
                let (a, b) = (comparator.fold(&left), comparator.fold(right.as_bytes()));
                let order = comparator.compare(&left, right.as_bytes());
                prop_assert_eq!(order, comparator.compare(&a, &b));
                prop_assert_eq!(order == Ordering::Equal, a == b);
            }
        }
    }
}
