//! What is known of one MIME part without reading its content: [`Part`],
//! [`ContentFields`] (RFC 2045, RFC 2183, RFC 3282, RFC 2557, RFC 1864).
//!
//! Parts are found by [`super::skeleton`].

use std::ops::Range;

use super::header::{Field, Header};
use super::header_envelope::HeaderEnvelope;
use super::parameters::{MAX_VALUE, Parameter, parse_value};

/// Octets allowed in a type, subtype or encoding name (RFC 6838 section 4.2).
const MAX_TOKEN: usize = 127;
/// Language tags kept of one Content-Language field.
const MAX_LANGUAGES: usize = 32;

/// One part of a message: a place in the tree and ranges of octets, counted
/// from the start of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Index of the part around this one; none for the message itself.
    pub parent: Option<usize>,
    /// Index after the last part within this one: its next sibling's, if it
    /// has one.
    pub end: usize,
    /// What it holds.
    pub kind: PartKind,
    /// Where its MIME header starts.
    pub header_start: u64,
    /// Where its body starts, after the header's empty line.
    pub body_start: u64,
    /// Where its body ends. The line end before a boundary line belongs to the
    /// boundary (RFC 2046 section 5.1.1).
    pub body_end: u64,
    /// Line ends in the body.
    pub lines: u64,
    /// What its header says.
    pub content: ContentFields,
}

impl Part {
    /// The header, with the empty line that ends it.
    pub fn header_range(&self) -> Range<u64> {
        self.header_start..self.body_start
    }

    /// The body as sent, transfer encoding and all.
    pub fn body_range(&self) -> Range<u64> {
        self.body_start..self.body_end
    }

    /// Octets in the body.
    pub fn body_len(&self) -> u64 {
        self.body_end.saturating_sub(self.body_start)
    }
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartKind {
    /// Content of its own. Multiparts that have no boundary, or no part, and
    /// what lies beyond the scanner's limits are leaves, too.
    Leaf,
    /// One part or more.
    Multipart,
    /// A message (`message/rfc822`, `message/global`), whose envelope this is.
    /// The part after it is that message's own root.
    Message(Box<HeaderEnvelope>),
}

/// The Content-* fields of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentFields {
    /// Type in lower case: `text`.
    pub media_type: String,
    /// Subtype in lower case: `plain`.
    pub subtype: String,
    /// Content-Type's parameters in order.
    pub parameters: Vec<Parameter>,
    /// Content-ID, as sent.
    pub id: Option<Vec<u8>>,
    /// Content-Description, as sent.
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding in lower case: `7bit` unless stated.
    pub encoding: String,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language's tags.
    pub language: Vec<Vec<u8>>,
    /// Content-Location, as sent.
    pub location: Option<Vec<u8>>,
    /// Content-MD5, as sent.
    pub md5: Option<Vec<u8>>,
}

/// Content-Disposition (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disposition {
    /// `inline`, `attachment`, in lower case.
    pub kind: String,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
}

/// `text/plain; charset=us-ascii`, 7bit (RFC 2045 sections 5.2 and 6.1).
impl Default for ContentFields {
    fn default() -> Self {
        let charset = Parameter {
            name: "charset".to_owned(),
            value: b"us-ascii".to_vec(),
            extended: false,
        };
        Self {
            parameters: vec![charset],
            ..Self::typed("text", "plain")
        }
    }
}

impl ContentFields {
    /// Fields with this type and nothing else.
    pub(super) fn typed(media_type: &str, subtype: &str) -> Self {
        Self {
            media_type: media_type.to_owned(),
            subtype: subtype.to_owned(),
            parameters: Vec::new(),
            id: None,
            description: None,
            encoding: "7bit".to_owned(),
            disposition: None,
            language: Vec::new(),
            location: None,
            md5: None,
        }
    }

    /// Reads the fields of `header`; `missing` stands in for a Content-Type
    /// that is absent or unreadable. The first field of a name counts.
    pub(super) fn read(header: &Header<'_>, missing: Self, budget: &mut Budget) -> Self {
        let mut content = missing;
        let mut seen = Seen::default();
        for field in header.fields() {
            let Some((prefix, rest)) = field.name.split_at_checked(8) else {
                continue;
            };
            if prefix.eq_ignore_ascii_case(b"Content-") {
                content.take(&rest.to_ascii_lowercase(), &field, &mut seen, budget);
            }
        }
        content
    }

