//! [`Mail`]: a message as scripts see it. Whoever has parsed it already shows
//! what he knows; nothing is parsed twice.

use std::borrow::Cow;
use std::fmt::Debug;

use super::mime::charset;

/// A message. Parts are numbered in the order of the message, each before its
/// own; 0 is the message itself.
pub trait Mail: Debug + Sync {
    /// Octets of the whole message, whether they are at hand or not.
    fn size(&self) -> u64;

    /// The header section of a part, up to its empty line or its end; of a part
    /// that is not there, nothing.
    fn header(&self, part: usize) -> &[u8];

    /// What is known of the parts; the first is the message.
    fn parts(&self) -> &[PartInfo];

    /// A part's body as sent, transfer encoding and all; cut where the host had
    /// no more at hand.
    fn body(&self, part: usize) -> &[u8];

    /// A part's body without its transfer encoding, text of it in UTF-8 where it
    /// is of a character set that is known; `limit` octets at most.
    fn content(&self, part: usize, limit: usize) -> Cow<'_, [u8]>;

    /// The text of an unfolded header value: encoded-words decoded (RFC 2047).
    fn text<'a>(&self, value: &'a [u8]) -> Cow<'a, str>;

    /// The addresses of an unfolded header value, `local@domain`, comments and
    /// names left out (RFC 5228 section 2.7.4).
    fn addresses(&self, value: &[u8]) -> Vec<String>;

    /// Text of the character set called `label` as UTF-8; none for a set that is not
    /// known. It is asked for parts that a script has put around or into the message.
    fn to_utf8<'a>(&self, label: &[u8], octets: &'a [u8]) -> Option<Cow<'a, str>> {
        charset::to_utf8(label, octets)
    }
}

/// What is known of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartInfo {
    /// The part around this one; none for the message itself.
    pub parent: Option<usize>,
    /// Index after the last part within this one.
    pub end: usize,
    /// What it holds.
    pub kind: PartKind,
    /// Type in lower case: `text`.
    pub media_type: String,
    /// Subtype in lower case: `plain`.
    pub subtype: String,
}

impl PartInfo {
    /// What is known of a part.
    pub fn new(parent: Option<usize>, end: usize, kind: PartKind, media: (&str, &str)) -> Self {
        Self {
            parent,
            end,
            kind,
            media_type: media.0.to_owned(),
            subtype: media.1.to_owned(),
        }
    }
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Content of its own.
    Leaf,
    /// Parts.
    Multipart,
    /// A message, which is the next part.
    Message,
}
