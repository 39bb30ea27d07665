//! [`Output`]: what the session has to send, in pieces the driver can write.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::codec::{Encoder, TextForm};
use crate::types::{ResponseCode, Tag};
use crate::wording::Status;

/// Responses are gathered up to this many octets before they are sent.
pub(crate) const FLUSH_AT: usize = 32 * 1024;
/// One send has at most this many octets.
const MAX_SEND: usize = 64 * 1024;
/// Octets from the store of at least this many are sent without a copy.
const NO_COPY: usize = 8 * 1024;

/// Responses on their way. Holds no memory when there are none.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: BytesMut,
    ready: VecDeque<Bytes>,
    /// The response goes on: the next piece is made with room for all of it.
    goes_on: bool,
    /// How texts beyond ASCII are told.
    pub(crate) texts: TextForm,
}

impl Output {
    /// True when responses should be sent before more are made.
    pub(crate) fn is_full(&self) -> bool {
        !self.ready.is_empty() || self.buffer.len() >= FLUSH_AT
    }

    /// The next piece to send.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            if self.buffer.is_empty() {
                return None;
            }
            self.seal();
        }
        let mut piece = self.ready.pop_front()?;
        if piece.len() > MAX_SEND {
            let rest = piece.split_off(MAX_SEND);
            self.ready.push_front(rest);
        }
        Some(piece)
    }

    /// Writes responses.
    pub(crate) fn encoder(&mut self) -> Encoder<'_> {
        if self.buffer.capacity() == 0 {
            let room = if self.goes_on { FLUSH_AT + 4_096 } else { 512 };
            self.buffer.reserve(room);
        }
        Encoder::new(&mut self.buffer).texts(self.texts)
    }

    /// Octets of a message, as they are.
    pub(crate) fn content(&mut self, octets: Bytes) {
        if octets.len() < NO_COPY {
            self.buffer.extend_from_slice(&octets);
        } else {
            self.seal();
            self.ready.push_back(octets);
        }
    }

    /// `"*" SP text CRLF`
    pub(crate) fn untagged(&mut self, text: &str) {
        self.encoder().raw("* ").raw(text).crlf();
    }

    /// `"* BYE" SP text CRLF`
    pub(crate) fn bye(&mut self, text: &str) {
        self.encoder().raw("* BYE ").raw(text).crlf();
    }

    /// `"* OK [code] text"`
    pub(crate) fn untagged_ok(&mut self, code: &ResponseCode, text: &str) {
        self.encoder()
            .raw("* OK [")
            .display(code)
            .raw("] ")
            .raw(text)
            .crlf();
    }

    /// `"+" SP text CRLF`
    pub(crate) fn continuation(&mut self, text: &str) {
        self.encoder().raw("+ ").raw(text).crlf();
    }

    /// `(tag / "*") SP resp-cond-state CRLF`
    pub(crate) fn status(&mut self, tag: Option<&Tag>, status: &Status) {
        let mut out = self.encoder();
        out.raw(tag.map_or("*", Tag::as_str))
            .raw(" ")
            .raw(status.condition.as_str())
            .raw(" ");
        if let Some(code) = &status.code {
            out.raw("[").display(code).raw("] ");
        }
        out.raw(&status.text).crlf();
        self.goes_on = false;
    }

    fn seal(&mut self) {
        if !self.buffer.is_empty() {
            self.goes_on = self.buffer.len() >= FLUSH_AT;
            self.ready
                .push_back(std::mem::take(&mut self.buffer).freeze());
        }
    }
}
