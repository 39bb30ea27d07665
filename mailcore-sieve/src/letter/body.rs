//! Texts as content that any host takes: [`encoded`]; and the MIME part that a
//! script wrote itself: [`Part`] (RFC 5230 section 4.1, `:mime`).

use mailcore::message::{Header, HeaderWriter, MAX_LINE_LENGTH};

use super::LetterError;

/// Octets in a line of quoted-printable (RFC 2045 section 6.7).
const QP_LINE: usize = 76;

/// Lines of a text, each ended by CRLF, without controls that mail has no place
/// for.
pub(super) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in unified.lines() {
        let shown = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
        out.extend(line.chars().map(shown));
        out.push_str("\r\n");
    }
    out
}

/// A text as content, and how it is encoded: as it is where any host takes it
/// so, else quoted-printable, which people can read without a program.
pub(super) fn encoded(text: &str) -> (&'static str, Vec<u8>) {
    let text = lines(text);
    if is_plain(text.as_bytes()) {
        return ("7bit", text.into_bytes());
    }
    let mut out = Vec::with_capacity(text.len() * 2);
    for line in text.split_inclusive("\r\n") {
        quoted_line(line.trim_end_matches("\r\n").as_bytes(), &mut out);
        out.extend_from_slice(b"\r\n");
    }
    ("quoted-printable", out)
}

/// One line, with soft breaks.
fn quoted_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    let last = line.len().saturating_sub(1);
    for (index, &octet) in line.iter().enumerate() {
        let literal = match octet {
            // White space at a line's end would get lost on the way.
            b' ' | b'\t' => index != last,
            b'=' => false,
            other => other.is_ascii_graphic(),
        };
        let width = if literal { 1 } else { 3 };
        if column + width >= QP_LINE {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if literal {
            out.push(octet);
        } else {
            out.extend_from_slice(format!("={octet:02X}").as_bytes());
        }
        column += width;
    }
}

/// True for ASCII without NUL in lines that fit (RFC 5322 section 2.1.1).
fn is_plain(octets: &[u8]) -> bool {
    octets.is_ascii() && !octets.contains(&0) && lines_fit(octets)
}

fn lines_fit(octets: &[u8]) -> bool {
    octets
        .split(|&octet| octet == b'\n')
        .all(|line| line.strip_suffix(b"\r").unwrap_or(line).len() <= MAX_LINE_LENGTH)
}

/// A MIME part that a script wrote: fields, an empty line, content.
pub(super) struct Part {
    fields: Vec<u8>,
    content: Vec<u8>,
}

impl Part {
    /// Reads it. Only fields that describe content are taken over (RFC 2045
    /// section 9): any other would be one of the letter itself, such as Bcc or a
    /// second From.
    ///
    /// # Errors
    /// [`LetterError::Mime`] for what must not be sent: 8-bit header fields
    /// (RFC 5230 section 5), lines that no host takes, NUL.
    pub(super) fn parse(text: &str) -> Result<Self, LetterError> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.replace('\n', "\r\n");
        let octets = text.as_bytes();
        if octets.contains(&0) {
            return Err(LetterError::Mime("it holds NUL"));
        }
        if !lines_fit(octets) {
            return Err(LetterError::Mime(
                "a line is longer than 998 octets; encode it",
            ));
        }
        let header = Header::new(octets);
        let (section, content) = octets
            .split_at_checked(header.section_len())
            .unwrap_or((octets, &[]));
        if !section.is_ascii() {
            return Err(LetterError::Mime(
                "its header is not ASCII; write encoded-words",
            ));
        }
        let mut part = Self {
            fields: Vec::new(),
            content: content.to_vec(),
        };
        let mut encoding = false;
        for field in header.fields() {
            let describes = field.name.get(..8).unwrap_or_default();
            if describes.eq_ignore_ascii_case(b"content-") {
                encoding |= field.is("Content-Transfer-Encoding");
                let raw = octets.get(field.range.clone()).unwrap_or_default();
                part.fields.extend_from_slice(raw);
                if !part.fields.ends_with(b"\r\n") {
                    part.fields.extend_from_slice(b"\r\n");
                }
            }
        }
        if !encoding && !part.content.is_ascii() {
            part.fields
                .extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
        }
        Ok(part)
    }

    /// The message of `header` and this part.
    pub(super) fn under(self, header: HeaderWriter) -> Vec<u8> {
        let mut message = header.finish();
        message.extend_from_slice(&self.fields);
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.content);
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        message
    }
}
