//! REPLACE and UID REPLACE (RFC 8508): an APPEND that takes a message out of the
//! selected mailbox in the same change.

use mailcore::mailbox::{Uid, UidSet};
use mailcore::seams::Appended;

use crate::codec::{Cursor, ParseError};
use crate::commands::{Addressing, Done, Legal, Started};
use crate::session::{Access, Context, is_announced};
use crate::types::{Capability, ResponseCode, SeqNum};
use crate::wording::{self, Status};

/// What a message is appended for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// APPEND.
    Add,
    /// REPLACE of this message.
    Replace(Uid),
}

/// `replace = "REPLACE" SP seq-number SP mailbox append-message`, without
/// literals that are part of the message.
pub(in crate::commands) fn start(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Sequence)
}

/// `"UID" SP replace`
pub(in crate::commands) fn start_uid(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
) -> Result<Started, ParseError> {
    begin(cursor, cx, Addressing::Uid)
}

fn begin(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    match replaced(cursor, cx, addressing)? {
        Ok(uid) => super::begin::without_literals(cursor, cx, Purpose::Replace(uid)),
        Err(refusal) => Started::done(refusal),
    }
}

/// Reads an APPEND's or a REPLACE's name, and what it replaces; `None` for
/// another command, or one that may not be given now. The inner error is why the
/// message can't be replaced.
pub(super) fn purpose(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
) -> Option<Result<Result<Purpose, Status>, ParseError>> {
    if cursor.eat_word("APPEND") {
        return Some(Ok(Ok(Purpose::Add)));
    }
    let (addressing, legal) = match cursor.eat_word("UID") && cursor.eat(b' ') {
        true => (Addressing::Uid, Legal::Selected),
        false => (Addressing::Sequence, Legal::Numbered),
    };
    let is_ours = cursor.eat_word("REPLACE")
        && is_announced(Capability::Replace, cx)
        && legal.refusal(cx).is_none();
    is_ours.then(|| Ok(replaced(cursor, cx, addressing)?.map(Purpose::Replace)))
}

/// `SP seq-number` or `SP uniqueid`
fn replaced(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Result<Uid, Status>, ParseError> {
    cursor.space()?;
    let number = match cursor.eat(b'*') {
        true => None,
        false => Some(cursor.number()?),
    };
    if number == Some(0) {
        return Err(ParseError::Expected("a number above zero"));
    }
    let Some(selected) = cx.state.selected() else {
        return Ok(Err(wording::wrong_state()));
    };
    if selected.access == Access::ReadOnly {
        return Ok(Err(wording::read_only()));
    }
    let view = &selected.view;
    let uid = match (number, addressing) {
        (None, _) => view.last_uid(),
        (Some(number), Addressing::Uid) => Uid::new(number).filter(|uid| view.seq(*uid).is_some()),
        (Some(number), Addressing::Sequence) => {
            SeqNum::new(number).and_then(|number| view.uid(number))
        }
    };
    Ok(uid.ok_or_else(|| match addressing {
        Addressing::Sequence => wording::no_such_message(),
        Addressing::Uid => Status::no(ResponseCode::Nonexistent, "No message has that UID"),
    }))
}

/// The new message lies there and `uid` is gone. APPENDUID comes before the
/// EXPUNGE, as section 4.3 advises.
pub(super) fn replaced_by(cx: &mut Context, uid: Uid, appended: &[Appended]) -> Done {
    if let Some(new) = appended.first() {
        let code = ResponseCode::AppendUid(new.uid_validity, [new.uid].into_iter().collect());
        cx.out.untagged_ok(&code, "Replacement is stored");
    }
    if let Some(selected) = cx.state.selected() {
        selected.expunged = true;
        selected.lose(&UidSet::range(uid, uid));
    }
    Status::ok("REPLACE completed").into()
}
