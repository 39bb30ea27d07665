//! An APPEND that is refused or fails: what the client sends all the same is read
//! over, so that the next command is found.

use super::arguments::Place;
use super::{Append, Phase};
use crate::codec::framer::{Frame, Synchronising};
use crate::commands::{Done, Progress, Then};
use crate::session::{Context, Question, State};
use crate::types::ResponseCode;
use crate::wording::{self, Status};

/// Octets of a refused message that are read and dropped, when the client sends
/// them without being asked to. The connection does not outlive more.
pub(super) const MAX_SKIPPED: u64 = 256 * 1024 * 1024;

impl Append {
    /// Why the announced literal is not taken, whatever the store says.
    pub(super) fn refusal(&self, cx: &Context) -> Option<Status> {
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

    /// Nothing more is appended: what the client sends all the same is read
    /// over, then `status` is told.
    pub(super) fn fail(&mut self, cx: &mut Context, status: Status) -> Progress {
        self.elements.clear();
        match self.announced.take() {
            // It was not asked for, so it does not come.
            Some((_, Synchronising::Yes)) => return self.abandon(status),
            Some((length, Synchronising::No)) => self.left = length,
            None => {}
        }
        self.skip(cx, status)
    }

    pub(super) fn skip(&mut self, cx: &mut Context, status: Status) -> Progress {
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

/// Ends the session rather than read over more than is borne
/// (RFC 7888 section 4).
pub(super) fn give_up(cx: &mut Context, status: Status) -> Done {
    cx.out.bye(wording::BYE_TOO_LONG);
    cx.state = State::Logout;
    Done {
        status,
        then: Then::Close,
    }
}