    fn take(&mut self, name: &[u8], field: &Field<'_>, seen: &mut Seen, budget: &mut Budget) {
        match name {
            b"type" if !seen.content_type => {
                seen.content_type = true;
                self.take_type(field, budget);
            }
            b"transfer-encoding" if !seen.encoding => {
                seen.encoding = true;
                let (value, _) = parse_value(field.raw);
                if let Some(encoding) = token(&value) {
                    self.encoding = encoding;
                }
            }
            b"disposition" if self.disposition.is_none() => {
                let (value, parameters) = parse_value(field.raw);
                self.disposition = token(&value).map(|kind| Disposition {
                    kind,
                    parameters: budget.keep(parameters),
                });
            }
            b"language" if self.language.is_empty() => {
                let value = field.value();
                let tags = value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii);
                let tags = tags.filter(|tag| !tag.is_empty()).take(MAX_LANGUAGES);
                self.language = tags.filter_map(|tag| budget.keep_text(tag)).collect();
            }
            b"id" => first(&mut self.id, field, budget),
            b"description" => first(&mut self.description, field, budget),
            b"location" => first(&mut self.location, field, budget),
            b"md5" => first(&mut self.md5, field, budget),
            _ => {}
        }
    }

    fn take_type(&mut self, field: &Field<'_>, budget: &mut Budget) {
        let (value, parameters) = parse_value(field.raw);
        let slash = value.iter().position(|&octet| octet == b'/');
        let Some((media_type, [_, subtype @ ..])) =
            slash.and_then(|slash| value.split_at_checked(slash))
        else {
            return;
        };
        if let (Some(media_type), Some(subtype)) = (token(media_type), token(subtype)) {
            self.media_type = media_type;
            self.subtype = subtype;
            self.parameters = budget.keep(parameters);
        }
    }

    /// The value of Content-Type's parameter `name` (in lower case).
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        find(&self.parameters, name)
    }

    /// The file name: Content-Disposition's, else Content-Type's `name`.
    pub fn file_name(&self) -> Option<&[u8]> {
        let disposition = self.disposition.as_ref();
        disposition
            .and_then(|disposition| find(&disposition.parameters, "filename"))
            .or_else(|| self.parameter("name"))
    }

    /// Another type, without parameters, for a part that is not what it says.
    pub(super) fn retype(&mut self, media_type: &str, subtype: &str) {
        media_type.clone_into(&mut self.media_type);
        subtype.clone_into(&mut self.subtype);
        self.parameters.clear();
    }

    /// True for `media_type/subtype`, both in lower case.
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type == media_type && self.subtype == subtype
    }
}

#[derive(Default)]
struct Seen {
    content_type: bool,
    encoding: bool,
}

fn find<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a [u8]> {
    let found = parameters.iter().find(|parameter| parameter.name == name)?;
    Some(&found.value)
}

fn first(slot: &mut Option<Vec<u8>>, field: &Field<'_>, budget: &mut Budget) {
    if slot.is_none() {
        *slot = budget.keep_text(&field.value());
    }
}

/// A name of RFC 2045 section 5.1 `token` octets, in lower case.
fn token(octets: &[u8]) -> Option<String> {
    let special = |octet: u8| b"()<>@,;:\\\"/[]?=".contains(&octet);
    let valid = !octets.is_empty()
        && octets.len() <= MAX_TOKEN
        && octets
            .iter()
            .all(|&octet| octet.is_ascii_graphic() && !special(octet));
    let text = std::str::from_utf8(octets).ok().filter(|_| valid)?;
    Some(text.to_ascii_lowercase())
}

/// What a message's summary may still keep of its headers.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// Octets of text.
    pub(super) octets: usize,
    /// Addresses and group marks.
    pub(super) addresses: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            octets: 1 << 20,
            addresses: super::address_list::MAX_ADDRESSES,
        }
    }
}

impl Budget {
    /// Charges `octets`; false, and nothing charged, when they are too many.
    pub(super) fn take(&mut self, octets: usize) -> bool {
        match self.octets.checked_sub(octets) {
            Some(left) => {
                self.octets = left;
                true
            }
            None => false,
        }
    }

    fn keep_text(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let text = text.get(..text.len().min(MAX_VALUE)).unwrap_or_default();
        self.take(text.len()).then(|| text.to_vec())
    }

    fn keep(&mut self, mut parameters: Vec<Parameter>) -> Vec<Parameter> {
        parameters.retain(|parameter| self.take(parameter.name.len() + parameter.value.len()));
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &str) -> ContentFields {
        let header = Header::new(octets.as_bytes());
        ContentFields::read(&header, ContentFields::default(), &mut Budget::default())
    }

    #[test]
    fn all_fields() {
        let content = read(
            "MIME-Version: 1.0\nContent-Type: Image/PNG; Name=\"a.png\"\n\
             content-transfer-encoding: BASE64 (x)\nContent-ID: <1@x>\n\
             Content-Description: a\n picture\nContent-Disposition: Attachment; filename=b.png\n\
             Content-Language: en, de-AT,\nContent-Location: http://x/\nContent-MD5: Q2hlY2s=\n",
        );
        assert!(content.is("image", "png"));
        assert_eq!(content.parameter("name"), Some(b"a.png".as_slice()));
        assert_eq!(content.file_name(), Some(b"b.png".as_slice()));
        assert_eq!(content.encoding, "base64");
        assert_eq!(content.id.as_deref(), Some(b"<1@x>".as_slice()));
        assert_eq!(
            content.description.as_deref(),
            Some(b"a picture".as_slice())
        );
        assert_eq!(content.disposition.unwrap().kind, "attachment");
        assert_eq!(content.language, [b"en".to_vec(), b"de-AT".to_vec()]);
        assert_eq!(content.location.as_deref(), Some(b"http://x/".as_slice()));
        assert_eq!(content.md5.as_deref(), Some(b"Q2hlY2s=".as_slice()));
    }

    #[test]
    fn unreadable_fields_leave_the_defaults() {
        for octets in [
            "",
            "Content-Type: text\n",
            "Content-Type: te xt/plain\n",
            "Content-Type: /\n",
        ] {
            assert_eq!(read(octets), ContentFields::default(), "{octets}");
        }
        let twice = read("Content-Type: text/html\nContent-Type: image/png\n");
        assert!(twice.is("text", "html"));
        assert!(twice.parameters.is_empty());
    }

    #[test]
    fn a_spent_budget_keeps_types_alone() {
        let header = Header::new(b"Content-Type: text/html; charset=utf-8\nContent-ID: <1@x>\n");
        let mut budget = Budget {
            octets: 3,
            addresses: 0,
        };
        let content = ContentFields::read(&header, ContentFields::default(), &mut budget);
        assert_eq!(content, ContentFields::typed("text", "html"));
    }
}
