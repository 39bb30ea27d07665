//! UTF8 (RFC 6856 section 2.1).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Session, Utf8Mode};

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    argument.none()?;
    session.abandon_login();
    session.utf8 = Utf8Mode::On;
    session.reply(&Reply::ok("UTF-8 enabled"));
    Ok(())
}
