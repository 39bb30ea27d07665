//! BDAT: a message in chunks of announced size (RFC 3030 section 2).
//!
//! A chunk that is refused is read and dropped, never taken for commands.
//! Without BODY=BINARYMIME the content is lines; with it, any octets.

use mailcore::envelope::BodyType;
use mailcore::status::Status;
use mailcore::time::Monotonic;

use super::question::{Answer, Question};
use super::session::{CHUNK, Flow, Session};
use super::state::{Pending, Phase, State};
use super::transaction::Transaction;
use super::wording;
use crate::data::{DataFault, LineCheck};
use crate::reply::Reply;

/// A message that comes by BDAT.
#[derive(Debug)]
pub(super) struct Chunked {
    transaction: Transaction,
    check: LineCheck,
    /// Octets of the chunks before and of this one, as far as it came.
    received: u64,
    /// Octets of this chunk still to come.
    left: u64,
    /// Whether this chunk ends the message.
    last: bool,
}

impl Session {
    /// A legal BDAT: the first of its message, or a later one.
    pub(super) fn begin_chunk(&mut self, phase: Phase, size: u64, last: bool) -> State {
        let (mut chunked, is_first) = match phase {
            Phase::Chunks(chunked) => (chunked, false),
            Phase::Transaction(transaction) => {
                let check = LineCheck::default();
                (
                    Box::new(Chunked {
                        transaction,
                        check,
                        received: 0,
                        left: 0,
                        last,
                    }),
                    true,
                )
            }
            Phase::Idle => return self.skip_chunk(size, vec![wording::local_error()], Phase::Idle),
        };
        (chunked.left, chunked.last) = (size, last);
        if chunked.received.saturating_add(size) > self.config.limits.message_size {
            let refused = wording::fault_status(DataFault::TooLarge);
            return self.refuse_chunked(&chunked, Some(refused), wording::size_over_limit());
        }
        if is_first {
            self.counters.transactions = self.counters.transactions.saturating_add(1);
            return State::Ask(Question::Data, Pending::Bdat(chunked));
        }
        State::Chunk(chunked)
    }

    /// The host takes the message, or the octets that came of it, or not.
    pub(super) fn chunk_admitted(&mut self, chunked: Box<Chunked>, answer: &Answer) -> State {
        match answer {
            Answer::Proceed => State::Chunk(chunked),
            Answer::Refuse(status) => self.refuse_chunked(&chunked, None, wording::refusal(status)),
            Answer::Disconnect(_) => self.unexpected(Phase::Idle, answer),
            _ => self.refuse_chunked(&chunked, None, wording::local_error()),
        }
    }

    /// Takes what has come of the chunk, or ends it.
    pub(super) fn read_chunk(&mut self, mut chunked: Box<Chunked>, now: Monotonic) -> Flow {
        if chunked.left == 0 {
            self.extend_deadline();
            self.state = self.end_chunk(chunked);
            return Flow::Again;
        }
        if self.input.is_empty() {
            return self.wait(State::Chunk(chunked), now);
        }
        let most = usize::try_from(chunked.left)
            .unwrap_or(usize::MAX)
            .min(CHUNK);
        let octets = self.input.take(most);
        let count = octets.len() as u64;
        chunked.left = chunked.left.saturating_sub(count);
        chunked.received = chunked.received.saturating_add(count);
        self.progress(count);
        let checked = match chunked.transaction.body {
            BodyType::BinaryMime => Ok(()),
            BodyType::SevenBit | BodyType::EightBitMime => chunked.check.next(&octets),
        };
        self.state = match checked {
            Ok(()) => State::Ask(Question::Chunk(octets), Pending::Bdat(chunked)),
            Err(fault) => self.chunk_fault(&chunked, fault),
        };
        Flow::Again
    }

    fn end_chunk(&mut self, chunked: Box<Chunked>) -> State {
        if !chunked.last {
            let reply = wording::chunk_received(chunked.received);
            return self.reply(Phase::Chunks(chunked), &reply);
        }
        match chunked.check.finish() {
            Ok(()) => State::Ask(Question::Finish, Pending::Finish(chunked.transaction)),
            Err(fault) => self.chunk_fault(&chunked, fault),
        }
    }

    fn chunk_fault(&mut self, chunked: &Chunked, fault: DataFault) -> State {
        self.refuse_chunked(
            chunked,
            Some(wording::fault_status(fault)),
            wording::data_fault(fault),
        )
    }

    /// Ends the transaction and drops the rest of the chunk. Chunks that were
    /// sent without waiting then come out of order, and are dropped as well.
    fn refuse_chunked(
        &mut self,
        chunked: &Chunked,
        refused: Option<Status>,
        reply: Reply,
    ) -> State {
        let replies = match chunked.last {
            true => self.for_each_recipient(&chunked.transaction, reply),
            false => vec![reply],
        };
        let then = self.skip_chunk(chunked.left, replies, Phase::Idle);
        self.abort(refused, Vec::new(), then)
    }

    /// Reads and drops `left` octets, then says `replies`; a peer that
    /// announces too many is not listened to.
    pub(super) fn skip_chunk(&mut self, left: u64, replies: Vec<Reply>, phase: Phase) -> State {
        if left > self.config.limits.discard {
            replies.iter().for_each(|reply| self.say(reply));
            self.close_with(&wording::too_much_discarded());
            return State::Closing;
        }
        State::SkipChunk {
            left,
            replies,
            phase,
        }
    }

    pub(super) fn drop_chunk(
        &mut self,
        left: u64,
        replies: Vec<Reply>,
        phase: Phase,
        now: Monotonic,
    ) -> Flow {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let count = self.input.take(most).len() as u64;
        self.progress(count);
        let left = left.saturating_sub(count);
        if left > 0 {
            return self.wait(
                State::SkipChunk {
                    left,
                    replies,
                    phase,
                },
                now,
            );
        }
        self.state = self.fail_with(phase, &replies);
        Flow::Again
    }
}
