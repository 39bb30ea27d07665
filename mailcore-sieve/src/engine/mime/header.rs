//! A header section's fields: [`fields`], [`unfold`].

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr3};

/// One field with its continuation lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Without the colon and white space before it; empty for a line that is no
    /// field.
    pub(crate) name: &'a [u8],
    /// What follows the colon, folds and line end included.
    pub(crate) raw: &'a [u8],
    /// Where all of it lies in the section.
    pub(crate) range: Range<usize>,
}

/// The fields of a section, up to its empty line.
pub(crate) fn fields(section: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let first = line_at(section, start);
        if first.is_empty() || is_blank(first) {
            return None;
        }
        let mut end = start + first.len();
        while let Some(b' ' | b'\t') = section.get(end) {
            end += line_at(section, end).len();
        }
        at = end;
        let (name, raw) = split_name(section.get(start..end)?);
        let range = start..end;
        Some(Field { name, raw, range })
    })
}

/// Octets of the section at the start of a message, its empty line counted in.
pub(crate) fn section_len(octets: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let line = line_at(octets, at);
        at += line.len();
        if line.is_empty() || is_blank(line) {
            return at;
        }
    }
}

/// A field's value on one line, trimmed (RFC 5322 section 2.2.3). Stray CR, LF and
/// NUL are gone.
pub(crate) fn unfold(raw: &[u8]) -> Cow<'_, [u8]> {
    let stray = |octet: u8| matches!(octet, b'\r' | b'\n' | 0);
    let blank = |octet: &u8| stray(*octet) || matches!(octet, b' ' | b'\t');
    let start = raw.iter().position(|octet| !blank(octet));
    let start = start.unwrap_or(raw.len());
    let end = raw.iter().rposition(|octet| !blank(octet));
    let trimmed = raw.get(start..end.map_or(start, |last| last + 1));
    let trimmed = trimmed.unwrap_or_default();
    match memchr3(b'\r', b'\n', 0, trimmed) {
        None => Cow::Borrowed(trimmed),
        Some(_) => trimmed
            .iter()
            .copied()
            .filter(|&octet| !stray(octet))
            .collect(),
    }
}

/// The line that starts at `at`, with its line end where it has one.
pub(crate) fn line_at(octets: &[u8], at: usize) -> &[u8] {
    let rest = octets.get(at..).unwrap_or_default();
    match memchr(b'\n', rest) {
        Some(end) => rest.get(..=end).unwrap_or_default(),
        None => rest,
    }
}

/// True for the line that ends a section.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// Splits at the colon. White space may stand before it (RFC 5322 section 4.5.3).
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
    match rest.trim_ascii_start() {
        [b':', raw @ ..] if !name.is_empty() && blank_to_colon(rest) => (name, raw),
        _ => none,
    }
}

fn blank_to_colon(rest: &[u8]) -> bool {
    rest.iter()
        .find(|octet| !matches!(octet, b' ' | b'\t'))
        .is_some_and(|octet| *octet == b':')
}
