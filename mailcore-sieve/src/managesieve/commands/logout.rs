//! LOGOUT (RFC 5804 section 2.3).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::response::Response;
use crate::managesieve::session::{Phase, Session};

pub(super) fn start(session: &mut Session, arguments: Arguments) -> Result<(), Refusal> {
    arguments.end()?;
    session.respond(&Response::ok("closing"));
    session.phase = Phase::Closing;
    Ok(())
}
