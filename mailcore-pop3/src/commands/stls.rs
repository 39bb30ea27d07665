//! STLS (RFC 2595 section 4).

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Phase, Session, Transport};
use crate::wording;

/// Told where it is permitted only: before login, in clear.
pub(super) fn capability(session: &Session) -> Option<String> {
    let before_login = matches!(session.phase, Phase::Authorization(_));
    (before_login && session.transport == Transport::Starttls).then(|| "STLS".to_owned())
}

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    argument.none()?;
    match session.transport {
        Transport::Plain => Err(Reply::err(wording::NO_STLS).into()),
        Transport::Tls => Err(Reply::err(wording::TLS_ACTIVE).into()),
        Transport::Starttls => {
            // Whatever was pipelined behind STLS came in clear: it is never
            // run.
            session.input.clear();
            session.reply(&Reply::ok("begin TLS"));
            session.phase = Phase::StartTls;
            Ok(())
        }
    }
}
