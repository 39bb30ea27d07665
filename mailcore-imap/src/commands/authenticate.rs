//! AUTHENTICATE (RFC 3501 section 6.2.2) with an initial response (RFC 4959).
//! The mechanisms themselves are [`mailcore::sasl`]'s.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailcore::sasl::{self, Exchange, Finding, NotOffered, SaslError};
use mailcore::seams::AuthError;
use mailcore::time::Monotonic;
use mailcore::wire::Line;

use super::login::{failed, logged_in, privacy_required};
use super::{Progress, Run, Started};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question};
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
        initial_response(cursor)?
    } else {
        None
    };
    cursor.end()?;
    let mut exchange = match cx.offer.begin(name, cx.surroundings()) {
        Ok(exchange) => exchange,
        Err(NotOffered::NeedsTls) => return Started::done(privacy_required()),
        Err(_) => return Started::done(Status::no(ResponseCode::Cannot, "No such mechanism")),
    };
    let next = exchange.start(initial.as_deref());
    Started::run(Authenticate {
        exchange,
        next: Some(next),
        asked: cx.now,
    })
}

/// An empty response is a `=` (RFC 4959 section 3); mutt writes the space alone
/// before mechanisms in which the server begins, and means none.
fn initial_response(cursor: &mut Cursor<'_>) -> Result<Option<Vec<u8>>, ParseError> {
    if cursor.eat(b'=') {
        return Ok(Some(Vec::new()));
    }
    match cursor.take_while(|b| b.is_ascii_graphic()) {
        [] => Ok(None),
        text => STANDARD
            .decode(text)
            .map(Some)
            .map_err(|_| ParseError::Expected("base64")),
    }
}

#[derive(Debug)]
struct Authenticate {
    exchange: Exchange,
    /// What the exchange wants and has not got.
    next: Option<sasl::Progress>,
    /// When the last response came, which the exchange may ask about.
    asked: Monotonic,
}

impl Run for Authenticate {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        let found = match answer {
            None => None,
            Some(Answer::Credentials(credentials)) => Some(Ok(Finding::Credentials(credentials))),
            Some(Answer::Identity(identity)) => Some(identity.map(Finding::Identity)),
            Some(_) => return Progress::Done(wording::server_bug().into()),
        };
        if let Some(found) = found {
            self.next = Some(self.exchange.answer(found));
        }
        loop {
            match self.next.take() {
                Some(sasl::Progress::Challenge(challenge)) => {
                    cx.out.continuation(&STANDARD.encode(challenge));
                }
                Some(sasl::Progress::Ask(inquiry)) => {
                    return Progress::Ask(Question::Authenticate(inquiry));
                }
                Some(sasl::Progress::Authenticated(identity)) => {
                    return Progress::Done(logged_in(cx, identity));
                }
                Some(sasl::Progress::Failed(SaslError::Refused(error))) => {
                    return Progress::Done(failed(cx, self.asked, wording::login_failed(&error)));
                }
                Some(_) => {
                    return Progress::Done(failed(
                        cx,
                        self.asked,
                        wording::login_failed(&AuthError::Invalid),
                    ));
                }
                None => {}
            }
            let line = match cx.input.line(MAX_RESPONSE) {
                Line::Incomplete => return Progress::Read(None),
                Line::Complete(line) if line.as_ref() == b"*" => {
                    return Progress::Done(Status::bad("AUTHENTICATE cancelled").into());
                }
                Line::Complete(line) => {
                    self.asked = cx.now;
                    line
                }
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
