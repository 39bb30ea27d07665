//! One tag of HTML and its attributes, read as browsers read them: [`Tag`].

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::entities;

/// Attributes of one tag that are looked at.
const MAX_ATTRIBUTES: usize = 100;
/// Octets of an attribute's value that are looked at; links may be long, and
/// pictures written out in the mail are longer still.
const MAX_VALUE: usize = 8 * 1024;

/// The name of an element as a number, so that a thousand open ones are compared
/// without a text. Two names of one number would be taken for one another, which
/// no element that means anything here suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(u32);

/// The number of a name, whatever its case (FNV-1a).
pub(super) const fn name(text: &[u8]) -> Name {
    let mut hash: u32 = 0x811c_9dc5;
    let mut rest = text;
    while let [octet, after @ ..] = rest {
        hash = (hash ^ octet.to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        rest = after;
    }
    Name(hash)
}

/// A tag, its attributes not parsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'a> {
    pub(super) name: Name,
    pub(super) is_end: bool,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads the tag whose `<` or `</` is left off `text`: the tag, and the octets
    /// it takes. None where it never ends: such a tag is not shown.
    pub(super) fn read(text: &'a str, is_end: bool) -> Option<(Self, usize)> {
        let length = text
            .bytes()
            .position(|it| it.is_ascii_whitespace() || matches!(it, b'/' | b'>'))?;
        let (name_text, rest) = text.split_at_checked(length)?;
        let end = end_of_tag(rest)?;
        let tag = Self {
            name: name(name_text.as_bytes()),
            is_end,
            attributes: rest.get(..end)?,
        };
        Some((tag, length + end + 1))
    }

    /// The attributes in order: name as written, value with its references
    /// decoded. Of two of one name the first counts, as in browsers.
    pub(super) fn attributes(&self) -> Attributes<'a> {
        Attributes {
            rest: self.attributes,
            left: MAX_ATTRIBUTES,
        }
    }
}

/// Where the `>` stands that ends a tag: not within quotes of a value.
fn end_of_tag(text: &str) -> Option<usize> {
    let octets = text.as_bytes();
    let mut attributes = Attributes {
        rest: text,
        left: MAX_ATTRIBUTES,
    };
    while attributes.next().is_some() {}
    let read = octets.len() - attributes.rest.len();
    let rest = octets.get(read..)?;
    Some(read + memchr(b'>', rest)?)
}

/// Iterates over attributes up to the tag's end.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let skip = |it: char| it.is_ascii_whitespace() || it == '/';
        self.rest = self.rest.trim_start_matches(skip);
        if self.rest.is_empty() || self.rest.starts_with('>') {
            return None;
        }
        // A leading `=` belongs to the name, however odd.
        let length = self
            .rest
            .bytes()
            .skip(1)
            .position(|it| it.is_ascii_whitespace() || matches!(it, b'=' | b'>' | b'/'));
        let length = length.map_or(self.rest.len(), |it| it + 1);
        let (name, rest) = self.rest.split_at_checked(length)?;
        let value = rest.trim_ascii_start();
        let Some(value) = value.strip_prefix('=') else {
            self.rest = rest;
            return Some((name, Value("")));
        };
        let (value, rest) = split_value(value.trim_ascii_start());
        self.rest = rest;
        Some((name, Value(value)))
    }
}

/// A value, without its quotes, and what follows. Quotes that never close are no
/// quotes here: a browser would show nothing of the rest, a filter must see it.
fn split_value(text: &str) -> (&str, &str) {
    let octets = text.as_bytes();
    if let Some(quote @ (b'"' | b'\'')) = octets.first()
        && let Some(length) = memchr(*quote, octets.get(1..).unwrap_or_default())
    {
        let value = text.get(1..=length).unwrap_or_default();
        return (value, text.get(length + 2..).unwrap_or_default());
    }
    let end = memchr2(b'>', b' ', octets).unwrap_or(octets.len());
    let unquoted = octets.get(..end).unwrap_or_default();
    let end = unquoted
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(end);
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The value of an attribute as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// As it is meant, cut to a length that any sane one has.
    pub(super) fn decoded(self) -> Cow<'a, str> {
        let end = self.0.floor_char_boundary(MAX_VALUE);
        entities::decode(self.0.get(..end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(tag: &str) -> Vec<String> {
        let (tag, length) = Tag::read(tag, false).unwrap();
        let all = tag.attributes();
        let shown = all.map(|(name, value)| format!("{name}={}", value.decoded()));
        shown.chain([length.to_string()]).collect()
    }

    #[test]
    fn attributes_are_read_whatever_their_quotes() {
        for (tag, want) in [
            ("a href=x>", vec!["href=x", "9"]),
            (
                "A HREF = 'x y'title=\"a>b\">z",
                vec!["HREF=x y", "title=a>b", "26"],
            ),
            ("a href=x/y/ b>", vec!["href=x/y/", "b=", "14"]),
            ("br/>", vec!["4"]),
            ("a href=\"x&amp;y\n\"/>", vec!["href=x&y\n", "19"]),
            ("a =x>", vec!["=x=", "5"]),
            ("a href=\"x>y", vec!["href=\"x", "10"]),
        ] {
            assert_eq!(attributes(tag), want, "{tag}");
        }
    }

    #[test]
    fn a_tag_without_an_end_is_none() {
        assert!(Tag::read("a href=x", false).is_none());
        assert!(Tag::read("", false).is_none());
    }

    #[test]
    fn names_know_no_case() {
        assert_eq!(name(b"ScRiPt"), name(b"script"));
        assert_ne!(name(b"script"), name(b"style"));
    }
}
