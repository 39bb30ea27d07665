//! STAT (RFC 1939 section 5).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::Open;

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    argument.none()?;
    let (messages, octets) = (open.maildrop.messages(), open.maildrop.octets());
    Ok(Some(Reply::ok(format!("{messages} {octets}"))))
}
