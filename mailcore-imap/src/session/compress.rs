//! [`Deflate`]: the layer between a session and its octets once the client has
//! asked for COMPRESS=DEFLATE (RFC 4978).
//!
//! Octets are inflated only as the session has room for them, so that its limits
//! hold for what a bomb becomes and not for what it weighs.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use mailcore::wire::{Input, Step};

use super::{Doing, Ended, Question, Session};
use crate::wording;

/// Compressed octets kept while the session has no room.
const RAW: usize = 16 * 1024;
/// Octets inflated at a time.
const PIECE: usize = 8 * 1024;
/// Octets that may be inflated whatever they weighed: a short command repeats
/// itself as well as a bomb does.
const FREE: u64 = 1024 * 1024;
/// Responses compress nearly as well with little effort (RFC 4978 section 4).
const LEVEL: Compression = Compression::new(3);
/// log2 of the octets a response is compared with. The client's own window is
/// of any size it likes.
const WINDOW_BITS: u8 = 13;
/// One send has about this many octets.
const MAX_SEND: usize = 64 * 1024;

/// Both directions of a compressed connection.
#[derive(Debug)]
pub(super) struct Deflate {
    /// What came and is not inflated yet.
    raw: Input,
    inflate: Decompress,
    /// More may come out of what was put in.
    holds_more: bool,
    max_ratio: u64,
    /// Nothing more comes: the connection ended, or the client's stream did.
    ended: bool,
    /// Why nothing more is taken, as the client is told.
    fault: Option<&'static str>,
    /// Made when there is something to send, given back while the client waits
    /// for news: it is large.
    compress: Option<Compress>,
    /// Something was compressed that the client can't read yet.
    unflushed: bool,
    /// Compressed and not sent.
    ready: Bytes,
    /// What the session wants once everything is sent.
    next: Option<Step<Question>>,
}

impl Session {
    /// Sends in clear what was written so, then goes on compressed.
    pub(super) fn compress(&mut self) -> Step<Question> {
        if let Some(octets) = self.cx.out.next() {
            self.doing = Doing::Compressing;
            return Step::Send(octets);
        }
        self.start_compression();
        self.step_compressed()
    }

    /// Octets are compressed from here on, in both directions.
    fn start_compression(&mut self) {
        let mut raw = Input::with_limit(RAW);
        // Sent before the client could know the outcome, which it must not
        // (RFC 4978 section 3). Nothing is taken as a command in clear.
        raw.extend(&self.cx.input.take(usize::MAX));
        self.doing = Doing::Reading;
        self.deflate = Some(Box::new(Deflate {
            raw,
            inflate: Decompress::new(false),
            holds_more: false,
            max_ratio: self.cx.config.max_inflate_ratio,
            ended: self.input_ended,
            fault: None,
            compress: None,
            unflushed: false,
            ready: Bytes::new(),
            next: None,
        }));
        self.input_ended = false;
    }

    /// The next step of a session whose octets are compressed.
    pub(super) fn step_compressed(&mut self) -> Step<Question> {
        loop {
            if let Some(step) = self.deflate.as_mut().and_then(|it| it.waiting()) {
                return step;
            }
            self.take_in();
            let step = self.step_plain();
            let is_read = matches!(step, Step::Read { .. });
            if is_read && (self.take_in() || self.has_come_to_end()) {
                continue;
            }
            let Some(deflate) = &mut self.deflate else {
                return step;
            };
            match step {
                Step::Send(octets) => deflate.send(&octets),
                step if deflate.flush() => deflate.next = (!is_read).then_some(step),
                step => {
                    // While a command waits, nothing may be told for long.
                    if is_read && matches!(self.doing, Doing::Running(_)) {
                        deflate.compress = None;
                    }
                    return step;
                }
            }
        }
    }

    /// Inflates what the session has room for. True when that brought something.
    fn take_in(&mut self) -> bool {
        let Some(deflate) = &mut self.deflate else {
            return false;
        };
        deflate.inflate(&mut self.cx.input)
    }

