//! The parts of a message held in memory: [`scan`] (RFC 2045, RFC 2046).

use std::ops::Range;

use super::header::{fields, is_blank, line_at};
use super::transfer::Encoding;
use super::value::Structured;
use crate::engine::{PartInfo, PartKind};

/// Levels of nesting; what lies deeper is one opaque leaf.
const MAX_DEPTH: usize = 100;
/// Parts; the last takes in all the rest of the message.
const MAX_PARTS: usize = 10_000;
/// Octets of one header section that are read.
const MAX_HEADER: usize = 256 << 10;
/// Octets of a boundary: what fits on a line with the hyphens.
const MAX_BOUNDARY: usize = 994;

/// Where a part lies and how it is encoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// Its header section, with the empty line.
    pub(super) header: Range<usize>,
    /// Its body.
    pub(super) body: Range<usize>,
    pub(super) encoding: Encoding,
    /// The character set it names.
    pub(super) charset: Vec<u8>,
}

/// The parts, each before its own, and where they lie. The first is the message.
pub(super) fn scan(octets: &[u8]) -> (Vec<PartInfo>, Vec<Layout>) {
    let mut scan = Scan {
        octets,
        parts: Vec::new(),
        layouts: Vec::new(),
        open: Vec::new(),
        boundaries: 0,
        full: false,
    };
    let mut at = scan.open_part(0);
    while let Some(start) = at {
        at = scan.part(start);
    }
    scan.close_to(0, octets.len());
    (scan.parts, scan.layouts)
}

struct Scan<'a> {
    octets: &'a [u8],
    parts: Vec<PartInfo>,
    layouts: Vec<Layout>,
    /// The path from the message to the part that is read.
    open: Vec<Open>,
    /// How many of these have a boundary.
    boundaries: usize,
    /// True once the last part that is allowed has begun.
    full: bool,
}

struct Open {
    part: usize,
    boundary: Option<Vec<u8>>,
    /// Parts without a Content-Type are messages (RFC 2046 section 5.1.5).
    digest: bool,
}

/// What a line that starts with hyphens is.
enum Delimiter {
    Opens,
    Closes,
}

