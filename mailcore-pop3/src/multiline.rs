//! A message on its way out as a multi-line reply: line ends, byte-stuffing, the
//! cut that TOP makes, and the final dot (RFC 1939 sections 3 and 7).
//!
//! Works chunk by chunk; any split of the message gives the same octets.

use bytes::BytesMut;
use memchr::{memchr, memchr2_iter};

/// What a NUL is sent as.
const NUL: &[u8] = b"\x80";

/// Turns the octets of one message into the lines of a multi-line reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multiline {
    last: Last,
    cut: Option<Cut>,
    complete: bool,
}

/// What the octets written so far end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing yet, or a line's end.
    LineEnd,
    Cr,
    Other,
}

/// How much of a message TOP shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    part: Part,
    lines: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// In the header, at the start of a line.
    HeaderLine,
    /// In the header, after a CR at the start of a line.
    HeaderCr,
    /// In the header, within a line that is not empty.
    HeaderText,
    Body,
}

impl Multiline {
    /// For RETR: all of it.
    pub fn whole() -> Self {
        Self {
            last: Last::LineEnd,
            cut: None,
            complete: false,
        }
    }

    /// For TOP: the header, the blank line and `lines` lines of the body.
    pub fn top(lines: u32) -> Self {
        Self {
            cut: Some(Cut {
                part: Part::HeaderLine,
                lines,
            }),
            ..Self::whole()
        }
    }

    /// True when TOP needs no more octets.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Writes the next octets of the message.
    pub fn write(&mut self, octets: &[u8], out: &mut BytesMut) {
        if self.complete {
            return;
        }
        let mut rest = octets;
        if let Some(cut) = &mut self.cut {
            let (taken, complete) = cut.take(octets);
            rest = octets.get(..taken).unwrap_or_default();
            self.complete = complete;
        }
        self.stuff(rest, out);
    }

    /// Writes the final dot, after a line end if the message had none: without
    /// it the client would never see the end.
    pub fn finish(&mut self, out: &mut BytesMut) {
        if self.last != Last::LineEnd {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    /// Puts a dot before every line that begins with one. A bare LF becomes a
    /// line end, so that clients which end lines there and clients which don't
    /// see the same message and the same end of it. NUL, which cuts a message
    /// off in clients written in C, becomes an octet that means nothing.
    fn stuff(&mut self, octets: &[u8], out: &mut BytesMut) {
        if self.last == Last::LineEnd && octets.first() == Some(&b'.') {
            out.extend_from_slice(b".");
        }
        let mut written = 0;
        for at in memchr2_iter(b'\n', 0, octets) {
            let before = match at.checked_sub(1) {
                Some(before) => octets.get(before) == Some(&b'\r'),
                None => self.last == Last::Cr,
            };
            let next = octets.get(at + 1);
            let change: &[u8] = match octets.get(at) {
                Some(0) => NUL,
                _ if !before && next == Some(&b'.') => b"\r\n.",
                _ if !before => b"\r\n",
                _ if next == Some(&b'.') => b"\n.",
                _ => continue,
            };
            out.extend_from_slice(octets.get(written..at).unwrap_or_default());
            out.extend_from_slice(change);
            written = at + 1;
        }
        out.extend_from_slice(octets.get(written..).unwrap_or_default());
        match octets.last() {
            None => {}
            Some(b'\n') => self.last = Last::LineEnd,
            Some(b'\r') => self.last = Last::Cr,
            Some(_) => self.last = Last::Other,
        }
    }
}

impl Cut {
    /// How many of `octets` are shown, and whether that was all.
    fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        let mut at = 0;
        loop {
            if self.part == Part::Body && self.lines == 0 {
                return (at, true);
            }
            let rest = octets.get(at..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest) else {
                self.within_line(rest);
                return (octets.len(), false);
            };
            self.within_line(rest.get(..end).unwrap_or_default());
            self.line_ended();
            at += end + 1;
        }
    }

    fn within_line(&mut self, text: &[u8]) {
        self.part = match (self.part, text) {
            (part, []) => part,
            (Part::Body, _) => Part::Body,
            (Part::HeaderLine, b"\r") => Part::HeaderCr,
            _ => Part::HeaderText,
        };
    }

    fn line_ended(&mut self) {
        self.part = match self.part {
            Part::HeaderLine | Part::HeaderCr => Part::Body,
            Part::HeaderText => Part::HeaderLine,
            Part::Body => {
                self.lines -= 1;
                Part::Body
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(mut lines: Multiline, chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for chunk in chunks {
            lines.write(chunk, &mut out);
        }
        lines.finish(&mut out);
        out.to_vec()
    }

    fn unstuff(octets: &[u8]) -> Vec<u8> {
        let body = octets.strip_suffix(b".\r\n").unwrap();
        let mut out = Vec::new();
        let mut at_start = true;
        for &octet in body {
            if !(at_start && octet == b'.') {
                out.push(octet);
            }
            at_start = octet == b'\n';
        }
        out
    }

    /// Octet by octet, with every line end made CRLF.
    fn clean(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &octet in octets {
            match octet {
                b'\n' if out.last() != Some(&b'\r') => out.extend_from_slice(b"\r\n"),
                0 => out.extend_from_slice(NUL),
                _ => out.push(octet),
            }
        }
        out
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        let whole = |text: &[u8]| run(Multiline::whole(), &[text]);
        assert_eq!(whole(b".\r\n..\r\na.\r\n"), b"..\r\n...\r\na.\r\n.\r\n");
        assert_eq!(whole(b""), b".\r\n");
        assert_eq!(whole(b"no end"), b"no end\r\n.\r\n");
        assert_eq!(whole(b"lone lf\n.\nx\n"), b"lone lf\r\n..\r\nx\r\n.\r\n");
        assert_eq!(whole(b"\0a\r\0\n"), b"\x80a\r\x80\r\n.\r\n");
    }

    #[test]
    fn top_shows_header_blank_line_and_so_many_lines() {
        let text = b"A: b\r\n c\r\n\r\none\r\n.two\r\nthree\r\n";
        let top = |lines| run(Multiline::top(lines), &[text]);
        assert_eq!(top(0), b"A: b\r\n c\r\n\r\n.\r\n");
        assert_eq!(top(2), b"A: b\r\n c\r\n\r\none\r\n..two\r\n.\r\n");
        assert_eq!(top(9), run(Multiline::whole(), &[text]));
        assert_eq!(
            run(Multiline::top(5), &[b"A: header only"]),
            b"A: header only\r\n.\r\n"
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_and_the_client_gets_the_message_back(
            parts in proptest::collection::vec("[.\r\na\\x00]{0,6}", 0..12),
            lines in proptest::option::of(0u32..4),
        ) {
            let make = || lines.map_or(Multiline::whole(), Multiline::top);
            let whole = parts.concat();
            let chunks: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
            let at_once = run(make(), &[whole.as_bytes()]);
            prop_assert_eq!(&run(make(), &chunks), &at_once);
            if lines.is_none() {
                let mut want = clean(whole.as_bytes());
                if !(want.is_empty() || want.ends_with(b"\r\n")) {
                    want.extend_from_slice(b"\r\n");
                }
                prop_assert_eq!(unstuff(&at_once), want);
            }
        }
    }
}
