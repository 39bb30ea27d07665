//! [`Session`]: the IMAP server's machine. Octets in, [`Step`]s out; it asks a
//! [`Question`] where only a store or directory knows.
//!
//! No IO, clock or store here: [`crate::server`] answers, `mailcore::net`
//! drives.

mod announce;
#[cfg(feature = "compress")]
mod compress;
mod config;
mod context;
mod limit;
mod notify;
mod output;
mod question;
mod revision;
mod state;
mod sync;

use std::sync::Arc;

use mailcore::seams::Abilities;
use mailcore::time::Monotonic;
use mailcore::wire::{Input, Machine, Step, TlsInfo};

pub use config::{Compression, Config, Literals, PlaintextLogin};
pub use context::{Peer, Transport};
pub use question::{Access, Answer, Known, News, Notice, Opened, Question, Resync, Watching};

pub(crate) use announce::is_announced;
pub(crate) use context::Context;
pub(crate) use notify::{Events, Filter, First, Group, Notify, OfSelected, Telling, while_idle};
pub(crate) use state::{Naming, Selected, State};
pub(crate) use sync::{Expunges, Sync, SyncStep, vanished_parts, write_counts};

use crate::codec::Cursor;
use crate::codec::framer::{Fault, Frame, Synchronising, tag_of};
use crate::commands::{self, Done, Progress, Run, Started, SyncRule, Then};
use crate::types::{ResponseCode, Tag};
use crate::wording::{self, Condition, Status};

/// One client's session.
#[derive(Debug)]
pub struct Session {
    cx: Context,
    doing: Doing,
    answer: Option<Answer>,
    /// When waiting for octets ends the session.
    deadline: Option<Monotonic>,
    errors: u32,
    ended: Ended,
    /// The peer sends no more.
    input_ended: bool,
    going_down: bool,
    #[cfg(feature = "compress")]
    deflate: Option<Box<compress::Deflate>>,
}

/// Whether the session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    /// After what is written is sent.
    Yes,
}

/// What the session is at.
#[derive(Debug)]
enum Doing {
    Greeting,
    /// Between commands.
    Reading,
    /// A command runs.
    Running(Running),
    /// A command is done; changes are told before its tagged response.
    Finishing {
        tag: Option<Tag>,
        done: Done,
        sync: Sync,
    },
    /// Between commands, what NOTIFY asked for is told.
    Telling(Telling),
    /// TLS is being established.
    Upgrading,
    /// What is written goes out; then compression begins.
    #[cfg(feature = "compress")]
    Compressing,
    /// Until then, nothing.
    Pausing(Monotonic, Option<Tag>, Done),
}

#[derive(Debug)]
struct Running {
    tag: Tag,
    rule: SyncRule,
    run: Box<dyn Run>,
    /// When the client is told how far it is.
    progress_at: Monotonic,
}

impl Session {
    /// A session that is about to greet.
    pub fn new(config: Arc<Config>, abilities: Abilities, peer: Peer) -> Self {
        Self {
            cx: Context::new(config, abilities, peer),
            doing: Doing::Greeting,
            answer: None,
            deadline: None,
            errors: 0,
            ended: Ended::No,
            input_ended: false,
            going_down: false,
            #[cfg(feature = "compress")]
            deflate: None,
        }
    }

    /// One move; `None` when there is another to make at once.
    fn advance(&mut self) -> Option<Step<Question>> {
        match std::mem::replace(&mut self.doing, Doing::Reading) {
            Doing::Greeting => {
                self.greet();
                None
            }
            Doing::Reading => self.read(),
            Doing::Running(running) => self.resume(running),
            Doing::Finishing { tag, done, sync } => self.finish(tag, done, sync),
            Doing::Telling(telling) => self.tell(telling),
            Doing::Upgrading => {
                self.doing = Doing::Upgrading;
                Some(Step::UpgradeTls)
            }
            #[cfg(feature = "compress")]
            Doing::Compressing => {
                self.doing = Doing::Compressing;
                Some(Step::StartCompress)
            }
            Doing::Pausing(until, tag, done) if self.cx.now >= until => {
                self.complete(tag.as_ref(), done);
                None
            }
            Doing::Pausing(until, tag, done) => {
                self.doing = Doing::Pausing(until, tag, done);
                Some(Step::Wait { until })
            }
        }
    }

