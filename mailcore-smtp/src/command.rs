//! SMTP commands as typed values: [`Command`], its parameters, and the errors
//! that a line can hold, each typed by what is to blame for it.
//!
//! Line ends, line lengths and the order of commands are not checked here: the
//! first two belong to the session's line reader, the last to its state table.

mod encode;
mod parse;
#[cfg(test)]
mod tests;
pub(crate) mod times;
pub(crate) mod xclient;
mod xtext;

use mailcore::account::Secret;
use mailcore::address::{AddressError, Domain, ForwardPath, ReversePath};
use mailcore::envelope::{MailParams, Notify, OriginalRecipient};
use thiserror::Error;

pub use times::{By, Hold};
pub use xclient::{Told, Xclient};

/// Octets allowed in an `ENVID=` value (RFC 3461 section 4.4).
pub const MAX_ENVID: usize = 100;
/// Octets allowed in an `ORCPT=` parameter (RFC 3461 section 4.2).
pub const MAX_ORCPT: usize = 500;

/// One command line.
///
/// `command = verb [SP arguments] CRLF` (RFC 5321 section 4.1.1). Verbs and
/// parameter keywords are read without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `HELO SP Domain`.
    Helo(Domain),
    /// `EHLO SP ( Domain / address-literal )`.
    Ehlo(Domain),
    /// `LHLO SP ( Domain / address-literal )` (RFC 2033 section 4.1).
    Lhlo(Domain),
    /// `MAIL FROM:` Reverse-path [SP Mail-parameters].
    Mail(Mail),
    /// `RCPT TO:` Forward-path [SP Rcpt-parameters].
    Rcpt(Rcpt),
    /// `DATA`.
    Data,
    /// `BDAT SP chunk-size [SP LAST]` (RFC 3030 section 2).
    Bdat {
        /// Octets that follow the command's CRLF.
        size: u64,
        /// Whether this chunk ends the message.
        last: bool,
    },
    /// `RSET`.
    Rset,
    /// `NOOP [SP String]`; the argument means nothing and is dropped.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY SP String`.
    Vrfy(String),
    /// `EXPN SP String`.
    Expn(String),
    /// `HELP [SP String]`.
    Help(Option<String>),
    /// `STARTTLS` (RFC 3207 section 4).
    StartTls,
    /// `AUTH SP mechanism [SP initial-response]` (RFC 4954 section 4).
    Auth(Auth),
    /// `ETRN SP node` (RFC 1985 section 5).
    Etrn(String),
    /// `XCLIENT 1*( SP name=value )`, from proxies alone.
    Xclient(Xclient),
}

/// The arguments of MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// Where failure notices go.
    pub reverse_path: ReversePath,
    /// Parameters that stay with the message.
    pub params: MailParams,
    /// `AUTH=`: who submitted the message first, as the client claims; `<>`
    /// when it does not know (RFC 4954 section 5).
    pub submitter: Option<ReversePath>,
    /// `HOLDFOR=` or `HOLDUNTIL=`.
    pub hold: Option<Hold>,
    /// `BY=`.
    pub by: Option<By>,
}

impl Mail {
    /// MAIL without parameters.
    pub fn new(reverse_path: ReversePath) -> Self {
        Self {
            reverse_path,
            params: MailParams::default(),
            submitter: None,
            hold: None,
            by: None,
        }
    }
}

/// The arguments of RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rcpt {
    /// For whom.
    pub forward_path: ForwardPath,
    /// `NOTIFY=` (RFC 3461 section 4.1).
    pub notify: Notify,
    /// `ORCPT=` (RFC 3461 section 4.2).
    pub original: Option<OriginalRecipient>,
}

impl Rcpt {
    /// RCPT without parameters.
    pub fn new(forward_path: ForwardPath) -> Self {
        Self {
            forward_path,
            notify: Notify::default(),
            original: None,
        }
    }
}

/// The arguments of AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Auth {
    /// The SASL mechanism's name in upper case.
    pub mechanism: String,
    /// The client's first answer, out of its base64; `=` on the wire is an
    /// empty answer, which differs from none.
    pub initial_response: Option<Secret>,
}

