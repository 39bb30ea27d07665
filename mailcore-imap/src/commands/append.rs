//! APPEND (RFC 3501 section 6.3.11) with APPENDUID (RFC 4315): the message goes
//! to the store as it comes and is never held whole.

use mailcore::mailbox::{Flags, MailboxName};
use mailcore::message::DateTime;
use mailcore::seams::StoreError;
use mailcore::time::Timestamp;

use super::{Done, Legal, Progress, Run, Started, Then, failure};
use crate::codec::framer::{Frame, Synchronising};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question, State};
use crate::types::{ResponseCode, Tag};
use crate::wording::{self, Status};

/// Octets handed to the store at a time.
const CHUNK: usize = 64 * 1024;
/// Octets of a refused message that are read and dropped, when the client sends
/// them without being asked to. The connection does not outlive more.
const MAX_SKIPPED: u64 = 256 * 1024 * 1024;

/// An APPEND without its literal. One whose message came before it could be
/// recognised is a syntax error, too.
pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    arguments(cursor)?;
    Err(ParseError::Expected("the message as a literal"))
}

/// What stands before the message.
#[derive(Debug)]
struct Arguments {
    to: MailboxName,
    flags: Flags,
    internal_date: Option<Timestamp>,
    form: Form,
}

/// How the message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Literal,
    /// `literal8`, which may hold NUL (RFC 3516 section 4.4).
    Literal8,
    /// `"UTF8" SP "(" literal8 ")"`: with headers in UTF-8 (RFC 6855 section 4).
    /// Those are taken in any form: refusing them would lose mail that other
    /// servers let in.
    Utf8,
}

/// ```text
/// append      = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP append-data
/// append-data = literal / literal8 / "UTF8" SP "(" literal8 ")"
/// ```
/// up to the literal's braces.
fn arguments(cursor: &mut Cursor<'_>) -> Result<Arguments, ParseError> {
    cursor.space()?;
    let to = cursor.mailbox()?;
    cursor.space()?;
    let mut flags = Flags::NONE;
    if cursor.peek() == Some(b'(') {
        flags = cursor.flag_list()?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        let text = cursor.string()?;
        let date = DateTime::parse_imap(&text).ok_or(ParseError::Expected("a date-time"))?;
        internal_date = Some(date.timestamp());
        cursor.space()?;
    }
    let utf8 = cursor.eat_word("UTF8");
    if utf8 {
        cursor.space()?;
        cursor.expect(b'(', "a literal in parentheses")?;
    }
    let form = match (utf8, cursor.eat(b'~')) {
        (true, true) => Form::Utf8,
        (true, false) => return Err(ParseError::Expected("a literal that begins with ~")),
        (false, true) => Form::Literal8,
        (false, false) => Form::Literal,
    };
    Ok(Arguments {
        to,
        flags,
        internal_date,
        form,
    })
}

/// Looks whether the announced literal is an APPEND's message, and if so takes
/// the command over from the framer.
pub(crate) fn begin(cx: &mut Context, length: u64, sync: Synchronising) -> Option<(Tag, Started)> {
    if Legal::LoggedIn.refusal(cx).is_some() {
        return None;
    }
    let tag = cx.framer.pending_tag()?;
    let mut cursor = Cursor::new(cx.framer.pending().get(tag.as_str().len()..)?).texts(cx.texts());
    if !cursor.eat(b' ') || !cursor.eat_word("APPEND") {
        return None;
    }
    // A mailbox name as literal is collected like any other.
    let (outcome, at) = (arguments(&mut cursor), cursor.rest());
    if outcome.is_ok() && !is_announcement(at) {
        return None;
    }
    let refusal = match &outcome {
        Ok(_) if cx.must_synchronise(length, sync) => Some(wording::literal_unasked()),
        Ok(_) if length > cx.config.append_limit => Some(wording::literal_too_big()),
        Ok(_) if length == 0 => Some(Status::no(
            ResponseCode::Cannot,
            "A message has one octet at least",
        )),
        Ok(_) => None,
        Err(ParseError::Expected(_)) if awaits_mailbox(cx.framer.pending()) => return None,
        Err(error) => Some(wording::unreadable(*error)),
    };
    cx.framer.stream();
    let mut form = Form::Literal;
    let (phase, arguments) = match (refusal, outcome) {
        (None, Ok(arguments)) => {
            form = arguments.form;
            (Phase::Begin, Some(arguments))
        }
        (Some(status), _) if sync == Synchronising::Yes => {
            return Some((tag, Started::Done(status.into())));
        }
        (Some(status), _) if length > MAX_SKIPPED => {
            return Some((tag, Started::Done(give_up(cx, status))));
        }
        (Some(status), _) => (Phase::Skip(status), None),
        (None, Err(error)) => (Phase::Skip(wording::unreadable(error)), None),
    };
    let run = Append {
        arguments,
        left: length,
        length,
        sync,
        form,
        phase,
    };
    Some((tag, Started::Run(Box::new(run))))
}

