//! One message through a session: MAIL to the reply after the data.

use std::collections::VecDeque;
use std::time::Duration;

use mailcore::address::ForwardPath;
use mailcore::address::ReversePath;
use mailcore::envelope::{BodyType, MailParams, Notify, Recipient};
use mailcore::status::{Failure, Status};

use super::config::Timeouts;
use super::error::SessionError;
use crate::command::{Command, Mail, Rcpt};
use crate::data::DotStuffer;
use crate::extension::{Extension, Extensions};
use crate::reply::{Reply, ReplyCode};

/// Commands sent before their replies are read. The replies to so many fit any
/// TCP window, so that both sides never wait for each other to read (RFC 2920
/// section 3.1).
const MAX_PIPELINE: usize = 50;

/// A message and whom it is for.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL asked for when the message came here.
    pub params: MailParams,
    /// For whom; at least one.
    pub recipients: Vec<Recipient>,
    /// The message's length in octets.
    pub size: u64,
    /// What its octets need.
    pub needs: ContentNeeds,
}

/// What a message's octets need of the next host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentNeeds {
    /// Whether it holds octets above 127: 8BITMIME.
    pub eight_bit: EightBit,
    /// Its header does: SMTPUTF8.
    pub utf8_header: bool,
}

/// Whether a message holds octets above 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EightBit {
    /// It holds none.
    #[default]
    No,
    /// It was not read to its end: 8BITMIME is used where it is offered.
    Perhaps,
    /// It does, and goes only where 8BITMIME is offered.
    Yes,
}

/// One entry for each recipient, in order: the reply that took the message, or
/// why it was not taken.
pub type TransactionResult = Vec<Result<Reply, Unsent>>;

/// Why a recipient's copy was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Status and words; the host is added by who knows it.
    pub failure: Failure,
    /// How far the transaction had come.
    pub stage: Stage,
}

/// How far a transaction had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing was sent: it does not fit what the host offers.
    Before,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The content.
    Content,
    /// After the end of the data: the host may have taken it.
    End,
}

impl Transaction {
    /// Why the message cannot go to a host that offers these extensions.
    pub(super) fn unfit(&self, offered: &Extensions, verified_tls: bool) -> Option<Status> {
        let offers = |extension| offered.offers(&extension);
        if offered.size_limit().is_some_and(|limit| self.size > limit) {
            let limit = offered.size_limit().unwrap_or_default();
            let text = format!("the next host takes messages up to {limit} octets");
            return Some(Status::permanent(3, 4, text));
        }
        if self.needs_smtputf8() && !offers(Extension::SmtpUtf8) {
            let text = "the next host takes no addresses or header fields in UTF-8";
            return Some(Status::permanent(6, 7, text));
        }
        if self.params.require_tls && !(verified_tls && offers(Extension::RequireTls)) {
            // RFC 8689 section 4.2.1.
            let text = "the way to the next host is not secured as REQUIRETLS asks";
            return Some(Status::permanent(7, 30, text));
        }
        if self.needs.eight_bit == EightBit::Yes && !offers(Extension::EightBitMime) {
            let text = "the next host takes no 8-bit content, and it is not converted";
            return Some(Status::permanent(6, 3, text));
        }
        None
    }

    fn needs_smtputf8(&self) -> bool {
        let sender_is_ascii = self.reverse_path.address().is_none_or(|a| a.is_ascii());
        let mut recipients = self.recipients.iter();
        self.needs.utf8_header
            || !sender_is_ascii
            || recipients.any(|recipient| !recipient.address.is_ascii())
    }

    pub(super) fn all_unsent(&self, status: &Status) -> TransactionResult {
        let unsent = Unsent {
            failure: Failure::local(status.clone()),
            stage: Stage::Before,
        };
        self.recipients
            .iter()
            .map(|_| Err(unsent.clone()))
            .collect()
    }

    /// MAIL with the parameters that the host takes.
    fn mail(&self, offered: &Extensions) -> Command {
        let dsn = offered.offers(&Extension::Dsn);
        let mut mail = Mail::new(self.reverse_path.clone());
        mail.params.size = Some(self.size).filter(|_| offered.offers(&Extension::Size(None)));
        if self.needs.eight_bit != EightBit::No && offered.offers(&Extension::EightBitMime) {
            mail.params.body = BodyType::EightBitMime;
        }
        mail.params.smtputf8 = self.needs_smtputf8();
        mail.params.require_tls = self.params.require_tls;
        mail.params.ret = self.params.ret.filter(|_| dsn);
        mail.params.envelope_id = self.params.envelope_id.clone().filter(|_| dsn);
        Command::Mail(mail)
    }

