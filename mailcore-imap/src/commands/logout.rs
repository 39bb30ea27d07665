//! LOGOUT (RFC 3501 section 6.1.3).

use super::{Done, Started, Then};
use crate::codec::{Cursor, ParseError};
use crate::session::{Context, State};
use crate::wording::{self, Status};

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    cx.out.bye(wording::BYE_LOGOUT);
    cx.state = State::Logout;
    Ok(Started::Done(Done {
        status: Status::ok("LOGOUT completed"),
        then: Then::Close,
    }))
}
