//! LISTSCRIPTS (RFC 5804 section 2.7).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::session::{Request, Session};

pub(super) fn start(session: &mut Session, arguments: Arguments) -> Result<(), Refusal> {
    arguments.end()?;
    session.ask_scripts(Request::List);
    Ok(())
}
