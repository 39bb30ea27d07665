//! LIST (RFC 1939 section 5).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Listing, Open};
use crate::wording;

pub(super) fn start(open: &mut Open, argument: Argument<'_>) -> Result<Option<Reply>, Refusal> {
    match argument.message_if_given()? {
        Some(number) => Ok(Some(Reply::ok(open.line(Listing::scan(), number)?))),
        None => {
            let reply = Reply::ok(wording::holds(&open.maildrop));
            open.list(Listing::scan());
            Ok(Some(reply))
        }
    }
}
