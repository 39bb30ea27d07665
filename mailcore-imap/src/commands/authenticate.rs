//! AUTHENTICATE (RFC 3501 section 6.2.2) with an initial response (RFC 4959).
//! The mechanisms themselves are [`mailcore::sasl`]'s.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailcore::sasl::{self, Exchange, Mechanism};
use mailcore::seams::AuthError;
use mailcore::wire::Line;

use super::login::{Verify, failed, privacy_required};
use super::{Progress, Run, Started};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context};
use crate::types::ResponseCode;
use crate::wording::{self, Status};

/// Octets of one response line.
const MAX_RESPONSE: usize = 12_288;

/// ```text
/// authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")] *(CRLF base64)
/// ```
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let name = cursor.atom()?;
    let initial = if cursor.eat(b' ') {
        Some(initial_response(cursor)?)
    } else {
        None
    };
    cursor.end()?;
    let Some(mechanism) = Mechanism::parse(name) else {
        return Started::done(Status::no(ResponseCode::Cannot, "No such mechanism"));
    };
    if mechanism.is_plaintext() && !cx.takes_passwords() {
        return Started::done(privacy_required());
    }
    let mut exchange = Exchange::new(mechanism);
    let next = exchange.start(initial.as_deref());
    Started::run(Authenticate {
        exchange,
        next: Some(next),
        verify: None,
    })
}

fn initial_response(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, ParseError> {
    if cursor.eat(b'=') {
        return Ok(Vec::new());
    }
    let text = cursor.take_while(|b| b.is_ascii_graphic());
    STANDARD
        .decode(text)
        .map_err(|_| ParseError::Expected("base64"))
}

#[derive(Debug)]
struct Authenticate {
    exchange: Exchange,
    /// What the exchange wants and has not got.
    next: Option<sasl::Progress>,
    verify: Option<Verify>,
}

impl Run for Authenticate {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        loop {
            if let Some(verify) = &mut self.verify {
                return verify.resume(cx, answer);
            }
            match self.next.take() {
                Some(sasl::Progress::Challenge(challenge)) => {
                    cx.out.continuation(&STANDARD.encode(challenge));
                }
                Some(sasl::Progress::Proof(credentials)) => {
                    self.verify = Some(Verify::new(credentials));
                    continue;
                }
                Some(_) => {
                    return Progress::Done(failed(cx, wording::login_failed(&AuthError::Invalid)));
                }
                None => {}
            }
            let line = match cx.input.line(MAX_RESPONSE) {
                Line::Incomplete => return Progress::Read(None),
                Line::Complete(line) if line.as_ref() == b"*" => {
                    return Progress::Done(Status::bad("AUTHENTICATE cancelled").into());
                }
                Line::Complete(line) => line,
                // The rest of the line would be read as commands.
                Line::TooLong => {
                    cx.out.bye(wording::BYE_TOO_LONG);
                    return Progress::Drop;
                }
                Line::BareLf(_) => return Progress::Done(wording::bad_octets().into()),
            };
            match STANDARD.decode(&line) {
                Ok(response) => self.next = Some(self.exchange.step(&response)),
                Err(_) => return Progress::Done(Status::bad("That is not base64").into()),
            }
        }
    }
}
