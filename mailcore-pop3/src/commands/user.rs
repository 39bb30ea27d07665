//! USER (RFC 1939 section 7): any name is fine until PASS.

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Authorization, Session};

pub(super) fn capability(session: &Session) -> Option<String> {
    session.may_send_password().then(|| "USER".to_owned())
}

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    session.permit_password()?;
    let name = argument.name()?.to_owned();
    session.reply(&Reply::ok(""));
    session.authorization(Authorization::Named(name));
    Ok(())
}
