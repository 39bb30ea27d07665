//! What responses say: the one place where outcomes become ManageSieve text.
//!
//! No cause from a store or a directory reaches the peer: those go to the log. Texts
//! beside a code hold no parentheses: Python's `managesieve` takes all up to the last one
//! for the code.

use mailcore::sasl::{NotOffered, SaslError};
use mailcore::seams::AuthError;

use super::response::{Response, ResponseCode};
use super::session::Failure;

pub(super) const NOT_BASE64: &str = "not base64";
pub(super) const CANCELLED: &str = "authentication cancelled";
pub(super) const NO_STARTTLS: &str = "TLS is not available here";
pub(super) const TLS_ACTIVE: &str = "TLS is active already";
pub(super) const LOGIN_FIRST: &str = "log in first with AUTHENTICATE";
pub(super) const LOGGED_IN: &str = "you are logged in already";
pub(super) const NO_COMMAND: &str = "a command is missing";
pub(super) const UNKNOWN_COMMAND: &str = "unknown command";
pub(super) const EMPTY_SCRIPT: &str = "a script can't be empty; use SETACTIVE \"\" for none";

pub(super) fn not_offered(error: NotOffered) -> Response {
    match error {
        NotOffered::NeedsTls => {
            Response::no("start TLS first with STARTTLS").code(ResponseCode::EncryptNeeded)
        }
        _ => Response::no("this mechanism is not offered; see CAPABILITY"),
    }
}

pub(super) fn bad_exchange(error: &SaslError) -> Response {
    Response::no(match error {
        SaslError::Authorization => "can't act for another user",
        SaslError::TooLong => "name or password is too long",
        _ => "not a response of this mechanism",
    })
}

pub(super) fn refused(error: &AuthError) -> Response {
    match error {
        AuthError::Invalid => Response::no("user name or password is wrong"),
        AuthError::Disabled => Response::no("this account may not log in"),
        AuthError::Throttled => {
            Response::no("too many failed logins, wait and try again").code(ResponseCode::TryLater)
        }
        _ => Response::no("your login can't be checked now").code(ResponseCode::TryLater),
    }
}

pub(super) fn too_many_failures() -> Response {
    Response::bye("too many failed logins")
}

pub(super) fn too_many_errors() -> Response {
    Response::bye("too many errors")
}

pub(super) fn idle() -> Response {
    Response::bye("nothing came for too long")
}

pub(super) fn too_much() -> Response {
    Response::bye("too many commands from you lately, try again later").code(ResponseCode::TryLater)
}

pub(super) fn going_down() -> Response {
    Response::bye("the server is going down").code(ResponseCode::TryLater)
}

pub(super) fn too_large(limit: usize) -> Response {
    Response::no(format!("a script may have {limit} octets")).code(ResponseCode::QuotaMaxSize)
}

pub(super) fn warnings(warnings: &[String]) -> Response {
    Response::ok(warnings.join("\r\n")).code(ResponseCode::Warnings)
}

pub(super) fn failed(failure: Failure) -> Response {
    let (text, code) = match failure {
        Failure::NotFound => ("there is no script of that name", ResponseCode::NonExistent),
        Failure::Exists => (
            "there is a script of that name",
            ResponseCode::AlreadyExists,
        ),
        Failure::Active => (
            "the script is active; make another one active first",
            ResponseCode::Active,
        ),
        Failure::TooMany => (
            "you have as many scripts as you may have; delete one first",
            ResponseCode::QuotaMaxScripts,
        ),
        Failure::TooLarge => ("the script is too long", ResponseCode::QuotaMaxSize),
        Failure::Full => (
            "your scripts are too long all together; delete one first",
            ResponseCode::Quota,
        ),
        Failure::Unavailable => ("the scripts can't be reached now", ResponseCode::TryLater),
        Failure::ReadOnly => return Response::no("scripts can't be changed here"),
        Failure::Wrong(text) => return Response::no(text),
    };
    Response::no(text).code(code)
}
