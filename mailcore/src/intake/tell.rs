//! What is told of a message on its way in: the fields of its events.
//!
//! One event tells of an accepted message and goes into its batch. Refusals
//! belong to no batch; they go through the [`Recorder`], which bounds them.

use std::net::SocketAddr;

use super::{Accepted, Intake, Mail, Refusal, SessionInfo, SessionKind, Transaction, Transcripts};
use crate::address::{Address, ReversePath};
use crate::envelope::Recipient;
use crate::event::{Event, EventName, Recorder, TraceId};
use crate::message::decode::header_text;
use crate::plan::Stage;
use crate::status::{Status, StatusClass};
use crate::transcript::Transcript;

/// Recipients that an event names; the rest are counted.
pub(crate) const NAMED_RECIPIENTS: usize = 20;
/// Characters of a subject that are told.
const SUBJECT: usize = 200;
/// Characters of a Message-ID that are told.
const MESSAGE_ID: usize = 250;
/// Characters of what a peer called itself that are told.
const HELO: usize = 100;

/// Findings that an event holds, and characters of each.
const FINDINGS: usize = 40;
const FINDING: usize = 200;

/// Octets of a session's transcript that an event holds.
const TRANSCRIPT: usize = 3 * 1_024;

/// Lines of it, and findings, that a refused recipient's event holds: the
/// message's own event has the others.
const RECIPIENT_LINES: usize = 3;

/// Whether events tell the subjects of messages, which belong to the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Subjects {
    /// Told, shortened.
    #[default]
    Told,
    /// Left out.
    LeftOut,
}

/// Where in a transaction a message was refused.
#[derive(Debug, Clone, Copy)]
pub(super) enum RefusedAt {
    Session,
    Mail,
    Data,
    Content,
}

impl RefusedAt {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Mail => "mail",
            Self::Data => "data",
            Self::Content => "content",
        }
    }
}

/// `text` without control characters, at most `most` characters of it.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect()
}

/// The first addresses, spaces between.
pub(crate) fn named(recipients: &[Recipient]) -> String {
    let mut names = String::new();
    for recipient in recipients.iter().take(NAMED_RECIPIENTS) {
        if !names.is_empty() {
            names.push(' ');
        }
        names.push_str(&recipient.address.to_string());
    }
    names
}

impl SessionInfo {
    /// An event with who brought the message, and what was said.
    pub(super) fn describe(&self, event: Event) -> Event {
        let event = self.findings(self.name(event));
        match &self.transcript {
            Some(transcript) => event.with("transcript", transcript.text()),
            None => event,
        }
    }

    /// An event with what the filters found.
    fn findings(&self, event: Event) -> Event {
        let found = self.filter.memory.findings();
        (found.iter().take(FINDINGS)).fold(event, |event, finding| {
            event.with("finding", shortened(&finding.to_string(), FINDING))
        })
    }

    /// An event with who brought the message: protocol, peer, login.
    fn name(&self, mut event: Event) -> Event {
        let filter = &self.filter;
        event = event.with("with", self.with);
        if let Some(peer) = filter.peer {
            event = event.with("peer", peer.ip().to_canonical());
        }
        if let Some(helo) = &filter.helo {
            event = event.with("helo", shortened(helo, HELO));
        }
        if let Some(identity) = &filter.identity {
            event.account = Some(identity.account.clone());
            event = event.with("login", &identity.login);
        }
        event
    }
}

impl Intake {
    /// Refusals are told to `recorder`; `subjects` says what of messages is told.
    #[must_use]
    pub fn telling(mut self, recorder: Recorder, subjects: Subjects) -> Self {
        self.recorder = recorder;
        self.subjects = subjects;
        self
    }

    /// Takes events that belong to no batch.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// A transcript for a session with this peer, where anybody keeps it.
    pub fn new_transcript(&self, peer: Option<SocketAddr>) -> Option<Transcript> {
        if self.policy.transcripts == Transcripts::LeftOut || !self.recorder.is_kept() {
            return None;
        }
        let transcript = Transcript::with_limit(TRANSCRIPT);
        match peer {
            Some(peer) => transcript.note(format_args!("connection from {peer}")),
            None => transcript.note("connection within the process"),
        }
        Some(transcript)
    }

