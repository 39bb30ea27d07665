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
mod machine;
mod notify;
mod output;
mod question;
mod reading;
mod revision;
mod running;
mod state;
mod sync;

use std::sync::Arc;

use mailcore::sasl::Offer;
use mailcore::seams::Abilities;
use mailcore::time::Monotonic;
use mailcore::wire::{Step, TlsInfo};

pub use config::{Compression, Config, Literals, PlaintextLogin};
pub use context::{Peer, Transport};
pub use question::{Access, Answer, Known, News, Notice, Opened, Question, Resync, Watching};

pub(crate) use announce::is_announced;
pub(crate) use context::Context;
pub(crate) use notify::{Events, Filter, First, Group, Notify, OfSelected, Telling, while_idle};
pub(crate) use state::{Naming, Selected, State};
pub(crate) use sync::{Expunges, Sync, SyncStep, vanished_parts, write_counts};

use crate::commands::Done;
use crate::types::{ResponseCode, Tag};
use crate::wording;
use running::Running;

/// One client's session.
#[derive(Debug)]
pub struct Session {
    cx: Context,
    doing: Doing,
    answer: Option<Answer>,
    /// When waiting for octets ends the session.
    deadline: Option<Monotonic>,
    /// Commands that were answered, whatever they were.
    commands: u64,
    errors: u32,
    ended: Ended,
    /// The peer sends no more.
    input_ended: bool,
    /// The server wants the session to end, for this reason.
    leaving: Option<&'static str>,
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

impl Session {
    /// A session that is about to greet.
    pub fn new(config: Arc<Config>, abilities: Abilities, peer: Peer) -> Self {
        Self {
            cx: Context::new(config, abilities, peer),
            doing: Doing::Greeting,
            answer: None,
            deadline: None,
            commands: 0,
            errors: 0,
            ended: Ended::No,
            input_ended: false,
            leaving: None,
            #[cfg(feature = "compress")]
            deflate: None,
        }
    }

    /// With these mechanisms, in place of those that a password is enough for,
    /// and within this TLS from the first octet.
    #[must_use]
    pub fn offering(mut self, offer: Offer, tls: Option<TlsInfo>) -> Self {
        self.cx.offer = offer;
        self.cx.tls = tls;
        self
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
            Doing::Compressing => Some(self.compress()),
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
            let logged_in = !matches!(self.cx.state, State::NotAuthenticated);
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
}
