//! A command from its start to its tagged response, and the changes told on the
//! way.

use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};

use super::{Doing, Ended, Notice, Question, Session, State, Sync, SyncStep, Telling};
use super::{limit, sync};
use crate::commands::{Done, Progress, Run, Started, SyncRule, Then};
use crate::types::{ResponseCode, Tag};
use crate::wording::{self, Condition, Status};

/// A command in progress.
#[derive(Debug)]
pub(super) struct Running {
    tag: Tag,
    rule: SyncRule,
    run: Box<dyn Run>,
    /// When the client is told how far it is.
    progress_at: Monotonic,
}

impl Session {
    pub(super) fn started(&mut self, tag: Tag, rule: SyncRule, started: Started) {
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
    pub(super) fn resume(&mut self, mut running: Running) -> Option<Step<Question>> {
        let answer = self.answer.take();
        if let (Some(notify), Some(answer)) = (&mut self.cx.notify, &answer) {
            notify.answered(answer);
        }
        match running.run.resume(&mut self.cx, answer) {
            Progress::Ask(question) => {
                if let Some(notify) = &mut self.cx.notify {
                    notify.asks(&question);
                }
                self.tell_progress(&mut running);
                self.doing = Doing::Running(running);
                Some(Step::Ask(question))
            }
            Progress::Flush => {
                self.doing = Doing::Running(running);
                None
            }
            Progress::Read(patience) => {
                if let Some(why) = self.leaving {
                    return self.bye(why);
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

    pub(super) fn finish(
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
                // The store was asked after a DELETE: it was of another mailbox.
                if let Some(selected) = self.cx.state.selected() {
                    selected.deletes &= selected.gone;
                }
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
    pub(super) fn tell(&mut self, mut telling: Telling) -> Option<Step<Question>> {
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
    pub(super) fn complete(&mut self, tag: Option<&Tag>, done: Done) {
        self.cx.out.status(tag, &done.status);
        self.commands += 1;
        self.deadline = match self.cx.state {
            State::NotAuthenticated => self.deadline,
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
                if matches!(self.cx.state, State::NotAuthenticated)
                    && self.cx.failed_logins >= self.cx.config.max_failed_logins
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

impl From<Status> for Done {
    fn from(status: Status) -> Self {
        Self {
            status,
            then: Then::Nothing,
        }
    }
}
