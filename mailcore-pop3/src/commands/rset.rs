//! RSET (RFC 1939 section 5).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::Open;
use crate::wording;

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    argument.none()?;
    open.maildrop.reset();
    Ok(Some(Reply::ok(wording::holds(&open.maildrop))))
}