    /// RCPT with the parameters that the host takes.
    fn rcpt(&self, recipient: &Recipient, offered: &Extensions) -> Command {
        let dsn = offered.offers(&Extension::Dsn);
        let forward_path = ForwardPath::Address(recipient.address.clone());
        let mut rcpt = Rcpt::new(forward_path);
        if dsn {
            rcpt.notify = recipient.notify;
            rcpt.original = recipient.original.clone();
        } else {
            rcpt.notify = Notify::default();
        }
        Command::Rcpt(rcpt)
    }
}

/// Where a transaction goes on.
pub(super) enum Progress {
    /// Replies or content are awaited.
    Going,
    /// It is over; the session may begin another.
    Done,
    /// It is over, and the session with it.
    Broken(SessionError),
}

/// A command whose reply is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Mail,
    Rcpt(usize),
    Data,
    End,
    Rset,
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Running {
    transaction: Transaction,
    /// Commands not sent yet, the next one first.
    commands: VecDeque<(Awaited, Command)>,
    awaited: VecDeque<Awaited>,
    pipelining: bool,
    /// One for each recipient: not known yet, accepted by RCPT, or over.
    verdicts: Vec<Option<Result<Option<Reply>, Unsent>>>,
    /// The content on its way.
    content: Option<(u64, DotStuffer)>,
}

impl Running {
    /// Writes the first commands to `output`.
    pub(super) fn start(
        transaction: Transaction,
        offered: &Extensions,
        output: &mut Vec<u8>,
    ) -> Self {
        let mut commands = VecDeque::from([(Awaited::Mail, transaction.mail(offered))]);
        for (at, recipient) in transaction.recipients.iter().enumerate() {
            commands.push_back((Awaited::Rcpt(at), transaction.rcpt(recipient, offered)));
        }
        commands.push_back((Awaited::Data, Command::Data));
        let mut running = Self {
            verdicts: vec![None; transaction.recipients.len()],
            transaction,
            commands,
            awaited: VecDeque::new(),
            pipelining: offered.offers(&Extension::Pipelining),
            content: None,
        };
        running.send_more(output);
        running
    }

    fn send_more(&mut self, output: &mut Vec<u8>) {
        let count = if self.pipelining { MAX_PIPELINE } else { 1 };
        for _ in 0..count {
            // DATA alone waits for the verdicts of another group: with nobody
            // accepted there is nothing to send it for.
            if let Some((Awaited::Data, _)) = self.commands.front()
                && self.awaited.is_empty()
                && !self.anyone_accepted()
            {
                self.commands.clear();
                self.send(Awaited::Rset, &Command::Rset, output);
                return;
            }
            let Some((awaited, command)) = self.commands.pop_front() else {
                return;
            };
            self.send(awaited, &command, output);
        }
    }

    fn send(&mut self, awaited: Awaited, command: &Command, output: &mut Vec<u8>) {
        output.extend_from_slice(command.encode().as_bytes());
        self.awaited.push_back(awaited);
    }

    fn anyone_accepted(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.any(|verdict| matches!(verdict, Some(Ok(_))))
    }

