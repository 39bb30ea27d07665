//! DELE (RFC 1939 section 5): a mark that only QUIT makes good.

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::Open;
use crate::wording;

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    let number = argument.message()?;
    open.maildrop.delete(number)?;
    Ok(Some(wording::deleted(number)))
}
