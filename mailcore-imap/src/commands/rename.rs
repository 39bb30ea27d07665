//! RENAME (RFC 9051 section 6.3.6, RFC 3501 section 6.3.5).

use super::list::renamed;
use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

/// `rename = "RENAME" SP mailbox SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let from = cursor.mailbox()?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    cursor.end()?;
    // The new INBOX is not what the old one became.
    let told = cx.revision().tells_oldname() && !from.is_inbox();
    let names = told.then(|| (from.clone(), to.clone()));
    Started::ask(
        Question::Rename { from, to },
        move |cx, answer| match answer {
            Answer::Done => {
                if let Some((from, to)) = names {
                    renamed::tell(cx, &to, Some(from.as_str()));
                }
                Status::ok("RENAME completed")
            }
            other => failure(&other),
        },
    )
}
