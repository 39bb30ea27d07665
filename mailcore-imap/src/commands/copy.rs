//! COPY (RFC 3501 section 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315).

use mailcore::mailbox::UidSet;
use mailcore::seams::CopyReceipt;

use super::{Addressing, Started, Targets};
use crate::codec::{Cursor, ParseError};
use crate::session::{Access, Answer, Context, Question};
use crate::types::ResponseCode;
use crate::wording::{self, Status};

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    copy(cursor, cx, Addressing::Sequence)
}

pub(super) fn start_uid(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    copy(cursor, cx, Addressing::Uid)
}

pub(super) fn start_move(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    move_to(cursor, cx, Addressing::Sequence)
}

pub(super) fn start_uid_move(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
) -> Result<Started, ParseError> {
    move_to(cursor, cx, Addressing::Uid)
}

/// `copy = "COPY" SP sequence-set SP mailbox`
fn copy(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    let targets = Targets::parse(cursor, cx, addressing)?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    cursor.end()?;
    let uids = match targets {
        Targets::OutOfRange => return Started::done(wording::no_such_message()),
        Targets::Messages(uids) if uids.is_empty() => {
            return Started::done(Status::ok("No messages to copy"));
        }
        Targets::Messages(uids) => uids,
    };
    if let Some(refusal) = cx.over_limit(&uids) {
        return Started::done(refusal);
    }
    Started::ask(Question::Copy { uids, to }, |_, answer| match answer {
        Answer::Copied(receipt) if receipt.pairs.is_empty() => gone(),
        Answer::Copied(receipt) => Status::ok("COPY completed").with(copy_uid(&receipt)),
        Answer::Failed(error) => wording::target_failed(&error),
        _ => wording::server_bug(),
    })
}

/// `move = "MOVE" SP sequence-set SP mailbox`
fn move_to(
    cursor: &mut Cursor<'_>,
    cx: &mut Context,
    addressing: Addressing,
) -> Result<Started, ParseError> {
    let targets = Targets::parse(cursor, cx, addressing)?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    cursor.end()?;
    let uids = match targets {
        Targets::OutOfRange => return Started::done(wording::no_such_message()),
        Targets::Messages(uids) if uids.is_empty() => {
            return Started::done(Status::ok("No messages to move"));
        }
        Targets::Messages(uids) => uids,
    };
    if cx
        .state
        .selected()
        .is_none_or(|selected| selected.access == Access::ReadOnly)
    {
        return Started::done(wording::read_only());
    }
    let uids = cx.limit(uids);
    Started::ask(Question::Move { uids, to }, |cx, answer| match answer {
        Answer::Copied(receipt) if receipt.pairs.is_empty() => gone(),
        Answer::Copied(receipt) => {
            // Before the EXPUNGE responses (RFC 6851 section 4.3).
            cx.out.untagged_ok(&copy_uid(&receipt), "Moved");
            let moved: UidSet = receipt.pairs.iter().map(|(old, _)| *old).collect();
            if let Some(selected) = cx.state.selected() {
                selected.expunged = true;
                selected.lose(&moved);
            }
            Status::ok("MOVE completed")
        }
        Answer::Failed(error) => wording::target_failed(&error),
        _ => wording::server_bug(),
    })
}

/// Both sides ascend, so the n-th UID of one is the n-th of the other.
fn copy_uid(receipt: &CopyReceipt) -> ResponseCode {
    let old = receipt.pairs.iter().map(|(old, _)| *old).collect();
    let new = receipt.pairs.iter().map(|(_, new)| *new).collect();
    ResponseCode::CopyUid(receipt.uid_validity, old, new)
}

fn gone() -> Status {
    Status::no(ResponseCode::ExpungeIssued, "The messages are gone")
}
