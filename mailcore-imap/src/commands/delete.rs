//! DELETE (RFC 3501 section 6.3.4).

use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::types::ResponseCode;
use crate::wording::Status;

/// `delete = "DELETE" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    if name.is_inbox() {
        return Started::done(Status::no(ResponseCode::Cannot, "INBOX can't be deleted"));
    }
    if let Some(selected) = cx.state.selected() {
        selected.deletes = true;
    }
    Started::ask(Question::Delete(name), |_, answer| match answer {
        Answer::Done => Status::ok("DELETE completed"),
        other => failure(&other),
    })
}
