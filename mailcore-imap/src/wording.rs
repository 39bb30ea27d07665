//! Every text a client reads, and how a failure of a seam is told.
//!
//! Sources of errors go to the log, never to the client.

use std::borrow::Cow;

use mailcore::seams::{AuthError, StoreError};

use crate::codec::ParseError;
use crate::types::{MetadataCode, ResponseCode};

/// `"OK" / "NO" / "BAD"`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Done.
    Ok,
    /// Not done, though rightly asked.
    No,
    /// Not a command, or not one for now.
    Bad,
}

impl Condition {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }
}

/// `resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Done or not.
    pub condition: Condition,
    /// For the client.
    pub code: Option<ResponseCode>,
    /// For the person.
    pub text: Cow<'static, str>,
}

impl Status {
    /// OK.
    pub fn ok(text: &'static str) -> Self {
        Self {
            condition: Condition::Ok,
            code: None,
            text: text.into(),
        }
    }

    /// NO with a code.
    pub fn no(code: ResponseCode, text: &'static str) -> Self {
        Self {
            condition: Condition::No,
            code: Some(code),
            text: text.into(),
        }
    }

    /// BAD.
    pub fn bad(text: &'static str) -> Self {
        Self {
            condition: Condition::Bad,
            code: None,
            text: text.into(),
        }
    }

    /// The same with `code`.
    #[must_use]
    pub fn with(mut self, code: ResponseCode) -> Self {
        self.code = Some(code);
        self
    }
}

/// The greeting's text, with the host's name after it.
pub const GREETING: &str = "IMAP server ready";
/// LOGOUT.
pub const BYE_LOGOUT: &str = "Logging out";
/// The server goes down.
pub const BYE_SHUTDOWN: &str = "Server shutting down; try again later";
/// Nothing came for too long.
pub const BYE_IDLE: &str = "Autologout; idle for too long";
/// No login in time.
pub const BYE_LOGIN_TIMEOUT: &str = "No login in time";
/// Over a limit that holds for all sessions of a peer together.
pub const BYE_TOO_MUCH: &str = "Too many commands from you lately; try again later";
/// Over the limit of errors.
pub const BYE_ERRORS: &str = "Too many errors";
/// Over the limit of failed logins.
pub const BYE_FAILURES: &str = "Too many failed logins";
/// A line or literal that can't be skipped.
pub const BYE_TOO_LONG: &str = "Line or literal over the limit";
/// The selected mailbox was deleted by another session.
pub const MAILBOX_GONE: &str = "The selected mailbox was deleted";
/// A command that leaves messages alone.
pub const MESSAGE_LIMIT: &str = "More messages than one command works on";
/// A continuation request's text.
pub const CONTINUE: &str = "OK";
/// IDLE's continuation request.
pub const IDLING: &str = "Idling; send DONE to end";
/// A command takes long.
pub const IN_PROGRESS: &str = "Still at it";
/// What follows is compressed.
pub const COMPRESS: &str = "DEFLATE active";
/// What the client sends is not DEFLATE.
pub const BYE_NOT_DEFLATE: &str = "What you send is not DEFLATE";
/// Compressed octets become too many.
pub const BYE_BOMB: &str = "What you send becomes too much; send it uncompressed";
/// Begin TLS.
pub const STARTTLS: &str = "Begin TLS negotiation now";

/// A command that could not be read.
pub fn unreadable(error: ParseError) -> Status {
    match error {
        ParseError::MailboxName => {
            Status::no(ResponseCode::Cannot, "That is not a possible mailbox name")
        }
        ParseError::BadCharset => {
            Status::no(ResponseCode::BadCharset, "Search in US-ASCII or UTF-8")
        }
        error => Status {
            condition: Condition::Bad,
            code: None,
            text: format!("Syntax error: {error}").into(),
        },
    }
}

/// A line that is no command at all.
pub fn bad_octets() -> Status {
    Status::bad("A command ends in CRLF and holds no NUL")
}

/// A line over the limit.
pub fn line_too_long() -> Status {
    Status::bad("Line too long").with(ResponseCode::TooBig)
}

/// A literal over the limit.
pub fn literal_too_big() -> Status {
    Status::no(ResponseCode::TooBig, "Literal too big")
}

/// A literal that LITERAL- does not let come without leave (RFC 7888 section 5).
pub fn literal_unasked() -> Status {
    Status::bad("A literal over 4096 octets waits for the server's leave")
        .with(ResponseCode::TooBig)
}

/// No such command.
pub fn unknown_command() -> Status {
    Status::bad("Unknown command")
}

