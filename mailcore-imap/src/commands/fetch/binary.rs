//! One BINARY\[...\] or BINARY.SIZE\[...\] on its way to the client
//! (RFC 3516, RFC 9051 section 6.4.5).
//!
//! The number of octets comes before them and is known only when all are
//! decoded. So a part that is not at hand is read twice: to count, and to send.
//! It is never held whole.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mailcore::mailbox::Uid;
use mailcore::message::{PartKind, READ_CHUNK, TransferDecoder, TransferEncoding};
use mailcore::seams::StoreError;

use super::batch::Fetched;
use super::octets::{Octets, front};
use crate::render::body;
use crate::session::{Answer, Context, Question};
use crate::types::fetch::BinaryItem;

/// Decodes one part.
#[derive(Debug)]
pub(super) struct Binary {
    item: Arc<BinaryItem>,
    uid: Uid,
    /// Where the encoded octets lie.
    place: Range<u64>,
    /// `None` when it is not known.
    encoding: Option<TransferEncoding>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The encoded octets are here.
    Here(Bytes),
    /// They are read to be counted.
    Count(Pass),
    /// They are read to be sent; what is to come of them.
    Send(Pass, u64),
}

/// One reading of the part.
#[derive(Debug)]
struct Pass {
    left: Range<u64>,
    decoder: Option<TransferDecoder>,
    /// Decoded octets so far.
    decoded: u64,
    /// One of them is NUL.
    nul: bool,
}

impl Pass {
    fn new(place: &Range<u64>, encoding: TransferEncoding) -> Self {
        Self {
            left: place.clone(),
            decoder: Some(TransferDecoder::new(encoding)),
            decoded: 0,
            nul: false,
        }
    }

    /// Decodes the next octets; what `wanted` of them.
    fn take(&mut self, octets: &[u8], wanted: &Range<u64>) -> Vec<u8> {
        self.left.start = self
            .left
            .start
            .saturating_add(octets.len() as u64)
            .min(self.left.end);
        let mut decoded = Vec::with_capacity(octets.len());
        if let Some(decoder) = &mut self.decoder {
            decoder.push(octets, &mut decoded);
        }
        if self.left.is_empty()
            && let Some(decoder) = self.decoder.take()
        {
            decoder.finish(&mut decoded);
        }
        let start = self.decoded;
        self.decoded += decoded.len() as u64;
        let cut = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
        decoded.truncate(cut(wanted.end));
        decoded.drain(..cut(wanted.start).min(decoded.len()));
        self.nul |= memchr::memchr(0, &decoded).is_some();
        decoded
    }
}

impl Binary {
    /// Section `item` of `message`.
    pub(super) fn new(message: &Fetched, item: &Arc<BinaryItem>) -> Self {
        let summary = message.summary();
        let place = message.locate(&item.section).unwrap_or(0..0);
        let encoding = match summary.part(&item.section.part.0) {
            // The message as such has no encoding, nor has what holds parts
            // (RFC 2045 section 6.4).
            Some(part) if !item.section.is_whole() && part.kind == PartKind::Leaf => {
                TransferEncoding::parse(&part.content.encoding)
            }
            _ => Some(TransferEncoding::Identity),
        };
        let phase = match front(message, &place) {
            Some(octets) => Phase::Here(octets),
            None => {
                let counted = encoding.unwrap_or(TransferEncoding::Identity);
                Phase::Count(Pass::new(&place, counted))
            }
        };
        Self {
            item: Arc::clone(item),
            uid: message.row.uid,
            place,
            encoding,
            phase,
        }
    }

    /// Goes on.
    pub(super) fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Octets {
        let Some(encoding) = self.encoding else {
            self.write_nothing(cx);
            return Octets::UnknownEncoding;
        };
        match answer {
            Some(Answer::Octets(octets)) if !octets.is_empty() => self.take(cx, &octets),
            Some(Answer::Octets(_)) => return self.fail(cx, StoreError::NotFound),
            Some(Answer::Failed(error)) => return self.fail(cx, error),
            Some(_) => return self.fail(cx, StoreError::Unavailable("wrong answer")),
            None => {}
        }
        let wanted = self.wanted();
        match &mut self.phase {
            Phase::Here(octets) => {
                let mut pass = Pass::new(&(0..octets.len() as u64), encoding);
                let decoded = pass.take(octets, &wanted);
                self.announce(cx, pass.decoded, pass.nul);
                if !self.item.size_only() {
                    cx.out.content(decoded.into());
                }
                Octets::Done
            }
            Phase::Count(pass) if pass.left.is_empty() || pass.decoded >= wanted.end => {
                let (length, nul) = (pass.decoded, pass.nul);
                self.announce(cx, length, nul);
                if self.item.size_only() {
                    return Octets::Done;
                }
                let to_come = body::narrow(0..length, self.item.partial);
                let to_come = to_come.end - to_come.start;
                self.phase = Phase::Send(Pass::new(&self.place, encoding), to_come);
                self.resume(cx, None)
            }
            Phase::Send(_, 0) => Octets::Done,
            // Fewer than were counted: the message changed under us.
            Phase::Send(pass, _) if pass.left.is_empty() => Octets::Broken,
            Phase::Send(..) if cx.out.is_full() => Octets::Flush,
            Phase::Count(pass) | Phase::Send(pass, _) => {
                let end = pass.left.end.min(pass.left.start + READ_CHUNK as u64);
                Octets::Ask(Question::Read {
                    uid: self.uid,
                    range: pass.left.start..end,
                })
            }
        }
    }

    /// The decoded octets that are asked for, as far as is known.
    fn wanted(&self) -> Range<u64> {
        body::narrow(0..u64::MAX, self.item.partial)
    }

    fn take(&mut self, cx: &mut Context, octets: &[u8]) {
        let wanted = self.wanted();
        match &mut self.phase {
            Phase::Here(_) => {}
            Phase::Count(pass) => drop(pass.take(octets, &wanted)),
            Phase::Send(pass, to_come) => {
                let mut decoded = pass.take(octets, &wanted);
                decoded.truncate(usize::try_from(*to_come).unwrap_or(usize::MAX));
                *to_come -= decoded.len() as u64;
                cx.out.content(decoded.into());
            }
        }
    }

    /// `"BINARY" section-binary ["<" number ">"] SP ("{" / "~{") number "}"`, or
    /// the size alone. What holds a NUL is no string but a literal8 (RFC 3516
    /// section 4.3).
    fn announce(&self, cx: &mut Context, decoded: u64, nul: bool) {
        let mut out = cx.out.encoder();
        body::write_binary_name(&mut out, &self.item);
        if self.item.size_only() {
            out.number(decoded);
            return;
        }
        let told = body::narrow(0..decoded, self.item.partial);
        out.raw(if nul { "~{" } else { "{" })
            .number(told.end - told.start)
            .raw("}\r\n");
    }

    fn write_nothing(&self, cx: &mut Context) {
        let mut out = cx.out.encoder();
        body::write_binary_name(&mut out, &self.item);
        out.raw(if self.item.size_only() { "0" } else { "NIL" });
    }

    fn fail(&self, cx: &mut Context, error: StoreError) -> Octets {
        if let Phase::Send(..) = self.phase {
            return Octets::Broken;
        }
        self.write_nothing(cx);
        Octets::Failed(error)
    }
}
