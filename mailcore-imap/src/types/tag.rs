//! [`Tag`]: the name a client gives a command.

use std::fmt;
use std::sync::Arc;

/// Octets allowed in a tag. The grammar sets no limit; a client needs ten.
pub const MAX_TAG: usize = 64;

/// `tag = 1*<any ASTRING-CHAR except "+">`
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// A tag, unless `octets` is empty, over [`MAX_TAG`] or off the grammar.
    pub fn new(octets: &[u8]) -> Option<Self> {
        if octets.is_empty() || octets.len() > MAX_TAG || !octets.iter().all(|&b| is_tag_char(b)) {
            return None;
        }
        std::str::from_utf8(octets)
            .ok()
            .map(|text| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_tag_char(b: u8) -> bool {
    b != b'+' && crate::codec::is_astring_char(b)
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
