//! UNAUTHENTICATE (RFC 5804 section 2.14.1).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::response::Response;
use crate::managesieve::session::{Login, Phase, Session};

pub(super) fn start(session: &mut Session, arguments: Arguments) -> Result<(), Refusal> {
    arguments.end()?;
    session.respond(&Response::ok("logged out"));
    session.phase = Phase::NotAuthenticated(Login::None);
    session.login_deadline = None;
    Ok(())
}