impl Form {
    /// What follows the message on its line.
    fn tail(self) -> &'static [u8] {
        match self {
            Self::Literal | Self::Literal8 => b"",
            Self::Utf8 => b")",
        }
    }
}

fn holds_nul(octets: &[u8]) -> bool {
    memchr::memchr(0, octets).is_some()
}

/// `BODY[]` could not tell such a message (RFC 3516 sections 4.4 and 6).
fn binary_refused() -> Status {
    Status::no(
        ResponseCode::UnknownCte,
        "Binary content is not kept; send it in base64",
    )
}

/// Ends the session rather than read over more than is borne
/// (RFC 7888 section 4).
fn give_up(cx: &mut Context, status: Status) -> Done {
    cx.out.bye(wording::BYE_TOO_LONG);
    cx.state = State::Logout;
    Done {
        status,
        then: Then::Close,
    }
}

/// `{n}`, `{n+}` and nothing more.
fn is_announcement(rest: &[u8]) -> bool {
    rest.first() == Some(&b'{')
        && rest.ends_with(b"}\r\n")
        && memchr::memchr_iter(b'\n', rest).count() == 1
}

/// `tag APPEND {n}`: the literal is the mailbox's name.
fn awaits_mailbox(pending: &[u8]) -> bool {
    pending.iter().filter(|&&b| b == b' ').count() == 2
        && memchr::memchr_iter(b'\n', pending).count() == 1
}

#[derive(Debug)]
enum Phase {
    /// Ask whether the mailbox takes it.
    Begin,
    /// The answer to that comes.
    Beginning,
    /// Octets come from the client.
    Receive,
    /// The store takes octets.
    Writing,
    /// The store refused or the command is wrong, but its octets come all the
    /// same.
    Skip(Status),
    /// The store forgets what it has, then this is told.
    Abandoning(Status),
    /// The store commits.
    Ending,
}

/// What follows the message.
enum Tail {
    Incomplete,
    /// Nothing, as should be.
    Empty,
    Wrong(Status),
    /// Another literal, whose octets come in any case.
    Literal,
}

#[derive(Debug)]
struct Append {
    arguments: Option<Arguments>,
    length: u64,
    left: u64,
    sync: Synchronising,
    form: Form,
    phase: Phase,
}