    /// An event with what the message says of itself.
    pub(super) fn describe(&self, mail: &Mail, event: Event) -> Event {
        let mut event = event.with("size", mail.message.len());
        let text = |octets: &Vec<u8>| String::from_utf8_lossy(octets).trim().to_owned();
        let header = &mail.summary.envelope;
        if let Some(id) = &header.message_id {
            event = event.with("message-id", shortened(&text(id), MESSAGE_ID));
        }
        match (&header.subject, self.subjects) {
            (Some(subject), Subjects::Told) => {
                event.with("subject", shortened(&header_text(subject), SUBJECT))
            }
            _ => event,
        }
    }

    /// A sender is refused at MAIL, before there is a transaction.
    pub(super) fn tell_sender_refused(
        &self,
        session: &SessionInfo,
        from: &ReversePath,
        refusal: &Refusal,
    ) {
        let Some(mut event) = self.refusal(EventName::MessageRefused, session) else {
            return;
        };
        event.trace = Some(TraceId(self.parts.entropy.id(event.at)));
        let event = session
            .describe(event.with("from", from))
            .with("stage", RefusedAt::Mail.as_str())
            .with("status", &refusal.status);
        self.recorder.record(event);
    }

    /// A peer is turned away, or a message for its size, by the session itself
    /// while there is no transaction.
    pub fn tell_session_refused(&self, session: &SessionInfo, status: &Status) {
        let Some(mut event) = self.refusal(EventName::MessageRefused, session) else {
            return;
        };
        event.trace = Some(TraceId(self.parts.entropy.id(event.at)));
        let event = session
            .describe(event)
            .with("stage", RefusedAt::Session.as_str())
            .with("status", status);
        self.recorder.record(event);
    }

    fn refusal(&self, name: EventName, session: &SessionInfo) -> Option<Event> {
        let peer = session.filter.peer.map(|peer| peer.ip());
        self.recorder.refusal(name, peer)
    }
}

impl Transaction {
    /// The session refused the message for what came of it: stray line ends, or
    /// more octets than it takes.
    pub fn refused(mut self, status: &Status) {
        self.tell_refused(RefusedAt::Content, status, None);
    }

    pub(super) fn tell_recipient_refused(&self, to: &Address, status: &Status) {
        let name = EventName::RecipientRefused;
        let Some(mut event) = self.intake.refusal(name, &self.session) else {
            return;
        };
        event.trace = Some(self.trace);
        let mut event = self
            .session
            .name(event.with("from", &self.envelope.reverse_path))
            .with("to", to)
            .with("status", status);
        let found = self.session.filter.memory.findings();
        let asked = found.iter().rev().filter(|it| it.stage == Stage::Rcpt);
        for finding in asked.take(RECIPIENT_LINES) {
            event = event.with("finding", shortened(&finding.to_string(), FINDING));
        }
        if let Some(transcript) = &self.session.transcript {
            event = event.with("transcript", transcript.last(RECIPIENT_LINES));
        }
        self.intake.recorder.record(event);
    }

    /// Once for each message.
    pub(super) fn tell_refused(&mut self, at: RefusedAt, status: &Status, mail: Option<&Mail>) {
        if std::mem::replace(&mut self.refusal_told, true) {
            return;
        }
        let name = EventName::MessageRefused;
        let Some(mut event) = self.intake.refusal(name, &self.session) else {
            return;
        };
        event.trace = Some(self.trace);
        let mut event = self
            .session
            .describe(event.with("from", &self.envelope.reverse_path))
            .with("to", named(&self.envelope.recipients))
            .with("recipients", self.envelope.recipients.len());
        if let Some(mail) = mail {
            event = self.intake.describe(mail, event);
        }
        let event = event.with("stage", at.as_str()).with("status", status);
        self.intake.recorder.record(event);
    }

    /// What of a message that was settled is refused to its sender.
    pub(super) fn tell_outcome(&mut self, done: &Result<Accepted, Refusal>, mail: &Mail) {
        let taken = |status: &Status| status.code.class == StatusClass::Success;
        let accepted = match done {
            Ok(accepted) => accepted,
            Err(refusal) => {
                return self.tell_refused(RefusedAt::Content, &refusal.status, Some(mail));
            }
        };
        let overall = accepted.overall();
        if self.session.filter.door != SessionKind::Lmtp || !accepted.outcomes.iter().any(taken) {
            if !taken(&overall) {
                self.tell_refused(RefusedAt::Content, &overall, Some(mail));
            }
            return;
        }
        let outcomes = self.envelope.recipients.iter().zip(&accepted.outcomes);
        for (recipient, status) in outcomes.filter(|(_, status)| !taken(status)) {
            self.tell_recipient_refused(&recipient.address, status);
        }
    }
}
