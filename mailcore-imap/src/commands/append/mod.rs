//! APPEND (RFC 3501 section 6.3.11) with APPENDUID (RFC 4315), MULTIAPPEND
//! (RFC 3502) and CATENATE (RFC 4469): messages go to the store as they come and
//! are never held whole. All of them are committed together at the end, or none.

mod arguments;
pub(in crate::commands) mod replace;

use std::collections::VecDeque;

use mailcore::mailbox::{MailboxName, UidSet};
use mailcore::seams::{Appended, StoreError};

use super::{Done, Legal, Progress, Run, Started, Then, failure};
use crate::codec::framer::{Frame, Synchronising};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question, State};
use crate::types::{MessageUrl, ResponseCode, Tag};
use crate::wording::{self, Status};
use arguments::{Element, Form, Messages, Options, Place, Stretch};
use replace::Purpose;

/// Octets handed to the store at a time.
const CHUNK: usize = 64 * 1024;
/// Octets of a refused message that are read and dropped, when the client sends
/// them without being asked to. The connection does not outlive more.
const MAX_SKIPPED: u64 = 256 * 1024 * 1024;

/// An APPEND without literals that are part of a message: one made of URLs
/// alone, or a syntax error.
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    without_literals(cursor, cx, Purpose::Add)
}

fn without_literals(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    purpose: Purpose,
) -> Result<Started, ParseError> {
    cursor.space()?;
    let mut append = Append::new(cursor.mailbox()?, purpose);
    match arguments::read(cursor, Place::First, append.messages(cx))? {
        Stretch::Last(elements) => {
            append.is_read = true;
            append.elements = elements;
            Started::run(append)
        }
        _ => Err(ParseError::Expected("the message as a literal")),
    }
}

