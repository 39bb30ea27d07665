//! A whole message in memory: [`PlainMail`].

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::structure::{Layout, scan};
use super::{addresses, charset, header, words};
use crate::engine::{Mail, PartInfo};

/// A whole message in memory, read with nothing but this crate. It knows UTF-8 and
/// ISO-8859-1; text of other character sets is left as it is.
#[derive(Clone)]
pub struct PlainMail {
    octets: Arc<[u8]>,
    header: usize,
    parts: Arc<OnceLock<Parts>>,
}

struct Parts {
    infos: Vec<PartInfo>,
    layouts: Vec<Layout>,
}

impl fmt::Debug for PlainMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainMail")
            .field("octets", &self.octets.len())
            .finish_non_exhaustive()
    }
}

impl PlainMail {
    /// The message of these octets. Its parts are looked for when they are asked for.
    pub fn new(octets: impl Into<Arc<[u8]>>) -> Self {
        let octets = octets.into();
        Self {
            header: header::section_len(&octets),
            octets,
            parts: Arc::default(),
        }
    }

    /// The message.
    pub fn octets(&self) -> &Arc<[u8]> {
        &self.octets
    }

    /// Where a part lies, from its header on.
    pub(crate) fn range(&self, part: usize) -> Option<Range<usize>> {
        let layout = self.found().layouts.get(part)?;
        Some(layout.header.start..layout.body.end)
    }

    /// A part's body without its transfer encoding, text of it by `to_utf8`.
    pub(crate) fn decoded(
        &self,
        part: usize,
        limit: usize,
        to_utf8: impl for<'a> Fn(&[u8], &'a [u8]) -> Option<Cow<'a, str>>,
    ) -> Cow<'_, [u8]> {
        let found = self.found();
        let (Some(info), Some(layout)) = (found.infos.get(part), found.layouts.get(part)) else {
            return Cow::Borrowed(b"");
        };
        let octets = layout.encoding.decode(self.body(part), limit);
        if info.media_type != "text" {
            return octets;
        }
        let text = to_utf8(&layout.charset, &octets);
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&octets));
        let mut text = text.into_owned();
        text.truncate(text.floor_char_boundary(limit));
        Cow::Owned(text.into_bytes())
    }

    fn found(&self) -> &Parts {
        self.parts.get_or_init(|| {
            let (infos, layouts) = scan(&self.octets);
            Parts { infos, layouts }
        })
    }

    fn slice(&self, range: Option<Range<usize>>) -> &[u8] {
        range
            .and_then(|range| self.octets.get(range))
            .unwrap_or_default()
    }
}

impl Mail for PlainMail {
    fn size(&self) -> u64 {
        u64::try_from(self.octets.len()).unwrap_or(u64::MAX)
    }

    fn header(&self, part: usize) -> &[u8] {
        match part {
            0 => self.slice(Some(0..self.header)),
            _ => self.slice(
                self.found()
                    .layouts
                    .get(part)
                    .map(|layout| layout.header.clone()),
            ),
        }
    }

    fn parts(&self) -> &[PartInfo] {
        &self.found().infos
    }

    fn body(&self, part: usize) -> &[u8] {
        match part {
            0 => self.slice(Some(self.header..self.octets.len())),
            _ => self.slice(
                self.found()
                    .layouts
                    .get(part)
                    .map(|layout| layout.body.clone()),
            ),
        }
    }

    fn content(&self, part: usize, limit: usize) -> Cow<'_, [u8]> {
        self.decoded(part, limit, charset::to_utf8)
    }

    fn text<'a>(&self, value: &'a [u8]) -> Cow<'a, str> {
        words::text(value)
    }

    fn addresses(&self, value: &[u8]) -> Vec<String> {
        addresses::parse(value)
    }
}
