//! One BODY\[...\] on its way to the client.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mailcore::mailbox::Uid;
use mailcore::message::READ_CHUNK;
use mailcore::seams::StoreError;

use super::batch::Fetched;
use crate::render::body::{self, Picked};
use crate::session::{Answer, Context, Question};
use crate::types::fetch::BodyItem;

/// Octets of a header from which fields are picked; what lies beyond is not
/// looked at.
pub(crate) const MAX_HEADER: u64 = 1 << 20;

/// What [`Stream::resume`] wants.
#[derive(Debug)]
pub(super) enum Octets {
    Ask(Question),
    Flush,
    Done,
    /// The octets can't be had; NIL was written.
    Failed(StoreError),
    /// The part's transfer encoding is not known.
    UnknownEncoding,
    /// The octets can't be had and their number is told already.
    Broken,
}

/// Writes one section.
#[derive(Debug)]
pub(super) struct Stream {
    item: Arc<BodyItem>,
    /// What the response calls it.
    name: Bytes,
    uid: Uid,
    source: Source,
}

/// Where the octets come from.
#[derive(Debug)]
enum Source {
    /// They are here.
    Here(Bytes),
    /// They are fields of a header that is here.
    Fields(Picked),
    /// A header is read, from which fields are picked.
    Header { left: Range<u64>, read: BytesMut },
    /// They are read and sent in pieces.
    Pieces { left: Range<u64>, announced: bool },
}

impl Stream {
    /// Section `item` of `message`, to be told under this name.
    pub(super) fn new(message: &Fetched, item: &Arc<BodyItem>, name: Bytes) -> Self {
        let source = match message.locate(&item.section) {
            // A part that is not there has no octets; clients expect a string.
            None => Source::Here(Bytes::new()),
            Some(range) if body::picks_fields(&item.section) => match front(message, &range) {
                Some(header) => Source::fields(header, item),
                None => {
                    let end = range.end.min(range.start.saturating_add(MAX_HEADER));
                    Source::Header {
                        left: range.start..end,
                        read: BytesMut::new(),
                    }
                }
            },
            Some(range) => {
                let range = body::narrow(range, item.partial);
                match front(message, &range) {
                    Some(octets) => Source::Here(octets),
                    None => Source::Pieces {
                        left: range,
                        announced: false,
                    },
                }
            }
        };
        Self {
            item: Arc::clone(item),
            name,
            uid: message.row.uid,
            source,
        }
    }

    /// Goes on.
    pub(super) fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Octets {
        match answer {
            Some(Answer::Octets(octets)) if !octets.is_empty() => self.take(cx, octets),
            Some(Answer::Octets(_)) => return self.fail(cx, StoreError::NotFound),
            Some(Answer::Failed(error)) => return self.fail(cx, error),
            Some(_) => return self.fail(cx, StoreError::Unavailable("wrong answer")),
            None => {}
        }
        match &mut self.source {
            Source::Here(octets) => {
                let octets = std::mem::take(octets);
                self.announce(cx, octets.len() as u64);
                cx.out.content(octets);
                Octets::Done
            }
            Source::Fields(_) => {
                self.write_fields(cx);
                Octets::Done
            }
            Source::Header { left, read } if left.is_empty() => {
                let header = std::mem::take(read).freeze();
                self.source = Source::fields(header, &self.item);
                self.resume(cx, None)
            }
            Source::Pieces { left, .. } if left.is_empty() => Octets::Done,
            Source::Pieces { .. } if cx.out.is_full() => Octets::Flush,
            Source::Header { left, .. } | Source::Pieces { left, .. } => {
                let end = left.end.min(left.start + READ_CHUNK as u64);
                Octets::Ask(Question::Read {
                    uid: self.uid,
                    range: left.start..end,
                })
            }
        }
    }

    /// Takes a piece. The number of octets is told with the first one, so that
    /// a message that can't be read at all is NIL and not the end of the
    /// connection.
    fn take(&mut self, cx: &mut Context, mut octets: Bytes) {
        match &mut self.source {
            Source::Header { left, read } => {
                left.start = left.start.saturating_add(octets.len() as u64).min(left.end);
                read.extend_from_slice(&octets);
            }
            Source::Pieces { left, announced } => {
                let length = left.end - left.start;
                octets.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                left.start += octets.len() as u64;
                if !std::mem::replace(announced, true) {
                    self.announce(cx, length);
                }
                cx.out.content(octets);
            }
            Source::Here(_) | Source::Fields(_) => {}
        }
    }

    fn announce(&self, cx: &mut Context, length: u64) {
        let mut out = cx.out.encoder();
        out.octets(&self.name);
        out.raw("{").number(length).raw("}\r\n");
    }

    fn write_fields(&self, cx: &mut Context) {
        if let Source::Fields(picked) = &self.source {
            self.announce(cx, picked.len());
            let mut out = cx.out.encoder();
            for piece in picked.pieces() {
                out.octets(piece);
            }
        }
    }

    fn fail(&mut self, cx: &mut Context, error: StoreError) -> Octets {
        if let Source::Pieces {
            announced: true, ..
        } = self.source
        {
            return Octets::Broken;
        }
        let mut out = cx.out.encoder();
        out.octets(&self.name).raw("NIL");
        Octets::Failed(error)
    }
}

impl Source {
    /// Fields picked from a header, cut to the partial.
    fn fields(header: Bytes, item: &BodyItem) -> Self {
        let picked = Picked::of(header, &item.section);
        match item.partial {
            Some(_) => Self::Here(body::cut(&picked.to_bytes(), item.partial)),
            None => Self::Fields(picked),
        }
    }
}

/// The octets at `range`, when the front holds them all.
pub(super) fn front(message: &Fetched, range: &Range<u64>) -> Option<Bytes> {
    if range.is_empty() {
        Some(Bytes::new())
    } else {
        slice(&message.front, range)
    }
}

fn slice(octets: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    (start <= end && end <= octets.len()).then(|| octets.slice(start..end))
}
