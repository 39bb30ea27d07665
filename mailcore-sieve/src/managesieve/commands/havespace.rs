//! HAVESPACE (RFC 5804 section 2.5).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::session::{Request, Session};
use crate::managesieve::wording;

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let (name, size) = (arguments.name()?, u64::from(arguments.number()?));
    arguments.end()?;
    let limit = session.config.max_script;
    if size > limit as u64 {
        return Err(Refusal::Limit(wording::too_large(limit)));
    }
    session.ask_scripts(Request::Space { name, size });
    Ok(())
}
