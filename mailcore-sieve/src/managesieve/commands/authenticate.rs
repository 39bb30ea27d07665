//! AUTHENTICATE (RFC 5804 section 2.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::sasl::{Exchange, Progress, SaslError};

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::response::Response;
use crate::managesieve::session::{Login, Phase, Session};
use crate::managesieve::tokens::Item;
use crate::managesieve::wording;

pub(super) fn start(session: &mut Session, mut arguments: Arguments) -> Result<(), Refusal> {
    let name = arguments.string()?;
    let initial = arguments.string_if_given()?;
    arguments.end()?;
    let name = String::from_utf8_lossy(&name);
    let mut exchange = session.exchange(&name).map_err(Refusal::Mistake)?;
    let response = initial.map(|encoded| decode(&encoded)).transpose();
    let progress = exchange.start(response.map_err(Refusal::Mistake)?.as_deref());
    go_on(session, exchange, progress);
    Ok(())
}

/// A line of an exchange: one string.
pub(super) fn response(session: &mut Session, items: &[Item]) {
    let before = std::mem::replace(&mut session.phase, Phase::NotAuthenticated(Login::None));
    let Phase::NotAuthenticated(Login::Exchange(mut exchange)) = before else {
        return;
    };
    let [Item::Text(text)] = items else {
        return session.refuse(&Response::no(wording::NOT_BASE64));
    };
    if text == b"*" {
        return session.respond(&Response::no(wording::CANCELLED));
    }
    match decode(text) {
        Ok(response) => {
            let progress = exchange.step(&response);
            go_on(session, exchange, progress);
        }
        Err(response) => session.refuse(&response),
    }
}

fn decode(encoded: &[u8]) -> Result<Vec<u8>, Response> {
    let decoded = STANDARD.decode(encoded);
    decoded.map_err(|_| Response::no(wording::NOT_BASE64))
}

/// What comes next in an exchange.
pub(in crate::managesieve) fn go_on(session: &mut Session, exchange: Exchange, progress: Progress) {
    match progress {
        Progress::Challenge(text) => {
            session.push_strings([STANDARD.encode(text).as_bytes()]);
            session.push(b"\r\n");
            session.phase = Phase::NotAuthenticated(Login::Exchange(exchange));
        }
        Progress::Ask(inquiry) => session.ask(exchange, inquiry),
        Progress::Authenticated(identity) => session.log_in(identity),
        Progress::Failed(SaslError::Refused(error)) => session.login_failed(&error),
        Progress::Failed(error) => session.refuse(&wording::bad_exchange(&error)),
        _ => session.refuse(&Response::no(wording::CANCELLED)),
    }
}