    /// Takes the reply to the oldest command.
    pub(super) fn on_reply(&mut self, reply: Reply, output: &mut Vec<u8>) -> Progress {
        let Some(awaited) = self.awaited.pop_front() else {
            return self.reply_within_content(reply);
        };
        match awaited {
            Awaited::Mail if !reply.is_completed() => {
                self.refuse_the_rest(&reply, Stage::Mail);
                // What was pipelined is answered too; what was not is not sent.
                self.commands.clear();
            }
            Awaited::Mail => {}
            Awaited::Rcpt(at) => self.on_rcpt(at, reply),
            Awaited::Data if reply.code() == ReplyCode::START_INPUT => {
                return self.begin_content(output);
            }
            Awaited::Data if reply.is_completed() => {
                self.awaited.push_front(Awaited::Data);
                let text = format!("DATA was answered by {}", reply.code());
                return Progress::Broken(SessionError::NotSmtp(text));
            }
            Awaited::Data => {
                let anyone = self.anyone_accepted();
                self.refuse_the_rest(&reply, Stage::Data);
                if anyone {
                    self.send(Awaited::Rset, &Command::Rset, output);
                }
            }
            Awaited::End => {
                self.end(reply);
                return Progress::Done;
            }
            Awaited::Rset if reply.is_completed() => return Progress::Done,
            Awaited::Rset => {
                let during = "RSET";
                return Progress::Broken(SessionError::Refused { during, reply });
            }
        }
        if self.awaited.is_empty() {
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
            Ok(None)
        } else {
            Err(refused(&reply, Stage::Recipient))
        });
    }

    /// 354: the content, or nothing but its end when nobody is to get it (RFC
    /// 2920 section 3.1).
    fn begin_content(&mut self, output: &mut Vec<u8>) -> Progress {
        if self.anyone_accepted() {
            self.content = Some((0, DotStuffer::default()));
        } else {
            output.extend_from_slice(b".\r\n");
            self.awaited.push_back(Awaited::End);
        }
        Progress::Going
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

    fn end(&mut self, reply: Reply) {
        for verdict in &mut self.verdicts {
            if let Some(Ok(taken)) = verdict {
                if reply.is_completed() {
                    *taken = Some(reply.clone());
                } else {
                    *verdict = Some(Err(refused(&reply, Stage::Content)));
                }
            }
        }
    }

    fn refuse_the_rest(&mut self, reply: &Reply, stage: Stage) {
        for verdict in &mut self.verdicts {
            if matches!(verdict, None | Some(Ok(_))) {
                *verdict = Some(Err(refused(reply, stage)));
            }
        }
    }

    /// Where the content goes on, while it is being sent.
    pub(super) fn wants_content(&self) -> Option<u64> {
        let (offset, _) = self.content.as_ref()?;
        Some(*offset)
    }

    /// Takes the next octets of the message.
    pub(super) fn on_content(&mut self, octets: &[u8], output: &mut Vec<u8>) -> Progress {
        let Some((offset, mut stuffer)) = self.content.take() else {
            return Progress::Going;
        };
        let size = self.transaction.size;
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let octets = octets.get(..left).unwrap_or(octets);
        if octets.is_empty() && left > 0 {
            return Progress::Broken(SessionError::Local(unreadable()));
        }
        let offset = offset + octets.len() as u64;
        let mut written = stuffer.encode(octets, output);
        if offset < size {
            self.content = Some((offset, stuffer));
        } else if written.is_ok() {
            written = stuffer.finish(output);
            self.awaited.push_back(Awaited::End);
        }
        match written {
            Ok(()) => Progress::Going,
            Err(fault) => {
                let status = Status::permanent(6, 0, fault.to_string());
                Progress::Broken(SessionError::Local(status))
            }
        }
    }

    /// The result when the session ends under way.
    pub(super) fn broken(mut self, error: &SessionError) -> TransactionResult {
        let stage = match self.awaited.front() {
            Some(Awaited::Mail) => Stage::Mail,
            Some(Awaited::Rcpt(_)) => Stage::Recipient,
            Some(Awaited::Data | Awaited::Rset) => Stage::Data,
            Some(Awaited::End) => Stage::End,
            None => Stage::Content,
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
            Some(Awaited::End) => "the end of the data",
            None => "the message's content",
        }
    }

    pub(super) fn reply_timeout(&self, timeouts: &Timeouts) -> Duration {
        match self.awaited.front() {
            Some(Awaited::Mail) => timeouts.mail,
            Some(Awaited::Rcpt(_)) => timeouts.rcpt,
            Some(Awaited::Data) => timeouts.data,
            Some(Awaited::End) => timeouts.end_of_data,
            Some(Awaited::Rset) => timeouts.command,
            None => timeouts.block,
        }
    }
}

fn refused(reply: &Reply, stage: Stage) -> Unsent {
    Unsent {
        failure: Failure {
            status: reply.to_status(),
            remote: None,
            reply_code: Some(reply.code().number()),
        },
        stage,
    }
}

/// The status of a message whose octets the store does not give.
pub(super) fn unreadable() -> Status {
    Status::transient(3, 0, "the message can't be read from the store now")
}
