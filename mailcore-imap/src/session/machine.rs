//! The session as a [`Machine`]: what drives it sees this.

use std::sync::Arc;

use mailcore::time::Monotonic;
use mailcore::wire::{Input, Machine, Step, Tally, TlsInfo};

use crate::wording;

use super::{Answer, Context, Doing, Ended, Notice, Peer, Question, Session, Transport};

impl Machine for Session {
    type Question = Question;
    type Answer = Answer;
    type Notice = Notice;

    fn input(&mut self) -> &mut Input {
        #[cfg(feature = "compress")]
        if let Some(deflate) = &mut self.deflate {
            return deflate.input();
        }
        &mut self.cx.input
    }

    fn end_of_input(&mut self) {
        #[cfg(feature = "compress")]
        if let Some(deflate) = &mut self.deflate {
            return deflate.end_of_input();
        }
        self.input_ended = true;
    }

    fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    fn notify(&mut self, notice: Notice) {
        if let (Notice::Account, Some(notify)) = (notice, &mut self.cx.notify) {
            notify.noticed = true;
        }
        let Some(selected) = self.cx.state.selected() else {
            return;
        };
        match notice {
            Notice::Changed(modseq) => selected.noticed = selected.noticed.max(modseq),
            Notice::Gone => selected.gone = true,
            Notice::Account => {}
        }
    }

    fn shutdown(&mut self) {
        self.leaving.get_or_insert(wording::BYE_SHUTDOWN);
    }

    fn dismiss(&mut self) {
        self.leaving = Some(wording::BYE_TOO_MUCH);
    }

    fn tally(&self) -> Tally {
        Tally::new(self.commands, u64::from(self.errors))
    }

    fn tls_established(&mut self, info: TlsInfo) {
        let peer = Peer {
            transport: Transport::Tls,
            ..self.cx.peer
        };
        let offer = self.cx.offer.clone();
        self.cx = Context::new(Arc::clone(&self.cx.config), self.cx.abilities, peer);
        self.cx.offer = offer;
        self.cx.tls = Some(info);
        self.doing = Doing::Reading;
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        self.cx.now = now;
        #[cfg(feature = "compress")]
        if self.deflate.is_some() {
            return self.step_compressed();
        }
        self.step_plain()
    }
}

impl Session {
    /// The next step of the session itself.
    pub(super) fn step_plain(&mut self) -> Step<Question> {
        loop {
            let waits = match self.advance_unless_full() {
                Some(step @ (Step::Ask(_) | Step::Send(_))) => return step,
                other => other,
            };
            if let Some(octets) = self.next_piece(waits.is_some()) {
                return Step::Send(octets);
            }
            match waits {
                Some(step) => return step,
                None if self.ended == Ended::Yes => return Step::Close,
                None => {}
            }
        }
    }

    /// A move, unless there is enough to send first or nothing left to do.
    fn advance_unless_full(&mut self) -> Option<Step<Question>> {
        if self.ended == Ended::Yes || self.cx.out.is_full() {
            return None;
        }
        self.advance()
    }

    /// A piece to send: when enough has gathered, before waiting, at the end.
    fn next_piece(&mut self, waits: bool) -> Option<bytes::Bytes> {
        if waits || self.ended == Ended::Yes || self.cx.out.is_full() {
            self.cx.out.next()
        } else {
            None
        }
    }
}
