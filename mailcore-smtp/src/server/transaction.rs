//! A mail transaction: MAIL, RCPT, DATA and the message (RFC 5321 section 3.3).
//!
//! The envelope itself is gathered by the host, which is asked about each part
//! of it; the session keeps what later commands depend on.

use mailcore::address::ForwardPath;
use mailcore::envelope::{BodyType, MailParams, Priority};
use mailcore::status::Status;
use mailcore::time::Monotonic;

use super::config::Kind;
use super::connection::Utf8;
use super::question::{Answer, NewTransaction, Question};
use super::session::{CHUNK, Flow, Session};
use super::state::{Pending, Phase, State};
use super::table::Stage;
use super::wording;
use crate::command::{Mail, Rcpt, Verb};
use crate::data::{DataFault, DataReceiver, DataStep};
use crate::reply::Reply;

/// What the rest of a transaction needs to know of its beginning.
#[derive(Debug)]
pub(super) struct Transaction {
    smtputf8: bool,
    /// What the content is made of; binary content comes by BDAT alone.
    pub(super) body: BodyType,
    /// The priority, where it is not the one that was asked for.
    granted: Option<Priority>,
    accepted: u32,
    refused: u32,
}

impl Transaction {
    pub(super) fn stage(&self) -> Stage {
        match (self.accepted, self.refused) {
            (0, 0) => Stage::Mail,
            (0, _) => Stage::Refused,
            _ => Stage::Recipients,
        }
    }
}

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Receiving {
    transaction: Transaction,
    receiver: DataReceiver,
    /// The host wants no more of it, for this reason; told at its end.
    refusal: Option<Reply>,
    /// Octets read and told to the session's deadline.
    mark: u64,
}

impl Session {
    pub(super) fn mail(&mut self, mut mail: Mail) -> State {
        if self.counters.transactions >= self.config.limits.transactions {
            self.close_with(&wording::too_many_transactions());
            return State::Closing;
        }
        if let Some(refusal) = self.mail_refusal(&mail) {
            return self.fail(Phase::Idle, &refusal);
        }
        let too_large = mail.params.size > Some(self.config.limits.message_size);
        if too_large {
            let status = wording::fault_status(DataFault::TooLarge);
            let then = self.fail(Phase::Idle, &wording::size_over_limit());
            return self.abort(Some(status), Vec::new(), then);
        }
        let granted = self.grant(&mut mail);
        let utf8 = if mail.params.smtputf8 {
            Utf8::Asked
        } else {
            Utf8::Absent
        };
        let transaction = Transaction {
            smtputf8: mail.params.smtputf8,
            body: mail.params.body,
            granted,
            accepted: 0,
            refused: 0,
        };
        let new = NewTransaction {
            session: self.facts.clone(),
            protocol: self.protocol(utf8),
            mail,
            transcript: self.transcript.clone(),
        };
        State::Ask(Question::Mail(Box::new(new)), Pending::Mail(transaction))
    }

    fn mail_refusal(&self, mail: &Mail) -> Option<Reply> {
        let MailParams {
            smtputf8,
            require_tls,
            ..
        } = mail.params;
        // What is asked for could be read by anybody already (RFC 8689).
        if require_tls && self.facts.tls.is_none() {
            return Some(wording::requires_tls());
        }
        if let Some(refusal) = self.time_refusal(mail) {
            return Some(refusal);
        }
        let non_ascii = mail
            .reverse_path
            .address()
            .is_some_and(|address| !address.is_ascii());
        (non_ascii && !smtputf8).then(wording::needs_smtputf8)
    }

    pub(super) fn mail_answered(&mut self, transaction: Transaction, answer: &Answer) -> State {
        match answer {
            Answer::Proceed => {
                let reply = match transaction.granted {
                    Some(priority) => wording::priority_granted(priority),
                    None => wording::sender_ok(),
                };
                self.reply(Phase::Transaction(transaction), &reply)
            }
            Answer::Refuse(status) => self.reply(Phase::Idle, &wording::refusal(status)),
            other => self.unexpected(Phase::Idle, other),
        }
    }

    pub(super) fn rcpt(&mut self, mut transaction: Transaction, rcpt: Rcpt) -> State {
        if transaction.accepted.saturating_add(transaction.refused) >= self.config.limits.recipients
        {
            return self.reply(
                Phase::Transaction(transaction),
                &wording::too_many_recipients(),
            );
        }
        let non_ascii =
            matches!(&rcpt.forward_path, ForwardPath::Address(address) if !address.is_ascii());
        if non_ascii && !transaction.smtputf8 {
            transaction.refused = transaction.refused.saturating_add(1);
            return self.fail(Phase::Transaction(transaction), &wording::needs_smtputf8());
        }
        State::Ask(Question::Rcpt(rcpt), Pending::Rcpt(transaction))
    }

    pub(super) fn rcpt_answered(&mut self, mut transaction: Transaction, answer: &Answer) -> State {
        match answer {
            Answer::Proceed => {
                transaction.accepted = transaction.accepted.saturating_add(1);
                self.reply(Phase::Transaction(transaction), &wording::recipient_ok())
            }
            Answer::Refuse(status) => {
                transaction.refused = transaction.refused.saturating_add(1);
                self.refuse_recipient(transaction, status)
            }
            other => self.unexpected(Phase::Transaction(transaction), other),
        }
    }

