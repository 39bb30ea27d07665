//! STARTTLS (RFC 3501 section 6.2.1). Octets that came with the command in
//! clear are dropped when TLS is established.

use super::{Done, Started, Then};
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::wording::{self, Status};

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    if !cx.may_start_tls() {
        return Started::done(Status::bad("STARTTLS is not available"));
    }
    cx.input.clear();
    Ok(Started::Done(Done {
        status: Status::ok(wording::STARTTLS),
        then: Then::StartTls,
    }))
}
