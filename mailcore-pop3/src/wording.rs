//! What replies say: the one place where outcomes become POP3 text.
//!
//! No cause from a store or a directory reaches the peer: those go to the log.

use mailcore::sasl::{NotOffered, SaslError};

use crate::arguments::ArgumentError;
use crate::maildrop::{Maildrop, MessageNumber, NoSuchMessage};
use crate::reply::{Reply, ResponseCode};
use crate::session::{LoginRefusal, ReadFailure};

pub(crate) const LINE_TOO_LONG: &str = "line too long";
pub(crate) const BARE_LF: &str = "lines end in CRLF";
pub(crate) const TOO_MANY_ERRORS: &str = "too many errors, closing";
pub(crate) const NOT_NOW: &str = "not valid in this state";
pub(crate) const TLS_REQUIRED: &str = "start TLS first (STLS)";
pub(crate) const NO_USER: &str = "USER first";
pub(crate) const NO_STLS: &str = "TLS is not available here";
pub(crate) const TLS_ACTIVE: &str = "TLS is active already";
pub(crate) const NOT_BASE64: &str = "not base64";
pub(crate) const CANCELLED: &str = "authentication cancelled";
pub(crate) const NO_LANGUAGE: &str = "no such language; LANG alone tells which there are";
pub(crate) const UNKNOWN_MECHANISM: &str = "unknown mechanism; see CAPA";

/// With a timestamp where APOP may be given (RFC 1939 section 7).
pub(crate) fn greeting(hostname: &str, timestamp: Option<&str>) -> Reply {
    match timestamp {
        Some(timestamp) => Reply::ok(format!("{hostname} POP3 ready {timestamp}")),
        None => Reply::ok(format!("{hostname} POP3 ready")),
    }
}

pub(crate) fn not_offered(error: NotOffered) -> Reply {
    match error {
        NotOffered::NeedsTls => Reply::err(TLS_REQUIRED),
        _ => Reply::err(UNKNOWN_MECHANISM),
    }
}

pub(crate) fn unknown_command() -> Reply {
    Reply::err("unknown command")
}

pub(crate) fn bad_argument(error: ArgumentError) -> Reply {
    Reply::err(error.to_string())
}

pub(crate) fn bad_exchange(error: &SaslError) -> Reply {
    match error {
        SaslError::Authorization => Reply::coded(ResponseCode::Auth, "can't act for another user"),
        SaslError::TooLong => Reply::coded(ResponseCode::Auth, "name or password is too long"),
        _ => Reply::err("not a response of this mechanism"),
    }
}

pub(crate) fn refused(refusal: LoginRefusal) -> Reply {
    match refusal {
        LoginRefusal::Invalid => Reply::coded(ResponseCode::Auth, "user name or password is wrong"),
        LoginRefusal::Disabled => Reply::coded(ResponseCode::Auth, "this account may not log in"),
        LoginRefusal::Throttled => Reply::coded(
            ResponseCode::SysTemp,
            "too many failed logins, wait and try again",
        ),
        LoginRefusal::InUse => Reply::coded(
            ResponseCode::InUse,
            "another session holds the maildrop, try again later",
        ),
        LoginRefusal::TooSoon => Reply::coded(
            ResponseCode::LoginDelay,
            "the last login was too short a time ago; CAPA tells how long to wait",
        ),
        LoginRefusal::NoFolder => Reply::coded(ResponseCode::SysPerm, "there is no such folder"),
        LoginRefusal::Unavailable => {
            Reply::coded(ResponseCode::SysTemp, "the maildrop can't be opened now")
        }
    }
}

pub(crate) fn opened(maildrop: &Maildrop) -> Reply {
    Reply::ok(holds(maildrop))
}

pub(crate) fn holds(maildrop: &Maildrop) -> String {
    let (messages, octets) = (maildrop.messages(), maildrop.octets());
    let plural = if messages == 1 { "" } else { "s" };
    format!("{messages} message{plural} ({octets} octets)")
}

pub(crate) fn no_such(error: NoSuchMessage) -> Reply {
    match error {
        NoSuchMessage::OutOfRange { messages } => {
            Reply::err(format!("no such message, {messages} in maildrop"))
        }
        NoSuchMessage::Deleted => Reply::err("message is deleted"),
    }
}

pub(crate) fn deleted(number: MessageNumber) -> Reply {
    Reply::ok(format!("message {} deleted", number.0))
}

pub(crate) fn unreadable(failure: ReadFailure) -> Reply {
    match failure {
        ReadFailure::Gone => Reply::err("the message was removed by another client"),
        ReadFailure::Damaged => Reply::coded(
            ResponseCode::SysPerm,
            "the message is damaged on the server",
        ),
        ReadFailure::Unavailable => {
            Reply::coded(ResponseCode::SysTemp, "the message can't be read now")
        }
    }
}

pub(crate) fn needs_utf8() -> Reply {
    Reply::coded(
        ResponseCode::Utf8,
        "the message has UTF-8 in its header; give UTF8 before login",
    )
}

pub(crate) fn goodbye(hostname: &str) -> Reply {
    Reply::ok(format!("{hostname} closing"))
}

pub(crate) fn not_removed() -> Reply {
    Reply::coded(ResponseCode::SysTemp, "some deleted messages not removed")
}

pub(crate) fn account_closed() -> Reply {
    Reply::coded(ResponseCode::SysPerm, "the account is closed")
}

pub(crate) fn too_much() -> Reply {
    Reply::coded(
        ResponseCode::SysTemp,
        "too many commands from you lately, try again later",
    )
}

pub(crate) fn going_down() -> Reply {
    Reply::coded(ResponseCode::SysTemp, "the server is going down")
}
