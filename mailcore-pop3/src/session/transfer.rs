//! Multi-line replies, piece by piece: listings out of the maildrop, messages
//! out of the host's answers.

use std::fmt::{Display, Write};

use bytes::{Bytes, BytesMut};
use mailcore::mailbox::Uid;

use super::{Activity, Phase, Question, ReadFailure, Session};
use crate::command::MessageNumber;
use crate::maildrop::{Entry, Maildrop};
use crate::multiline::Multiline;
use crate::reply::Reply;
use crate::wording;

/// Writes a line with its CRLF.
pub(super) fn push_line(out: &mut BytesMut, line: &dyn Display) {
    // Writing to memory does not fail.
    let _ = write!(out, "{line}\r\n");
}

/// LIST or UIDL without an argument, under way.
#[derive(Debug)]
pub(super) struct Listing {
    kind: Kind,
    next: MessageNumber,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Scan,
    UniqueIds,
}

impl Listing {
    pub(super) fn scan() -> Self {
        Self {
            kind: Kind::Scan,
            next: MessageNumber(1),
        }
    }

    pub(super) fn unique_ids() -> Self {
        Self {
            kind: Kind::UniqueIds,
            ..Self::scan()
        }
    }

    /// Writes lines until `out` holds `limit` octets or all is written: then
    /// true.
    pub(super) fn write(&mut self, maildrop: &Maildrop, out: &mut BytesMut, limit: usize) -> bool {
        while let Some((number, entry)) = maildrop.next_live(self.next) {
            push_line(out, &self.line(maildrop, number, entry));
            self.next = MessageNumber(number.0.saturating_add(1));
            if out.len() >= limit {
                return false;
            }
        }
        push_line(out, &".");
        true
    }

    /// One line without its CRLF.
    pub(super) fn line(&self, maildrop: &Maildrop, number: MessageNumber, entry: &Entry) -> String {
        match self.kind {
            Kind::Scan => format!("{} {}", number.0, entry.size),
            Kind::UniqueIds => format!("{} {}", number.0, maildrop.unique_id(entry)),
        }
    }
}

/// RETR or TOP, under way.
#[derive(Debug)]
pub(super) struct Transfer {
    uid: Uid,
    size: u64,
    read: u64,
    /// The reply line, held back until the first octets are there, so that a
    /// message that can't be read gets a clean `-ERR`.
    head: Option<Reply>,
    lines: Multiline,
}

/// What became of a transfer with an answer.
enum Took {
    Octets,
    Last,
    Nothing(ReadFailure),
}

impl Transfer {
    pub(super) fn retr(entry: &Entry) -> Self {
        Self {
            uid: entry.uid,
            size: entry.size,
            read: 0,
            head: Some(Reply::ok(format!("{} octets", entry.size))),
            lines: Multiline::whole(),
        }
    }

    pub(super) fn top(entry: &Entry, lines: u32) -> Self {
        Self {
            head: Some(Reply::ok("")),
            lines: Multiline::top(lines),
            ..Self::retr(entry)
        }
    }

    pub(super) fn question(&self) -> Question {
        Question::Read {
            uid: self.uid,
            from: self.read,
        }
    }

    fn take(&mut self, answer: Result<Bytes, ReadFailure>, out: &mut BytesMut) -> Took {
        let octets = match answer {
            Ok(octets) => octets,
            Err(failure) => return Took::Nothing(failure),
        };
        if octets.is_empty() && self.read < self.size {
            return Took::Nothing(ReadFailure::Damaged);
        }
        if let Some(head) = self.head.take() {
            push_line(out, &head);
        }
        self.read += octets.len() as u64;
        self.lines.write(&octets, out);
        if self.read < self.size && !self.lines.is_complete() {
            return Took::Octets;
        }
        self.lines.finish(out);
        Took::Last
    }
}

impl Session {
    pub(super) fn read_answered(&mut self, answer: Result<Bytes, ReadFailure>) {
        let Phase::Transaction(_, Activity::Transfer(transfer)) = &mut self.phase else {
            return;
        };
        match transfer.take(answer, &mut self.output) {
            Took::Octets => {}
            Took::Last => self.ready(),
            Took::Nothing(failure) if transfer.head.is_some() => {
                self.reply(&wording::unreadable(failure));
                self.ready();
            }
            // The client has half of a message: only a broken connection tells
            // it so.
            Took::Nothing(_) => self.phase = Phase::Closing,
        }
    }
}
