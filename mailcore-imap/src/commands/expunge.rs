//! EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1).

use mailcore::mailbox::UidSet;

use super::{Addressing, Started, Targets, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Access, Answer, Context, Question};
use crate::wording::{self, Status};

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    let all = cx.state.selected().map(|selected| selected.view.all());
    begin(cx, all.unwrap_or_default())
}

/// `uid-expunge = "UID" SP "EXPUNGE" SP sequence-set`
pub(super) fn start_uid(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    let targets = Targets::parse(cursor, cx, Addressing::Uid)?;
    cursor.end()?;
    match targets {
        Targets::Messages(uids) => {
            let uids = cx.limit(uids);
            begin(cx, uids)
        }
        Targets::OutOfRange => Started::done(wording::no_such_message()),
    }
}

/// Only messages the client knows of are removed: one that came and was marked
/// deleted meanwhile was none of its choosing.
fn begin(cx: &mut Context, uids: UidSet) -> Result<Started, ParseError> {
    if cx
        .state
        .selected()
        .is_none_or(|selected| selected.access == Access::ReadOnly)
    {
        return Started::done(wording::read_only());
    }
    if uids.is_empty() {
        return Started::done(Status::ok("EXPUNGE completed"));
    }
    Started::ask(Question::Expunge(uids), |cx, answer| match answer {
        Answer::Expunged(uids) => {
            if let Some(selected) = cx.state.selected() {
                selected.expunged = !uids.is_empty();
                selected.lose(&uids);
            }
            Status::ok("EXPUNGE completed")
        }
        other => failure(&other),
    })
}
