//! Reads replies out of a stream of octets: what the client side needs.
//!
//! Tolerated: a missing text, a missing space after the code, a bare LF as
//! line end, codes that differ between the lines of one reply (the last one
//! counts). Bounded: octets per line and lines per reply.

use std::borrow::Cow;

use mailcore::status::EnhancedStatusCode;
use memchr::memchr;
use thiserror::Error;

use super::{Reply, ReplyCode};

/// Octets per line that are read; RFC 5321 section 4.5.3.1.5 allows 512, real
/// servers write more.
const DEFAULT_MAX_LINE: usize = 4_096;
/// Lines per reply that are read.
const DEFAULT_MAX_LINES: usize = 200;

/// Why octets are no reply. The stream cannot be read on: close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line does not start with a reply code and `-`, SP or its end.
    #[error("the peer's answer is no SMTP reply; close the connection and try later")]
    Malformed,
    /// A line or the whole reply is longer than the limits.
    #[error("the peer's reply is too long; close the connection and try later")]
    TooLong,
}

/// An incremental reader of replies. Any split of the input gives the same
/// replies.
#[derive(Debug)]
pub struct ReplyParser {
    max_line: usize,
    max_lines: usize,
    line: Vec<u8>,
    enhanced: Option<EnhancedStatusCode>,
    texts: Vec<Cow<'static, str>>,
}

impl Default for ReplyParser {
    fn default() -> Self {
        Self::with_limits(DEFAULT_MAX_LINE, DEFAULT_MAX_LINES)
    }
}

impl ReplyParser {
    /// A parser that takes `max_line` octets a line and `max_lines` lines a
    /// reply.
    pub fn with_limits(max_line: usize, max_lines: usize) -> Self {
        Self {
            max_line,
            max_lines,
            line: Vec::new(),
            enhanced: None,
            texts: Vec::new(),
        }
    }

    /// Reads from the front of `input`, which is moved past what was used: all
    /// of it, or through the end of the reply that is returned.
    ///
    /// # Errors
    /// [`ReplyError`]; the parser is then of no more use.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, ReplyError> {
        while let Some(at) = memchr(b'\n', input) {
            let (head, tail) = input.split_at_checked(at + 1).unwrap_or((input, &[]));
            *input = tail;
            self.take(head)?;
            if let Some(reply) = self.end_line()? {
                return Ok(Some(reply));
            }
        }
        let rest = std::mem::take(input);
        self.take(rest)?;
        Ok(None)
    }

    /// True between replies: no part of one is held.
    pub fn is_idle(&self) -> bool {
        self.line.is_empty() && self.texts.is_empty()
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), ReplyError> {
        if self.line.len() + octets.len() > self.max_line {
            return Err(ReplyError::TooLong);
        }
        self.line.extend_from_slice(octets);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        if self.texts.len() >= self.max_lines {
            return Err(ReplyError::TooLong);
        }
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end_matches(['\r', '\n']);
        let (code, rest) = line.split_at_checked(3).ok_or(ReplyError::Malformed)?;
        let number = code
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| code.parse().ok())
            .flatten();
        let code = number
            .and_then(ReplyCode::new)
            .ok_or(ReplyError::Malformed)?;
        let (more, text) = match rest.as_bytes().first() {
            None => (false, rest),
            Some(b' ') => (false, rest.get(1..).unwrap_or_default()),
            Some(b'-') => (true, rest.get(1..).unwrap_or_default()),
            Some(_) => return Err(ReplyError::Malformed),
        };
        let (enhanced, text) = split_enhanced(code, text);
        let text = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>();
        self.enhanced = self.enhanced.or(enhanced);
        self.texts.push(text.into());
        self.line.clear();
        if more {
            return Ok(None);
        }
        let lines = std::mem::take(&mut self.texts);
        Ok(Some(Reply {
            code,
            enhanced: self.enhanced.take(),
            lines,
        }))
    }
}

/// Splits an enhanced code off the text; one of another class than the reply's
/// is text (RFC 2034 section 4).
fn split_enhanced(code: ReplyCode, text: &str) -> (Option<EnhancedStatusCode>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word.parse::<EnhancedStatusCode>() {
        Ok(enhanced) if Some(enhanced.class) == code.status_class() => (Some(enhanced), rest),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(octets: &[u8]) -> Result<Option<Reply>, ReplyError> {
        ReplyParser::default().receive(&mut &octets[..])
    }

    #[test]
    fn sloppy_servers_are_read() {
        for octets in [
            "250\r\n",
            "250 \r\n",
            "250 \n",
            "250-\r\n250 \r\n",
            "251-a\r\n250\r\n",
        ] {
            assert_eq!(
                read(octets.as_bytes()).unwrap().unwrap().code(),
                ReplyCode::OK,
                "{octets:?}"
            );
        }
        let reply = read(b"550-5.1.1 no such\r\n550 5.1.1 user\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(
            (reply.enhanced_code(), reply.text()),
            (
                Some(EnhancedStatusCode::permanent(1, 1)),
                "no such user".into()
            )
        );
        // A class that contradicts the code is not believed.
        assert_eq!(
            read(b"450 5.1.1 x\r\n").unwrap().unwrap().enhanced_code(),
            None
        );
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for octets in [
            &b"\r\n"[..],
            b"hello\r\n",
            b"25\r\n",
            b"2500\r\n",
            b"+50 x\r\n",
            b"150 x\r\n",
            b"600 x\r\n",
            b"\xff\xff\xff\r\n",
        ] {
            assert_eq!(read(octets), Err(ReplyError::Malformed), "{octets:?}");
        }
        assert_eq!(read(&[b'2'; 5_000]), Err(ReplyError::TooLong));
        assert_eq!(read(&b"250-x\r\n".repeat(300)), Err(ReplyError::TooLong));
    }

    fn replies() -> impl Strategy<Value = Reply> {
        // No digit at the front of a text: it could be an enhanced code.
        let text = "([a-zA-Zа-я][ -~]{0,40})?";
        (
            200u16..600,
            proptest::option::of((0u16..999, 0u16..999)),
            vec(text, 1..6),
        )
            .prop_map(|(code, enhanced, lines)| {
                let reply = Reply::from_lines(
                    ReplyCode::new(code).unwrap(),
                    lines.into_iter().map(Cow::from),
                );
                match enhanced {
                    Some((subject, detail)) => reply.enhanced(subject, detail),
                    None => reply,
                }
            })
    }

    proptest! {
        #[test]
        fn replies_are_read_back_from_any_split(replies in vec(replies(), 1..5), cuts in vec(1usize..9, 1..40)) {
            let mut octets = Vec::new();
            replies.iter().for_each(|reply| reply.encode(&mut octets));
            let mut parser = ReplyParser::default();
            let mut read = Vec::new();
            let mut rest = &octets[..];
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (mut piece, tail) = rest.split_at(cut.min(rest.len()));
                rest = tail;
                while let Some(reply) = parser.receive(&mut piece).unwrap() {
                    read.push(reply);
                }
            }
            prop_assert_eq!(read, replies);
            prop_assert!(parser.is_idle());
        }

        #[test]
        fn any_octets_are_replies_or_an_error(octets in any::<Vec<u8>>()) {
            let _ = read(&octets);
        }
    }
}
