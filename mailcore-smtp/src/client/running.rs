//! [`Running`]: one message through a session, from MAIL to the last reply.

use std::collections::VecDeque;
use std::time::Duration;

use mailcore::envelope::BodyType;
use mailcore::status::{Failure, Status};

use super::config::{Chunking, Protocol, SessionConfig, Timeouts};
use super::error::SessionError;
use super::output::Output;
use super::transaction::{
    Stage, Transaction, TransactionResult, Unsent, refused, takes_binary, unreadable,
};
use crate::command::Command;
use crate::data::{DataFault, DotStuffer, LineCheck};
use crate::extension::{Extension, Extensions};
use crate::reply::{Reply, ReplyCode};

/// Commands sent before their replies are read. The replies to so many fit any
/// TCP window, so that both sides never wait for each other to read (RFC 2920
/// section 3.1).
const MAX_PIPELINE: usize = 50;
/// Chunks sent before their replies are read.
const MAX_CHUNKS: usize = 8;

/// Where a transaction goes on.
pub(super) enum Progress {
    /// Replies or content are awaited.
    Going,
    /// It is over; the session may begin another.
    Done,
    /// It is over, and the session with it.
    Broken(SessionError),
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A message is sent.
    Delivery,
    /// Recipients are asked for, and it ends before DATA.
    Check,
}

/// What the next octets of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// More come.
    Middle,
    /// No more come.
    Last,
}

/// A command whose reply is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Mail,
    Rcpt(usize),
    Data,
    /// A chunk that is not the last.
    Chunk,
    End,
    /// LMTP's answer for one recipient (RFC 2033 section 4.2).
    EndFor(usize),
    Rset,
}

/// How content goes over the wire.
#[derive(Debug)]
enum Carriage {
    Lines(DotStuffer),
    /// BDAT; lines unless the message was declared binary.
    Chunks(Option<LineCheck>),
}

/// The content on its way.
#[derive(Debug)]
struct Content {
    carriage: Carriage,
    sent: u64,
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Running {
    transaction: Transaction,
    purpose: Purpose,
    /// Commands not sent yet, the next one first.
    commands: VecDeque<(Awaited, Command)>,
    awaited: VecDeque<Awaited>,
    protocol: Protocol,
    pipelining: bool,
    chunks: bool,
    /// MAIL was taken: what does not end in content must end in RSET, or the
    /// next MAIL is out of order (RFC 5321 section 4.1.4).
    begun: bool,
    /// A chunk was refused: no more is sent, and RSET ends it.
    given_up: bool,
    /// One for each recipient: not known yet, accepted by RCPT, or over.
    verdicts: Vec<Option<Result<Option<Reply>, Unsent>>>,
    content: Option<Content>,
}

impl Running {
    /// Writes the first commands to `output`.
    pub(super) fn start(
        transaction: Transaction,
        purpose: Purpose,
        config: &SessionConfig,
        offered: &Extensions,
        output: &mut Output,
    ) -> Self {
        let mut commands = VecDeque::from([(Awaited::Mail, transaction.mail(offered))]);
        for (at, recipient) in transaction.recipients.iter().enumerate() {
            commands.push_back((Awaited::Rcpt(at), transaction.rcpt(recipient, offered)));
        }
        commands.push_back(match purpose {
            Purpose::Delivery => (Awaited::Data, Command::Data),
            Purpose::Check => (Awaited::Rset, Command::Rset),
        });
        let binary = transaction.needs.body == BodyType::BinaryMime && takes_binary(offered);
        let mut running = Self {
            verdicts: vec![None; transaction.recipients.len()],
            transaction,
            purpose,
            commands,
            awaited: VecDeque::new(),
            protocol: config.protocol,
            pipelining: offered.offers(&Extension::Pipelining),
            chunks: binary
                || config.chunking == Chunking::WhereOffered
                    && offered.offers(&Extension::Chunking),
            begun: false,
            given_up: false,
            content: None,
        };
        running.send_more(output);
        running
    }

    fn send_more(&mut self, output: &mut Output) {
        let count = if self.pipelining { MAX_PIPELINE } else { 1 };
        for _ in 0..count {
            if let Some((Awaited::Data, _)) = self.commands.front()
                && !self.may_begin_content(output)
            {
                return;
            }
            let Some((awaited, command)) = self.commands.pop_front() else {
                return;
            };
            self.send(awaited, &command, output);
        }
    }

    /// Whether DATA may be sent now. DATA alone waits for the verdicts of
    /// another group: with nobody accepted there is nothing to send it for.
    /// Chunks wait for all verdicts, and so does LMTP, which answers the data
    /// once for each recipient accepted.
    fn may_begin_content(&mut self, output: &mut Output) -> bool {
        let known = self.awaited.is_empty();
        if known && !self.anyone_accepted() {
            self.commands.clear();
            self.send(Awaited::Rset, &Command::Rset, output);
            return false;
        }
        if self.chunks && known {
            self.commands.clear();
            let lines = self.transaction.needs.body != BodyType::BinaryMime;
            self.content = Some(Content {
                carriage: Carriage::Chunks(lines.then(LineCheck::default)),
                sent: 0,
            });
        }
        !self.chunks && (known || self.protocol == Protocol::Smtp)
    }

