//! Finds the MIME parts of a message while it streams by: [`Scanner`] (RFC
//! 2045, RFC 2046).
//!
//! Never holds the message: only the header section being read, up to a limit,
//! and the start of the current line. Time is linear in the octets. It decodes
//! no content; the result is a [`Summary`].

use memchr::{memchr, memchr_iter};

use super::header::{Header, is_blank};
use super::header_envelope::{HeaderEnvelope, read_references};
use super::part::{Budget, ContentFields, Part, PartKind};
use super::summary::Summary;

/// Octets of a line that decide what it is. Boundaries are at most
/// [`MAX_BOUNDARY`] long, so two hyphens before and after fit.
const LINE_HEAD: usize = MAX_BOUNDARY + 4;
/// Octets allowed in a boundary: what fits on a line with the hyphens. RFC 2046
/// section 5.1.1 says 70; not all heed it.
pub const MAX_BOUNDARY: usize = 994;

/// Bounds on what a scan follows and keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Levels of nesting; what lies deeper is one opaque leaf.
    pub depth: usize,
    /// Parts, at least 2; the last one takes in all the rest of the message.
    pub parts: usize,
    /// Octets of one header section that are looked at.
    pub header: usize,
    /// Octets of header text kept in the summary.
    pub kept: usize,
    /// Addresses kept in the summary, over all its envelopes.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 100,
            parts: 10_000,
            header: 256 * 1024,
            kept: 1 << 20,
            addresses: 10_000,
        }
    }
}

/// Reads a message in pieces of any size; how it is cut changes nothing.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    budget: Budget,
    parts: Vec<Part>,
    /// The path from the root to the part being read.
    open: Vec<Open>,
    boundaries: usize,
    mode: Mode,
    /// Octets and line ends consumed.
    offset: u64,
    lines: u64,
    line: Line,
    /// The header section being read.
    header: Vec<u8>,
    envelope: HeaderEnvelope,
    references: Vec<Vec<u8>>,
}

/// A part whose end has not been seen.
#[derive(Debug)]
struct Open {
    part: usize,
    /// Line ends before its body.
    lines_before: u64,
    boundary: Option<Vec<u8>>,
    /// Parts without a Content-Type are messages (RFC 2046 section 5.1.5).
    digest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// In the header of the innermost open part.
    Header,
    /// In a body, preamble or epilogue.
    Body,
    /// Past the limit of parts: nothing is looked at any more.
    Opaque,
}

