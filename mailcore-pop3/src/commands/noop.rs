//! NOOP (RFC 1939 section 5).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::Open;

pub(super) fn start(_open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    argument.none()?;
    Ok(Some(Reply::ok("")))
}
