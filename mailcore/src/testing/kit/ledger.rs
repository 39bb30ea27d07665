//! [`Ledger`]: what came to a server, what went out, what was refused.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::mail::{CapturedMail, FilterVerdict, Place};
use crate::address::Domain;
use crate::event::{Event, EventName, TraceId};
use crate::time::Timestamp;

/// Something that a server did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// A recipient at RCPT, or a whole message.
    pub what: RefusedWhat,
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope; empty where none were named yet.
    pub to: String,
    /// The reply: enhanced status code and words.
    pub status: String,
    /// What was said in the session, as far as it is kept.
    pub transcript: String,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedWhat {
    /// One recipient.
    Recipient,
    /// A message, or its sender.
    Message,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            RefusedWhat::Recipient => "recipient",
            RefusedWhat::Message => "message",
        };
        let Self {
            from, to, status, ..
        } = self;
        write!(f, "{what} refused: from <{from}> to <{to}>: {status}")
    }
}

/// Where mail is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// In mailboxes.
    Here,
    /// Sent to other hosts.
    Elsewhere,
}

/// What is written down of a server.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    mail: Vec<Arc<CapturedMail>>,
    /// Those that an expectation has had.
    taken: HashSet<u64>,
    refused: Vec<Refused>,
    evidence: HashMap<TraceId, Evidence>,
    /// What filters said in sessions whose message is not there yet.
    sessions: HashMap<tokio::task::Id, Vec<FilterVerdict>>,
}

#[derive(Debug, Default)]
struct Evidence {
    transcript: String,
    verdicts: Vec<FilterVerdict>,
}

impl Ledger {
    /// Something came; with how it came, as far as it is known.
    pub(super) fn add(&self, mut mail: CapturedMail) {
        let mut state = self.state();
        if let Some(evidence) = state.evidence.get(&mail.trace) {
            mail.transcript.clone_from(&evidence.transcript);
            mail.verdicts.clone_from(&evidence.verdicts);
        }
        state.last += 1;
        mail.number = state.last;
        state.mail.push(Arc::new(mail));
        drop(state);
        self.tell();
    }

    /// Takes from an event what is of use here.
    pub(super) fn note(&self, event: &Event) {
        let what = match event.name {
            EventName::MessageReceived => {
                let transcript = event.field("transcript").unwrap_or_default();
                if let Some(trace) = event.trace {
                    let mut state = self.state();
                    state.evidence.entry(trace).or_default().transcript = transcript.to_owned();
                }
                return;
            }
            EventName::RecipientRefused => RefusedWhat::Recipient,
            EventName::MessageRefused => RefusedWhat::Message,
            _ => return,
        };
        let field = |name| event.field(name).unwrap_or_default().to_owned();
        self.state().refused.push(Refused {
            at: event.at,
            what,
            from: field("from"),
            to: field("to"),
            status: field("status"),
            transcript: field("transcript"),
        });
        self.tell();
    }

    /// What a filter said before the message was there.
    pub(super) fn in_session(&self, verdict: FilterVerdict) {
        let Some(session) = tokio::task::try_id() else {
            return;
        };
        let mut state = self.state();
        let verdicts = state.sessions.entry(session).or_default();
        // A new transaction, or another try at this stage.
        if verdict.stage == "mail" && verdicts.last().is_some_and(|it| it.stage != "mail") {
            verdicts.retain(|it| matches!(it.stage, "connect" | "helo" | "auth"));
        }
        verdicts.push(verdict);
    }

    /// What a filter said of a message.
    pub(super) fn of_message(&self, trace: TraceId, verdict: FilterVerdict) {
        let mut state = self.state();
        let before = tokio::task::try_id().and_then(|id| state.sessions.get(&id).cloned());
        let evidence = state.evidence.entry(trace).or_default();
        if evidence.verdicts.is_empty() {
            evidence.verdicts = before.unwrap_or_default();
        }
        evidence.verdicts.push(verdict);
    }

    /// The session of this task is over.
    pub(super) fn session_ends(&self) {
        if let Some(session) = tokio::task::try_id() {
            self.state().sessions.remove(&session);
        }
    }

    /// What came there, in order, and whether an expectation has had it.
    pub(super) fn mail(
        &self,
        side: Side,
        domain: Option<&Domain>,
    ) -> Vec<(Arc<CapturedMail>, Had)> {
        let state = self.state();
        let wanted = |mail: &&Arc<CapturedMail>| mail.side() == side && mail.is_of(domain);
        let had = |mail: &Arc<CapturedMail>| match state.taken.contains(&mail.number) {
            true => Had::Yes,
            false => Had::No,
        };
        let mail = state.mail.iter().filter(wanted);
        mail.map(|it| (Arc::clone(it), had(it))).collect()
    }

    /// An expectation has had these.
    pub(super) fn take(&self, mail: &[Arc<CapturedMail>]) {
        self.state().taken.extend(mail.iter().map(|it| it.number));
    }

    /// What was refused, in order.
    pub(super) fn refused(&self, domain: Option<&Domain>) -> Vec<Refused> {
        let named = |refused: &&Refused| {
            domain.is_none_or(|it| {
                let address = format!("@{it}");
                [&refused.to, &refused.from].iter().any(|all| {
                    all.split(' ')
                        .any(|one| one.to_lowercase().ends_with(&address))
                })
            })
        };
        self.state().refused.iter().filter(named).cloned().collect()
    }

    /// Forgets what is in the mailboxes of one account.
    pub(super) fn forget_account(&self, account: &crate::account::AccountId) {
        let is_its = |mail: &CapturedMail| match &mail.place {
            Place::Mailbox { account: of, .. } => of == account,
            Place::Elsewhere => false,
        };
        self.state().mail.retain(|mail| !is_its(mail));
    }

    /// Forgets what is of one domain, or everything.
    pub(super) fn forget(&self, domain: Option<&Domain>) {
        if domain.is_some() {
            let kept = self.refused(domain);
            let mut state = self.state();
            state.mail.retain(|mail| !mail.is_of(domain));
            state.refused.retain(|it| !kept.contains(it));
            return;
        }
        let mut state = self.state();
        let sessions = std::mem::take(&mut state.sessions);
        let last = state.last;
        *state = State {
            last,
            sessions,
            ..State::default()
        };
    }

    /// Changes whenever something is written down.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an expectation has had a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Had {
    Yes,
    No,
}

impl CapturedMail {
    fn side(&self) -> Side {
        match self.place {
            Place::Mailbox { .. } => Side::Here,
            Place::Elsewhere => Side::Elsewhere,
        }
    }

    /// True of mail that came to a domain, or was sent by it.
    fn is_of(&self, domain: Option<&Domain>) -> bool {
        let Some(domain) = domain else { return true };
        match self.side() {
            Side::Here => self.recipients.iter().any(|it| it.domain() == domain),
            Side::Elsewhere => {
                let sender = self.reverse_path.address();
                sender.is_some_and(|it| it.domain() == domain)
            }
        }
    }
}
