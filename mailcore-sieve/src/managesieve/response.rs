//! Responses: OK, NO and BYE with their codes, and strings as the server sends
//! them (RFC 5804 sections 1.2, 1.3 and 4).
//!
//! What the texts say is in `wording.rs`.

use bytes::BytesMut;

/// Octets between the quotes of a quoted string (RFC 5804 section 4).
const MAX_QUOTED: usize = 1024;

/// Tells a client why, in a form it can act on (RFC 5804 section 1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseCode {
    /// The mechanism needs TLS.
    EncryptNeeded,
    /// There is no room for it, all scripts together.
    Quota,
    /// There are as many scripts as there may be.
    QuotaMaxScripts,
    /// The script is too long.
    QuotaMaxSize,
    /// A failure of ours that will likely pass.
    TryLater,
    /// Not to be done to the active script.
    Active,
    /// There is no such script.
    NonExistent,
    /// There is one of that name.
    AlreadyExists,
    /// The text holds warnings.
    Warnings,
    /// The string that came with NOOP.
    Tag(Vec<u8>),
}

impl ResponseCode {
    fn name(&self) -> &'static str {
        match self {
            Self::EncryptNeeded => "ENCRYPT-NEEDED",
            Self::Quota => "QUOTA",
            Self::QuotaMaxScripts => "QUOTA/MAXSCRIPTS",
            Self::QuotaMaxSize => "QUOTA/MAXSIZE",
            Self::TryLater => "TRYLATER",
            Self::Active => "ACTIVE",
            Self::NonExistent => "NONEXISTENT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::Warnings => "WARNINGS",
            Self::Tag(_) => "TAG",
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It was done.
    Ok,
    /// It was not.
    No,
    /// The server closes the connection.
    Bye,
}

/// The response that ends a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// How it ended.
    pub completion: Completion,
    /// Why, for programs.
    pub code: Option<ResponseCode>,
    /// Why, for people.
    pub text: String,
}

impl Response {
    /// The command was done.
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(Completion::Ok, text)
    }

    /// The command was not done.
    pub fn no(text: impl Into<String>) -> Self {
        Self::new(Completion::No, text)
    }

    /// The connection is being closed.
    pub fn bye(text: impl Into<String>) -> Self {
        Self::new(Completion::Bye, text)
    }

    fn new(completion: Completion, text: impl Into<String>) -> Self {
        Self {
            completion,
            code: None,
            text: text.into(),
        }
    }

    /// The same with a code.
    #[must_use]
    pub fn code(mut self, code: ResponseCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Writes it with its CRLF.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(match self.completion {
            Completion::Ok => b"OK",
            Completion::No => b"NO",
            Completion::Bye => b"BYE",
        });
        if let Some(code) = &self.code {
            out.extend_from_slice(b" (");
            out.extend_from_slice(code.name().as_bytes());
            if let ResponseCode::Tag(tag) = code {
                out.extend_from_slice(b" ");
                write_string(tag, out);
            }
            out.extend_from_slice(b")");
        }
        if !self.text.is_empty() {
            out.extend_from_slice(b" ");
            write_string(self.text.as_bytes(), out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a string: in quotes where nothing in it needs care, else as a literal,
/// which no client reads wrong.
pub(super) fn write_string(text: &[u8], out: &mut BytesMut) {
    let odd = |octet: &u8| octet.is_ascii_control() || matches!(octet, b'"' | b'\\');
    let plain =
        text.len() <= MAX_QUOTED && !text.iter().any(odd) && std::str::from_utf8(text).is_ok();
    if plain {
        out.extend_from_slice(b"\"");
        out.extend_from_slice(text);
        out.extend_from_slice(b"\"");
    } else {
        out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
    }
}
