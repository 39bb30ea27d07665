//! NOOP and CHECK: both poll (RFC 3501 sections 6.1.2 and 6.4.1). A checkpoint
//! there is none to make: every change is durable when it is answered.

use super::Started;
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, _cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    Started::done(Status::ok("Completed"))
}
