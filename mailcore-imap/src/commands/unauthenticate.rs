//! UNAUTHENTICATE (RFC 8437): the connection is as it was before login.

use super::{Done, Progress, Run, Started, Then};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    Started::run(Unauthenticate)
}

#[derive(Debug)]
struct Unauthenticate;

impl Run for Unauthenticate {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if answer.is_none() {
            return Progress::Ask(Question::Unauthenticate);
        }
        // Nothing can be in the way: the next login may be on its way already
        // (RFC 8437 section 3).
        cx.unauthenticate();
        Progress::Done(Done {
            status: Status::ok("UNAUTHENTICATE completed"),
            then: Then::LogInAgain,
        })
    }
}