impl Command {
    /// The command's verb.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Helo(_) => Verb::Helo,
            Self::Ehlo(_) => Verb::Ehlo,
            Self::Lhlo(_) => Verb::Lhlo,
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat { .. } => Verb::Bdat,
            Self::Rset => Verb::Rset,
            Self::Noop => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help(_) => Verb::Help,
            Self::StartTls => Verb::StartTls,
            Self::Auth(_) => Verb::Auth,
            Self::Etrn(_) => Verb::Etrn,
            Self::Xclient(_) => Verb::Xclient,
        }
    }
}

/// The first word of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each is the verb of the Command variant of its name"
)]
pub enum Verb {
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    Etrn,
    Xclient,
}

impl Verb {
    /// Every verb, in the order in which a session meets them.
    pub const ALL: [Self; 17] = [
        Self::Helo,
        Self::Ehlo,
        Self::Lhlo,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Bdat,
        Self::Rset,
        Self::Noop,
        Self::Quit,
        Self::Vrfy,
        Self::Expn,
        Self::Help,
        Self::Etrn,
        Self::Xclient,
    ];

    /// How the command is written.
    pub fn usage(self) -> &'static str {
        match self {
            Self::Helo => "HELO domain",
            Self::Ehlo => "EHLO domain",
            Self::Lhlo => "LHLO domain",
            Self::Mail => "MAIL FROM:<address> [parameters]",
            Self::Rcpt => "RCPT TO:<address> [parameters]",
            Self::Data => "DATA, without arguments",
            Self::Bdat => "BDAT size [LAST]",
            Self::Rset => "RSET, without arguments",
            Self::Noop => "NOOP [string]",
            Self::Quit => "QUIT, without arguments",
            Self::Vrfy => "VRFY string",
            Self::Expn => "EXPN string",
            Self::Help => "HELP [command]",
            Self::StartTls => "STARTTLS, without arguments",
            Self::Auth => "AUTH mechanism [initial-response]",
            Self::Etrn => "ETRN domain",
            Self::Xclient => "XCLIENT name=value [name=value]",
        }
    }

    /// The verb as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helo => "HELO",
            Self::Ehlo => "EHLO",
            Self::Lhlo => "LHLO",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Bdat => "BDAT",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Vrfy => "VRFY",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Etrn => "ETRN",
            Self::Xclient => "XCLIENT",
        }
    }
}

/// Why a line is not a command, typed by what is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The verb is none that SMTP knows.
    #[error("the command is not known; HELP lists those that are")]
    UnknownVerb,
    /// A verb of an old or foreign SMTP extension that is not implemented.
    #[error("the command is not implemented")]
    NotImplemented,
    /// The line is HTTP: a browser was led here to speak for its user.
    #[error("this is SMTP; close the connection")]
    Http,
    /// The line holds a control character or is not UTF-8.
    #[error(
        "the line holds octets that no command may hold; send UTF-8 text without control characters"
    )]
    NotText,
    /// The arguments do not fit the verb; the text shows how they should look.
    #[error("write it as: {0}")]
    Usage(&'static str),
    /// MAIL's path is not a reverse-path.
    #[error("the sender is not valid: {0}")]
    ReversePath(AddressError),
    /// RCPT's path is not a forward-path.
    #[error("the recipient is not valid: {0}")]
    ForwardPath(AddressError),
    /// A parameter that neither MAIL nor RCPT knows; the keyword is text from
    /// the peer.
    #[error("the parameter {0} is not known; leave it out")]
    UnknownParameter(String),
    /// A known parameter whose value breaks its grammar.
    #[error("the parameter {0} has no valid value")]
    BadParameter(&'static str),
    /// A parameter given twice.
    #[error("the parameter {0} is given twice; give it once")]
    RepeatedParameter(&'static str),
    /// AUTH's initial response is not base64.
    #[error("the initial response is not base64 (RFC 4648 section 4)")]
    Base64,
}
