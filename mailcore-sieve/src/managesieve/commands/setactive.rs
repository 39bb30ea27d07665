//! SETACTIVE (RFC 5804 section 2.8).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::session::{Request, Session};

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let name = arguments.name_or_none()?;
    arguments.end()?;
    session.ask_scripts(Request::Activate(name));
    Ok(())
}
