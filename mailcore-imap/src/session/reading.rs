//! From octets to a command: what the session makes of its input while no
//! command runs.

use mailcore::wire::Step;

use super::{Doing, Question, Session, State, Telling};
use crate::codec::Cursor;
use crate::codec::framer::{Fault, Frame, Synchronising, tag_of};
use crate::commands::{self, SyncRule};
use crate::wording;

impl Session {
    /// Takes the next command off the input, or waits for it.
    pub(super) fn read(&mut self) -> Option<Step<Question>> {
        if self.mailbox_is_gone() {
            return self.leave_gone();
        }
        match self.cx.framer.next(&mut self.cx.input) {
            Frame::Incomplete => {
                if let Some(why) = self.leaving {
                    return self.bye(why);
                }
                // Not within a command: nothing may come between its literals.
                if self.cx.framer.pending().is_empty()
                    && let Some(telling) = Telling::due(&mut self.cx)
                {
                    self.doing = Doing::Telling(telling);
                    return None;
                }
                self.wait()
            }
            Frame::Command(command) => {
                self.begin(&command);
                None
            }
            Frame::Literal { length, sync } => self.literal(length, sync),
            Frame::Fault(Fault::Octets { tag }) => {
                self.complete(tag.as_ref(), wording::bad_octets().into());
                None
            }
            Frame::Fault(Fault::LineTooLong { tag }) => {
                self.cx.out.status(tag.as_ref(), &wording::line_too_long());
                self.bye(wording::BYE_TOO_LONG)
            }
        }
    }

    /// Decides about an announced literal before a `+` invites it
    /// (RFC 7888 section 4).
    fn literal(&mut self, length: u64, sync: Synchronising) -> Option<Step<Question>> {
        if let Some((tag, started)) = commands::append::begin(&mut self.cx, length, sync) {
            self.cx.tag = Some(tag.clone());
            self.started(tag, SyncRule::append(), started);
            return None;
        }
        let unasked = self.cx.must_synchronise(length, sync);
        if self.cx.framer.fits(length) && !unasked {
            self.cx.framer.collect();
            if sync == Synchronising::Yes {
                self.cx.out.continuation(wording::CONTINUE);
            }
            return None;
        }
        let tag = self.cx.framer.pending_tag();
        self.cx.framer.refuse();
        let refusal = match unasked {
            true => wording::literal_unasked(),
            false => wording::literal_too_big(),
        };
        self.complete(tag.as_ref(), refusal.into());
        // Before login a client that announces too much is not one to wait for;
        // without synchronising its octets are on their way already.
        let hostile = matches!(self.cx.state, State::NotAuthenticated);
        if hostile || sync == Synchronising::No {
            return self.bye(wording::BYE_TOO_LONG);
        }
        None
    }

    /// Starts a command.
    fn begin(&mut self, command: &[u8]) {
        let Some(tag) = tag_of(command) else {
            return self.complete(None, wording::unknown_command().into());
        };
        let mut cursor = Cursor::new(command.get(tag.as_str().len()..).unwrap_or_default())
            .texts(self.cx.texts());
        let Some(spec) = cursor
            .eat(b' ')
            .then(|| commands::find(&mut cursor, &self.cx))
            .flatten()
        else {
            return self.complete(Some(&tag), wording::unknown_command().into());
        };
        if let Some(refusal) = spec.legal.refusal(&self.cx) {
            return self.complete(Some(&tag), refusal.into());
        }
        self.cx.tag = Some(tag.clone());
        match (spec.start)(&mut cursor, &mut self.cx) {
            Ok(started) => self.started(tag, spec.sync, started),
            Err(error) => self.complete(Some(&tag), wording::unreadable(error).into()),
        }
    }
}
