//! ENABLE (RFC 5161).

use super::Started;
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::types::Extension;
use crate::wording::Status;

/// `enable = "ENABLE" 1*(SP capability)`. What is not announced, or needs no
/// enabling, is passed over; ENABLED names what is on now and was not before.
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    let mut wanted = Vec::new();
    loop {
        cursor.space()?;
        let extension = Extension::parse(cursor.atom()?);
        wanted.extend(extension.filter(|it| !wanted.contains(it)));
        if cursor.is_at_end() {
            break;
        }
    }
    let newly: Vec<&str> = wanted
        .into_iter()
        .filter(|extension| cx.enable(*extension))
        .map(|extension| extension.capability().as_str())
        .collect();
    let mut out = cx.out.encoder();
    out.raw("* ENABLED");
    newly.iter().for_each(|name| {
        out.raw(" ").raw(name);
    });
    out.crlf();
    Started::done(Status::ok("ENABLE completed"))
}
