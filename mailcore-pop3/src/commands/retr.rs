//! RETR (RFC 1939 section 5).

use super::Refusal;
use crate::arguments::Argument;
use crate::multiline::Multiline;
use crate::reply::Reply;
use crate::session::Open;

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    let number = argument.message()?;
    let size = open.maildrop.entry(number)?.size;
    let head = Reply::ok(format!("{size} octets"));
    open.transfer(number, head, Multiline::whole())?;
    Ok(None)
}
