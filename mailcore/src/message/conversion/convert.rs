//! The message written anew as it streams by: [`Conversion`].

use std::collections::VecDeque;

use super::plan::Work;

/// Octets of `content-transfer-encoding`, the longest name that is looked for.
const NAME: usize = 25;
const MULTIPART: &[u8] = b"multipart/";

/// Writes a message anew, in pieces of any size.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// What is left to do, each with the offset where it ends.
    work: VecDeque<(u64, Work)>,
    offset: u64,
    last: u8,
}

impl Conversion {
    pub(super) fn new(work: Vec<(u64, Work)>) -> Self {
        Self {
            work: work.into(),
            offset: 0,
            last: b'\n',
        }
    }

    /// Takes the next octets of the message, appending what they become.
    pub fn push(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some((end, work)) = self.work.front_mut() {
            let left = end.saturating_sub(self.offset);
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            match work {
                Work::Octets(encoder) => encoder.push(now, into),
                Work::Header(edit) => edit.push(now, into),
            }
            self.offset += count as u64;
            rest = later;
            if self.offset < *end {
                break;
            }
            self.end_work(into);
        }
        self.last = into.last().copied().unwrap_or(self.last);
    }

    fn end_work(&mut self, into: &mut Vec<u8>) {
        match self.work.pop_front() {
            Some((_, Work::Octets(encoder))) => encoder.finish(into),
            Some((_, Work::Header(edit))) => edit.finish(into),
            None => {}
        }
    }

    /// Ends the message.
    pub fn finish(mut self, into: &mut Vec<u8>) {
        while !self.work.is_empty() {
            self.end_work(into);
        }
        if into.last().copied().unwrap_or(self.last) != b'\n' {
            into.extend_from_slice(b"\r\n");
        }
    }
}

/// A header without its Content-Transfer-Encoding and with other fields at its
/// end.
#[derive(Debug, Clone)]
pub(super) struct HeaderEdit {
    /// `None` once written.
    fields: Option<String>,
    /// The start of a line that may yet be the field that goes.
    held: Vec<u8>,
    line: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At its start, or within a name not known yet.
    Start,
    Kept,
    Dropped,
}

impl HeaderEdit {
    /// `fields`: whole lines.
    pub(super) fn new(fields: String) -> Self {
        Self {
            fields: Some(fields),
            held: Vec::new(),
            line: Line::Start,
        }
    }

    fn push(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        for &octet in octets {
            if self.line != Line::Start {
                self.go_on(octet, into);
                continue;
            }
            match (octet, self.held.as_slice()) {
                (b' ' | b'\t', [.., b'\n']) => {
                    // The line before goes on, and was dropped.
                    self.held.clear();
                    self.line = Line::Dropped;
                }
                (b'\r', [] | [.., b'\n']) => {
                    self.held.clear();
                    self.end(into);
                    self.keep(octet, into);
                }
                (_, [.., b'\n']) => {
                    self.held.clear();
                    self.hold(octet, into);
                }
                _ => self.hold(octet, into),
            }
        }
    }

    fn go_on(&mut self, octet: u8, into: &mut Vec<u8>) {
        let dropped = self.line == Line::Dropped;
        if !dropped {
            into.push(octet);
        }
        if octet == b'\n' {
            self.line = Line::Start;
            // Remembers that a folded line would belong to the dropped field.
            if dropped {
                self.held.push(octet);
            }
        }
    }

    fn hold(&mut self, octet: u8, into: &mut Vec<u8>) {
        self.held.push(octet);
        let name = "content-transfer-encoding";
        let known = self.held.trim_ascii_end();
        let is_it = match known.strip_suffix(b":") {
            Some(known) => known.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()),
            None => false,
        };
        let may_be = name
            .as_bytes()
            .get(..known.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(known))
            && self.held.len() <= NAME + 8;
        if is_it {
            self.held.clear();
            self.line = Line::Dropped;
        } else if !may_be || octet == b'\n' {
            self.keep_held(into);
            self.line = match octet {
                b'\n' => Line::Start,
                _ => Line::Kept,
            };
        }
    }

    fn keep(&mut self, octet: u8, into: &mut Vec<u8>) {
        into.push(octet);
        self.line = Line::Kept;
    }

    fn keep_held(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.held);
    }

    /// The header's fields are over.
    fn end(&mut self, into: &mut Vec<u8>) {
        if let Some(fields) = self.fields.take() {
            into.extend_from_slice(fields.as_bytes());
        }
    }

    fn finish(mut self, into: &mut Vec<u8>) {
        let cut = self.line == Line::Kept || !matches!(self.held.as_slice(), [] | b"\n");
        if self.held != b"\n" {
            self.keep_held(into);
        }
        if self.fields.is_some() {
            // The end of the part cut the header off.
            if cut {
                into.extend_from_slice(b"\r\n");
            }
            self.end(into);
        }
    }
}

/// Which fields a header has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeaderNames {
    pub(super) mime_version: bool,
    pub(super) content_type: bool,
    /// The type says that the body holds parts.
    pub(super) composite: bool,
    /// How much of `multipart/` the type has been so far.
    of_multipart: Option<usize>,
    /// The line so far, in lower case.
    name: [u8; NAME],
    length: usize,
}

impl HeaderNames {
    pub(super) fn push(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.push_type(octet);
            match octet {
                b'\n' => self.length = 0,
                b' ' | b'\t' if self.length > 0 && self.length < NAME => {}
                b':' if self.length < NAME => {
                    let name = self.name.get(..self.length).unwrap_or_default();
                    self.mime_version |= name == b"mime-version";
                    if name == b"content-type" {
                        self.content_type = true;
                        self.of_multipart = Some(0);
                    }
                    self.length = NAME;
                }
                _ => {
                    if let Some(slot) = self.name.get_mut(self.length) {
                        *slot = octet.to_ascii_lowercase();
                        self.length += 1;
                    }
                }
            }
        }
    }

    /// An octet that belongs to the type's value, if one is being read.
    fn push_type(&mut self, octet: u8) {
        let Some(so_far) = self.of_multipart.take() else {
            return;
        };
        let wanted = MULTIPART.get(so_far).copied();
        if so_far == 0 && octet.is_ascii_whitespace() {
            self.of_multipart = Some(0);
        } else if wanted == Some(octet.to_ascii_lowercase()) {
            self.composite |= so_far + 1 == MULTIPART.len();
            self.of_multipart = Some(so_far + 1);
        }
    }
}