    fn greet(&mut self) {
        let code = ResponseCode::Capability(self.cx.capabilities());
        let text = format!("{} {}", self.cx.config.hostname, wording::GREETING);
        self.cx.out.untagged_ok(&code, &text);
        self.deadline = Some(self.cx.now.after(self.cx.config.login_timeout));
    }

    /// Takes the next command off the input, or waits for it.
    fn read(&mut self) -> Option<Step<Question>> {
        if self.mailbox_is_gone() {
            return self.leave_gone();
        }
        match self.cx.framer.next(&mut self.cx.input) {
            Frame::Incomplete if self.going_down => self.bye(wording::BYE_SHUTDOWN),
            Frame::Incomplete => {
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

    /// Waits for octets; says good-bye when the time is over.
    fn wait(&mut self) -> Option<Step<Question>> {
        if self.input_ended {
            self.ended = Ended::Yes;
            return None;
        }
        let until = *self
            .deadline
            .get_or_insert_with(|| self.cx.now.after(self.cx.config.idle_timeout));
        if self.cx.now >= until {
            let logged_in = !matches!(self.cx.state, State::NotAuthenticated { .. });
            return self.bye(if logged_in {
                wording::BYE_IDLE
            } else {
                wording::BYE_LOGIN_TIMEOUT
            });
        }
        Some(Step::Read { until })
    }

    fn mailbox_is_gone(&mut self) -> bool {
        self.cx
            .state
            .selected()
            .is_some_and(|selected| selected.gone)
    }

    /// The selected mailbox was deleted. A client that knows of CLOSED goes on
    /// without a mailbox (RFC 9051 section 3), and so does one that deleted it
    /// itself; any other would give commands to a mailbox that is not there
    /// (RFC 2180 section 3.3).
    fn leave_gone(&mut self) -> Option<Step<Question>> {
        let selected = self.cx.state.selected();
        let deletes = selected.is_some_and(|selected| selected.deletes);
        if !deletes && !self.cx.revision().knows_closed() {
            return self.bye(wording::MAILBOX_GONE);
        }
        self.cx
            .out
            .untagged_ok(&ResponseCode::Closed, wording::MAILBOX_GONE);
        self.cx.state.select(None);
        None
    }

    fn bye(&mut self, text: &str) -> Option<Step<Question>> {
        self.cx.out.bye(text);
        self.cx.state = State::Logout;
        self.ended = Ended::Yes;
        None
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
        let hostile = matches!(self.cx.state, State::NotAuthenticated { .. });
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

    fn started(&mut self, tag: Tag, rule: SyncRule, started: Started) {
        match started {
            Started::Run(run) => {
                let progress_at = self.cx.now.after(self.cx.config.progress_interval);
                self.doing = Doing::Running(Running {
                    tag,
                    rule,
                    run,
                    progress_at,
                });
            }
            Started::Done(done) => self.wind_up(tag, rule, done),
        }
    }

    /// Lets the running command go on.
    fn resume(&mut self, mut running: Running) -> Option<Step<Question>> {
        let answer = self.answer.take();
        match running.run.resume(&mut self.cx, answer) {
            Progress::Ask(question) => {
                self.tell_progress(&mut running);
                self.doing = Doing::Running(running);
                Some(Step::Ask(question))
            }
            Progress::Flush => {
                self.doing = Doing::Running(running);
                None
            }
            Progress::Read(patience) => {
                if self.going_down {
                    return self.bye(wording::BYE_SHUTDOWN);
                }
                if self.mailbox_is_gone() {
                    self.doing = Doing::Running(running);
                    return self.leave_gone();
                }
                if let Some(patience) = patience {
                    self.deadline = Some(self.cx.now.after(patience));
                }
                self.doing = Doing::Running(running);
                self.wait()
            }
            Progress::Done(done) => {
                self.wind_up(running.tag, running.rule, done);
                None
            }
            Progress::Drop => {
                self.ended = Ended::Yes;
                None
            }
        }
    }

    /// Tells now and then how far a long command is (RFC 9585).
    fn tell_progress(&mut self, running: &mut Running) {
        if self.cx.now < running.progress_at {
            return;
        }
        running.progress_at = self.cx.now.after(self.cx.config.progress_interval);
        if let Some((done, total)) = running.run.done_of().filter(|(_, total)| *total > 0) {
            let code = ResponseCode::InProgress(running.tag.clone(), done, total);
            self.cx.out.untagged_ok(&code, wording::IN_PROGRESS);
        }
    }

    /// A command is done: its failure may be told late, its changes are told
    /// now.
    fn wind_up(&mut self, tag: Tag, rule: SyncRule, done: Done) {
        if let Then::Pause(delay) = done.then {
            self.doing = Doing::Pausing(self.cx.now.after(delay), Some(tag), done);
        } else {
            let sync = Sync::new(
                rule.expunges,
                rule.ask && done.status.condition == Condition::Ok,
            );
            self.doing = Doing::Finishing {
                tag: Some(tag),
                done,
                sync,
            };
        }
    }

    fn finish(
        &mut self,
        tag: Option<Tag>,
        mut done: Done,
        mut sync: Sync,
    ) -> Option<Step<Question>> {
        let answer = self.answer.take();
        match sync.resume(&mut self.cx, answer) {
            SyncStep::Ask(question) => {
                self.doing = Doing::Finishing { tag, done, sync };
                return Some(Step::Ask(question));
            }
            SyncStep::Flush => self.doing = Doing::Finishing { tag, done, sync },
            SyncStep::Done => {
                sync::tell_modseq(&mut self.cx, &mut done.status);
                limit::tell(&mut self.cx, &mut done.status);
                self.complete(tag.as_ref(), done);
            }
            SyncStep::Gone => {
                self.complete(tag.as_ref(), done);
                self.notify(Notice::Gone);
            }
        }
        None
    }

    /// Tells what happens while there is no command.
    fn tell(&mut self, mut telling: Telling) -> Option<Step<Question>> {
        let answer = self.answer.take();
        match telling.resume(&mut self.cx, answer) {
            SyncStep::Ask(question) => {
                self.doing = Doing::Telling(telling);
                return Some(Step::Ask(question));
            }
            SyncStep::Flush => self.doing = Doing::Telling(telling),
            SyncStep::Done => {}
            SyncStep::Gone => self.notify(Notice::Gone),
        }
        None
    }

    /// Writes the tagged response and does what comes after it.
    fn complete(&mut self, tag: Option<&Tag>, done: Done) {
        self.cx.out.status(tag, &done.status);
        self.deadline = match self.cx.state {
            State::NotAuthenticated { .. } => self.deadline,
            _ => None,
        };
        if done.status.condition == Condition::Bad {
            self.errors += 1;
            if self.errors > self.cx.config.max_errors {
                self.bye(wording::BYE_ERRORS);
            }
        }
        match done.then {
            Then::Nothing | Then::Pause(_) => {
                if let State::NotAuthenticated { failures } = self.cx.state
                    && failures >= self.cx.config.max_failed_logins
                {
                    self.bye(wording::BYE_FAILURES);
                }
            }
            Then::LogInAgain => {
                self.deadline = Some(self.cx.now.after(self.cx.config.login_timeout));
            }
            Then::StartTls => self.doing = Doing::Upgrading,
            #[cfg(feature = "compress")]
            Then::Compress => self.doing = Doing::Compressing,
            Then::Close => self.ended = Ended::Yes,
        }
    }
}

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
        self.going_down = true;
    }

    fn tls_established(&mut self, _info: TlsInfo) {
        let peer = Peer {
            transport: Transport::Tls,
            ..self.cx.peer
        };
        self.cx = Context::new(Arc::clone(&self.cx.config), self.cx.abilities, peer);
        self.doing = Doing::Reading;
    }

    #[cfg(feature = "compress")]
    fn step(&mut self, now: Monotonic) -> Step<Question> {
        self.cx.now = now;
        if self.deflate.is_none() {
            match self.step_plain() {
                Step::StartCompress => self.start_compression(),
                step => return step,
            }
        }
        self.step_compressed()
    }

    #[cfg(not(feature = "compress"))]
    fn step(&mut self, now: Monotonic) -> Step<Question> {
        self.cx.now = now;
        self.step_plain()
    }
}

impl Session {
    /// The next step of the session itself.
    fn step_plain(&mut self) -> Step<Question> {
        loop {
            let waits = match self.advance_unless_full() {
                Some(Step::Ask(question)) => return Step::Ask(question),
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
}

impl Session {
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

impl From<Status> for Done {
    fn from(status: Status) -> Self {
        Self {
            status,
            then: Then::Nothing,
        }
    }
}
