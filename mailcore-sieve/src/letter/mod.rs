//! Mail that comes of scripts: answers, notices and refusals, as complete
//! messages (RFC 5322) for [`intake`] to send.
//!
//! Whether a letter is sent, and how often, is for who asks for it. Each says
//! that no person wrote it (Auto-Submitted, RFC 3834 section 5) and names a
//! reverse path that no answer comes back to where its RFC wants that.
//!
//! [`intake`]: mailcore::intake

mod body;
mod notification;
mod refusal;
#[cfg(test)]
mod tests;
mod vacation;

use bytes::Bytes;
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::message::{DateTime, Header, HeaderAddress, HeaderWriter, decode, parse_addresses};
use mailcore::time::Timestamp;
use thiserror::Error;

use crate::engine::MailtoError;

pub use notification::notification;
pub use refusal::refusal;
pub use vacation::vacation;

/// Message ids of References that a letter carries on; the first is always
/// among them (RFC 5322 section 3.6.4 leaves the rest to the writer).
const MAX_REFERENCES: usize = 20;
/// Octets of one message id that a letter carries on.
const MAX_MESSAGE_ID: usize = 500;

/// What all letters have of the server that writes them.
#[derive(Debug, Clone, Copy)]
pub struct Letterhead<'a> {
    /// The server.
    pub hostname: &'a Domain,
    /// When it writes.
    pub at: Timestamp,
    /// Makes the Message-ID and the boundary; never used twice, not to be
    /// guessed.
    pub id: u128,
}

impl Letterhead<'_> {
    /// The server's name as a header in ASCII may hold it.
    fn host(&self) -> Domain {
        let ascii = self.hostname.to_ascii();
        ascii.unwrap_or_else(|_| self.hostname.clone())
    }

    /// The fields that every letter begins with.
    fn open(&self, from: (&str, &Address), to: &[Address]) -> HeaderWriter {
        let mut header = HeaderWriter::new();
        header
            .addresses("From", [from])
            .addresses("To", to.iter().map(|to| ("", to)))
            .date("Date", DateTime::utc(self.at))
            .structured(
                "Message-ID",
                format_args!("<{:032x}.sieve@{}>", self.id, self.host()),
            )
            .structured("MIME-Version", "1.0");
        header
    }

    /// 128 random bits: nothing that is enclosed can hold it.
    fn boundary(&self) -> String {
        format!("=_{:032x}", self.id)
    }
}

/// The message that a letter is about.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// Its header section, or as much of it as is at hand.
    pub header: &'a [u8],
    /// From whom, by the envelope.
    pub reverse_path: &'a ReversePath,
    /// To whom: whose script it is.
    pub recipient: &'a Address,
}

impl Trigger<'_> {
    /// The text of a field, decoded.
    fn text(&self, name: &str) -> Option<String> {
        let field = Header::new(self.header).first(name)?;
        Some(decode::header_text(&field.value()))
    }

    /// Its Message-ID, `<id>`.
    fn message_id(&self) -> Option<String> {
        let field = Header::new(self.header).first("Message-ID")?;
        let value = field.value();
        let id = mailcore::message::message_ids(&value).next()?;
        String::from_utf8(id.to_vec())
            .ok()
            .map(|id| format!("<{id}>"))
    }
}

/// A letter and its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Where notices about it go.
    pub reverse_path: ReversePath,
    /// To whom; at least one.
    pub recipients: Vec<Address>,
    /// The octets.
    pub message: Bytes,
}

/// Why a letter can't be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LetterError {
    /// An address that mail can't be sent to or from.
    #[error("\"{text}\" is no address that mail can be sent to: {reason}")]
    Address {
        /// As the script says.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// The text of `:mime` is none.
    #[error("the text of vacation :mime can't be sent: {0}")]
    Mime(&'static str),
    /// The method is none of mail.
    #[error("a notice can't be sent: {0}")]
    Mailto(#[from] MailtoError),
}

/// An address of SMTP's form.
fn address(text: &str) -> Result<Address, LetterError> {
    Address::parse(text).map_err(|error| LetterError::Address {
        text: text.to_owned(),
        reason: error.to_string(),
    })
}

/// `Ann <ann@example.org>`, as `:from` has it: name and address.
pub(crate) fn sender(text: &str) -> Result<(String, Address), LetterError> {
    let wrong = |reason: &str| LetterError::Address {
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    let list = parse_addresses(text.as_bytes(), 2);
    let [HeaderAddress::Mailbox(mailbox)] = list.as_slice() else {
        return Err(wrong("one address is wanted"));
    };
    let local_part = String::from_utf8_lossy(&mailbox.local_part);
    let host = String::from_utf8_lossy(&mailbox.host);
    let address = mailcore::address::Domain::parse(&host)
        .and_then(|domain| Address::new(&local_part, domain))
        .map_err(|error| wrong(&error.to_string()))?;
    let name = mailbox.name.as_deref().unwrap_or_default();
    Ok((decode::header_text(name), address))
}

/// In-Reply-To and References (RFC 5322 section 3.6.4).
fn thread<'a>(
    header: &mut HeaderWriter,
    in_reply_to: Option<&str>,
    references: impl Iterator<Item = &'a str>,
) {
    let fits = |id: &&str| {
        let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '<' && c != '>';
        id.len() <= MAX_MESSAGE_ID && inner.is_some_and(|id| id.chars().all(plain))
    };
    if let Some(id) = in_reply_to.filter(fits) {
        header.structured("In-Reply-To", id);
    }
    let ids: Vec<&str> = references.filter(fits).collect();
    let surplus = ids.len().saturating_sub(MAX_REFERENCES);
    let kept = ids
        .iter()
        .enumerate()
        .filter(|(index, _)| *index == 0 || *index > surplus)
        .map(|(_, id)| *id);
    let kept: Vec<&str> = kept.collect();
    if !kept.is_empty() {
        header.structured("References", kept.join(" "));
    }
}

/// A message of one text part.
fn with_text(mut header: HeaderWriter, text: &str) -> Bytes {
    let (encoding, body) = body::encoded(text);
    header
        .structured("Content-Type", "text/plain; charset=utf-8")
        .structured("Content-Transfer-Encoding", encoding);
    let mut message = header.finish();
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body);
    message.into()
}
