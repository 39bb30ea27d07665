//! Values with parameters, as Content-Type writes them: [`Structured`] (RFC 2045
//! section 5.1, RFC 2183, RFC 2231).

use std::borrow::Cow;

use super::charset::to_utf8;
use super::transfer::hex;

/// Parameters read of one field.
const MAX_PARAMETERS: usize = 64;
/// Octets of one parameter's value.
const MAX_VALUE: usize = 4096;
/// Octets of a parameter's name.
const MAX_NAME: usize = 128;

/// Text of a character set as UTF-8.
type ToUtf8<'f> = &'f dyn for<'a> Fn(&[u8], &'a [u8]) -> Option<Cow<'a, str>>;

/// A value and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Structured {
    /// What stands before the first `;`.
    pub(crate) value: Vec<u8>,
    /// Names in lower case, each once; sections joined (RFC 2231 section 3).
    pub(crate) parameters: Vec<(String, Vec<u8>)>,
}

impl Structured {
    /// Reads a field's raw body, folds and all.
    pub(crate) fn parse(raw: &[u8]) -> Self {
        Self::parse_by(raw, &to_utf8)
    }

    /// Reads a field's raw body; extended parameters (RFC 2231 section 4) become UTF-8
    /// by `to_utf8`.
    pub(crate) fn parse_by(raw: &[u8], to_utf8: ToUtf8<'_>) -> Self {
        let mut cursor = Cursor { rest: raw };
        cursor.skip_space();
        let value = cursor.token(b";").to_vec();
        let mut pieces = Vec::new();
        while pieces.len() < MAX_PARAMETERS && cursor.next_parameter() {
            pieces.extend(cursor.parameter());
        }
        let parameters = join(pieces, to_utf8);
        Self { value, parameters }
    }

    /// The parameter called `name`, in lower case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// Type and subtype in lower case; none where the value is none.
    pub(crate) fn media_type(&self) -> Option<(String, String)> {
        let slash = self.value.iter().position(|&octet| octet == b'/')?;
        let (media_type, subtype) = self.value.split_at_checked(slash)?;
        Some((token(media_type)?, token(subtype.get(1..)?)?))
    }
}

/// A name of `token` octets (RFC 2045 section 5.1), in lower case.
pub(crate) fn token(octets: &[u8]) -> Option<String> {
    let special = |octet: u8| b"()<>@,;:\\\"/[]?=".contains(&octet);
    let sound = !octets.is_empty()
        && octets.len() < MAX_NAME
        && octets
            .iter()
            .all(|&octet| octet.is_ascii_graphic() && !special(octet));
    let text = std::str::from_utf8(octets).ok().filter(|_| sound)?;
    Some(text.to_ascii_lowercase())
}

/// One section of a parameter, as written.
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
        let plain = written.strip_suffix('*');
        let extended = plain.is_some();
        let plain = plain.unwrap_or(&written);
        let numbered = plain.rsplit_once('*').filter(|(name, _)| !name.is_empty());
        let numbered = numbered.and_then(|(name, number)| Some((name, number.parse().ok()?)));
        let (name, section) = match numbered {
            Some((name, section)) => (name, Some(section)),
            None => (plain, None),
        };
        Self {
            name: name.to_owned(),
            section,
            extended,
            value,
        }
    }

    fn is_plain(&self) -> bool {
        self.section.is_none() && !self.extended
    }
}

/// Of two parameters of one name the first stays, RFC 2231's form before a plain one.
fn join(pieces: Vec<Piece>, to_utf8: ToUtf8<'_>) -> Vec<(String, Vec<u8>)> {
    let mut joined: Vec<(String, Vec<u8>)> = Vec::new();
    for piece in &pieces {
        if joined.iter().any(|(name, _)| *name == piece.name) {
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
        joined.push((piece.name.clone(), assemble(&own, to_utf8)));
    }
    joined
}

fn assemble(sections: &[&Piece], to_utf8: ToUtf8<'_>) -> Vec<u8> {
    let mut value = Vec::new();
    let mut charset: &[u8] = b"";
    for (index, section) in sections.iter().enumerate() {
        let number = usize::try_from(section.section.unwrap_or(0)).ok();
        if number != Some(index) {
            // A gap, or the same section again: what comes after is lost.
            if index == 0 {
                value.extend_from_slice(&section.value);
            }
            break;
        }
        let mut octets = section.value.as_slice();
        if !section.extended {
            value.extend_from_slice(octets);
            continue;
        }
        if index == 0 {
            (charset, octets) = split_charset(octets);
        }
        percent_decode(octets, &mut value);
    }
    if sections.iter().any(|section| section.extended) {
        let text = to_utf8(charset, &value).map(Cow::into_owned);
        value = text.map_or(value, String::into_bytes);
        value.retain(|octet| !matches!(octet, b'\r' | b'\n' | 0));
    }
    value.truncate(MAX_VALUE);
    value
}

/// `charset "'" [language] "'" octets`.
fn split_charset(octets: &[u8]) -> (&[u8], &[u8]) {
    let mut pieces = octets.splitn(3, |&octet| octet == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => (b"", octets),
    }
}

fn percent_decode(octets: &[u8], into: &mut Vec<u8>) {
    let mut rest = octets;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (octet, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            into.push(high << 4 | low);
            rest = after;
        } else {
            into.push(octet);
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Skips white space and comments.
    fn skip_space(&mut self) {
        while let Some((&octet, rest)) = self.rest.split_first() {
            match octet {
                b'(' => self.skip_comment(),
                _ if is_space(octet) => self.rest = rest,
                _ => break,
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
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }

    /// Octets up to one of `stop`, white space or a comment.
    fn token(&mut self, stop: &[u8]) -> &'a [u8] {
        let ends = |octet: &u8| is_space(*octet) || *octet == b'(' || stop.contains(octet);
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
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
                other => return other.is_some(),
            }
        }
    }

    /// `attribute "=" value`; none where it is something else, which is skipped.
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
            match (octet, rest.split_first()) {
                (b'"', _) => break,
                (b'\\', Some((&escaped, rest))) => {
                    self.rest = rest;
                    value.push(escaped);
                }
                (b'\\', None) => {}
                _ => value.push(octet),
            }
        }
        value.retain(|octet| !matches!(octet, b'\r' | b'\n' | 0));
        value
    }

    /// A value without quotes, which mailers leave out around names with spaces:
    /// words up to the `;` belong to it unless one looks like the next parameter.
    fn unquoted(&mut self) -> Vec<u8> {
        let mut value = self.token(b";").to_vec();
        let near = self.rest.get(..MAX_VALUE.min(self.rest.len()));
        let near = near.unwrap_or_default();
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
        let end = value.iter().rposition(|&octet| !is_space(octet));
        value.truncate(end.map_or(0, |last| last + 1));
        value
    }
}

fn is_space(octet: u8) -> bool {
    octet <= b' ' || octet == 0x7f
}