impl Scan<'_> {
    /// Starts a part within the innermost open one; where to read on, none when
    /// there are too many.
    fn open_part(&mut self, at: usize) -> Option<usize> {
        let parent = self.open.last().map(|open| open.part);
        let part = self.parts.len();
        let media = ("application", "octet-stream");
        self.parts
            .push(PartInfo::new(parent, part + 1, PartKind::Leaf, media));
        self.layouts.push(Layout {
            header: at..at,
            body: at..at,
            ..Layout::default()
        });
        self.open.push(Open {
            part,
            boundary: None,
            digest: false,
        });
        self.full = parent.is_some() && part + 1 >= MAX_PARTS;
        (!self.full).then_some(at)
    }

    /// Reads a part's header, and lines up to where the next part begins.
    fn part(&mut self, start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            let line = line_at(self.octets, at);
            if let Some((index, delimiter)) = self.delimiter(line) {
                if let Some(within) = self.end_header(start, at) {
                    // A message part's own header, of which there is nothing.
                    return Some(within);
                }
                if self.full {
                    return None;
                }
                return self.after(index, &delimiter, at, line.len());
            }
            at += line.len();
            if line.is_empty() || is_blank(line) {
                break;
            }
        }
        match self.end_header(start, at) {
            None if !self.full => self.body(at),
            within => within,
        }
    }

    /// Reads lines of a body, a preamble or an epilogue.
    fn body(&mut self, start: usize) -> Option<usize> {
        let mut at = start;
        while self.boundaries > 0 {
            let line = line_at(self.octets, at);
            if line.is_empty() {
                break;
            }
            if let Some((index, delimiter)) = self.delimiter(line) {
                return self.after(index, &delimiter, at, line.len());
            }
            at += line.len();
        }
        None
    }

    /// A delimiter of the open part at `index`: what is open within it ends.
    fn after(
        &mut self,
        index: usize,
        delimiter: &Delimiter,
        at: usize,
        length: usize,
    ) -> Option<usize> {
        self.close_to(index + 1, at - self.line_end_before(at));
        match delimiter {
            Delimiter::Opens => self.open_part(at + length),
            Delimiter::Closes => {
                if let Some(open) = self.open.get_mut(index) {
                    open.boundary = None;
                    self.boundaries -= 1;
                }
                self.body(at + length)
            }
        }
    }

    /// The line end before a boundary belongs to it (RFC 2046 section 5.1.1).
    fn line_end_before(&self, at: usize) -> usize {
        match self.octets.get(..at) {
            Some([.., b'\r', b'\n']) => 2,
            Some([.., b'\n']) => 1,
            _ => 0,
        }
    }

    /// The open multipart that a line delimits. A delimiter need only start with
    /// the boundary: the longest wins, then the innermost.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, Delimiter)> {
        let rest = line.strip_prefix(b"--").filter(|_| self.boundaries > 0)?;
        let mut found: Option<(usize, usize)> = None;
        for (index, open) in self.open.iter().enumerate().rev() {
            if let Some(boundary) = &open.boundary
                && found.is_none_or(|(_, length)| boundary.len() > length)
                && rest.starts_with(boundary)
            {
                found = Some((index, boundary.len()));
            }
        }
        let (index, length) = found?;
        let after = rest.get(length..).unwrap_or_default();
        Some((
            index,
            match after.starts_with(b"--") {
                true => Delimiter::Closes,
                false => Delimiter::Opens,
            },
        ))
    }

    /// The innermost open part's header ends at `end`; where the message that it
    /// holds begins, if it does.
    fn end_header(&mut self, start: usize, end: usize) -> Option<usize> {
        let around = self.open.iter().rev().nth(1);
        let digest = around.is_some_and(|around| around.digest);
        let section = self.octets.get(start..end).unwrap_or_default();
        let section = section.get(..MAX_HEADER).unwrap_or(section);
        let content = Content::read(section, digest);
        let too_deep = self.open.len() >= MAX_DEPTH;
        let open = self.open.last_mut()?;
        let part = self.parts.get_mut(open.part)?;
        let layout = self.layouts.get_mut(open.part)?;
        layout.header = start..end;
        layout.body = end..end;
        layout.encoding = content.encoding;
        layout.charset = content.charset;
        let message =
            content.media.0 == "message" && matches!(&*content.media.1, "rfc822" | "global");
        let multipart = content.media.0 == "multipart";
        (part.media_type, part.subtype) = content.media;
        if too_deep && (message || content.boundary.is_some()) {
            retype(part, layout, ("application", "octet-stream"));
        } else if message {
            part.kind = PartKind::Message;
            return self.open_part(end);
        } else if content.boundary.is_some() {
            open.digest = part.subtype == "digest";
            open.boundary = content.boundary;
            self.boundaries += 1;
            part.kind = PartKind::Multipart;
        } else if multipart {
            retype(part, layout, ("text", "plain"));
        }
        None
    }

    /// Closes open parts until `depth` are left.
    fn close_to(&mut self, depth: usize, end: usize) {
        let mut end = end;
        while self.open.len() > depth {
            let Some(open) = self.open.pop() else { return };
            self.boundaries -= usize::from(open.boundary.is_some());
            let after = self.parts.len();
            let (Some(part), Some(layout)) = (
                self.parts.get_mut(open.part),
                self.layouts.get_mut(open.part),
            ) else {
                return;
            };
            part.end = after;
            // Where a header's own line end is the one before the boundary, the
            // header keeps it and the parts around reach as far.
            end = end.max(layout.body.start);
            layout.body.end = end;
            if part.kind == PartKind::Multipart && after == open.part + 1 {
                part.kind = PartKind::Leaf;
                retype(part, layout, ("text", "plain"));
            }
        }
    }
}

/// Takes a part that is not what it says for something else.
fn retype(part: &mut PartInfo, layout: &mut Layout, media: (&str, &str)) {
    (part.media_type, part.subtype) = (media.0.to_owned(), media.1.to_owned());
    layout.charset.clear();
}

/// What a part's header says of its content; the first field of a name counts.
struct Content {
    media: (String, String),
    boundary: Option<Vec<u8>>,
    charset: Vec<u8>,
    encoding: Encoding,
}

impl Content {
    fn read(section: &[u8], digest: bool) -> Self {
        let media = match digest {
            true => ("message", "rfc822"),
            false => ("text", "plain"),
        };
        let mut content = Self {
            media: (media.0.into(), media.1.into()),
            boundary: None,
            charset: Vec::new(),
            encoding: Encoding::Identity,
        };
        let (mut typed, mut encoded) = (false, false);
        for field in fields(section) {
            if !typed && field.name.eq_ignore_ascii_case(b"Content-Type") {
                typed = true;
                content.take_type(&Structured::parse(field.raw));
            } else if !encoded
                && field
                    .name
                    .eq_ignore_ascii_case(b"Content-Transfer-Encoding")
            {
                encoded = true;
                content.encoding = Encoding::parse(&Structured::parse(field.raw).value);
            }
        }
        content
    }

    fn take_type(&mut self, value: &Structured) {
        let Some(media) = value.media_type() else {
            return;
        };
        self.media = media;
        self.charset = value.parameter("charset").unwrap_or_default().to_vec();
        if self.media.0 == "multipart" {
            // Gateways add white space, which a boundary can't end in.
            let boundary = value
                .parameter("boundary")
                .unwrap_or_default()
                .trim_ascii_end();
            let sound = !boundary.is_empty() && boundary.len() <= MAX_BOUNDARY;
            self.boundary = sound.then(|| boundary.to_vec());
        }
    }
}