    fn send(&mut self, awaited: Awaited, command: &Command, output: &mut Output) {
        output.command(command);
        self.awaited.push_back(awaited);
    }

    fn anyone_accepted(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.any(|verdict| matches!(verdict, Some(Ok(_))))
    }

    /// Takes the reply to the oldest command.
    pub(super) fn on_reply(&mut self, reply: Reply, output: &mut Output) -> Progress {
        let Some(awaited) = self.awaited.pop_front() else {
            return self.reply_within_content(reply);
        };
        match awaited {
            Awaited::Mail if !reply.is_completed() => {
                self.refuse_the_rest(&reply, Stage::Mail);
                // What was pipelined is answered too; what was not is not sent.
                self.commands.clear();
            }
            Awaited::Mail => self.begun = true,
            Awaited::Rcpt(at) => self.on_rcpt(at, reply),
            Awaited::Data if reply.code() == ReplyCode::START_INPUT => {
                return self.begin_data(output);
            }
            Awaited::Data if reply.is_completed() => {
                self.awaited.push_front(Awaited::Data);
                let text = format!("DATA was answered by {}", reply.code());
                return Progress::Broken(SessionError::NotSmtp(text));
            }
            Awaited::Data => {
                self.refuse_the_rest(&reply, Stage::Data);
                if self.begun {
                    self.send(Awaited::Rset, &Command::Rset, output);
                }
            }
            Awaited::Chunk if reply.is_completed() => {}
            Awaited::Chunk => self.give_up(&reply),
            Awaited::End => {
                // Whether a refused BDAT LAST ends the transaction is nowhere
                // said (RFC 3030 section 2).
                self.given_up |= self.chunks && !reply.is_completed();
                let verdicts = self.verdicts.iter_mut();
                verdicts.for_each(|verdict| end(verdict, &reply));
            }
            Awaited::EndFor(at) => {
                if let Some(verdict) = self.verdicts.get_mut(at) {
                    end(verdict, &reply);
                }
            }
            Awaited::Rset if reply.is_completed() => {}
            Awaited::Rset => {
                let during = "RSET";
                return Progress::Broken(SessionError::Refused { during, reply });
            }
        }
        self.go_on(output)
    }

    fn go_on(&mut self, output: &mut Output) -> Progress {
        if self.awaited.is_empty() {
            if std::mem::take(&mut self.given_up) {
                self.send(Awaited::Rset, &Command::Rset, output);
            }
            self.send_more(output);
        }
        if self.awaited.is_empty() && self.content.is_none() {
            return Progress::Done;
        }
        Progress::Going
    }

    fn on_rcpt(&mut self, at: usize, reply: Reply) {
        let Some(verdict) = self.verdicts.get_mut(at).filter(|known| known.is_none()) else {
            return;
        };
        *verdict = Some(if reply.is_completed() {
            // For a check this is the end.
            Ok((self.purpose == Purpose::Check).then_some(reply))
        } else {
            Err(refused(&reply, Stage::Recipient))
        });
    }

    /// 354: the content, or nothing but its end when nobody is to get it (RFC
    /// 2920 section 3.1).
    fn begin_data(&mut self, output: &mut Output) -> Progress {
        if self.anyone_accepted() {
            self.content = Some(Content {
                carriage: Carriage::Lines(DotStuffer::default()),
                sent: 0,
            });
        } else {
            output.octets.extend_from_slice(b".\r\n");
            self.awaited.push_back(Awaited::End);
        }
        Progress::Going
    }

    /// RFC 3030 section 2: after a chunk that was refused the transaction is
    /// void, whatever the chunks on their way are answered.
    fn give_up(&mut self, reply: &Reply) {
        self.refuse_the_rest(reply, Stage::Data);
        self.content = None;
        self.given_up = true;
    }

    /// A reply that came before the end of the data. The content must not end
    /// with the dot now, so the connection must.
    fn reply_within_content(&mut self, reply: Reply) -> Progress {
        let during = "the message's content";
        if reply.is_completed() {
            let text = format!("{} came before the end of the data", reply.code());
            return Progress::Broken(SessionError::NotSmtp(text));
        }
        Progress::Broken(SessionError::Refused { during, reply })
    }

    fn refuse_the_rest(&mut self, reply: &Reply, stage: Stage) {
        for verdict in &mut self.verdicts {
            if matches!(verdict, None | Some(Ok(_))) {
                *verdict = Some(Err(refused(reply, stage)));
            }
        }
    }

    /// Whether the next octets of the message may be sent now.
    pub(super) fn wants_content(&self) -> bool {
        let most = if self.pipelining { MAX_CHUNKS } else { 1 };
        self.content.is_some() && self.awaited.len() < most
    }