/// Looks whether the announced literal is one of an APPEND's messages, and if so
/// takes the command over from the framer.
pub(crate) fn begin(cx: &mut Context, length: u64, sync: Synchronising) -> Option<(Tag, Started)> {
    if Legal::LoggedIn.refusal(cx).is_some() {
        return None;
    }
    let tag = cx.framer.pending_tag()?;
    let texts = cx.texts();
    let pending = cx.framer.pending().get(tag.as_str().len()..)?.to_vec();
    let mut cursor = Cursor::new(&pending).texts(texts);
    let purpose = cursor
        .eat(b' ')
        .then(|| replace::purpose(&mut cursor, cx))??;
    let (purpose, unfit, wrong) = match purpose {
        Ok(Ok(purpose)) => (purpose, None, None),
        Ok(Err(refusal)) => (Purpose::Add, Some(refusal), None),
        Err(error) => (Purpose::Add, None, Some(error)),
    };
    let is_named = wrong.is_none() && cursor.eat(b' ');
    // A mailbox name as literal is collected like any other.
    if is_named && arguments::is_announcement(cursor.rest()) {
        return None;
    }
    let mut append = Append::new(MailboxName::inbox(), purpose);
    let stretch = match (wrong, is_named) {
        (Some(error), _) => Err(error),
        (None, false) => Err(ParseError::Expected("a mailbox")),
        (None, true) => cursor.mailbox().and_then(|to| {
            append.to = to;
            arguments::read(&mut cursor, Place::First, append.messages(cx))
        }),
    };
    if stretch == Ok(Stretch::Url) {
        return None;
    }
    append.announced = Some((length, sync));
    cx.framer.stream();
    let refusal = match stretch {
        Ok(Stretch::Octets(elements, place)) => {
            append.elements = elements;
            append.place = place;
            unfit.or_else(|| append.refusal(cx))
        }
        Ok(_) => Some(wording::server_bug()),
        Err(error) => Some(wording::unreadable(error)),
    };
    let started = match (refusal, sync) {
        (Some(status), Synchronising::Yes) => Started::Done(status.into()),
        (Some(status), Synchronising::No) if length > MAX_SKIPPED => {
            Started::Done(give_up(cx, status))
        }
        (Some(status), Synchronising::No) => {
            append.left = length;
            append.announced = None;
            append.phase = Phase::Skip(status);
            Started::Run(Box::new(append))
        }
        (None, _) => Started::Run(Box::new(append)),
    };
    Some((tag, started))
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

#[derive(Debug)]
enum Phase {
    /// The next element is to be done.
    Next,
    /// The store is asked whether it takes a message, or takes something.
    Asked,
    /// The store looks for the octets that this names.
    Linking(String),
    /// Octets come from the client.
    Receive,
    /// The rest of the command comes.
    Arguments,
    /// The store refused or the command is wrong, but its octets come all the
    /// same.
    Skip(Status),
    /// The store forgets what it has, then this is told.
    Abandoning(Status),
    /// The store commits.
    Ending,
}

#[derive(Debug)]
struct Append {
    purpose: Purpose,
    to: MailboxName,
    /// What is read of the command and not done.
    elements: VecDeque<Element>,
    /// Where what is not read begins.
    place: Place,
    /// The command is read to its end.
    is_read: bool,
    /// The message in progress.
    options: Options,
    form: Form,
    /// Messages begun.
    begun: usize,
    /// A literal whose octets nobody asked for yet.
    announced: Option<(u64, Synchronising)>,
    /// Octets of a literal that are still to come.
    left: u64,
    /// Octets that it has.
    length: u64,
    phase: Phase,
}

impl Append {
    fn new(to: MailboxName, purpose: Purpose) -> Self {
        Self {
            purpose,
            to,
            elements: VecDeque::new(),
            place: Place::First,
            is_read: false,
            options: Options::default(),
            form: Form::Literal,
            begun: 0,
            announced: None,
            left: 0,
            length: 0,
            phase: Phase::Next,
        }
    }

    /// The forms that are announced. REPLACE takes one message (RFC 8508 section
    /// 4.7).
    fn messages(&self, cx: &Context) -> Messages {
        match cx.abilities.multi_append && self.purpose == Purpose::Add {
            true => Messages::Several,
            false => Messages::One,
        }
    }

    /// Why the announced literal is not taken, whatever the store says.
    fn refusal(&self, cx: &Context) -> Option<Status> {
        let (length, sync) = self.announced?;
        if cx.must_synchronise(length, sync) {
            return Some(wording::literal_unasked());
        }
        if length > cx.config.append_limit {
            return Some(wording::literal_too_big());
        }
        // How a client takes its messages back (RFC 3502 section 6.3.11).
        let is_message = matches!(self.place, Place::Message(_));
        (length == 0 && is_message)
            .then(|| Status::no(ResponseCode::Cannot, "A message has one octet at least"))
    }

    /// Does what is next in the command.
    fn next(&mut self, cx: &mut Context) -> Progress {
        match self.elements.pop_front() {
            Some(Element::Begin(options)) => self.begin(cx, options),
            Some(Element::Url(text)) => match MessageUrl::parse(&text) {
                Some(url) => {
                    self.phase = Phase::Linking(text);
                    Progress::Ask(Question::AppendUrl(url))
                }
                None => self.fail(cx, bad_url(&text)),
            },
            Some(Element::Octets(form)) => {
                self.form = form;
                if let Some((length, sync)) = self.announced.take() {
                    (self.left, self.length) = (length, length);
                    if sync == Synchronising::Yes {
                        cx.out.continuation(wording::CONTINUE);
                    }
                }
                self.receive(cx)
            }
            Some(Element::End) => self.end(),
            None => self.arguments(cx),
        }
    }

    fn begin(&mut self, cx: &mut Context, options: Options) -> Progress {
        if let Some(limit) = cx.config.message_limit
            && u32::try_from(self.begun).is_ok_and(|begun| begun == limit.get())
        {
            let code = ResponseCode::MessageLimit(limit.get(), None);
            return self.fail(cx, Status::no(code, wording::MESSAGE_LIMIT));
        }
        if self.begun == cx.config.max_append_messages {
            return self.fail(
                cx,
                Status::no(ResponseCode::Limit, "Too many messages in one APPEND"),
            );
        }
        self.begun += 1;
        self.options = options;
        let length = self.announced.map_or(0, |(length, _)| length);
        // What URLs bring is only known when it is read.
        let (size, limit) = match self.elements.front() {
            Some(Element::Octets(_)) if self.place != Place::Part => (length, length),
            _ => (length, cx.config.append_limit),
        };
        // What goes away makes room for what comes: the change itself is held to
        // the quota (RFC 8508 section 3.4).
        let size = match self.purpose {
            Purpose::Add => size,
            Purpose::Replace(_) => 0,
        };
        self.phase = Phase::Asked;
        Progress::Ask(Question::AppendBegin {
            to: self.to.clone(),
            size,
            limit,
        })
    }

    /// A message is whole: it waits for the others, or all are committed.
    fn end(&mut self) -> Progress {
        let Options {
            flags,
            internal_date,
        } = std::mem::take(&mut self.options);
        if self.elements.is_empty() && self.is_read {
            self.phase = Phase::Ending;
            if let Purpose::Replace(uid) = self.purpose {
                return Progress::Ask(Question::Replace {
                    uid,
                    to: self.to.clone(),
                    flags,
                    internal_date,
                });
            }
            Progress::Ask(Question::AppendEnd {
                flags,
                internal_date,
            })
        } else {
            self.phase = Phase::Asked;
            Progress::Ask(Question::AppendNext {
                flags,
                internal_date,
            })
        }
    }

    /// The next octets of the literal, when some are here.
    fn take(&mut self, cx: &mut Context) -> Option<bytes::Bytes> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK);
        let octets = cx.input.take(room);
        self.left = self.left.saturating_sub(octets.len() as u64);
        (!octets.is_empty()).then_some(octets)
    }

    fn receive(&mut self, cx: &mut Context) -> Progress {
        if self.left == 0 {
            return self.arguments(cx);
        }
        match self.take(cx) {
            Some(octets) if self.form != Form::Literal && holds_nul(&octets) => {
                self.fail(cx, binary_refused())
            }
            Some(octets) => {
                self.phase = Phase::Receive;
                Progress::Ask(Question::AppendOctets(octets))
            }
            None => {
                self.phase = Phase::Receive;
                Progress::Read(Some(cx.config.append_timeout))
            }
        }
    }

    /// Reads what follows a literal's octets, up to the next ones.
    fn arguments(&mut self, cx: &mut Context) -> Progress {
        loop {
            let (stretch, announced) = match cx.framer.next(&mut cx.input) {
                Frame::Incomplete => {
                    self.phase = Phase::Arguments;
                    return Progress::Read(Some(cx.config.append_timeout));
                }
                Frame::Fault(_) => {
                    self.is_read = true;
                    return self.fail(cx, wording::bad_octets());
                }
                Frame::Command(rest) => {
                    self.is_read = true;
                    (self.read(cx, &rest), None)
                }
                Frame::Literal { length, sync } => {
                    let stretch = self.read(cx, cx.framer.pending());
                    let fits = cx.framer.fits(length) && !cx.must_synchronise(length, sync);
                    if stretch == Ok(Stretch::Url) && fits {
                        cx.framer.collect();
                        if sync == Synchronising::Yes {
                            cx.out.continuation(wording::CONTINUE);
                        }
                        continue;
                    }
                    cx.framer.stream();
                    (stretch, Some((length, sync)))
                }
            };
            self.announced = announced;
            return match stretch {
                Ok(Stretch::Octets(elements, place)) => {
                    (self.elements, self.place) = (elements, place);
                    match self.refusal(cx) {
                        Some(status) => self.fail(cx, status),
                        None => self.next(cx),
                    }
                }
                Ok(Stretch::Last(elements)) => {
                    self.elements = elements;
                    self.next(cx)
                }
                Ok(Stretch::Url) => self.fail(cx, wording::literal_too_big()),
                Err(error) => self.fail(cx, wording::unreadable(error)),
            };
        }
    }

    fn read(&self, cx: &Context, text: &[u8]) -> Result<Stretch, ParseError> {
        let mut cursor = Cursor::new(text).texts(cx.texts());
        arguments::read(&mut cursor, self.place, self.messages(cx))
    }

    /// Nothing more is appended: what the client sends all the same is read
    /// over, then `status` is told.
    fn fail(&mut self, cx: &mut Context, status: Status) -> Progress {
        self.elements.clear();
        match self.announced.take() {
            // It was not asked for, so it does not come.
            Some((_, Synchronising::Yes)) => return self.abandon(status),
            Some((length, Synchronising::No)) => self.left = length,
            None => {}
        }
        self.skip(cx, status)
    }

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
            if self.is_read {
                return self.abandon(status);
            }
            match cx.framer.next(&mut cx.input) {
                Frame::Incomplete => {
                    self.phase = Phase::Skip(status);
                    return Progress::Read(Some(cx.config.append_timeout));
                }
                Frame::Literal {
                    sync: Synchronising::No,
                    length,
                } => {
                    cx.framer.stream();
                    (self.left, self.length) = (length, length);
                }
                Frame::Literal { .. } => {
                    cx.framer.refuse();
                    return self.abandon(status);
                }
                Frame::Command(_) | Frame::Fault(_) => return self.abandon(status),
            }
        }
    }

    fn abandon(&mut self, status: Status) -> Progress {
        self.phase = Phase::Abandoning(status);
        Progress::Ask(Question::AppendAbandon)
    }
}

