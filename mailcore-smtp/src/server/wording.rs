//! Every reply a session gives, in one place, and how refusals of the host
//! become reply codes.
//!
//! When a reply is given is not decided here. Errors of seams never show their
//! sources to the peer.

use std::time::Duration;

use mailcore::address::{Address, Domain};
use mailcore::envelope::Priority;
use mailcore::seams::AuthError;
use mailcore::status::{Status, StatusClass};

use super::config::Kind;
use super::table::Rule;
use crate::command::{CommandError, Verb};
use crate::data::DataFault;
use crate::extension::Extension;
use crate::reply::{Reply, ReplyCode};

fn say(code: ReplyCode, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::new(code, text).enhanced(subject, detail)
}

pub(super) fn greeting(hostname: &Domain, kind: Kind) -> Reply {
    let protocol = if kind == Kind::Lmtp { "LMTP" } else { "ESMTP" };
    Reply::new(ReplyCode::READY, format!("{hostname} {protocol}"))
}

pub(super) fn helo(hostname: &Domain) -> Reply {
    Reply::new(ReplyCode::OK, hostname.to_string())
}

pub(super) fn ehlo(hostname: &Domain, extensions: &[Extension]) -> Reply {
    let lines = extensions
        .iter()
        .map(|extension| extension.to_string().into());
    Reply::from_lines(
        ReplyCode::OK,
        std::iter::once(hostname.to_string().into()).chain(lines),
    )
}

pub(super) fn early_talker() -> Reply {
    say(ReplyCode::FAILED, 5, 0, "You spoke before the greeting")
}

pub(super) fn not_smtp() -> Reply {
    say(ReplyCode::UNAVAILABLE, 7, 0, "This is not a web server")
}

pub(super) fn sender_ok() -> Reply {
    say(ReplyCode::OK, 1, 0, "Sender OK")
}

pub(super) fn recipient_ok() -> Reply {
    say(ReplyCode::OK, 1, 5, "Recipient OK")
}

pub(super) fn send_data() -> Reply {
    Reply::new(ReplyCode::START_INPUT, "End data with <CR><LF>.<CR><LF>")
}

pub(super) fn accepted(text: &str) -> Reply {
    Reply::new(ReplyCode::OK, format!("OK: {text}"))
        .enhanced(0, 0)
        .in_ascii()
}

pub(super) fn chunk_received(octets: u64) -> Reply {
    Reply::new(ReplyCode::OK, format!("{octets} octets received")).enhanced(0, 0)
}

pub(super) fn reset() -> Reply {
    say(ReplyCode::OK, 0, 0, "Reset")
}

pub(super) fn noop() -> Reply {
    say(ReplyCode::OK, 0, 0, "OK")
}

pub(super) fn closing(hostname: &Domain) -> Reply {
    Reply::new(
        ReplyCode::CLOSING,
        format!("{hostname} closing the connection"),
    )
    .enhanced(0, 0)
}

/// The same for every name: who is here is not told (RFC 5321 section 7.3).
pub(super) fn cannot_verify() -> Reply {
    say(
        ReplyCode::CANNOT_VERIFY,
        5,
        0,
        "Cannot VRFY users; send the mail and see",
    )
}

pub(super) fn cannot_expand() -> Reply {
    say(ReplyCode::NOT_IMPLEMENTED, 5, 1, "EXPN is not offered")
}

pub(super) fn addresses(addresses: &[Address]) -> Reply {
    let lines = addresses
        .iter()
        .map(|address| format!("<{address}>").into());
    Reply::from_lines(ReplyCode::OK, lines)
        .enhanced(1, 5)
        .in_ascii()
}

pub(super) fn nothing_waits(node: &str) -> Reply {
    let text = format!("No messages wait for {node}");
    Reply::new(ReplyCode::NOTHING_WAITS, text)
        .enhanced(0, 0)
        .in_ascii()
}

pub(super) fn queue_started(node: &str, count: u64) -> Reply {
    let text = format!("{count} pending messages for {node} started");
    Reply::new(ReplyCode::QUEUE_STARTED, text)
        .enhanced(0, 0)
        .in_ascii()
}

pub(super) fn etrn_denied() -> Reply {
    say(ReplyCode::NODE_DENIED, 7, 1, "Log in to start the queue")
}

/// RFC 1985 has transient codes for both: 459 for a node that is not allowed.
pub(super) fn etrn_refused(status: &Status) -> Reply {
    let code = match status.code.class {
        StatusClass::Permanent => ReplyCode::NODE_DENIED,
        _ => ReplyCode::QUEUE_UNABLE,
    };
    let text = sentence(status.text.clone());
    Reply::new(code, text)
        .enhanced(status.code.subject, status.code.detail)
        .in_ascii()
}

