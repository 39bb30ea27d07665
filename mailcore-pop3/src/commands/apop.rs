//! APOP (RFC 1939 section 7). The greeting tells that it may be given.

use super::{Refusal, auth};
use crate::arguments::Argument;
use crate::session::Session;
use crate::wording;

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    let Some(apop) = &session.apop else {
        return Err(wording::unknown_command().into());
    };
    // Who listens can try passwords against the digest (RFC 8314 section 3).
    session.permit_password()?;
    let (login, digest) = argument.pair()?;
    let (exchange, progress) = apop.begin(login, digest, session.surroundings());
    session.abandon_login();
    auth::go_on(session, exchange, progress);
    Ok(())
}
