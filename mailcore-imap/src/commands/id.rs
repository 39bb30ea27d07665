//! ID (RFC 2971). The client's parameters are read and not kept; the server
//! names itself without a version, which would help attackers most.

use super::Started;
use crate::codec::{Cursor, ParseError};
use crate::session::Context;
use crate::wording::Status;

/// Pairs allowed (RFC 2971 section 3.3).
const MAX_PAIRS: usize = 30;

/// ```text
/// id = "ID" SP id-params-list
/// id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
/// ```
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    if !cursor.eat_word("NIL") {
        parameters(cursor)?;
    }
    cursor.end()?;
    cx.out.untagged("ID (\"name\" \"mailcore\")");
    Started::done(Status::ok("ID completed"))
}

fn parameters(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.expect(b'(', "a list of parameters or NIL")?;
    if cursor.eat(b')') {
        return Ok(());
    }
    for _ in 0..MAX_PAIRS {
        cursor.string()?;
        cursor.space()?;
        cursor.nstring()?;
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
    Err(ParseError::TooMuch("parameters"))
}
