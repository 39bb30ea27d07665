//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 sections 6.3.6 and 6.3.7).

use super::{Started, failure};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

/// `subscribe = "SUBSCRIBE" SP mailbox`
pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    Started::ask(Question::Subscribe(name), |_, answer| match answer {
        Answer::Done => Status::ok("SUBSCRIBE completed"),
        other => failure(&other),
    })
}

/// `unsubscribe = "UNSUBSCRIBE" SP mailbox`
pub(super) fn start_unsubscribe(
    cursor: &mut Cursor<'_>,
    _cx: &mut Context,
) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    Started::ask(Question::Unsubscribe(name), |_, answer| match answer {
        Answer::Done => Status::ok("UNSUBSCRIBE completed"),
        other => failure(&other),
    })
}