impl Append {
    /// The next octets of the message, when some are here.
    fn take(&mut self, cx: &mut Context) -> Option<bytes::Bytes> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK);
        let octets = cx.input.take(room);
        self.left = self.left.saturating_sub(octets.len() as u64);
        (!octets.is_empty()).then_some(octets)
    }

    /// The rest of the line after the message: there must be none.
    fn tail(&mut self, cx: &mut Context) -> Tail {
        let one_at_a_time = || Tail::Wrong(Status::bad("Syntax error: one message at a time"));
        match cx.framer.next(&mut cx.input) {
            Frame::Incomplete => Tail::Incomplete,
            Frame::Command(rest) if rest == self.form.tail() => Tail::Empty,
            Frame::Command(_) => one_at_a_time(),
            Frame::Literal {
                sync: Synchronising::Yes,
                ..
            } => {
                cx.framer.refuse();
                one_at_a_time()
            }
            Frame::Literal {
                sync: Synchronising::No,
                length,
            } => {
                cx.framer.stream();
                self.left = length;
                Tail::Literal
            }
            Frame::Fault(_) => Tail::Wrong(wording::bad_octets()),
        }
    }

    fn receive(&mut self, cx: &mut Context) -> Progress {
        if self.left > 0 {
            return match self.take(cx) {
                Some(octets) if self.form != Form::Literal && holds_nul(&octets) => {
                    self.skip(cx, binary_refused())
                }
                Some(octets) => {
                    self.phase = Phase::Writing;
                    Progress::Ask(Question::AppendOctets(octets))
                }
                None => Progress::Read(Some(cx.config.append_timeout)),
            };
        }
        match self.tail(cx) {
            Tail::Incomplete => Progress::Read(Some(cx.config.append_timeout)),
            Tail::Empty => self.end(),
            Tail::Wrong(status) => self.abandon(status),
            Tail::Literal => self.skip(cx, Status::bad("Syntax error: one message at a time")),
        }
    }

    fn end(&mut self) -> Progress {
        let Some(Arguments {
            flags,
            internal_date,
            ..
        }) = self.arguments.take()
        else {
            return self.abandon(wording::server_bug());
        };
        self.phase = Phase::Ending;
        Progress::Ask(Question::AppendEnd {
            flags,
            internal_date,
        })
    }

    fn abandon(&mut self, status: Status) -> Progress {
        self.phase = Phase::Abandoning(status);
        Progress::Ask(Question::AppendAbandon)
    }

    /// Reads over the message and what may follow it, then says what was
    /// wrong.
    fn skip(&mut self, cx: &mut Context, status: Status) -> Progress {
        loop {
            if self.left > MAX_SKIPPED {
                return Progress::Done(give_up(cx, status));
            }
            while self.left > 0 {
                if self.take(cx).is_none() {
                    self.phase = Phase::Skip(status);
                    return Progress::Read(Some(cx.config.append_timeout));
                }
            }
            match self.tail(cx) {
                Tail::Empty | Tail::Wrong(_) => return self.abandon(status),
                Tail::Literal => {}
                Tail::Incomplete => {
                    self.phase = Phase::Skip(status);
                    return Progress::Read(Some(cx.config.append_timeout));
                }
            }
        }
    }

    /// The mailbox takes the message, or does not.
    fn begun(&mut self, cx: &mut Context, answer: &Answer) -> Progress {
        let status = match answer {
            Answer::Done => {
                if self.sync == Synchronising::Yes {
                    cx.out.continuation(wording::CONTINUE);
                }
                self.phase = Phase::Receive;
                return self.receive(cx);
            }
            Answer::Failed(error) => wording::target_failed(error),
            _ => wording::server_bug(),
        };
        match self.sync {
            // No `+` was sent, so the message does not come.
            Synchronising::Yes => Progress::Done(status.into()),
            Synchronising::No => self.skip(cx, status),
        }
    }
}

impl Run for Append {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        match (std::mem::replace(&mut self.phase, Phase::Begin), answer) {
            (Phase::Begin, _) => {
                let Some(arguments) = &self.arguments else {
                    return Progress::Done(wording::server_bug().into());
                };
                self.phase = Phase::Beginning;
                Progress::Ask(Question::AppendBegin {
                    to: arguments.to.clone(),
                    size: self.length,
                })
            }
            (Phase::Beginning, Some(answer)) => self.begun(cx, &answer),
            (Phase::Receive, _) => {
                self.phase = Phase::Receive;
                self.receive(cx)
            }
            (Phase::Writing, Some(Answer::Done)) => {
                self.phase = Phase::Receive;
                self.receive(cx)
            }
            (Phase::Writing, Some(other)) => self.skip(cx, failure(&other)),
            (Phase::Skip(status), _) => self.skip(cx, status),
            (Phase::Abandoning(status), _) => Progress::Done(status.into()),
            (Phase::Ending, Some(answer)) => Progress::Done(appended(&answer)),
            (Phase::Beginning | Phase::Writing | Phase::Ending, None) => {
                Progress::Done(wording::server_bug().into())
            }
        }
    }
}

fn appended(answer: &Answer) -> Done {
    match answer {
        Answer::Appended(appended) => {
            let uids = [appended.uid].into_iter().collect();
            let code = ResponseCode::AppendUid(appended.uid_validity, uids);
            Status::ok("APPEND completed").with(code).into()
        }
        Answer::Failed(error @ StoreError::NoSuchMailbox) => wording::target_failed(error).into(),
        other => failure(other).into(),
    }
}
