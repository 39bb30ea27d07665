//! UIDL (RFC 1939 section 7).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Listing, Open};

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    match argument.message_if_given()? {
        Some(number) => Ok(Some(Reply::ok(open.line(Listing::unique_ids(), number)?))),
        None => {
            open.list(Listing::unique_ids());
            Ok(Some(Reply::ok("")))
        }
    }
}