/// What needs ENABLE first (RFC 7162 section 3.2.3).
pub fn not_enabled() -> Status {
    Status::bad("Enable the extension first")
}

/// ModSeqs of a mailbox that has none (RFC 7162 section 3.1.2.2).
pub fn no_modseq() -> Status {
    Status::bad("This mailbox keeps no mod-sequences")
}

/// A command in the wrong state.
pub fn wrong_state() -> Status {
    Status::bad("Command not allowed in this state")
}

/// A command by message number after UIDONLY (RFC 9586 section 3).
pub fn uid_required() -> Status {
    Status::bad("Messages have no numbers after ENABLE UIDONLY; use the UID command")
        .with(ResponseCode::UidRequired)
}

/// A sequence number beyond the mailbox.
pub fn no_such_message() -> Status {
    Status::bad("No message has that sequence number")
}

/// The mailbox was opened by EXAMINE.
pub fn read_only() -> Status {
    Status::no(ResponseCode::NoPerm, "Mailbox is open read-only")
}

/// A question got an answer that is none to it. Never happens with this
/// crate's server; a host's own runner could do it.
pub fn server_bug() -> Status {
    Status::no(ResponseCode::ServerBug, "Internal error")
}

/// A login that failed. Unknown user and wrong password read alike.
pub fn login_failed(error: &AuthError) -> Status {
    match error {
        AuthError::Disabled => Status::no(
            ResponseCode::AuthorizationFailed,
            "This account may not log in",
        ),
        AuthError::Throttled => Status::no(
            ResponseCode::Limit,
            "Too many failed logins; wait and try again",
        ),
        AuthError::Unavailable(_) => Status::no(
            ResponseCode::Unavailable,
            "Logins can't be checked now; try again later",
        ),
        _ => Status::no(
            ResponseCode::AuthenticationFailed,
            "User name or password is wrong",
        ),
    }
}

/// A value over the limit (RFC 5464 section 4.3).
pub fn annotation_too_big(limit: usize) -> Status {
    Status::no(
        ResponseCode::Metadata(MetadataCode::MaxSize(limit)),
        "Value too big",
    )
}

/// One annotation more than there may be (RFC 5464 section 4.3).
pub fn too_many_annotations() -> Status {
    Status::no(
        ResponseCode::Metadata(MetadataCode::TooMany),
        "As many annotations as there may be; remove one first",
    )
}

/// An annotation of the server that no client sets.
pub fn annotation_is_the_hosts() -> Status {
    Status::no(
        ResponseCode::NoPerm,
        "Shared annotations of the server are set by its administrator",
    )
}

/// A store that did not do what was asked (RFC 5530 codes).
pub fn store_failed(error: &StoreError) -> Status {
    match error {
        StoreError::NoSuchMailbox | StoreError::NoSuchAccount => {
            Status::no(ResponseCode::Nonexistent, "No such mailbox")
        }
        StoreError::MailboxExists => {
            Status::no(ResponseCode::AlreadyExists, "A mailbox of that name exists")
        }
        StoreError::MailboxProtected(_) => {
            Status::no(ResponseCode::Cannot, "This mailbox can't be changed so")
        }
        StoreError::NotFound => Status::no(ResponseCode::ExpungeIssued, "The message is gone"),
        StoreError::OverQuota => Status::no(ResponseCode::OverQuota, "Over quota"),
        StoreError::TooLarge { .. } => Status::no(ResponseCode::TooBig, "Message too big"),
        StoreError::Limit(_) => {
            Status::no(ResponseCode::Limit, "A limit of this server is reached")
        }
        StoreError::Unsupported(_) => {
            Status::no(ResponseCode::Cannot, "Not supported by this store")
        }
        StoreError::DiskFull => Status::no(
            ResponseCode::Unavailable,
            "There is no room for more mail on the server; try again later",
        ),
        StoreError::ReadOnly(_) => Status::no(
            ResponseCode::Unavailable,
            "The store takes no changes now; try again later",
        ),
        StoreError::Damaged(_) => Status::no(
            ResponseCode::ServerBug,
            "The stored data is damaged; see the server's log",
        ),
        _ => Status::no(
            ResponseCode::Unavailable,
            "The store is not available; try again later",
        ),
    }
}

/// As [`store_failed`], for a command whose target the client may make
/// (RFC 3501 section 6.4.7).
pub fn target_failed(error: &StoreError) -> Status {
    match error {
        StoreError::NoSuchMailbox => {
            Status::no(ResponseCode::TryCreate, "No such mailbox; create it first")
        }
        error => store_failed(error),
    }
}