pub(super) fn no_mail(hostname: &Domain) -> Reply {
    Reply::new(ReplyCode::NO_MAIL, format!("{hostname} takes no mail")).enhanced(3, 2)
}

pub(super) fn xclient_denied() -> Reply {
    say(
        ReplyCode::MAILBOX_UNAVAILABLE,
        7,
        0,
        "XCLIENT is not for you",
    )
}

pub(super) fn xclient_login() -> Reply {
    say(ReplyCode::MAILBOX_UNAVAILABLE, 7, 8, "No such login")
}

pub(super) fn requires_tls() -> Reply {
    say(
        ReplyCode::AUTH_REQUIRED,
        7,
        10,
        "REQUIRETLS needs TLS; issue STARTTLS first",
    )
}

pub(super) fn binary_by_bdat() -> Reply {
    say(ReplyCode::BAD_SEQUENCE, 5, 1, "Send binary content by BDAT")
}

/// The number first (RFC 6710 section 4.1).
pub(super) fn priority_granted(priority: Priority) -> Reply {
    let text = format!("{} is the new priority of the message", priority.value());
    Reply::new(ReplyCode::OK, text).enhanced(3, 6)
}

pub(super) fn deadline_too_near(least: Duration) -> Reply {
    let text = format!(
        "Mail is returned after {} seconds at least",
        least.as_secs()
    );
    Reply::new(ReplyCode::FAILED, text).enhanced(4, 7)
}

pub(super) fn held_too_long(most: Duration) -> Reply {
    let text = format!("Messages are held for {} seconds at most", most.as_secs());
    Reply::new(ReplyCode::BAD_ARGUMENTS, text).enhanced(5, 4)
}

/// A fault as the message log words it.
pub(super) fn fault_status(fault: DataFault) -> Status {
    let (subject, detail) = match fault {
        DataFault::TooLarge => (3, 4),
        DataFault::StrayLineEnd | DataFault::Nul => (6, 0),
    };
    Status::permanent(subject, detail, fault.to_string())
}

pub(super) fn usage(verb: Verb) -> Reply {
    Reply::new(ReplyCode::HELP, verb.usage()).enhanced(0, 0)
}

pub(super) fn help(verbs: impl Iterator<Item = Verb>) -> Reply {
    let verbs: Vec<&str> = verbs.map(Verb::as_str).collect();
    Reply::new(ReplyCode::HELP, verbs.join(" ")).enhanced(0, 0)
}

pub(super) fn ready_for_tls() -> Reply {
    say(ReplyCode::READY, 0, 0, "Ready to start TLS")
}

pub(super) fn tls_unavailable() -> Reply {
    say(ReplyCode::NOT_IMPLEMENTED, 5, 1, "STARTTLS is not offered")
}

pub(super) fn tls_already() -> Reply {
    say(ReplyCode::BAD_SEQUENCE, 5, 1, "TLS is already on")
}

pub(super) fn tls_required() -> Reply {
    say(
        ReplyCode::AUTH_REQUIRED,
        7,
        0,
        "Issue a STARTTLS command first",
    )
}

pub(super) fn pipelined_past(verb: Verb) -> Reply {
    let text = format!("Nothing may follow {} before its reply", verb.as_str());
    Reply::new(ReplyCode::FAILED, text).enhanced(5, 0)
}

pub(super) fn auth_required() -> Reply {
    say(ReplyCode::AUTH_REQUIRED, 7, 0, "Authentication required")
}

pub(super) fn auth_not_offered() -> Reply {
    say(ReplyCode::NOT_IMPLEMENTED, 5, 1, "AUTH is not offered")
}

pub(super) fn auth_needs_tls() -> Reply {
    say(
        ReplyCode::ENCRYPTION_REQUIRED,
        7,
        11,
        "Encryption required; issue STARTTLS first",
    )
}

pub(super) fn auth_already() -> Reply {
    say(ReplyCode::BAD_SEQUENCE, 5, 1, "Already authenticated")
}

pub(super) fn auth_mechanism_unknown() -> Reply {
    say(
        ReplyCode::PARAMETER_NOT_IMPLEMENTED,
        5,
        4,
        "Mechanism not supported",
    )
}

pub(super) fn auth_cancelled() -> Reply {
    say(ReplyCode::BAD_ARGUMENTS, 7, 0, "Authentication cancelled")
}

pub(super) fn auth_not_base64() -> Reply {
    say(ReplyCode::BAD_ARGUMENTS, 5, 2, "The response is not base64")
}

