//! [`Transfer`]: RETR or TOP, from the host's answers to the client, piece by
//! piece.

use bytes::{Bytes, BytesMut};
use mailcore::mailbox::Uid;
use mailcore::message::Surrogate;

use super::{Activity, Phase, Question, ReadFailure, Session, Utf8Header, push_line};
use crate::maildrop::Entry;
use crate::multiline::Multiline;
use crate::reply::Reply;
use crate::wording;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    uid: Uid,
    size: u64,
    read: u64,
    /// The reply line, held back until the first octets are there, so that a
    /// message that can't be read gets a clean `-ERR`.
    head: Option<Reply>,
    header: Header,
    lines: Multiline,
}

/// What is done about UTF-8 in the header.
#[derive(Debug)]
enum Header {
    AsIs,
    Surrogate(Surrogate),
    /// Looked for, nothing being sent meanwhile.
    Search(HeaderEnd),
}

/// What became of a transfer with an answer.
enum Took {
    Octets,
    Last,
    /// It can't go on.
    Nothing(Reply),
}

impl Transfer {
    pub(super) fn new(entry: &Entry, head: Reply, lines: Multiline, header: Utf8Header) -> Self {
        Self {
            uid: entry.uid,
            size: entry.size,
            read: 0,
            head: Some(head),
            header: match header {
                Utf8Header::AsIs => Header::AsIs,
                Utf8Header::Surrogate => Header::Surrogate(Surrogate::new()),
                Utf8Header::Refuse => Header::Search(HeaderEnd::default()),
            },
            lines,
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
            Err(failure) => return Took::Nothing(wording::unreadable(failure)),
        };
        if octets.is_empty() && self.read < self.size {
            return Took::Nothing(wording::unreadable(ReadFailure::Damaged));
        }
        self.read += octets.len() as u64;
        if let Header::Search(header) = &mut self.header {
            let found = header.search(&octets);
            if found == Found::Utf8 {
                return Took::Nothing(wording::needs_utf8());
            }
            if found == Found::Nothing && self.read < self.size {
                return Took::Octets;
            }
            self.header = Header::AsIs;
            // A message that one answer held whole is here already.
            if self.read > octets.len() as u64 {
                self.read = 0;
                return Took::Octets;
            }
        }
        if let Some(head) = self.head.take() {
            push_line(out, &head);
        }
        self.write(&octets, out);
        if self.read < self.size && !self.lines.is_complete() {
            return Took::Octets;
        }
        self.finish(out);
        Took::Last
    }

    fn write(&mut self, octets: &[u8], out: &mut BytesMut) {
        match &mut self.header {
            Header::Surrogate(surrogate) if !surrogate.is_past_header() => {
                let mut ascii = BytesMut::with_capacity(octets.len());
                surrogate.write(octets, &mut ascii);
                self.lines.write(&ascii, out);
            }
            _ => self.lines.write(octets, out),
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        if let Header::Surrogate(surrogate) = &mut self.header {
            let mut rest = BytesMut::new();
            surrogate.finish(&mut rest);
            self.lines.write(&rest, out);
        }
        self.lines.finish(out);
    }
}

/// Where in a header the octets read so far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum HeaderEnd {
    #[default]
    LineStart,
    /// After a CR at the start of a line.
    Cr,
    Within,
}

/// What a piece of a header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Utf8,
    /// The header's end.
    End,
    Nothing,
}

impl HeaderEnd {
    fn search(&mut self, octets: &[u8]) -> Found {
        for &octet in octets {
            *self = match (*self, octet) {
                (Self::LineStart | Self::Cr, b'\n') => return Found::End,
                (_, 0x80..) => return Found::Utf8,
                (Self::Within, b'\n') => Self::LineStart,
                (Self::LineStart, b'\r') => Self::Cr,
                _ => Self::Within,
            };
        }
        Found::Nothing
    }
}

impl Session {
    pub(super) fn read_answered(&mut self, answer: Result<Bytes, ReadFailure>) {
        let Phase::Transaction(open) = &mut self.phase else {
            return;
        };
        let Activity::Transfer(transfer) = &mut open.activity else {
            return;
        };
        match transfer.take(answer, &mut self.output) {
            Took::Octets => {}
            Took::Last => self.ready(),
            Took::Nothing(reply) if transfer.head.is_some() => {
                self.reply(&reply);
                self.ready();
            }
            // The client has half of a message: only a broken connection tells
            // it so.
            Took::Nothing(_) => self.phase = Phase::Closing,
        }
    }
}
