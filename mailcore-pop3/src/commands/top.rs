//! TOP (RFC 1939 section 7).

use super::Refusal;
use crate::arguments::Argument;
use crate::multiline::Multiline;
use crate::reply::Reply;
use crate::session::Open;

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    let (number, lines) = argument.message_and_count()?;
    open.transfer(number, Reply::ok(""), Multiline::top(lines))?;
    Ok(None)
}
