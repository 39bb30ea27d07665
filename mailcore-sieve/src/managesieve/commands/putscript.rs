//! PUTSCRIPT (RFC 5804 section 2.6).

use super::Refusal;
use super::checkscript::held;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::session::{Request, Session};

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let (name, script) = (arguments.name()?, arguments.script()?);
    arguments.end()?;
    let text = held(session, script)?;
    session.ask_scripts(Request::Put { name, text });
    Ok(())
}
