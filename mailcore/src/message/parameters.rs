//! Values with parameters, as Content-Type and Content-Disposition write them:
//! [`Parameter`] (RFC 2045 section 5.1, RFC 2183, RFC 2231).
//!
//! What the values mean is for [`super::part`].

use encoding_rs::{Encoding, UTF_8};

/// Parameters kept of one field; the rest is dropped.
pub const MAX_PARAMETERS: usize = 64;
/// Octets kept of one parameter's value.
pub const MAX_VALUE: usize = 4096;

/// One parameter, its RFC 2231 continuations joined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// The name in lower case, without RFC 2231's `*` marks.
    pub name: String,
    /// The value, quoting removed. UTF-8 when `extended`; else the octets as
    /// sent, which may be encoded-words.
    pub value: Vec<u8>,
    /// True when the value was percent-encoded with a character set (RFC 2231
    /// section 4); it has been decoded.
    pub extended: bool,
}

/// The value before the first `;`, trimmed, and the parameters after it.
pub(super) fn parse_value(raw: &[u8]) -> (Vec<u8>, Vec<Parameter>) {
    let mut cursor = Cursor { rest: raw };
    cursor.skip_space();
    let value = cursor.token(b";").to_vec();
    let mut pieces = Vec::new();
    while pieces.len() < MAX_PARAMETERS && cursor.next_parameter() {
        if let Some(piece) = cursor.parameter() {
            pieces.push(piece);
        }
    }
    (value, join(pieces))
}

/// A parameter as written: one section of a value.
struct Piece {
    name: String,
    section: Option<u32>,
    extended: bool,
    value: Vec<u8>,
}

impl Piece {
    /// `attribute ["*" section] ["*"]` (RFC 2231 section 7).
    fn new(written: &[u8], value: Vec<u8>) -> Self {
        let written = String::from_utf8_lossy(written).to_ascii_lowercase();
        let (plain, extended) = match written.strip_suffix('*') {
            Some(plain) => (plain, true),
            None => (written.as_str(), false),
        };
        let numbered = plain.rsplit_once('*').and_then(|(name, section)| {
            let section = section.parse::<u32>().ok()?;
            (!name.is_empty()).then(|| (name.to_owned(), section))
        });
        match numbered {
            Some((name, section)) => Self {
                name,
                section: Some(section),
                extended,
                value,
            },
            None => Self {
                name: plain.to_owned(),
                section: None,
                extended,
                value,
            },
        }
    }

    fn is_plain(&self) -> bool {
        self.section.is_none() && !self.extended
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Skips white space and comments.
    fn skip_space(&mut self) {
        while let Some((&octet, rest)) = self.rest.split_first() {
            if octet == b'(' {
                self.skip_comment();
            } else if is_space(octet) {
                self.rest = rest;
            } else {
                break;
            }
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0usize;
        while let Some((&octet, rest)) = self.rest.split_first() {
            self.rest = rest;
            match octet {
                b'\\' => self.rest = rest.get(1..).unwrap_or_default(),
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }

    /// Octets up to one of `stop`, white space or a comment.
    fn token(&mut self, stop: &[u8]) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|&octet| is_space(octet) || octet == b'(' || stop.contains(&octet))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, b""));
        self.rest = rest;
        token
    }

    /// Moves to the next parameter's name, over the `;` that may be missing.
    fn next_parameter(&mut self) -> bool {
        loop {
            self.skip_space();
            match self.rest.split_first() {
                Some((b';', rest)) => self.rest = rest,
                Some(_) => return true,
                None => return false,
            }
        }
    }

    /// `attribute "=" value`; none when it is something else, which is skipped.
    fn parameter(&mut self) -> Option<Piece> {
        let name = self.token(b"=;\"");
        self.skip_space();
        let Some((b'=', rest)) = self.rest.split_first() else {
            if name.is_empty() {
                self.rest = self.rest.get(1..).unwrap_or_default();
            }
            return None;
        };
        self.rest = rest;
        self.skip_space();
        let mut value = match self.rest.split_first() {
            Some((b'"', rest)) => {
                self.rest = rest;
                self.quoted()
            }
            _ => self.unquoted(),
        };
        value.truncate(MAX_VALUE);
        (!name.is_empty() && name.len() <= MAX_NAME).then(|| Piece::new(name, value))
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        while let Some((&octet, rest)) = self.rest.split_first() {
            self.rest = rest;
            match octet {
                b'"' => break,
                b'\\' => {
                    if let Some((&escaped, rest)) = rest.split_first() {
                        self.rest = rest;
                        value.push(escaped);
                    }
                }
                _ => value.push(octet),
            }
        }
        value.retain(|octet| !matches!(octet, b'\r' | b'\n' | 0));
        value
    }

    /// A value without quotes. Mailers leave them out around file names with
    /// spaces: words up to the `;` belong to it unless one looks like the next
    /// parameter.
    fn unquoted(&mut self) -> Vec<u8> {
        let mut value = self.token(b";").to_vec();
        let near = self
            .rest
            .get(..MAX_VALUE.min(self.rest.len()))
            .unwrap_or_default();
        let tail = near
            .split(|&octet| octet == b';')
            .next()
            .unwrap_or_default();
        if !tail.iter().any(|octet| matches!(octet, b'=' | b'(' | b'"')) {
            self.rest = self.rest.get(tail.len()..).unwrap_or_default();
            value.extend(
                tail.iter()
                    .filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)),
            );
        }
        let end = value
            .iter()
            .rposition(|&octet| !is_space(octet))
            .map_or(0, |last| last + 1);
        value.truncate(end);
        value
    }
}