impl Run for Append {
    fn done_of(&self) -> Option<(u64, u64)> {
        let receives = matches!(self.phase, Phase::Receive) && self.length > 0;
        receives.then(|| (self.length.saturating_sub(self.left), self.length))
    }

    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        match (std::mem::replace(&mut self.phase, Phase::Next), answer) {
            (Phase::Next, _) | (Phase::Asked, Some(Answer::Done)) => self.next(cx),
            (Phase::Asked, Some(Answer::Failed(error))) => {
                self.fail(cx, wording::target_failed(&error))
            }
            (Phase::Linking(_), Some(Answer::Done)) => self.next(cx),
            (Phase::Linking(url), Some(Answer::Failed(error))) => {
                let status = match error {
                    StoreError::NotFound | StoreError::NoSuchMailbox => bad_url(&url),
                    error => wording::store_failed(&error),
                };
                self.fail(cx, status)
            }
            (Phase::Receive, Some(Answer::Done) | None) => self.receive(cx),
            (Phase::Receive, Some(other)) => self.fail(cx, failure(&other)),
            (Phase::Arguments, _) => self.arguments(cx),
            (Phase::Skip(status), _) => self.skip(cx, status),
            (Phase::Abandoning(status), _) => Progress::Done(status.into()),
            (Phase::Ending, Some(answer)) => Progress::Done(match (self.purpose, &answer) {
                (Purpose::Replace(uid), Answer::Appended(new)) => {
                    replace::replaced_by(cx, uid, new)
                }
                _ => appended(&answer),
            }),
            (Phase::Asked | Phase::Linking(_), Some(_)) => self.fail(cx, wording::server_bug()),
            (Phase::Asked | Phase::Linking(_) | Phase::Ending, None) => {
                Progress::Done(wording::server_bug().into())
            }
        }
    }
}

/// The first URL that can't be followed (RFC 4469 section 4.1).
fn bad_url(url: &str) -> Status {
    Status::no(
        ResponseCode::BadUrl(url.to_owned()),
        "That names no message or part here",
    )
}

fn appended(answer: &Answer) -> Done {
    let Answer::Appended(appended) = answer else {
        let Answer::Failed(error @ StoreError::NoSuchMailbox) = answer else {
            return failure(answer).into();
        };
        return wording::target_failed(error).into();
    };
    let status = Status::ok("APPEND completed");
    let Some(Appended { uid_validity, .. }) = appended.first() else {
        return status.into();
    };
    let uids: UidSet = appended.iter().map(|it| it.uid).collect();
    let code = ResponseCode::AppendUid(*uid_validity, uids);
    status.with(code).into()
}