/// Where in a line the scan stands.
#[derive(Debug, Default)]
struct Line {
    /// Its first octets, while they do not yet decide what it is.
    head: Vec<u8>,
    /// What it is, once decided and until it ends.
    kind: Option<LineKind>,
    /// Octets in the line end before it: none at the start of the message.
    end_before: u64,
    /// The last two octets of it that were seen.
    tail: [u8; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Field,
    HeaderEnd,
    Text,
    /// A part starts after it.
    Delimiter,
}

impl Line {
    /// True at a line's start.
    fn is_new(&self) -> bool {
        self.kind.is_none() && self.head.is_empty()
    }
}

impl Scanner {
    /// A scanner at the start of a message.
    pub fn new(limits: Limits) -> Self {
        let budget = Budget {
            octets: limits.kept,
            addresses: limits.addresses,
        };
        let mut scanner = Self {
            limits,
            budget,
            parts: Vec::new(),
            open: Vec::new(),
            boundaries: 0,
            mode: Mode::Header,
            offset: 0,
            lines: 0,
            line: Line::default(),
            header: Vec::new(),
            envelope: HeaderEnvelope::default(),
            references: Vec::new(),
        };
        scanner.open_part();
        scanner
    }

    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            if self.only_counts() {
                return self.count(rest);
            }
            let end = memchr(b'\n', rest).map(|at| at + 1);
            let Some((line, after)) = end.and_then(|end| rest.split_at_checked(end)) else {
                return self.piece(rest);
            };
            rest = after;
            if self.mode == Mode::Body && self.line.is_new() && !line.starts_with(b"--") {
                self.offset += line.len() as u64;
                self.lines += 1;
                self.line.end_before = if line.ends_with(b"\r\n") { 2 } else { 1 };
            } else {
                self.piece(line);
                self.end_line();
            }
        }
    }

    /// Ends the message.
    pub fn finish(mut self) -> Summary {
        let head = std::mem::take(&mut self.line.head);
        if !head.is_empty() {
            self.begin_line(&head);
        }
        if self.line.kind.take() == Some(LineKind::Delimiter) {
            self.open_part();
        }
        while self.mode == Mode::Header {
            self.end_header();
        }
        let (end, lines) = (self.offset, self.lines);
        self.close_to(0, end, lines);
        Summary {
            size: self.offset,
            envelope: self.envelope,
            references: self.references,
            parts: self.parts,
        }
    }

    /// True when line ends are all that still matters.
    fn only_counts(&self) -> bool {
        match self.mode {
            Mode::Header => false,
            Mode::Body => self.boundaries == 0,
            Mode::Opaque => true,
        }
    }

    fn count(&mut self, octets: &[u8]) {
        let head = std::mem::take(&mut self.line.head);
        self.offset += (head.len() + octets.len()) as u64;
        self.lines += memchr_iter(b'\n', octets).count() as u64;
    }

    /// Takes octets of one line, its line feed being the last if among them.
    fn piece(&mut self, octets: &[u8]) {
        if self.line.kind.is_some() {
            return self.continue_line(octets);
        }
        let complete = octets.ends_with(b"\n");
        if complete && self.line.head.is_empty() {
            return self.begin_line(octets);
        }
        let room = LINE_HEAD.saturating_sub(self.line.head.len());
        let (first, rest) = octets.split_at_checked(room).unwrap_or((octets, b""));
        self.line.head.extend_from_slice(first);
        if complete || self.line.head.len() >= LINE_HEAD {
            let head = std::mem::take(&mut self.line.head);
            self.begin_line(&head);
            self.continue_line(rest);
        }
    }

    /// Decides by at most [`LINE_HEAD`] octets what the line is.
    fn begin_line(&mut self, octets: &[u8]) {
        let head = octets.get(..LINE_HEAD).unwrap_or(octets);
        self.line.kind = Some(self.classify(head));
        self.continue_line(octets);
    }

    fn continue_line(&mut self, octets: &[u8]) {
        match octets {
            [.., before, last] => self.line.tail = [*before, *last],
            [last] => self.line.tail = [self.line.tail[1], *last],
            [] => return,
        }
        self.offset += octets.len() as u64;
        if self.line.kind == Some(LineKind::Field) {
            let room = self.limits.header.saturating_sub(self.header.len());
            self.header
                .extend_from_slice(octets.get(..room).unwrap_or(octets));
        }
    }

    fn end_line(&mut self) {
        self.lines += 1;
        self.line.end_before = if self.line.tail == *b"\r\n" { 2 } else { 1 };
        self.line.tail = [0; 2];
        match self.line.kind.take() {
            Some(LineKind::HeaderEnd) => self.end_header(),
            Some(LineKind::Delimiter) => self.open_part(),
            Some(LineKind::Field | LineKind::Text) | None => {}
        }
    }

    fn classify(&mut self, head: &[u8]) -> LineKind {
        if let Some(rest) = head.strip_prefix(b"--")
            && let Some((index, length)) = self.find_boundary(rest)
        {
            let close = rest
                .get(length..)
                .is_some_and(|after| after.starts_with(b"--"));
            return self.at_boundary(index, close);
        }
        match self.mode {
            Mode::Header if is_blank(head) => LineKind::HeaderEnd,
            Mode::Header => LineKind::Field,
            Mode::Body | Mode::Opaque => LineKind::Text,
        }
    }

    /// The open multipart whose boundary `line` starts with, and the boundary's
    /// length. A delimiter need only start with the boundary (RFC 2046 section
    /// 5.1.1), so one boundary may be the start of another: the longest wins,
    /// then the innermost.
    fn find_boundary(&self, line: &[u8]) -> Option<(usize, usize)> {
        if self.boundaries == 0 {
            return None;
        }
        let mut found = None;
        for (index, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else {
                continue;
            };
            let longer = found.is_none_or(|(_, length)| boundary.len() > length);
            if longer && line.starts_with(boundary) {
                found = Some((index, boundary.len()));
            }
        }
        found
    }

    /// A delimiter of the open multipart at `index` begins here: what is open
    /// within it ends before the line end that precedes.
    fn at_boundary(&mut self, index: usize, close: bool) -> LineKind {
        while self.mode == Mode::Header {
            self.end_header();
        }
        if self.mode == Mode::Opaque {
            return LineKind::Text;
        }
        let end = self.offset - self.line.end_before;
        let lines = self.lines - self.line.end_before.min(1);
        self.close_to(index + 1, end, lines);
        if !close {
            return LineKind::Delimiter;
        }
        if let Some(open) = self.open.get_mut(index) {
            open.boundary = None;
            self.boundaries -= 1;
        }
        LineKind::Text
    }

    /// Starts a part within the innermost open one.
    fn open_part(&mut self) {
        let parent = self.open.last().map(|open| open.part);
        let index = self.parts.len();
        let opaque = parent.is_some() && index + 1 >= self.limits.parts;
        self.parts.push(Part {
            parent,
            end: index + 1,
            kind: PartKind::Leaf,
            header_start: self.offset,
            body_start: self.offset,
            body_end: self.offset,
            lines: 0,
            content: ContentFields::typed("application", "octet-stream"),
        });
        self.open.push(Open {
            part: index,
            lines_before: self.lines,
            boundary: None,
            digest: false,
        });
        self.header.clear();
        self.mode = if opaque { Mode::Opaque } else { Mode::Header };
    }

    /// The innermost open part's header ends here.
    fn end_header(&mut self) {
        let octets = std::mem::take(&mut self.header);
        let header = Header::new(&octets);
        self.mode = Mode::Body;
        let digest = self
            .open
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|around| around.digest);
        let missing = match digest {
            true => ContentFields::typed("message", "rfc822"),
            false => ContentFields::default(),
        };
        self.take_envelope(&header);
        let content = ContentFields::read(&header, missing, &mut self.budget);
        self.header = octets;
        self.enter(content);
    }

    /// A root's header is a message's: keeps its envelope.
    fn take_envelope(&mut self, header: &Header<'_>) {
        let Some(part) = self.open.last().and_then(|open| self.parts.get(open.part)) else {
            return;
        };
        match part.parent {
            None => {
                self.envelope = HeaderEnvelope::read(header, &mut self.budget);
                self.references = read_references(header, &mut self.budget);
            }
            Some(parent) => {
                let parent = self.parts.get_mut(parent);
                if let Some(PartKind::Message(envelope)) = parent.map(|parent| &mut parent.kind) {
                    **envelope = HeaderEnvelope::read(header, &mut self.budget);
                }
            }
        }
    }

    /// Enters the body of the innermost open part.
    fn enter(&mut self, content: ContentFields) {
        let too_deep = self.open.len() >= self.limits.depth;
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let Some(part) = self.parts.get_mut(open.part) else {
            return;
        };
        open.lines_before = self.lines;
        part.body_start = self.offset;
        part.content = content;
        let message = part.content.is("message", "rfc822") || part.content.is("message", "global");
        let boundary = boundary_of(&part.content);
        if too_deep && (message || boundary.is_some()) {
            part.content.retype("application", "octet-stream");
        } else if message {
            part.kind = PartKind::Message(Box::default());
            self.open_part();
        } else if boundary.is_some() {
            open.digest = part.content.subtype == "digest";
            open.boundary = boundary;
            self.boundaries += 1;
            part.kind = PartKind::Multipart;
        } else if part.content.media_type == "multipart" {
            part.content.retype("text", "plain");
        }
    }

    /// Closes open parts until `depth` are left, at `end`, which `lines` line
    /// ends precede. Where a header's own line end is the one before the
    /// boundary, the header keeps it and the parts around reach as far.
    fn close_to(&mut self, depth: usize, mut end: u64, mut lines: u64) {
        while self.open.len() > depth {
            let Some(open) = self.open.pop() else { return };
            self.boundaries -= usize::from(open.boundary.is_some());
            let after = self.parts.len();
            let Some(part) = self.parts.get_mut(open.part) else {
                return;
            };
            part.end = after;
            if part.body_start > end {
                (end, lines) = (part.body_start, open.lines_before);
            }
            part.body_end = end;
            part.lines = lines.saturating_sub(open.lines_before);
            if part.kind == PartKind::Multipart && after == open.part + 1 {
                // Not one delimiter: people shall see the text at least.
                part.kind = PartKind::Leaf;
                part.content.retype("text", "plain");
            }
        }
    }
}

/// The boundary of a multipart. It cannot end in white space (RFC 2046 section
/// 5.1.1), which gateways add.
fn boundary_of(content: &ContentFields) -> Option<Vec<u8>> {
    if content.media_type != "multipart" {
        return None;
    }
    let boundary = content.parameter("boundary")?.trim_ascii_end();
    (!boundary.is_empty() && boundary.len() <= MAX_BOUNDARY).then(|| boundary.to_vec())
}

#[cfg(test)]
pub(super) mod tests;
