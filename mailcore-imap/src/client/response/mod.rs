//! What a server says, read: liberal in the forms that servers really use,
//! strict in what it costs.
//!
//! Where a response ends is [`super::framer`]'s to find, before anything is
//! read: what can't be read therefore costs that response, never the place in
//! the stream.

mod code;
mod data;
mod envelope;
pub(super) mod fetch;
mod reader;
mod structure;
#[cfg(test)]
mod tests;
mod untagged;
mod values;
#[cfg(test)]
mod written;

pub use code::{Code, CopyUid, PermanentFlags};
pub use data::{Counters, Data, Found, ListedMailbox, Namespaces, QuotaRoot, Vanished};
pub use fetch::{BodyKey, Encoding, Fetched};
pub use structure::{BodyStructure, SinglePart};

pub(super) use values::MAX_VALUES;

use code::words;
use fetch::FetchResponse;
use reader::Reader;

use super::config::Limits;
use super::name::NameForm;

/// Characters kept of a status response's text.
const MAX_TEXT: usize = 1_000;

/// How responses are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) names: NameForm,
}

/// What a status response says (RFC 9051 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Done, or for information.
    Ok,
    /// Not done; or a warning.
    No,
    /// Not understood.
    Bad,
    /// The connection is logged in already.
    PreAuth,
    /// The server closes.
    Bye,
}

/// A status response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it says.
    pub condition: Condition,
    /// The machine's half.
    pub code: Option<Code>,
    /// The people's half, without control characters; may be empty.
    pub text: String,
}

/// A complete response.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Response {
    /// `+`: go on; the challenge.
    Continue(Vec<u8>),
    /// `* OK` and its like.
    Untagged(Status),
    /// The answer to the command of this tag.
    Tagged(String, Status),
    /// Data.
    Data(Data),
    /// FETCH, with octets.
    Fetch(Box<FetchResponse>),
    /// No response at all.
    Garbage(String),
}

impl Response {
    /// Reads a response, which comes without its last CRLF.
    pub(super) fn parse(octets: &[u8], settings: &Settings) -> Self {
        if let Some(rest) = octets.strip_prefix(b"+") {
            return Self::Continue(rest.trim_ascii().to_vec());
        }
        let mut reader = Reader::new(octets, settings.limits.nesting);
        let first = reader.word();
        if first == b"*" {
            reader.spaces();
            let rest = reader.rest();
            if let Some(status) = status(rest) {
                return Self::Untagged(status);
            }
            return untagged::data(rest, settings);
        }
        reader.spaces();
        match (std::str::from_utf8(first), status(reader.rest())) {
            (Ok(tag), Some(status)) if !tag.is_empty() => Self::Tagged(tag.to_owned(), status),
            _ => {
                let text = String::from_utf8_lossy(octets.get(..100).unwrap_or(octets));
                Self::Garbage(printable(&text))
            }
        }
    }
}

/// True when the response that begins so is a status, whose text may end in
/// what looks like a literal's announcement and is none.
pub(super) fn is_status(octets: &[u8]) -> bool {
    let mut reader = Reader::new(octets, 0);
    if reader.word() != b"*" {
        return true;
    }
    condition(reader.word()).is_some()
}

fn condition(word: &[u8]) -> Option<Condition> {
    // `OK[ALERT]`, the space forgotten, is read, too.
    let word = word.split(|&b| b == b'[').next().unwrap_or_default();
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Condition::Ok,
        b"NO" => Condition::No,
        b"BAD" => Condition::Bad,
        b"PREAUTH" => Condition::PreAuth,
        b"BYE" => Condition::Bye,
        _ => return None,
    })
}

fn status(octets: &[u8]) -> Option<Status> {
    let mut reader = Reader::new(octets, 4);
    let condition = condition(reader.clone().word())?;
    reader.take_while(|b| b.is_ascii_alphabetic());
    reader.spaces();
    let (code, text) = match reader.rest().strip_prefix(b"[") {
        Some(rest) => match rest.split_at_checked(code_end(rest)) {
            Some((code, text)) => (Some(Code::parse(code)), text.get(1..).unwrap_or_default()),
            None => (None, rest),
        },
        None => (None, reader.rest()),
    };
    let text = String::from_utf8_lossy(text);
    Some(Status {
        condition,
        code,
        text: printable(text.trim()),
    })
}

/// Where the bracket closes: outside quotes, if there is such a place.
fn code_end(text: &[u8]) -> usize {
    let mut quoted = false;
    let outside = text.iter().position(|&b| {
        quoted ^= b == b'"';
        b == b']' && !quoted
    });
    let anywhere = || text.iter().position(|&b| b == b']');
    outside.or_else(anywhere).unwrap_or(text.len())
}

/// Text that may stand in a log.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_TEXT).map(shown).collect()
}