pub(super) fn auth_malformed() -> Reply {
    say(
        ReplyCode::BAD_ARGUMENTS,
        5,
        2,
        "The response does not fit the mechanism",
    )
}

pub(super) fn auth_line_too_long() -> Reply {
    say(
        ReplyCode::UNRECOGNISED,
        5,
        6,
        "Authentication exchange line is too long",
    )
}

/// `encoded` is base64.
pub(super) fn challenge(encoded: String) -> Reply {
    Reply::from_lines(ReplyCode::CHALLENGE, [encoded.into()])
}

pub(super) fn authenticated() -> Reply {
    say(ReplyCode::AUTHENTICATED, 7, 0, "Authentication successful")
}

/// Unknown user, wrong proof and disabled account read alike: nothing is told
/// to one who guesses.
pub(super) fn not_authenticated(error: &AuthError) -> Reply {
    match error {
        AuthError::Throttled => say(
            ReplyCode::AUTH_UNAVAILABLE,
            7,
            0,
            "Too many failures; wait and try again",
        ),
        AuthError::Unavailable(_) => say(
            ReplyCode::AUTH_UNAVAILABLE,
            7,
            0,
            "Cannot check credentials now",
        ),
        _ => auth_invalid(),
    }
}

pub(super) fn auth_invalid() -> Reply {
    say(
        ReplyCode::AUTH_FAILED,
        7,
        8,
        "Authentication credentials invalid",
    )
}

/// The proof was right, and policy refuses the login.
pub(super) fn auth_refused(status: &Status) -> Reply {
    Reply::from_status(status, ReplyCode::AUTH_UNAVAILABLE, ReplyCode::AUTH_FAILED).in_ascii()
}

pub(super) fn line_too_long() -> Reply {
    say(ReplyCode::UNRECOGNISED, 5, 2, "Line too long")
}

pub(super) fn bare_lf() -> Reply {
    say(ReplyCode::UNRECOGNISED, 5, 2, "Lines end with CRLF")
}

pub(super) fn timed_out(hostname: &Domain) -> Reply {
    Reply::new(
        ReplyCode::UNAVAILABLE,
        format!("{hostname} waited too long; closing"),
    )
    .enhanced(4, 2)
}

pub(super) fn shutting_down(hostname: &Domain) -> Reply {
    Reply::new(
        ReplyCode::UNAVAILABLE,
        format!("{hostname} is shutting down; try again soon"),
    )
    .enhanced(3, 2)
}

pub(super) fn too_much() -> Reply {
    say(
        ReplyCode::UNAVAILABLE,
        7,
        0,
        "Too many commands from you lately; try again later",
    )
}

pub(super) fn too_many_errors() -> Reply {
    say(ReplyCode::UNAVAILABLE, 7, 0, "Too many errors; closing")
}

pub(super) fn too_many_idle_commands() -> Reply {
    say(
        ReplyCode::UNAVAILABLE,
        7,
        0,
        "Too many commands without a message; closing",
    )
}

pub(super) fn too_many_unknown_recipients() -> Reply {
    say(
        ReplyCode::UNAVAILABLE,
        7,
        0,
        "Too many unknown recipients; closing",
    )
}

pub(super) fn too_many_transactions() -> Reply {
    say(
        ReplyCode::UNAVAILABLE,
        7,
        0,
        "Enough messages for one session; connect again",
    )
}

pub(super) fn too_much_discarded() -> Reply {
    say(
        ReplyCode::UNAVAILABLE,
        7,
        0,
        "Too much refused data; closing",
    )
}

pub(super) fn too_many_recipients() -> Reply {
    say(
        ReplyCode::NO_STORAGE,
        5,
        3,
        "Too many recipients; send the rest in another transaction",
    )
}

pub(super) fn size_over_limit() -> Reply {
    say(
        ReplyCode::EXCEEDED_STORAGE,
        3,
        4,
        "Message size exceeds the limit that SIZE tells",
    )
}

pub(super) fn needs_smtputf8() -> Reply {
    say(
        ReplyCode::NAME_NOT_ALLOWED,
        6,
        7,
        "A non-ASCII address needs SMTPUTF8",
    )
}

pub(super) fn parameter_not_offered(keyword: &'static str) -> Reply {
    Reply::new(
        ReplyCode::UNKNOWN_PARAMETER,
        format!("{keyword} is not offered here"),
    )
    .enhanced(5, 4)
}

pub(super) fn local_error() -> Reply {
    say(ReplyCode::LOCAL_ERROR, 3, 0, "Local error; try again")
}