    fn refuse_recipient(&mut self, transaction: Transaction, status: &Status) -> State {
        if wording::is_unknown_recipient(status) {
            self.counters.unknown_recipients += 1;
        }
        if self.counters.unknown_recipients > self.config.limits.unknown_recipients {
            return self.turn_away(&wording::too_many_unknown_recipients());
        }
        self.reply(Phase::Transaction(transaction), &wording::refusal(status))
    }

    /// DATA: not for binary content, whose end it could not tell (RFC 3030
    /// section 3).
    pub(super) fn data(&mut self, transaction: Transaction) -> State {
        if transaction.body != BodyType::BinaryMime {
            return State::Ask(Question::Data, Pending::Data(transaction));
        }
        if self.input.is_empty() {
            return self.fail(Phase::Transaction(transaction), &wording::binary_by_bdat());
        }
        self.say(&wording::binary_by_bdat());
        self.close_with(&wording::pipelined_past(Verb::Data));
        State::Closing
    }

    pub(super) fn data_answered(&mut self, transaction: Transaction, answer: &Answer) -> State {
        match answer {
            Answer::Proceed => {
                self.counters.transactions += 1;
                let receiver = DataReceiver::with_limit(self.config.limits.message_size);
                let receiving = Receiving {
                    transaction,
                    receiver,
                    refusal: None,
                    mark: 0,
                };
                self.say_now(&wording::send_data());
                State::Data(Box::new(receiving))
            }
            Answer::Refuse(status) => {
                let mut replies = vec![wording::refusal(status)];
                if self.input.is_empty() {
                    return self.abort(None, replies, State::Command(Phase::Idle));
                }
                replies.push(wording::pipelined_past(Verb::Data));
                self.abort(None, replies, State::Closing)
            }
            other => self.unexpected(Phase::Transaction(transaction), other),
        }
    }

    pub(super) fn receive_data(&mut self, mut receiving: Box<Receiving>, now: Monotonic) -> Flow {
        let step = receiving.receiver.next(&mut self.input, CHUNK);
        let taken = receiving.receiver.taken();
        self.progress(taken.saturating_sub(receiving.mark));
        receiving.mark = taken;
        if receiving.receiver.discarded() > self.config.limits.discard {
            self.close_with(&wording::too_much_discarded());
            return Flow::Again;
        }
        let next = match step {
            DataStep::NeedInput => return self.wait(State::Data(receiving), now),
            DataStep::Chunk(_) if receiving.refusal.is_some() => State::Data(receiving),
            DataStep::Chunk(octets) => {
                State::Ask(Question::Chunk(octets), Pending::Chunk(receiving))
            }
            DataStep::End(end) => {
                self.extend_deadline();
                self.data_ended(*receiving, end)
            }
        };
        self.state = next;
        Flow::Again
    }

    fn data_ended(&mut self, receiving: Receiving, end: Result<u64, DataFault>) -> State {
        let then = match end {
            Ok(_) if receiving.refusal.is_none() => {
                return State::Ask(Question::Finish, Pending::Finish(receiving.transaction));
            }
            // The peer may not agree where the message ended: what follows is
            // not to be taken for commands.
            Err(DataFault::StrayLineEnd) => State::Closing,
            _ => State::Command(Phase::Idle),
        };
        let refused = end.err().map(wording::fault_status);
        let reply = match end {
            Err(fault) => Some(wording::data_fault(fault)),
            Ok(_) => receiving.refusal,
        };
        let reply = reply.unwrap_or_else(wording::local_error);
        let replies = self.for_each_recipient(&receiving.transaction, reply);
        self.abort(refused, replies, then)
    }

    pub(super) fn chunk_answered(
        &mut self,
        mut receiving: Box<Receiving>,
        answer: Answer,
    ) -> State {
        match answer {
            Answer::Proceed => {}
            Answer::Refuse(status) => receiving.refusal = Some(wording::refusal(&status)),
            Answer::Disconnect(_) => return self.unexpected(Phase::Idle, &answer),
            _ => receiving.refusal = Some(wording::local_error()),
        }
        State::Data(receiving)
    }

    pub(super) fn finish_answered(&mut self, transaction: &Transaction, answer: Answer) -> State {
        let replies = match answer {
            Answer::Accepted(text) => {
                self.for_each_recipient(transaction, wording::accepted(&text))
            }
            Answer::AcceptedFor(statuses) => self.each_status(transaction, &statuses),
            Answer::Refuse(status) => {
                self.for_each_recipient(transaction, wording::refusal(&status))
            }
            other => return self.unexpected(Phase::Idle, &other),
        };
        if replies.iter().any(Reply::is_completed) {
            self.counters.idle_commands = 0;
        }
        replies.iter().for_each(|reply| self.say(reply));
        State::Command(Phase::Idle)
    }

    /// One reply in SMTP, one for each accepted recipient in LMTP (RFC 2033
    /// section 4.2).
    pub(super) fn for_each_recipient(&self, transaction: &Transaction, reply: Reply) -> Vec<Reply> {
        match self.config.kind {
            Kind::Lmtp => (0..transaction.accepted).map(|_| reply.clone()).collect(),
            Kind::Mx | Kind::Submission => vec![reply],
        }
    }

    /// A host that names too few or too many statuses, or names them in SMTP,
    /// has not said which recipient is safe: all are to be tried again.
    fn each_status(&self, transaction: &Transaction, statuses: &[Status]) -> Vec<Reply> {
        let fits = u32::try_from(statuses.len()).is_ok_and(|count| count == transaction.accepted);
        if fits && self.config.kind == Kind::Lmtp {
            return statuses.iter().map(wording::refusal).collect();
        }
        self.for_each_recipient(transaction, wording::local_error())
    }
}
