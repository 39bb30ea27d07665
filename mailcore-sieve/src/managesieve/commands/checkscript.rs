//! CHECKSCRIPT (RFC 5804 section 2.12).

use super::Refusal;
use crate::managesieve::arguments::{Arguments, Script};
use crate::managesieve::response::Response;
use crate::managesieve::session::{Request, Session};
use crate::managesieve::wording;

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let script = arguments.script()?;
    arguments.end()?;
    let text = held(session, script)?;
    session.ask_scripts(Request::Check(text));
    Ok(())
}

/// The script's text, where it has one that is not too long.
pub(super) fn held(session: &Session, script: Script) -> Result<Vec<u8>, Refusal> {
    let limit = session.config.max_script;
    match script {
        Script::Text(text) if text.is_empty() => {
            Err(Refusal::Limit(Response::no(wording::EMPTY_SCRIPT)))
        }
        Script::Text(text) if text.len() <= limit => Ok(text),
        _ => Err(Refusal::Limit(wording::too_large(limit))),
    }
}