    /// Takes the next octets of the message.
    pub(super) fn on_content(
        &mut self,
        octets: &[u8],
        piece: Piece,
        output: &mut Output,
    ) -> Progress {
        let Some(mut content) = self.content.take() else {
            return Progress::Going;
        };
        content.sent += octets.len() as u64;
        let last = piece == Piece::Last;
        let written = match &mut content.carriage {
            Carriage::Lines(stuffer) => stuffer.encode(octets, &mut output.octets),
            Carriage::Chunks(check) => check
                .as_mut()
                .map_or(Ok(()), |check| check.next(octets))
                .map(|()| self.chunk(octets, last, output)),
        };
        if let Err(fault) = written {
            return Progress::Broken(unsendable(fault));
        }
        if !last {
            self.content = Some(content);
            return Progress::Going;
        }
        output.note(&format!("{} octets sent", content.sent));
        let ended = match content.carriage {
            Carriage::Lines(stuffer) => stuffer.finish(&mut output.octets),
            Carriage::Chunks(check) => check.map_or(Ok(()), |check| check.finish()),
        };
        self.await_end();
        match ended {
            Ok(()) => Progress::Going,
            Err(fault) => Progress::Broken(unsendable(fault)),
        }
    }

    fn chunk(&mut self, octets: &[u8], last: bool, output: &mut Output) {
        if octets.is_empty() && !last {
            return;
        }
        let size = octets.len() as u64;
        output.command(&Command::Bdat { size, last });
        output.octets.extend_from_slice(octets);
        if !last {
            self.awaited.push_back(Awaited::Chunk);
        }
    }

    fn await_end(&mut self) {
        match self.protocol {
            Protocol::Smtp => self.awaited.push_back(Awaited::End),
            Protocol::Lmtp => {
                let verdicts = self.verdicts.iter().enumerate();
                let taken = verdicts.filter(|(_, verdict)| matches!(verdict, Some(Ok(_))));
                self.awaited
                    .extend(taken.map(|(at, _)| Awaited::EndFor(at)));
            }
        }
    }

    /// The message's octets can't be had.
    pub(super) fn unreadable(&self) -> SessionError {
        SessionError::Local(unreadable())
    }

    /// The result when the session ends under way.
    pub(super) fn broken(mut self, error: &SessionError) -> TransactionResult {
        let ended = matches!(self.awaited.back(), Some(Awaited::End | Awaited::EndFor(_)));
        let stage = match self.awaited.front() {
            _ if self.content.is_some() => Stage::Content,
            _ if ended => Stage::End,
            Some(Awaited::Mail) => Stage::Mail,
            Some(Awaited::Rcpt(_)) => Stage::Recipient,
            Some(Awaited::Data | Awaited::Rset) => Stage::Data,
            _ => Stage::Content,
        };
        let failure = error.failure();
        for verdict in &mut self.verdicts {
            if !matches!(verdict, Some(Err(_) | Ok(Some(_)))) {
                let failure = failure.clone();
                *verdict = Some(Err(Unsent { failure, stage }));
            }
        }
        self.into_result()
    }

    pub(super) fn into_result(self) -> TransactionResult {
        let unknown = Unsent {
            failure: Failure::local(Status::transient(5, 0, "the transaction was not finished")),
            stage: Stage::Data,
        };
        let verdicts = self.verdicts.into_iter();
        verdicts
            .map(|verdict| match verdict {
                Some(Ok(Some(reply))) => Ok(reply),
                Some(Err(unsent)) => Err(unsent),
                None | Some(Ok(None)) => Err(unknown.clone()),
            })
            .collect()
    }

    pub(super) fn during(&self) -> &'static str {
        match self.awaited.front() {
            Some(Awaited::Mail) => "MAIL",
            Some(Awaited::Rcpt(_)) => "RCPT",
            Some(Awaited::Data) => "DATA",
            Some(Awaited::Rset) => "RSET",
            Some(Awaited::Chunk) => "BDAT",
            Some(Awaited::End | Awaited::EndFor(_)) => "the end of the data",
            None => "the message's content",
        }
    }

    pub(super) fn reply_timeout(&self, timeouts: &Timeouts) -> Duration {
        match self.awaited.front() {
            Some(Awaited::Mail) => timeouts.mail,
            Some(Awaited::Rcpt(_)) => timeouts.rcpt,
            Some(Awaited::Data) => timeouts.data,
            Some(Awaited::End | Awaited::EndFor(_)) => timeouts.end_of_data,
            Some(Awaited::Rset) => timeouts.command,
            Some(Awaited::Chunk) | None => timeouts.block,
        }
    }
}

/// The reply to the content, for one who was accepted.
fn end(verdict: &mut Option<Result<Option<Reply>, Unsent>>, reply: &Reply) {
    if let Some(Ok(taken)) = verdict {
        if reply.is_completed() {
            *taken = Some(reply.clone());
        } else {
            *verdict = Some(Err(refused(reply, Stage::Content)));
        }
    }
}

fn unsendable(fault: DataFault) -> SessionError {
    SessionError::Local(Status::permanent(6, 0, fault.to_string()))
}
