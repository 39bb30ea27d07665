//! [`Listing`]: LIST or UIDL over the whole maildrop, piece by piece.

use bytes::BytesMut;

use super::push_line;
use crate::maildrop::{Entry, Maildrop, MessageNumber};

/// Lines about messages, under way.
#[derive(Debug)]
pub(crate) struct Listing {
    kind: Kind,
    next: MessageNumber,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Scan,
    UniqueIds,
}

impl Listing {
    /// LIST's.
    pub(crate) fn scan() -> Self {
        Self {
            kind: Kind::Scan,
            next: MessageNumber(1),
        }
    }

    /// UIDL's.
    pub(crate) fn unique_ids() -> Self {
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
