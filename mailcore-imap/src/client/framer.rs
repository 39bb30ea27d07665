//! [`Framer`]: where a response ends, and which of its octets are message
//! content, to be handed out as they come.
//!
//! What a response says is read when it is complete. A bare LF ends nothing: it
//! is taken for a space, so that a line end that a server lets slip out of a
//! message's header makes no response of what follows.

use bytes::{Bytes, BytesMut};
use mailcore::wire::{Input, Line};

use super::config::Limits;
use super::error::ProtocolFault;
use super::response::is_status;

/// Octets of content handed out at once.
const PIECE: usize = 64 * 1024;
/// Octets of the longest line that is looked for at once, beyond the limit of
/// the whole response.
pub(super) const SLACK: usize = 64 * 1024;

/// What comes next of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole response, without its last CRLF.
    Response(Bytes),
    /// Content begins: what the response said before, and how much it is.
    BodyBegins(Bytes, u64),
    /// The content's next octets.
    Body(Bytes),
    /// The content ended; the response goes on.
    BodyEnds,
}

/// Finds the pieces.
#[derive(Debug, Default)]
pub(super) struct Framer {
    state: State,
    response: BytesMut,
    /// Parentheses open in the response so far.
    depth: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Line,
    Literal(usize),
    Body(u64),
}

