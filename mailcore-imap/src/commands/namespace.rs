//! NAMESPACE (RFC 2342): one personal namespace, at the root.

use super::Started;
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::wording::Status;

pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.end()?;
    cx.out.untagged("NAMESPACE ((\"\" \"/\")) NIL NIL");
    Started::done(Status::ok("NAMESPACE completed"))
}
