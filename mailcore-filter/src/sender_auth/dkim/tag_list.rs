//! `tag=value; tag=value` (RFC 6376 section 3.2): the form of signatures, keys,
//! and of what DMARC publishes.

use std::ops::Range;

use super::{DkimProblem, SyntaxError};

/// Tags read of one list.
const MOST: usize = 64;

/// A tag list over its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList<'a> {
    tags: Vec<Tag<'a>>,
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag<'a> {
    name: &'a str,
    /// Trimmed, folds inside kept.
    value: &'a str,
    /// All between the equals sign and the semicolon, in what was read.
    range: Range<usize>,
}

impl<'a> TagList<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// [`SyntaxError`]: something is no tag, or there twice, or there are too
    /// many.
    pub fn parse(octets: &'a [u8]) -> Result<Self, SyntaxError> {
        let text = std::str::from_utf8(octets).map_err(|_| SyntaxError::NotText)?;
        let mut tags: Vec<Tag<'a>> = Vec::new();
        let mut at = 0;
        for part in text.split(';') {
            let start = at;
            at += part.len() + 1;
            let Some((name, value)) = part.split_once('=') else {
                // The last may be ended by a semicolon, too.
                if at > text.len() && part.trim_matches(is_fws).is_empty() {
                    continue;
                }
                return Err(SyntaxError::NoTag(part.trim_matches(is_fws).into()));
            };
            let from = start + name.len() + 1;
            let name = name.trim_matches(is_fws);
            if !is_tag_name(name) {
                return Err(SyntaxError::NoTag(name.into()));
            }
            if tags.len() >= MOST {
                return Err(SyntaxError::ManyTags);
            }
            if tags.iter().any(|tag| tag.name == name) {
                return Err(SyntaxError::Twice(name.into()));
            }
            tags.push(Tag {
                name,
                value: value.trim_matches(is_fws),
                range: from..start + part.len(),
            });
        }
        Ok(Self { tags })
    }

    /// The value of a tag. Names are compared with their case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.tag(name).map(|tag| tag.value)
    }

    /// The value of a tag that must be there.
    pub(in crate::sender_auth) fn require(
        &self,
        name: &'static str,
    ) -> Result<&'a str, DkimProblem> {
        self.get(name).ok_or(DkimProblem::MissingTag(name))
    }

    /// The values of a tag whose values are parted by colons; none when it is
    /// not there.
    pub fn values(&self, name: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let value = self.get(name)?;
        Some(value.split(':').map(|it| it.trim_matches(is_fws)))
    }

    /// Octets of a tag written in base64, white space left out; `None` when it
    /// is not there or is no base64.
    pub(in crate::sender_auth) fn octets(&self, name: &str) -> Option<Vec<u8>> {
        decode_base64(self.get(name)?)
    }

    /// The name of the first tag.
    pub fn first(&self) -> Option<&'a str> {
        self.tags.first().map(|tag| tag.name)
    }

    /// Where the value of a tag lies in what was read, white space included.
    pub(super) fn range(&self, name: &str) -> Option<Range<usize>> {
        self.tag(name).map(|tag| tag.range.clone())
    }

    fn tag(&self, name: &str) -> Option<&Tag<'a>> {
        self.tags.iter().find(|tag| tag.name == name)
    }
}

pub(super) fn is_fws(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// `ALPHA *ALNUMPUNC`
fn is_tag_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && (name.bytes()).all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

/// Base64 as signatures and keys have it: folded anywhere, padding at times left
/// out.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let packed: Vec<u8> = text
        .bytes()
        .filter(|octet| !is_fws(char::from(*octet)))
        .collect();
    LENIENT.decode(packed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_with_their_white_space() {
        let text = b" v = 1 ;\r\n\tb= ab\r\n c= ; h = from : to; ";
        let list = TagList::parse(text).unwrap();
        assert_eq!(list.first(), Some("v"));
        assert_eq!(list.get("v"), Some("1"));
        assert_eq!(list.octets("b"), decode_base64("abc="));
        let names: Vec<_> = list.values("h").unwrap().collect();
        assert_eq!(names, ["from", "to"]);
        assert_eq!(&text[list.range("b").unwrap()], b" ab\r\n c= ");
        assert_eq!(list.get("B"), None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert!(matches!(
            TagList::parse(b"a=1;b"),
            Err(SyntaxError::NoTag(_))
        ));
        assert!(matches!(
            TagList::parse(b"a=1;;b=1"),
            Err(SyntaxError::NoTag(_))
        ));
        assert!(matches!(TagList::parse(b"1=1"), Err(SyntaxError::NoTag(_))));
        assert!(matches!(
            TagList::parse(b"a=1;a=2"),
            Err(SyntaxError::Twice(_))
        ));
        assert!(matches!(
            TagList::parse(b"a=\xff"),
            Err(SyntaxError::NotText)
        ));
        let many: String = (0..65).map(|n| format!("t{n}=;")).collect();
        assert_eq!(TagList::parse(many.as_bytes()), Err(SyntaxError::ManyTags));
        assert!(TagList::parse(b"").is_ok());
    }
}
