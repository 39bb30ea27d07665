//! A head's fields, and what they say of the content's length (RFC 9112
//! sections 5 and 6).

use bytes::Bytes;

use crate::head::{HeadError, Version};

/// How the content is delimited (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many octets.
    Length(u64),
    Chunked,
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// A field. Folds and white space before the colon are refused (RFC 9112
/// sections 5.1 and 5.2), and so are control characters, which some readers
/// take for white space (RFC 9110 section 5.5).
pub(crate) fn one_field(line: &[u8]) -> Result<(String, Bytes), HeadError> {
    let at = memchr::memchr(b':', line).ok_or(HeadError::Malformed)?;
    let (name, value) = line.split_at_checked(at).ok_or(HeadError::Malformed)?;
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(HeadError::Malformed);
    }
    let value = trimmed(value.get(1..).unwrap_or_default());
    if value.iter().copied().any(is_control) {
        return Err(HeadError::Malformed);
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Ok((name, Bytes::copy_from_slice(value)))
}

/// Without the white space around it: spaces and tabs, and nothing else (RFC
/// 9110 section 5.6.3).
pub(crate) fn trimmed(octets: &[u8]) -> &[u8] {
    let is_text = |octet: &u8| !matches!(octet, b' ' | b'\t');
    let Some(from) = octets.iter().position(is_text) else {
        return &[];
    };
    let to = octets
        .iter()
        .rposition(is_text)
        .map_or(from, |last| last + 1);
    octets.get(from..to).unwrap_or_default()
}

/// What no text of the protocol holds; a tab is white space.
pub(crate) fn is_control(octet: u8) -> bool {
    octet.is_ascii_control() && octet != b'\t'
}

pub(crate) fn field<'a>(fields: &'a [(String, Bytes)], name: &str) -> Option<&'a [u8]> {
    let found = fields.iter().find(|(it, _)| it == name);
    found.map(|(_, value)| value.as_ref())
}

pub(crate) fn all<'a>(
    fields: &'a [(String, Bytes)],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    let of_name = fields.iter().filter(move |(it, _)| it == name);
    of_name.map(|(_, value)| value.as_ref())
}

/// RFC 9112 section 6.3: one length, or chunks, and never both.
pub(crate) fn framing(fields: &[(String, Bytes)], version: Version) -> Result<Framing, HeadError> {
    let mut lengths = all(fields, "content-length");
    let mut codings = all(fields, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(length), None) => {
            let one = lengths.next().is_none();
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(length)
                .ok()
                .and_then(|it| it.parse().ok());
            match number {
                Some(number) if one && digits => Ok(Framing::Length(number)),
                // More digits than fit are more octets than are taken.
                None if one && digits => Ok(Framing::Length(u64::MAX)),
                _ => Err(HeadError::Ambiguous),
            }
        }
        (None, Some(coding)) => {
            let one = codings.next().is_none() && version == Version::One;
            match one && coding.eq_ignore_ascii_case(b"chunked") {
                true => Ok(Framing::Chunked),
                false => Err(HeadError::Ambiguous),
            }
        }
        (Some(_), Some(_)) => Err(HeadError::Ambiguous),
    }
}
