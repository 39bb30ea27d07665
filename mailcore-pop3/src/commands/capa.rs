//! CAPA (RFC 2449 section 5).

use super::{Refusal, announced};
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Expire, Session};

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    argument.none()?;
    session.reply(&Reply::ok("capabilities follow"));
    let lines: Vec<String> = announced(session).chain(general(session)).collect();
    for line in lines {
        session.push_line(&line);
    }
    session.push_line(&".");
    Ok(())
}

/// What belongs to no command.
fn general(session: &Session) -> impl Iterator<Item = String> + use<> {
    let config = &session.config;
    let expire = match config.expire {
        Expire::Never => "EXPIRE NEVER".to_owned(),
        Expire::Days(days) => format!("EXPIRE {days}"),
    };
    // Whole seconds, and none that the client would wait too few of.
    let delay = config.login_delay.as_millis().div_ceil(1000);
    let login_delay = (delay > 0).then(|| format!("LOGIN-DELAY {delay}"));
    ["RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
        .map(str::to_owned)
        .into_iter()
        .chain([expire])
        .chain(login_delay)
        .chain(["IMPLEMENTATION mailcore".to_owned()])
}
