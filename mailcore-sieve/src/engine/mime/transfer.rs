//! Content-Transfer-Encoding undone (RFC 2045 section 6).

use std::borrow::Cow;

use memchr::memchr;

/// How a body was made fit for transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    QuotedPrintable,
    Base64,
}

impl Encoding {
    /// The encoding of this name; what is not known is taken for none.
    pub(super) fn parse(name: &[u8]) -> Self {
        match () {
            () if name.eq_ignore_ascii_case(b"base64") => Self::Base64,
            () if name.eq_ignore_ascii_case(b"quoted-printable") => Self::QuotedPrintable,
            () => Self::Identity,
        }
    }

    /// At most `limit` octets of what `body` holds.
    pub(super) fn decode(self, body: &[u8], limit: usize) -> Cow<'_, [u8]> {
        let mut decoded = match self {
            Self::Identity => return Cow::Borrowed(body.get(..limit).unwrap_or(body)),
            Self::QuotedPrintable => quoted_printable(body, limit),
            Self::Base64 => base64(body, limit),
        };
        decoded.truncate(limit);
        Cow::Owned(decoded)
    }
}

/// Octets outside of the alphabet are passed over; padding ends a group.
pub(super) fn base64(body: &[u8], limit: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity((body.len() / 4 * 3).min(limit).saturating_add(3));
    let (mut bits, mut count) = (0u32, 0u32);
    for &octet in body {
        let sextet = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                flush(bits, count, &mut decoded);
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(sextet);
        count += 1;
        if count == 4 {
            flush(bits, count, &mut decoded);
            (bits, count) = (0, 0);
            if decoded.len() >= limit {
                return decoded;
            }
        }
    }
    flush(bits, count, &mut decoded);
    decoded
}

fn flush(bits: u32, count: u32, into: &mut Vec<u8>) {
    let [_, octets @ ..] = (bits << (6 * (4 - count.min(4)))).to_be_bytes();
    let whole = usize::try_from(count.saturating_sub(1)).unwrap_or(0);
    into.extend_from_slice(octets.get(..whole).unwrap_or_default());
}

fn quoted_printable(body: &[u8], limit: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len().min(limit));
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        let (text, end) = split_end(line);
        // White space before a line end was added on the way (rule 3).
        let text = text.trim_ascii_end();
        if !quoted_line(text, &mut decoded) {
            decoded.extend_from_slice(end);
        }
        if decoded.len() >= limit {
            break;
        }
    }
    decoded
}

fn split_end(line: &[u8]) -> (&[u8], &[u8]) {
    match line {
        [text @ .., b'\r', b'\n'] => (text, b"\r\n"),
        [text @ .., b'\n'] => (text, b"\n"),
        _ => (line, b""),
    }
}

/// Appends a line; true when it goes on in the next. What is no encoding stands for
/// itself.
pub(super) fn quoted_line(line: &[u8], into: &mut Vec<u8>) -> bool {
    let mut rest = line;
    while let Some(at) = memchr(b'=', rest) {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, b""));
        into.extend_from_slice(before);
        match after {
            [b'='] => return true,
            // A soft line break whose line goes on after all.
            [b'=', b' ' | b'\t' | b'\r', ..] => {
                let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r');
                let more = after.iter().skip(1).position(|octet| !blank(octet));
                rest = after
                    .get(more.map_or(after.len(), |more| more + 1)..)
                    .unwrap_or_default();
            }
            [b'=', high, low, more @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    into.push(high << 4 | low);
                    rest = more;
                }
                _ => {
                    into.push(b'=');
                    rest = after.get(1..).unwrap_or_default();
                }
            },
            _ => {
                into.extend_from_slice(after);
                return false;
            }
        }
    }
    into.extend_from_slice(rest);
    false
}

pub(super) fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}