    /// Ends a session that waits for what can't come. Only then: what came before
    /// is answered, and no farewell falls within a literal. True when there is
    /// something for the session to do.
    fn has_come_to_end(&mut self) -> bool {
        let Some(deflate) = self.deflate.as_mut().filter(|_| self.ended == Ended::No) else {
            return false;
        };
        if let Some(farewell) = deflate.fault.take() {
            deflate.raw.clear();
            deflate.holds_more = false;
            self.bye(farewell);
            return true;
        }
        let is_over = deflate.ended && deflate.raw.is_empty() && !deflate.holds_more;
        is_over && !std::mem::replace(&mut self.input_ended, true)
    }
}

impl Deflate {
    /// Where octets from the client go.
    pub(super) fn input(&mut self) -> &mut Input {
        &mut self.raw
    }

    /// The client sends no more.
    pub(super) fn end_of_input(&mut self) {
        self.ended = true;
    }

    /// Inflates into `input`, up to its limit. True when that brought something.
    fn inflate(&mut self, input: &mut Input) -> bool {
        let mut brought = false;
        while self.fault.is_none() && input.room() > 0 && (self.holds_more || !self.raw.is_empty())
        {
            let mut piece = [0; PIECE];
            let room = input.room().min(PIECE);
            let piece = piece.get_mut(..room).unwrap_or_default();
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let raw = self.raw.as_slice();
            let status = self.inflate.decompress(raw, piece, FlushDecompress::None);
            let taken = size(self.inflate.total_in().saturating_sub(before.0));
            let made = size(self.inflate.total_out().saturating_sub(before.1));
            self.raw.take(taken);
            input.extend(piece.get(..made).unwrap_or_default());
            brought |= made > 0;
            self.holds_more = made == room;
            match status {
                Err(_) => self.fault = Some(wording::BYE_NOT_DEFLATE),
                Ok(Status::StreamEnd) => {
                    self.raw.clear();
                    (self.holds_more, self.ended) = (false, true);
                }
                // It wants more than is here.
                Ok(_) if taken == 0 && made == 0 => break,
                Ok(_) => {}
            }
            let allowed = self.inflate.total_in().saturating_mul(self.max_ratio);
            if self.inflate.total_out() > allowed.saturating_add(FREE) {
                self.fault = Some(wording::BYE_BOMB);
            }
        }
        brought
    }

    /// The next octets to send, or what was put off for them.
    fn waiting(&mut self) -> Option<Step<Question>> {
        if self.ready.is_empty() {
            return self.next.take();
        }
        let count = self.ready.len().min(MAX_SEND);
        Some(Step::Send(self.ready.split_to(count)))
    }

    /// Compresses what the session sends, as a whole with what follows.
    fn send(&mut self, octets: &[u8]) {
        self.compress(octets, FlushCompress::None);
        self.unflushed = true;
    }

    /// Ends a batch of responses, so that the client can read all of it. True
    /// when there is something to send.
    fn flush(&mut self) -> bool {
        if std::mem::take(&mut self.unflushed) {
            self.compress(&[], FlushCompress::Sync);
        }
        !self.ready.is_empty()
    }

    /// A compressor made anew refers to nothing sent before, of which the client
    /// need not know.
    fn compress(&mut self, octets: &[u8], flush: FlushCompress) {
        let compress = self
            .compress
            .get_or_insert_with(|| Compress::new_with_window_bits(LEVEL, false, WINDOW_BITS));
        let mut made = Vec::from(std::mem::take(&mut self.ready));
        let start = compress.total_in();
        loop {
            let taken = size(compress.total_in().saturating_sub(start));
            made.reserve((octets.len() - taken.min(octets.len())) / 2 + 128);
            let rest = octets.get(taken..).unwrap_or_default();
            let before = made.len();
            // It fails for a stream that was ended, and this one never is.
            let status = compress.compress_vec(rest, &mut made, flush);
            let is_full = made.len() == made.capacity();
            let stands = made.len() == before && size(compress.total_in() - start) == taken;
            if status.is_err() || stands || (!is_full && rest.is_empty()) {
                break;
            }
        }
        self.ready = made.into();
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
