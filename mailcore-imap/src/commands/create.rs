//! CREATE (RFC 3501 section 6.3.3).

use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

/// `create = "CREATE" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    Started::ask(Question::Create(name), |_, answer| match answer {
        Answer::Done => Status::ok("CREATE completed"),
        other => failure(&other),
    })
}