pub(super) fn data_fault(fault: DataFault) -> Reply {
    match fault {
        DataFault::TooLarge => size_over_limit(),
        DataFault::StrayLineEnd => say(
            ReplyCode::MAILBOX_UNAVAILABLE,
            6,
            0,
            "The message holds a bare CR or LF",
        ),
        DataFault::Nul => say(
            ReplyCode::MAILBOX_UNAVAILABLE,
            6,
            0,
            "The message holds a NUL octet",
        ),
    }
}

pub(super) fn command_error(error: &CommandError) -> Reply {
    let (code, subject, detail) = match error {
        CommandError::UnknownVerb => (ReplyCode::UNRECOGNISED, 5, 2),
        CommandError::NotImplemented => (ReplyCode::NOT_IMPLEMENTED, 5, 1),
        CommandError::Http => return not_smtp(),
        CommandError::NotText | CommandError::Base64 => (ReplyCode::BAD_ARGUMENTS, 5, 2),
        CommandError::ReversePath(_) => (ReplyCode::BAD_ARGUMENTS, 1, 7),
        CommandError::ForwardPath(_) => (ReplyCode::BAD_ARGUMENTS, 1, 3),
        CommandError::UnknownParameter(_) => (ReplyCode::UNKNOWN_PARAMETER, 5, 4),
        CommandError::Usage(_)
        | CommandError::BadParameter(_)
        | CommandError::RepeatedParameter(_) => (ReplyCode::BAD_ARGUMENTS, 5, 4),
    };
    Reply::new(code, sentence(error.to_string())).enhanced(subject, detail)
}

/// The table's refusals; `None` for what is legal.
pub(super) fn rule(rule: Rule, kind: Kind) -> Option<Reply> {
    let hello = if kind == Kind::Lmtp {
        "Send LHLO first"
    } else {
        "Send EHLO first"
    };
    Some(match rule {
        Rule::Legal => return None,
        Rule::GreetFirst => say(ReplyCode::BAD_SEQUENCE, 5, 1, hello),
        Rule::NotNow => say(
            ReplyCode::BAD_SEQUENCE,
            5,
            1,
            "Not within a transaction; finish it or send RSET",
        ),
        Rule::MailFirst => say(ReplyCode::BAD_SEQUENCE, 5, 1, "Send MAIL first"),
        Rule::RcptFirst => say(ReplyCode::BAD_SEQUENCE, 5, 1, "Send RCPT first"),
        Rule::NoRecipients => say(ReplyCode::FAILED, 5, 1, "No valid recipients"),
        Rule::NotImplemented => say(ReplyCode::NOT_IMPLEMENTED, 5, 1, "Command not implemented"),
        Rule::OtherProtocol => say(
            ReplyCode::UNRECOGNISED,
            5,
            1,
            "Not a command of this protocol",
        ),
    })
}

/// A host's refusal at EHLO, MAIL, RCPT, DATA or the message's end.
pub(super) fn refusal(status: &Status) -> Reply {
    let transient = match (status.code.subject, status.code.detail) {
        (2, 2) | (3, 1 | 4) | (5, 3) | (7, 28) => ReplyCode::NO_STORAGE,
        // What clients of servers that greylist are used to.
        (7, 1) => ReplyCode::LOCAL_ERROR,
        // No answer from the recipient's host: nothing is wrong here.
        (1 | 2 | 7, _) | (4, 1) => ReplyCode::MAILBOX_BUSY,
        _ => ReplyCode::LOCAL_ERROR,
    };
    let permanent = match (status.code.subject, status.code.detail) {
        (2, 2) | (3, 1 | 4) | (7, 28) => ReplyCode::EXCEEDED_STORAGE,
        (6, 7) => ReplyCode::NAME_NOT_ALLOWED,
        // As the session words what it finds in content itself.
        (6, 0) => ReplyCode::MAILBOX_UNAVAILABLE,
        (3..=6, _) => ReplyCode::FAILED,
        _ => ReplyCode::MAILBOX_UNAVAILABLE,
    };
    Reply::from_status(status, transient, permanent).in_ascii()
}

/// A host's refusal that ends the session: 421 where trying again may help.
pub(super) fn disconnect(status: &Status) -> Reply {
    Reply::from_status(status, ReplyCode::UNAVAILABLE, ReplyCode::FAILED).in_ascii()
}

/// True for what a harvester of addresses earns: `5.1.x` to RCPT.
pub(super) fn is_unknown_recipient(status: &Status) -> bool {
    status.code.class == StatusClass::Permanent && status.code.subject == 1
}

fn sentence(text: String) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => text,
    }
}
