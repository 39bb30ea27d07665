//! RENAME (RFC 3501 section 6.3.5).

use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

/// `rename = "RENAME" SP mailbox SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let from = cursor.mailbox()?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    cursor.end()?;
    Started::ask(Question::Rename { from, to }, |_, answer| match answer {
        Answer::Done => Status::ok("RENAME completed"),
        other => failure(&other),
    })
}
