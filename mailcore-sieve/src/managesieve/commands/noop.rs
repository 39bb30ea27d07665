//! NOOP (RFC 5804 section 2.13).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::response::{Response, ResponseCode};
use crate::managesieve::session::Session;

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let tag = arguments.tag()?;
    arguments.end()?;
    let done = Response::ok("done");
    session.respond(&match tag {
        Some(tag) => done.code(ResponseCode::Tag(tag)),
        None => done,
    });
    Ok(())
}
