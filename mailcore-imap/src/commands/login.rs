//! LOGIN (RFC 3501 section 6.2.3), and what every way to log in shares.

use mailcore::account::{Identity, Secret};
use mailcore::sasl::Inquiry;
use mailcore::seams::{AuthRequest, Proof};
use mailcore::time::Monotonic;

use super::{Done, Progress, Run, Started, Then};
use crate::codec::{Cursor, ParseError};
use crate::session::{Answer, Context, Question, State};
use crate::types::ResponseCode;
use crate::wording::{self, Status};

/// `login = "LOGIN" SP userid SP password`
pub(super) fn start(cursor: &mut Cursor<'_>, cx: &mut Context) -> Result<Started, ParseError> {
    cursor.space()?;
    let login = cursor.astring_utf8()?;
    cursor.space()?;
    let password = cursor.astring()?.into_owned();
    cursor.end()?;
    if !cx.takes_passwords() {
        return Started::done(privacy_required());
    }
    let request = AuthRequest {
        login,
        proof: Proof::Password(Secret::new(password)),
        peer: cx.peer.address,
        protocol: "imap",
    };
    Started::run(Login {
        request: Some(request),
        asked: cx.now,
    })
}

/// No password over a connection that others can read.
pub(super) fn privacy_required() -> Status {
    Status::no(ResponseCode::PrivacyRequired, "Use STARTTLS first")
}

/// Has a claim checked.
#[derive(Debug)]
struct Login {
    request: Option<AuthRequest>,
    asked: Monotonic,
}

impl Run for Login {
    fn resume(&mut self, cx: &mut Context, answer: Option<Answer>) -> Progress {
        if let Some(request) = self.request.take() {
            return Progress::Ask(Question::Authenticate(Inquiry::Authenticate(request)));
        }
        Progress::Done(match answer {
            Some(Answer::Identity(Ok(identity))) => logged_in(cx, identity),
            Some(Answer::Identity(Err(error))) => {
                failed(cx, self.asked, wording::login_failed(&error))
            }
            _ => wording::server_bug().into(),
        })
    }
}

/// Somebody is known now.
pub(super) fn logged_in(cx: &mut Context, identity: Identity) -> Done {
    cx.state = State::Authenticated(identity);
    cx.widen_limits();
    let capabilities = ResponseCode::Capability(cx.capabilities());
    Status::ok("Logged in").with(capabilities).into()
}

/// A failed login is counted, and answered the later the more came before. The
/// delay begins when the proof was asked about: a check that takes longer for
/// some users than for others shows nothing of them.
pub(super) fn failed(cx: &mut Context, asked: Monotonic, status: Status) -> Done {
    cx.failed_logins = cx.failed_logins.saturating_add(1);
    let delay = cx
        .config
        .failed_login_delay
        .saturating_mul(cx.failed_logins);
    Done {
        status,
        then: Then::Pause(delay.saturating_sub(cx.now.since(asked))),
    }
}
