//! A view of a message header over its raw octets: [`Header`], [`Field`].
//!
//! Nothing is copied and nothing is refused: stored mail holds lines without a
//! colon, bare line feeds and worse. Writing fields is [`super::header_writer`]'s
//! task, and what a field's body means is for the parsers beside this file.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

/// A header section: field lines up to the empty line that ends it.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    octets: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header at the start of `octets`, which may be a whole message, a
    /// MIME part, or a header section with or without its empty line.
    ///
    /// Costs nothing: the end is found while iterating.
    pub fn new(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    /// The fields in order, lines that are no fields among them.
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            octets: self.octets,
            at: 0,
        }
    }

    /// The first field called `name`, compared without regard to ASCII case.
    pub fn first(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.is(name))
    }

    /// Every field called `name`, compared without regard to ASCII case.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Field<'a>> + use<'a, 'n> {
        self.fields().filter(move |field| field.is(name))
    }

    /// Octets up to and with the empty line, or all there are without one:
    /// where the body starts.
    pub fn section_len(&self) -> usize {
        self.closed_len().unwrap_or(self.octets.len())
    }

    /// Octets up to and with the empty line; `None` when it is not among them.
    pub fn closed_len(&self) -> Option<usize> {
        let mut at = 0;
        loop {
            let line = line_at(self.octets, at);
            at += line.len();
            if line.is_empty() {
                return None;
            }
            if is_blank(line) {
                return Some(at);
            }
        }
    }
}

/// One field, its continuation lines included.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field<'a> {
    /// The name, without the colon and the white space before it (RFC 5322
    /// section 4.5.3). Empty when the line is no field; the line is then all
    /// in `raw`.
    pub name: &'a [u8],
    /// What follows the colon, folds and final line end included.
    pub raw: &'a [u8],
    /// Where the field lies in the octets given to [`Header::new`], from its
    /// name to its final line end.
    pub range: Range<usize>,
}

impl<'a> Field<'a> {
    /// True when the field is called `name`, without regard to ASCII case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line: unfolded (RFC 5322 section 2.2.3) and trimmed.
    /// Stray CR, LF and NUL, which no protocol can carry on, are dropped.
    pub fn value(&self) -> Cow<'a, [u8]> {
        unfold(self.raw)
    }
}

/// Iterates over fields; made by [`Header::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let first = line_at(self.octets, start);
        if first.is_empty() || is_blank(first) {
            return None;
        }
        let mut end = start + first.len();
        loop {
            let next = line_at(self.octets, end);
            match next.first() {
                Some(b' ' | b'\t') => end += next.len(),
                _ => break,
            }
        }
        self.at = end;
        let field = self.octets.get(start..end)?;
        let (name, raw) = split_name(field);
        Some(Field {
            name,
            raw,
            range: start..end,
        })
    }
}

/// Unfolds a raw field body as [`Field::value`] does.
pub fn unfold(raw: &[u8]) -> Cow<'_, [u8]> {
    let stray = |octet: &u8| matches!(octet, b'\r' | b'\n' | 0);
    let blank = |octet: &u8| stray(octet) || matches!(octet, b' ' | b'\t');
    let start = raw
        .iter()
        .position(|octet| !blank(octet))
        .unwrap_or(raw.len());
    let end = raw
        .iter()
        .rposition(|octet| !blank(octet))
        .map_or(start, |last| last + 1);
    let trimmed = raw.get(start..end).unwrap_or_default();
    if trimmed.iter().any(stray) {
        Cow::Owned(
            trimmed
                .iter()
                .copied()
                .filter(|octet| !stray(octet))
                .collect(),
        )
    } else {
        Cow::Borrowed(trimmed)
    }
}

/// The line that starts at `at`, with its line end when it has one.
fn line_at(octets: &[u8], at: usize) -> &[u8] {
    let rest = octets.get(at..).unwrap_or_default();
    match memchr(b'\n', rest) {
        Some(end) => rest.get(..=end).unwrap_or_default(),
        None => rest,
    }
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// Splits at the colon. A name is of printable ASCII (RFC 5322 section 2.2);
/// white space may stand between it and the colon.
fn split_name(field: &[u8]) -> (&[u8], &[u8]) {
    let none: (&[u8], &[u8]) = (b"", field);
    let Some(length) = field
        .iter()
        .position(|octet| !matches!(octet, b'!'..=b'9' | b';'..=b'~'))
    else {
        return none;
    };
    let Some((name, rest)) = field.split_at_checked(length) else {
        return none;
    };
    let spaces = rest
        .iter()
        .take_while(|octet| matches!(octet, b' ' | b'\t'))
        .count();
    match rest.get(spaces..) {
        Some([b':', raw @ ..]) if !name.is_empty() => (name, raw),
        _ => none,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &[u8] = b"From: a@example.org\r\nSubject : one\r\n\ttwo \r\nno colon here\r\nfrom:b\nX:\r\n\r\nBody: no\r\n";

    #[test]
    fn fields_keep_folds_and_ranges() {
        let header = Header::new(SAMPLE);
        let names: Vec<_> = header.fields().map(|field| field.name).collect();
        assert_eq!(names, [b"From".as_slice(), b"Subject", b"", b"from", b"X"]);
        let subject = header.first("SUBJECT").unwrap();
        assert_eq!(subject.raw, b" one\r\n\ttwo \r\n");
        assert_eq!(subject.value().as_ref(), b"one\ttwo");
        assert_eq!(&SAMPLE[subject.range], b"Subject : one\r\n\ttwo \r\n");
        assert_eq!(header.all("from").count(), 2);
        assert_eq!(&SAMPLE[header.section_len()..], b"Body: no\r\n");
    }

    #[test]
    fn mbox_line_is_no_field() {
        let header = Header::new(b"From a@b Sat Jan  1 12:00:00 2000\nTo: c\n");
        assert_eq!(header.fields().next().unwrap().name, b"");
        assert!(header.first("to").is_some());
    }

    proptest! {
        #[test]
        fn fields_cover_the_section(octets in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..200)) {
            let header = Header::new(&octets);
            let mut at = 0;
            for field in header.fields() {
                prop_assert_eq!(field.range.start, at);
                prop_assert!(field.range.end > at);
                prop_assert!(!field.value().iter().any(|octet| matches!(octet, b'\r' | b'\n')));
                at = field.range.end;
            }
            prop_assert!(header.section_len() - at <= 2);
        }
    }
}
