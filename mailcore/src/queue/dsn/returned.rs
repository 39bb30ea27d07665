//! What a notice gives back of the message: its header, or all of it where the
//! sender asked for that (RFC 3461 section 6.2, RFC 6522 section 3 and 4).

use bytes::Bytes;
use memchr::memmem;

use super::text::{is_clean, is_plain, push_field};
use crate::message::Message;

/// Octets of header that are returned.
const MAX_HEADER: usize = 32 * 1024;
/// Octets in a line of quoted-printable (RFC 2045 section 6.7).
const QP_LINE: usize = 76;

/// The third part of a notice.
#[derive(Debug)]
pub(super) enum Returned {
    /// The header section, cut to [`MAX_HEADER`].
    Header(Bytes),
    /// The message.
    Full(Bytes),
}

/// The message if it is small enough and fit to be sent again, else its header.
pub(super) async fn full(message: &Message, limit: u64) -> Option<Returned> {
    match message.read_all(limit).await {
        Ok(octets) if is_clean(&octets) => Some(Returned::Full(octets)),
        _ => header(message).await,
    }
}

/// The header section. `None` when it cannot be read.
pub(super) async fn header(message: &Message) -> Option<Returned> {
    let start = message.read(0..MAX_HEADER as u64).await.ok()?;
    Some(Returned::Header(start.slice(..header_length(&start))))
}

/// Length of the header section with the CRLF of its last field; when the end
/// is not within `octets`, that of the lines which are whole.
fn header_length(octets: &[u8]) -> usize {
    match memmem::find(octets, b"\r\n\r\n") {
        Some(at) => at + 2,
        None => memmem::rfind(octets, b"\r\n").map_or(0, |at| at + 2),
    }
}

impl Returned {
    /// The header section of what is returned.
    pub(super) fn header(&self) -> &[u8] {
        let (Self::Header(octets) | Self::Full(octets)) = self;
        octets.get(..header_length(octets)).unwrap_or_default()
    }

    /// The header alone where the message has no place in the notice: a header
    /// beyond ASCII is none of `message/rfc822`.
    pub(super) fn fit(self, international: bool) -> Self {
        match self {
            Self::Full(octets) if !international => {
                let header = octets.slice(..header_length(&octets));
                match header.is_ascii() {
                    true => Self::Full(octets),
                    false => Self::Header(header),
                }
            }
            fits => fits,
        }
    }

    /// Writes the part, its own header included.
    pub(super) fn write(&self, international: bool, out: &mut Vec<u8>) {
        let (plain_type, global_type) = match self {
            Self::Header(_) => ("text/rfc822-headers", "message/global-headers"),
            Self::Full(_) => ("message/rfc822", "message/global"),
        };
        let (Self::Header(octets) | Self::Full(octets)) = self;
        let content_type = if international && !octets.is_ascii() {
            global_type
        } else {
            plain_type
        };
        let encoding = match self {
            _ if is_plain(octets) => "7bit",
            Self::Header(_) if !international || !is_clean(octets) => "quoted-printable",
            _ => "8bit",
        };
        let mut fields = String::new();
        push_field("Content-Type", content_type, &mut fields);
        push_field("Content-Transfer-Encoding", encoding, &mut fields);
        fields.push_str("\r\n");
        out.extend_from_slice(fields.as_bytes());
        if encoding == "quoted-printable" {
            push_quoted_printable(octets, out);
        } else {
            out.extend_from_slice(octets);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Quoted-printable for text: CRLF stays, everything that is not plain is
/// encoded, lines are cut softly.
fn push_quoted_printable(octets: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    let mut rest = octets;
    while let Some((&octet, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (column, rest) = (0, after);
            continue;
        }
        let at_line_end = tail.starts_with(b"\r\n") || tail.is_empty();
        let literal = match octet {
            b' ' | b'\t' => !at_line_end,
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
        rest = tail;
    }
}
