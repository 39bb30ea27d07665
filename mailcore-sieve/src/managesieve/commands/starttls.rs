//! STARTTLS (RFC 5804 section 2.2).

use super::Refusal;
use crate::managesieve::arguments::Arguments;
use crate::managesieve::response::Response;
use crate::managesieve::session::{Phase, Session, Transport};
use crate::managesieve::wording;

pub(super) fn start(session: &mut Session, arguments: Arguments) -> Result<(), Refusal> {
    arguments.end()?;
    match session.transport {
        Transport::Plain => Err(Refusal::Mistake(Response::no(wording::NO_STARTTLS))),
        Transport::Tls => Err(Refusal::Mistake(Response::no(wording::TLS_ACTIVE))),
        Transport::Starttls => {
            // Whatever was pipelined behind STARTTLS came in clear: it is never
            // run.
            session.input.clear();
            session.respond(&Response::ok("begin TLS"));
            session.phase = Phase::StartTls;
            Ok(())
        }
    }
}
