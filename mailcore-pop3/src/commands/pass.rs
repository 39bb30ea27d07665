//! PASS (RFC 1939 section 7): valid immediately after USER only.

use mailcore::account::Secret;
use mailcore::sasl::Inquiry;
use mailcore::seams::{AuthRequest, Proof};

use super::Refusal;
use crate::arguments::Argument;
use crate::reply::Reply;
use crate::session::{Authorization, Phase, Session};
use crate::wording;

pub(super) fn start(session: &mut Session, argument: Argument<'_>) -> Result<(), Refusal> {
    session.permit_password()?;
    let password = Secret::new(argument.octets()?);
    let Phase::Authorization(Authorization::Named(login)) = &mut session.phase else {
        return Err(Reply::err(wording::NO_USER).into());
    };
    let login = std::mem::take(login);
    let on = session.surroundings();
    let request = AuthRequest {
        login,
        proof: Proof::Password(password),
        peer: on.peer,
        protocol: on.protocol,
    };
    session.ask(None, Inquiry::Authenticate(request));
    Ok(())
}
