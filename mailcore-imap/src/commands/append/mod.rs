//! APPEND (RFC 3501 section 6.3.11) with APPENDUID (RFC 4315), MULTIAPPEND
//! (RFC 3502) and CATENATE (RFC 4469): messages go to the store as they come and
//! are never held whole. All of them are committed together at the end, or none.

mod arguments;
mod begin;
mod refuse;
pub(in crate::commands) mod replace;

use std::collections::VecDeque;

use mailcore::mailbox::{MailboxName, UidSet};
use mailcore::seams::{Appended, StoreError};

use super::{Done, Progress, Run, failure};
use crate::codec::framer::{Frame, Synchronising};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::{MessageUrl, ResponseCode};
use crate::wording::{self, Status};
use arguments::{Element, Form, Messages, Options, Place, Stretch};
use replace::Purpose;

pub(crate) use begin::begin;
pub(super) use begin::start;

/// Octets handed to the store at a time.
const CHUNK: usize = 64 * 1024;
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
