//! FETCH's modifiers (RFC 4466 section 2.4).

use mailcore::mailbox::ModSeq;

use crate::codec::{Cursor, ParseError};
use crate::commands::Addressing;
use crate::session::Context;
use crate::types::{Extension, PartialRange};
use crate::wording::{self, Status};

/// What stands after the items.
#[derive(Debug, Default)]
pub(super) struct Modifiers {
    /// `CHANGEDSINCE` (RFC 7162 section 3.1.4.1).
    pub(super) changed_since: Option<ModSeq>,
    /// `VANISHED`.
    pub(super) vanished: Vanished,
    /// `PARTIAL` (RFC 9394 section 3.3).
    pub(super) partial: Option<PartialRange>,
}

/// Whether messages that went away are told (RFC 7162 section 3.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Vanished {
    #[default]
    Untold,
    Told,
}

impl Modifiers {
    /// `[SP "(" fetch-modifier *(SP fetch-modifier) ")"]`
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut modifiers = Self::default();
        if !cursor.eat(b' ') {
            return Ok(modifiers);
        }
        cursor.expect(b'(', "modifiers")?;
        loop {
            modifiers.parse_one(cursor)?;
            if cursor.eat(b')') {
                return Ok(modifiers);
            }
            cursor.space()?;
        }
    }

    fn parse_one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
        if self.changed_since.is_none() && cursor.eat_word("CHANGEDSINCE") {
            cursor.space()?;
            // Nothing changed before the first ModSeq there can be, so that 0,
            // which some clients send, means the same.
            let since = cursor.number64()?;
            self.changed_since = Some(ModSeq::new(since).unwrap_or(ModSeq::MIN));
        } else if cursor.eat_word("VANISHED") {
            self.vanished = Vanished::Told;
        } else if self.partial.is_none() && cursor.eat_word("PARTIAL") {
            cursor.space()?;
            self.partial = Some(cursor.partial_range()?);
        } else {
            return Err(ParseError::Expected("CHANGEDSINCE, VANISHED or PARTIAL"));
        }
        Ok(())
    }

    /// Why they can't be served to this client.
    pub(super) fn refusal(&self, cx: &Context, addressing: Addressing) -> Option<Status> {
        if self.partial.is_some() && addressing != Addressing::Uid {
            return Some(Status::bad("PARTIAL goes with UID FETCH"));
        }
        if self.vanished == Vanished::Untold {
            return None;
        }
        if !cx.enabled.has(Extension::QResync) {
            return Some(wording::not_enabled());
        }
        let fits = addressing == Addressing::Uid && self.changed_since.is_some();
        (!fits).then(|| Status::bad("VANISHED goes with UID FETCH and CHANGEDSINCE"))
    }
}
