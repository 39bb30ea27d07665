//! RENAMESCRIPT (RFC 5804 section 2.11).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::session::{Request, Session};

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let (from, to) = (arguments.name()?, arguments.name()?);
    arguments.end()?;
    session.ask_scripts(Request::Rename { from, to });
    Ok(())
}
