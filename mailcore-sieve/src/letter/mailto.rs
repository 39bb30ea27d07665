//! `mailto:` URIs as methods of notify (RFC 6068, RFC 5436 section 2.1).

use mailcore::address::Address;
use thiserror::Error;

/// Recipients of one notice.
const MAX_RECIPIENTS: usize = 16;
/// Fields that a URI adds to the header.
const MAX_FIELDS: usize = 16;
/// Fields that a URI may set. RFC 5436 section 2.7 forbids some and leaves the
/// rest open; those that say whose the letter is, how it is to be read or where
/// it has been stay the server's.
const FIELDS: [&str; 6] = [
    "comments",
    "importance",
    "keywords",
    "organization",
    "priority",
    "reply-to",
];

/// A `mailto:` URI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Mailto {
    /// To whom: the path and each `to`.
    pub to: Vec<Address>,
    /// Each `cc`.
    pub cc: Vec<Address>,
    /// `subject`.
    pub subject: Option<String>,
    /// `body`.
    pub body: Option<String>,
    /// Other fields that it may set, the name capitalised.
    pub fields: Vec<(String, String)>,
}

/// Why a method is not one that notices can be sent by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailtoError {
    /// Another scheme.
    #[error("notices are sent to mailto: addresses alone, not to \"{0}\"")]
    Scheme(String),
    /// An address that is none.
    #[error("\"{text}\" in a mailto: URI is no address: {reason}")]
    Address {
        /// As the URI says.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody.
    #[error("the mailto: URI names nobody; write mailto:user@example.org")]
    Nobody,
    /// Too many.
    #[error("the mailto: URI names more than {MAX_RECIPIENTS} recipients; name fewer")]
    TooMany,
    /// `%` without two hexadecimal digits, or octets that are not UTF-8.
    #[error("\"{0}\" in a mailto: URI is not well-formed; write octets as %XX, in UTF-8")]
    Escape(String),
}

impl Mailto {
    /// Reads a URI (RFC 6068 section 2).
    ///
    /// # Errors
    /// [`MailtoError`].
    pub fn parse(uri: &str) -> Result<Self, MailtoError> {
        let rest = match uri.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => rest,
            _ => return Err(MailtoError::Scheme(clip(uri))),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut mailto = Self::default();
        add_addresses(path, &mut mailto.to)?;
        for field in query.split('&').filter(|field| !field.is_empty()) {
            mailto.field(field)?;
        }
        match mailto.to.len() + mailto.cc.len() {
            0 => Err(MailtoError::Nobody),
            count if count > MAX_RECIPIENTS => Err(MailtoError::TooMany),
            _ => Ok(mailto),
        }
    }

    /// Whom it is sent to, each once.
    pub fn recipients(&self) -> Vec<Address> {
        let mut all: Vec<Address> = Vec::new();
        for address in self.to.iter().chain(&self.cc) {
            if !all.iter().any(|known| known.folded() == address.folded()) {
                all.push(address.clone());
            }
        }
        all
    }

    fn field(&mut self, field: &str) -> Result<(), MailtoError> {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let name = unescape(name)?.to_ascii_lowercase();
        match name.as_str() {
            "to" => add_addresses(value, &mut self.to)?,
            "cc" => add_addresses(value, &mut self.cc)?,
            "subject" => self.subject = Some(unescape(value)?),
            "body" => self.body = Some(unescape(value)?),
            _ if self.fields.len() < MAX_FIELDS && may_set(&name) => {
                self.fields.push((capitalised(&name), unescape(value)?));
            }
            _ => {}
        }
        Ok(())
    }
}

fn may_set(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    plain
        && (FIELDS.contains(&name) || name.strip_prefix("x-").is_some_and(|rest| !rest.is_empty()))
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Addresses divided by commas, each escaped.
fn add_addresses(list: &str, to: &mut Vec<Address>) -> Result<(), MailtoError> {
    for text in list.split(',').filter(|text| !text.is_empty()) {
        let text = unescape(text)?;
        // A comma may itself be escaped (RFC 6068 section 2, `to`'s example).
        for text in text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            let address = Address::parse(text).map_err(|error| MailtoError::Address {
                text: clip(text),
                reason: error.to_string(),
            })?;
            to.push(address);
        }
        if to.len() > MAX_RECIPIENTS {
            return Err(MailtoError::TooMany);
        }
    }
    Ok(())
}

/// `%XX` undone (RFC 3986 section 2.1).
fn unescape(text: &str) -> Result<String, MailtoError> {
    let wrong = || MailtoError::Escape(clip(text));
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        let digits = Some(digits).filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octets.push(octet.ok_or_else(wrong)?);
        rest = after;
    }
    String::from_utf8(octets).map_err(|_| wrong())
}

/// The start of a text, for an error's words.
fn clip(text: &str) -> String {
    text.get(..text.floor_char_boundary(100))
        .unwrap_or(text)
        .to_owned()
}
