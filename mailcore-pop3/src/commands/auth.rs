//! AUTH (RFC 5034 section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::sasl::{Exchange, Mechanism, Progress, SaslError};

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Authorization, LoginRefusal, Phase, Session};
use crate::wording;

pub(super) fn capability(session: &Session) -> Option<String> {
    let names: Vec<&str> = session.mechanisms().map(Mechanism::as_str).collect();
    (!names.is_empty()).then(|| format!("SASL {}", names.join(" ")))
}

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    session.abandon_login();
    let text = argument.text()?;
    if text.is_empty() {
        return tell(session);
    }
    let (name, initial) = match text.split_once(' ') {
        Some((name, initial)) => (name, Some(initial)),
        None => (text, None),
    };
    let mut exchange = session.exchange(name)?;
    // A single `=` is a response of no octets.
    let response = match initial {
        Some("=") => Some(Vec::new()),
        Some(encoded) => Some(decode(encoded.as_bytes())?),
        None => None,
    };
    let progress = exchange.start(response.as_deref());
    go_on(session, exchange, progress);
    Ok(())
}

/// AUTH alone asks which mechanisms there are. No RFC has it; Outlook does so
/// in place of CAPA.
fn tell(session: &mut Session) -> Result<(), Refusal> {
    let names: Vec<&str> = session.mechanisms().map(Mechanism::as_str).collect();
    if names.is_empty() {
        session.permit_password()?;
    }
    session.reply(&Reply::ok(""));
    for name in names {
        session.push_line(&name);
    }
    session.push_line(&".");
    Ok(())
}

/// A line of a SASL exchange.
pub(super) fn response(session: &mut Session, line: &[u8]) {
    let before = std::mem::replace(&mut session.phase, Phase::Closing);
    session.authorization(Authorization::Start);
    let Phase::Authorization(Authorization::Exchange(mut exchange)) = before else {
        return;
    };
    if line == b"*" {
        return session.reply(&Reply::err(wording::CANCELLED));
    }
    match decode(line) {
        Ok(response) => {
            let progress = exchange.step(&response);
            go_on(session, exchange, progress);
        }
        Err(reply) => session.refuse(&reply),
    }
}

fn decode(encoded: &[u8]) -> Result<Vec<u8>, Reply> {
    let decoded = STANDARD.decode(encoded);
    decoded.map_err(|_| Reply::err(wording::NOT_BASE64))
}

/// What comes next in an exchange.
pub(crate) fn go_on(session: &mut Session, exchange: Exchange, progress: Progress) {
    match progress {
        Progress::Challenge(text) => {
            session.push_line(&format_args!("+ {}", STANDARD.encode(text)));
            session.authorization(Authorization::Exchange(exchange));
        }
        Progress::Ask(inquiry) => session.ask(Some(exchange), inquiry),
        Progress::Authenticated(identity) => session.open(identity),
        Progress::Failed(SaslError::Refused(error)) => {
            session.login_failed(LoginRefusal::from(&error));
        }
        Progress::Failed(error) => session.refuse(&wording::bad_exchange(&error)),
        _ => session.refuse(&Reply::err(wording::UNKNOWN_MECHANISM)),
    }
}
