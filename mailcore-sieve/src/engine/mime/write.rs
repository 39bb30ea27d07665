//! Messages and parts that scripts write: [`text_part`], [`boundary`].

use memchr::memmem;

use super::header::{fields, is_blank, line_at, section_len};

/// Octets that no line exceeds (RFC 5322 section 2.1.1).
const MAX_LINE: usize = 998;
/// Octets of a quoted-printable line (RFC 2045 section 6.7).
const QUOTED_LINE: usize = 76;

/// A part, in pieces that go into different places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Entity {
    /// Its `Content-` fields.
    pub(crate) fields: Vec<u8>,
    /// Its body; lines end with CRLF.
    pub(crate) body: Vec<u8>,
}

impl Entity {
    /// A part of plain text (RFC 5703 section 5).
    pub(crate) fn text(text: &str) -> Self {
        let body = crlf(text.as_bytes());
        let plain = body.is_ascii()
            && body.split(|&octet| octet == b'\n').all(|line| {
                line.len() <= MAX_LINE && !line.starts_with(b"--") && !line.ends_with(b" \r")
            });
        let charset = if body.is_ascii() { "us-ascii" } else { "utf-8" };
        let (encoding, body) = match plain {
            true => ("7bit", body),
            false => ("quoted-printable", quoted(&body)),
        };
        let fields = format!(
            "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        );
        Self {
            fields: fields.into_bytes(),
            body,
        }
    }

    /// A part as it is written, header and all. Fields that say nothing of a content
    /// are left out.
    pub(crate) fn parse(text: &str) -> Self {
        let octets = crlf(text.as_bytes());
        let (section, body) = octets
            .split_at_checked(section_len(&octets))
            .unwrap_or((&octets, b""));
        let mut entity = Self {
            fields: Vec::new(),
            body: body.to_vec(),
        };
        for field in fields(section) {
            if is_content(field.name) {
                let raw = section.get(field.range).unwrap_or_default();
                entity.fields.extend_from_slice(raw);
                if !raw.ends_with(b"\n") {
                    entity.fields.extend_from_slice(b"\r\n");
                }
            }
        }
        entity
    }

    /// All of it, with the other fields of its header before its own.
    pub(crate) fn with_fields(&self, other: &[u8]) -> Vec<u8> {
        [other, &self.fields, b"\r\n", &self.body].concat()
    }

    /// True when a line of it could be taken for this boundary.
    pub(crate) fn collides(&self, boundary: &[u8]) -> bool {
        let mut at = 0;
        loop {
            let line = line_at(&self.body, at);
            if line.is_empty() {
                return false;
            }
            if line
                .strip_prefix(b"--")
                .is_some_and(|rest| rest.starts_with(boundary))
            {
                return true;
            }
            at += line.len();
        }
    }
}

/// The fields of a section that say nothing of its content.
pub(crate) fn other_fields(section: &[u8]) -> Vec<(&[u8], &[u8])> {
    let kept = fields(section).filter(|field| {
        !is_content(field.name) && !field.name.eq_ignore_ascii_case(b"MIME-Version")
    });
    kept.map(|field| (field.name, section.get(field.range).unwrap_or_default()))
        .collect()
}

/// A boundary that occurs in none of these, and that no encoding of a body makes.
pub(crate) fn boundary(within: &[&[u8]]) -> String {
    let mut number = 0u32;
    loop {
        let boundary = format!("=_sieve_{number}");
        let occurs = |octets: &&[u8]| memmem::find(octets, boundary.as_bytes()).is_some();
        // It ends: no message holds all numbers.
        if !within.iter().any(occurs) {
            return boundary;
        }
        number = number.wrapping_add(1);
    }
}

fn is_content(name: &[u8]) -> bool {
    let prefix = name.get(..8).unwrap_or_default();
    prefix.eq_ignore_ascii_case(b"Content-")
}

/// Lines that end with CRLF.
pub(crate) fn crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    loop {
        let line = line_at(text, at);
        at += line.len();
        if line.is_empty() {
            return out;
        }
        match line {
            _ if is_blank(line) => out.extend_from_slice(b"\r\n"),
            [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => {
                out.extend_from_slice(rest);
                out.extend_from_slice(b"\r\n");
            }
            _ => out.extend_from_slice(line),
        }
    }
}

/// Quoted-printable of lines that end with CRLF. A hyphen that begins a line is
/// encoded, so that nothing looks like a boundary.
fn quoted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 4);
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        let (text, end) = match line {
            [text @ .., b'\r', b'\n'] => (text, true),
            _ => (line, false),
        };
        let mut column = 0;
        for (index, &octet) in text.iter().enumerate() {
            let last = index + 1 == text.len();
            let plain = match octet {
                b'=' => false,
                b'-' => column > 0,
                b' ' | b'\t' => !last,
                _ => octet.is_ascii_graphic(),
            };
            let width = if plain { 1 } else { 3 };
            if column + width >= QUOTED_LINE {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if plain && (octet != b'-' || column > 0) {
                out.push(octet);
                column += 1;
            } else {
                out.extend_from_slice(format!("={octet:02X}").as_bytes());
                column += 3;
            }
        }
        if end {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Mail, PlainMail};
    use proptest::prelude::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        let entity = Entity::text("one\ntwo\r\n");
        assert_eq!(entity.body, b"one\r\ntwo\r\n");
        assert!(entity.fields.ends_with(b"7bit\r\n"));
        assert!(Entity::text("a\n--b").body.starts_with(b"a\r\n=2D-b"));
    }

    #[test]
    fn a_boundary_occurs_nowhere() {
        assert_eq!(boundary(&[b"a", b"=_sieve_0 =_sieve_1"]), "=_sieve_2");
    }

    proptest! {
        #[test]
        fn texts_are_read_back(text in "([ -~]{0,100}|\\PC{0,60}|-{0,3}|[ =-]{0,90}|\n){0,8}") {
            let entity = Entity::text(&text);
            prop_assert!(!entity.collides(b""));
            for line in entity.body.split(|&octet| octet == b'\n') {
                prop_assert!(line.len() <= MAX_LINE + 1 && line.is_ascii());
            }
            let mail = PlainMail::new(entity.with_fields(b"Subject: x\r\n"));
            let read = mail.content(0, usize::MAX).into_owned();
            prop_assert_eq!(read, crlf(text.as_bytes()));
        }
    }
}
