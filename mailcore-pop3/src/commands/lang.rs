//! LANG (RFC 6856 section 3). Replies are in English: texts for people are the
//! client's own, which go by the response codes.

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::Session;
use crate::wording;

/// The language of the replies.
const TAG: &str = "en";

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    match argument.text()? {
        "" => {
            session.reply(&Reply::ok("languages follow"));
            session.push_line(&format_args!("{TAG} English"));
            session.push_line(&".");
        }
        range if range == "*" || range.eq_ignore_ascii_case(TAG) => {
            session.reply(&Reply::ok(format!("{TAG} replies are in English")));
        }
        _ => return Err(Reply::err(wording::NO_LANGUAGE).into()),
    }
    Ok(())
}
