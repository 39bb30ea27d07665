//! CAPABILITY (RFC 3501 section 6.1.1).

use super::Started;
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    let names = cx.capabilities();
    let mut out = cx.out.encoder();
    out.raw("* CAPABILITY");
    names.iter().for_each(|name| {
        out.raw(" ").display(name);
    });
    out.crlf();
    Started::done(Status::ok("CAPABILITY completed"))
}
