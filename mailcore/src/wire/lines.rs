//! The input buffer of a session, and the one place where a line ends: at CRLF
//! and nowhere else (RFC 5321 section 2.3.8, RFC 9051 section 2.2).

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// Octets from the peer that the machine has not used yet, up to a limit.
///
/// An empty input holds no memory, so an idle session costs none.
#[derive(Debug)]
pub struct Input {
    buffer: BytesMut,
    limit: usize,
    /// Octets at the front known to hold no LF, so that a line that arrives
    /// octet by octet is still searched once.
    searched: usize,
}

/// What [`Input::line`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its CRLF. May hold a bare CR.
    Complete(Bytes),
    /// A line that ended in a bare LF: taken from the input, and an error in
    /// every protocol of ours. Without the LF.
    BareLf(Bytes),
    /// Longer than asked for. Nothing was taken: [`Input::discard_line`] does.
    TooLong,
    /// No line end yet.
    Incomplete,
}

impl Input {
    /// An input that takes at most `limit` octets.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
            searched: 0,
        }
    }

    /// Sets the limit, for a state that takes more or less. What is already
    /// here stays.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many octets may be added now.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.buffer.len())
    }

    /// Adds octets.
    pub fn extend(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The buffer to read a socket into, for runners that bring no buffer of
    /// their own. Only appending is allowed.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// True while no memory is held.
    pub fn is_unallocated(&self) -> bool {
        self.buffer.capacity() == 0
    }

    /// The octets not used yet.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// How many octets are not used yet.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// True when every octet is used.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes at most `count` octets off the front, without copying them.
    pub fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.buffer.len());
        self.searched = self.searched.saturating_sub(count);
        let taken = self.buffer.split_to(count).freeze();
        self.release();
        taken
    }

    /// Drops everything: what STARTTLS does to buffered plaintext.
    pub fn clear(&mut self) {
        self.buffer = BytesMut::new();
        self.searched = 0;
    }

    /// Takes the next line if it has at most `max` octets before its CRLF.
    pub fn line(&mut self, max: usize) -> Line {
        let Some(at) = self.find_lf() else {
            return if self.buffer.len() > max.saturating_add(1) {
                Line::TooLong
            } else {
                Line::Incomplete
            };
        };
        let ends_in_cr = at.checked_sub(1).and_then(|i| self.buffer.get(i)) == Some(&b'\r');
        let length = if ends_in_cr { at - 1 } else { at };
        if length > max {
            return Line::TooLong;
        }
        let mut line = self.buffer.split_to(at + 1).freeze();
        line.truncate(length);
        self.searched = 0;
        self.release();
        if ends_in_cr {
            Line::Complete(line)
        } else {
            Line::BareLf(line)
        }
    }

    /// Drops octets through the next LF. True when the line's end was found;
    /// while false, call again when more has arrived.
    pub fn discard_line(&mut self) -> bool {
        let end = self.find_lf();
        let count = end.map_or(self.buffer.len(), |at| at + 1);
        self.buffer.advance(count);
        self.searched = 0;
        self.release();
        end.is_some()
    }

    fn find_lf(&mut self) -> Option<usize> {
        let found = self
            .buffer
            .get(self.searched..)
            .and_then(|rest| memchr(b'\n', rest))
            .map(|i| i + self.searched);
        if found.is_none() {
            self.searched = self.buffer.len();
        }
        found
    }

    /// Gives the memory back once everything is used.
    fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line() {
        let mut input = Input::with_limit(100);
        input.extend(b"a\rb\r\nc\nd");
        assert_eq!(input.line(10), Line::Complete(Bytes::from_static(b"a\rb")));
        assert_eq!(input.line(10), Line::BareLf(Bytes::from_static(b"c")));
        assert_eq!(input.line(10), Line::Incomplete);
        input.extend(b"\r\n");
        assert_eq!(input.line(10), Line::Complete(Bytes::from_static(b"d")));
        assert!(input.is_unallocated());
    }

    #[test]
    fn a_line_over_the_limit_is_told_before_and_after_its_end_arrives() {
        let mut input = Input::with_limit(100);
        input.extend(b"0123456789\r");
        assert_eq!(input.line(10), Line::Incomplete);
        input.extend(b"x");
        assert_eq!(input.line(10), Line::TooLong);
        assert!(!input.discard_line());
        input.extend(b"yy\r\nok\r\n");
        assert!(input.discard_line());
        assert_eq!(input.line(2), Line::Complete(Bytes::from_static(b"ok")));
    }
}