/// Octets allowed in a parameter's name.
const MAX_NAME: usize = 128;

fn is_space(octet: u8) -> bool {
    octet <= b' ' || octet == 0x7f
}

/// Joins sections (RFC 2231 section 3) and decodes extended values (section
/// 4). Of two parameters of one name the first stays, an RFC 2231 form before
/// a plain one.
fn join(pieces: Vec<Piece>) -> Vec<Parameter> {
    let mut joined: Vec<Parameter> = Vec::new();
    for piece in &pieces {
        if joined.iter().any(|done| done.name == piece.name) {
            continue;
        }
        let mut own: Vec<&Piece> = pieces
            .iter()
            .filter(|other| other.name == piece.name)
            .collect();
        if own.iter().any(|other| !other.is_plain()) {
            own.retain(|other| !other.is_plain());
        }
        own.sort_by_key(|other| other.section);
        joined.extend(assemble(&own));
    }
    joined
}

fn assemble(sections: &[&Piece]) -> Option<Parameter> {
    let first = sections.first()?;
    let mut value = Vec::new();
    let mut charset = UTF_8;
    let extended = sections.iter().any(|section| section.extended);
    for (index, section) in sections.iter().enumerate() {
        let number = section.section.unwrap_or(0);
        if usize::try_from(number).ok() != Some(index) {
            // A gap, or the same section again: what comes after is lost.
            if index == 0 && number != 0 {
                value.extend_from_slice(&section.value);
            }
            break;
        }
        let mut octets = section.value.as_slice();
        if section.extended {
            if index == 0 {
                (charset, octets) = split_charset(octets);
            }
            percent_decode(octets, &mut value);
        } else {
            value.extend_from_slice(octets);
        }
    }
    if extended {
        let (text, _) = charset.decode_without_bom_handling(&value);
        value = text.into_owned().into_bytes();
        value.retain(|octet| !matches!(octet, b'\r' | b'\n' | 0));
    }
    value.truncate(MAX_VALUE);
    Some(Parameter {
        name: first.name.clone(),
        value,
        extended,
    })
}

/// `charset "'" [language] "'" octets`.
fn split_charset(octets: &[u8]) -> (&'static Encoding, &[u8]) {
    let mut fields = octets.splitn(3, |&octet| octet == b'\'');
    match (fields.next(), fields.next(), fields.next()) {
        (Some(charset), Some(_), Some(text)) => {
            (Encoding::for_label(charset).unwrap_or(UTF_8), text)
        }
        _ => (UTF_8, octets),
    }
}

fn percent_decode(octets: &[u8], into: &mut Vec<u8>) {
    let hex = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let mut rest = octets;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (octet, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            into.push(high << 4 | low);
            rest = after;
            continue;
        }
        into.push(octet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(raw: &str) -> (String, Vec<String>) {
        let (value, parameters) = parse_value(raw.as_bytes());
        let shown = parameters.iter().map(|parameter| {
            let mark = if parameter.extended { "*" } else { "" };
            format!(
                "{}{mark}={}",
                parameter.name,
                String::from_utf8_lossy(&parameter.value)
            )
        });
        (
            String::from_utf8_lossy(&value).into_owned(),
            shown.collect(),
        )
    }

    #[test]
    fn plain_and_commented() {
        assert_eq!(
            shown(" text/plain; charset=us-ascii (Plain text)\r\n"),
            ("text/plain".into(), vec!["charset=us-ascii".into()])
        );
        assert_eq!(
            shown("multipart/mixed;\r\n\tBoundary = \"a \\\"b\" ; x"),
            ("multipart/mixed".into(), vec!["boundary=a \"b".into()])
        );
    }

    #[test]
    fn missing_quotes_and_semicolons() {
        assert_eq!(
            shown("a/b; name=my file.pdf; x=1").1,
            ["name=my file.pdf", "x=1"]
        );
        assert_eq!(
            shown("a/b; charset=utf-8 format=flowed").1,
            ["charset=utf-8", "format=flowed"]
        );
        assert_eq!(
            shown("a/b; name=\"x\" boundary=\"y\"").1,
            ["name=x", "boundary=y"]
        );
        assert_eq!(shown("a/b;;; =x; y=\"open").1, ["y=open"]);
    }

    #[test]
    fn rfc2231_continuations_and_charsets() {
        assert_eq!(
            shown("message/external-body; URL*1=\"cs.utk.edu/pub\"; URL*0=\"ftp://\"").1,
            ["url=ftp://cs.utk.edu/pub"]
        );
        assert_eq!(
            shown(
                "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; \
                 title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\""
            )
            .1,
            ["title*=This is even more ***fun*** isn't it!"]
        );
        assert_eq!(
            shown("attachment; filename=\"a.txt\"; filename*=iso-8859-1''%e4.txt").1,
            ["filename*=ä.txt"]
        );
    }

    proptest! {
        #[test]
        fn any_octets_are_bounded(raw in proptest::collection::vec(
            prop_oneof![proptest::sample::select(b";=\"*'%()\\ ab0123\r\n".to_vec()), any::<u8>()],
            0..200)) {
            let (_, parameters) = parse_value(&raw);
            prop_assert!(parameters.len() <= MAX_PARAMETERS);
        }
    }
}
