//! CAPABILITY (RFC 5804 sections 1.7 and 2.4).

use mailcore::sasl::Mechanism;

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::response::Response;
use crate::managesieve::session::{Phase, Session, Transport};

/// The extension whose schemes are told.
const ENOTIFY: &str = "enotify";

pub(super) fn start(session: &mut Session, arguments: Arguments) -> Result<(), Refusal> {
    arguments.end()?;
    tell(session);
    session.respond(&Response::ok("all told"));
    Ok(())
}

/// Writes the capabilities, a line each.
pub(in crate::managesieve) fn tell(session: &mut Session) {
    let config = std::sync::Arc::clone(&session.config);
    let mechanisms: Vec<&str> = session.mechanisms().map(Mechanism::as_str).collect();
    pair(session, "IMPLEMENTATION", "mailcore");
    pair(session, "SASL", &mechanisms.join(" "));
    pair(session, "SIEVE", &config.extensions.join(" "));
    let owner = match &session.phase {
        Phase::Authenticated(identity) => Some(identity.login.clone()),
        _ => None,
    };
    match &owner {
        Some(owner) => pair(session, "OWNER", owner),
        None if session.transport == Transport::Starttls => alone(session, "STARTTLS"),
        None => {}
    }
    if config.extensions.iter().any(|it| it == ENOTIFY) {
        pair(session, "NOTIFY", "mailto");
    }
    if let Some(redirects) = config.max_redirects {
        pair(session, "MAXREDIRECTS", &redirects.to_string());
    }
    pair(session, "LANGUAGE", "en");
    alone(session, "UNAUTHENTICATE");
    pair(session, "VERSION", "1.0");
}

fn alone(session: &mut Session, name: &str) {
    session.push_strings([name.as_bytes()]);
    session.push(b"\r\n");
}

fn pair(session: &mut Session, name: &str, value: &str) {
    session.push_strings([name.as_bytes(), value.as_bytes()]);
    session.push(b"\r\n");
}