impl Framer {
    /// The next piece, if it is here.
    pub(super) fn next(
        &mut self,
        input: &mut Input,
        limits: &Limits,
    ) -> Result<Option<Piece>, ProtocolFault> {
        loop {
            match &mut self.state {
                State::Body(0) => {
                    self.state = State::Line;
                    return Ok(Some(Piece::BodyEnds));
                }
                State::Body(left) => {
                    let most = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                    let octets = input.take(most);
                    *left -= octets.len() as u64;
                    return Ok((!octets.is_empty()).then_some(Piece::Body(octets)));
                }
                State::Literal(0) => self.state = State::Line,
                State::Literal(left) => {
                    let octets = input.take(*left);
                    *left -= octets.len();
                    if octets.is_empty() {
                        return Ok(None);
                    }
                    self.response.extend_from_slice(&octets);
                }
                State::Line => {
                    let room = limits.response.saturating_sub(self.response.len());
                    let line = match input.line(room) {
                        Line::Incomplete => return Ok(None),
                        Line::TooLong => return Err(ProtocolFault::TooLong(limits.response)),
                        Line::BareLf(line) => {
                            self.extend(&line);
                            self.response.extend_from_slice(b" ");
                            continue;
                        }
                        Line::Complete(line) => line,
                    };
                    let from = self.extend(&line);
                    if let Some(piece) = self.end_of_line(from, limits)? {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// Adds a line's octets; where they begin.
    fn extend(&mut self, line: &[u8]) -> usize {
        let from = self.response.len();
        // NUL has no place in a line, and a use within this client.
        let octets = line.iter().map(|&b| if b == 0 { b'?' } else { b });
        self.response.extend(octets);
        from
    }

    fn end_of_line(
        &mut self,
        from: usize,
        limits: &Limits,
    ) -> Result<Option<Piece>, ProtocolFault> {
        let line = self.response.get(from..).unwrap_or_default();
        let announced = announcement(line).filter(|_| !is_status(&self.response));
        let Some((at, size)) = announced else {
            self.depth = 0;
            return Ok(Some(Piece::Response(self.response.split().freeze())));
        };
        let before = line.get(..at).unwrap_or_default();
        self.depth = depth_after(self.depth, before);
        if self.depth == 1 && names_content(before) {
            if size > limits.body {
                return Err(ProtocolFault::BodyTooLarge(limits.body));
            }
            let end = from + before.strip_suffix(b"~").unwrap_or(before).len();
            self.response.truncate(end);
            let head = Bytes::copy_from_slice(&self.response);
            self.response
                .extend_from_slice(format!("\0{size}\0").as_bytes());
            self.state = State::Body(size);
            return Ok(Some(Piece::BodyBegins(head, size)));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > limits.literal {
            return Err(ProtocolFault::LiteralTooLarge(limits.literal));
        }
        if self.response.len().saturating_add(size) > limits.response {
            return Err(ProtocolFault::TooLong(limits.response));
        }
        self.response.extend_from_slice(b"\r\n");
        self.state = State::Literal(size);
        Ok(None)
    }
}

/// `"{" number ["+"] "}"` at the line's end: where, and the number.
fn announcement(line: &[u8]) -> Option<(usize, u64)> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|&b| b == b'{')?;
    let digits = inner.get(at + 1..)?;
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok()?;
    // A number that is too great for us is too great for every limit.
    is_number.then(|| (at, number.parse().unwrap_or(u64::MAX)))
}

/// Parentheses open after `text`; those within quotes do not count.
fn depth_after(depth: usize, text: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (depth, false, false);
    for &b in text {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

/// True when a FETCH response's line stops right after the name of an item
/// whose value is octets of a message. Others' texts can't look like it: they
/// stand deeper, or within quotes or literals.
fn names_content(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"~").unwrap_or(line).trim_ascii_end();
    let line = match line.iter().rposition(|&b| b == b'<') {
        Some(at) if line.ends_with(b">") => line.get(..at).unwrap_or_default(),
        _ => line,
    };
    if line.ends_with(b"]") {
        let open = line.iter().rposition(|&b| b == b'[').unwrap_or(0);
        return ends_with_word(line.get(..open).unwrap_or_default(), &["BODY", "BINARY"]);
    }
    ends_with_word(line, &["RFC822", "RFC822.HEADER", "RFC822.TEXT"])
}

fn ends_with_word(text: &[u8], words: &[&str]) -> bool {
    let start = text.iter().rposition(|&b| matches!(b, b' ' | b'('));
    let last = text.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let mut words = words.iter();
    words.any(|word| last.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(octets: &[u8]) -> Vec<Piece> {
        let mut input = Input::with_limit(1 << 20);
        input.extend(octets);
        let (mut framer, limits) = (Framer::default(), Limits::default());
        let next = || framer.next(&mut input, &limits).unwrap();
        std::iter::from_fn(next).collect()
    }

    fn response(text: &str) -> Piece {
        Piece::Response(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn content_is_handed_out_and_other_literals_are_kept() {
        let found = pieces(
            b"* 1 FETCH (ENVELOPE ({10}\r\nx BODY[] \") RFC822 {3}\r\nabc BODY[1]<0> ~{2}\r\nde)\r\n",
        );
        let head = "* 1 FETCH (ENVELOPE ({10}\r\nx BODY[] \") RFC822 ";
        assert_eq!(
            found,
            [
                Piece::BodyBegins(Bytes::from(head), 3),
                Piece::Body(Bytes::from_static(b"abc")),
                Piece::BodyEnds,
                Piece::BodyBegins(Bytes::from(format!("{head}\x003\x00 BODY[1]<0> ")), 2),
                Piece::Body(Bytes::from_static(b"de")),
                Piece::BodyEnds,
                response(&format!("{head}\x003\x00 BODY[1]<0> \x002\x00)")),
            ]
        );
    }

    #[test]
    fn a_text_that_ends_like_an_announcement_ends_its_response() {
        assert_eq!(
            pieces(b"* OK see {5}\r\na1 NO {7}\r\n+ {9}\r\n"),
            [
                response("* OK see {5}"),
                response("a1 NO {7}"),
                response("+ {9}")
            ]
        );
    }

    #[test]
    fn a_literal_within_an_address_is_no_content_whatever_stands_before_it() {
        let line = b"* 1 FETCH (ENVELOPE (NIL NIL ((NIL BODY[] {2}\r\nab NIL))))\r\n";
        assert_eq!(pieces(line).len(), 1);
    }

    #[test]
    fn a_bare_lf_ends_nothing() {
        assert_eq!(
            pieces(b"* OK a\n* 1 EXPUNGE\r\n"),
            [response("* OK a * 1 EXPUNGE")]
        );
    }

    #[test]
    fn what_is_over_a_limit_is_refused_before_it_comes() {
        let limits = Limits {
            response: 40,
            literal: 10,
            body: 20,
            ..Limits::default()
        };
        for (octets, fault) in [
            (
                &b"* LIST () NIL {11}\r\n"[..],
                ProtocolFault::LiteralTooLarge(10),
            ),
            (
                b"* 1 FETCH (BODY[] {21}\r\n",
                ProtocolFault::BodyTooLarge(20),
            ),
            (
                b"* 1 FETCH (BODY[] {99999999999999999999}\r\n",
                ProtocolFault::BodyTooLarge(20),
            ),
            (&[b'x'; 50], ProtocolFault::TooLong(40)),
            (
                b"* LIST () NIL NIL NIL NIL NIL NIL {9}\r\n",
                ProtocolFault::TooLong(40),
            ),
        ] {
            let mut input = Input::with_limit(1 << 20);
            input.extend(octets);
            let found = Framer::default().next(&mut input, &limits);
            assert_eq!(found, Err(fault));
        }
    }
}
