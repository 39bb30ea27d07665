//! [`Reader`]: takes the values of a complete response one by one, whatever
//! their form.
//!
//! Servers write strings as atoms, atoms as strings, and NIL for either; which
//! one the grammar asks for is not checked here. That nothing is read beyond
//! its end is.

use std::borrow::Cow;

/// Stands for message content that was handed out while it came: NUL, its
/// size, NUL. No line holds a NUL (the framer sees to it), so nobody forges it.
pub(super) const STREAMED: u8 = 0;

/// Octets of `{number+}` with the longest number.
const MAX_ANNOUNCEMENT: usize = 24;

/// One value of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// `NIL`, unquoted.
    Nil,
    /// An atom.
    Atom(&'a [u8]),
    /// A quoted string or a literal.
    Text(Cow<'a, [u8]>),
    /// Content that was handed out already; its size.
    Streamed(u64),
    /// What stands between parentheses.
    List(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Its octets; none for NIL, lists and what is gone.
    pub(super) fn octets(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Atom(atom) => Some(Cow::Borrowed(atom)),
            Self::Text(text) => Some(text),
            Self::Nil | Self::Streamed(_) | Self::List(_) => None,
        }
    }

    /// Its octets as text, broken UTF-8 replaced.
    pub(super) fn text(self) -> Option<String> {
        let octets = self.octets()?;
        Some(String::from_utf8_lossy(&octets).into_owned())
    }

    /// A number. Negative and absurd ones, which some servers write for sizes
    /// they do not know, are none.
    pub(super) fn number(self) -> Option<u64> {
        match self {
            // `MODSEQ (7)`, and servers that put others in parentheses too.
            Self::List(inner) => Reader::new(inner, 1).value()?.octets().and_then(digits),
            other => other.octets().and_then(digits),
        }
    }

    pub(super) fn number32(self) -> Option<u32> {
        self.number().and_then(|number| u32::try_from(number).ok())
    }
}

fn digits(octets: Cow<'_, [u8]>) -> Option<u64> {
    std::str::from_utf8(&octets).ok()?.trim().parse().ok()
}

/// A place in a response.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Levels of parentheses that may still be entered.
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8], depth: usize) -> Self {
        Self {
            rest: octets,
            depth,
        }
    }

    /// A reader for a list's inner side; none when it is too deep.
    pub(super) fn enter(&self, inner: &'a [u8]) -> Option<Self> {
        Some(Self::new(inner, self.depth.checked_sub(1)?))
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn spaces(&mut self) {
        self.take_while(|b| matches!(b, b' ' | b'\t'));
    }

    #[cfg(test)]
    pub(super) fn is_at_end(&mut self) -> bool {
        self.spaces();
        self.rest.is_empty()
    }

    pub(super) fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&b| !accept(b));
        self.split(end.unwrap_or(self.rest.len()))
    }

    fn split(&mut self, at: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, &[]));
        self.rest = rest;
        head
    }

    /// The next word: up to a space or a parenthesis.
    pub(super) fn word(&mut self) -> &'a [u8] {
        self.spaces();
        self.take_while(|b| !matches!(b, b' ' | b'(' | b')'))
    }

    /// The next value, spaces before it skipped; none at the end, at a closing
    /// parenthesis, and where nothing can be made of what stands there.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        self.spaces();
        match self.peek()? {
            b'(' => self.list().map(Value::List),
            b')' => None,
            b'"' => self.quoted().map(Value::Text),
            b'{' => self.literal().map(|text| Value::Text(Cow::Borrowed(text))),
            STREAMED => self.streamed().map(Value::Streamed),
            _ => {
                // An atom of a `]` alone, or a flag such as `\*`, is read too.
                let atom = self.take_while(|b| !matches!(b, b' ' | b'(' | b')'));
                let nil = atom.eq_ignore_ascii_case(b"NIL");
                Some(if nil { Value::Nil } else { Value::Atom(atom) })
            }
        }
    }

    /// The values that are left.
    pub(super) fn values(mut self) -> impl Iterator<Item = Value<'a>> {
        std::iter::from_fn(move || self.value())
    }

    /// What stands between this parenthesis and the one that closes it.
    fn list(&mut self) -> Option<&'a [u8]> {
        let all = self.rest;
        let mut inner = Self::new(all.get(1..)?, self.depth);
        let mut open = 1_usize;
        while open > 0 {
            match inner.peek()? {
                b'(' => {
                    inner.split(1);
                    open += 1;
                }
                b')' => {
                    inner.split(1);
                    open -= 1;
                }
                b'"' => drop(inner.quoted()?),
                b'{' => match inner.literal() {
                    Some(_) => {}
                    None => drop(inner.split(1)),
                },
                _ => drop(inner.split(1)),
            }
        }
        let length = all.len() - inner.rest.len();
        self.rest = inner.rest;
        all.get(1..length - 1)
    }

    /// A quoted string. A backslash before anything but `"` and `\` stands for
    /// itself: Windows paths come that way.
    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let mut rest = self.rest.get(1..)?;
        let plain = rest.iter().position(|&b| b == b'"' || b == b'\\')?;
        if rest.get(plain) == Some(&b'"') {
            self.rest = rest.get(plain + 1..)?;
            return rest.get(..plain).map(Cow::Borrowed);
        }
        let mut text = Vec::new();
        loop {
            let at = rest.iter().position(|&b| b == b'"' || b == b'\\')?;
            text.extend_from_slice(rest.get(..at)?);
            match (rest.get(at)?, rest.get(at + 1)) {
                (b'"', _) => {
                    self.rest = rest.get(at + 1..)?;
                    return Some(Cow::Owned(text));
                }
                (_, Some(&escaped @ (b'"' | b'\\'))) => {
                    text.push(escaped);
                    rest = rest.get(at + 2..)?;
                }
                _ => {
                    text.push(b'\\');
                    rest = rest.get(at + 1..)?;
                }
            }
        }
    }

    /// A literal that was kept in place, announcement included.
    fn literal(&mut self) -> Option<&'a [u8]> {
        // A number that fits has no more; looking further, a response of braces
        // would be looked through once for each of them.
        let near = self.rest.get(..MAX_ANNOUNCEMENT).unwrap_or(self.rest);
        let end = near.iter().position(|&b| b == b'}')?;
        let announced = self.rest.get(1..end)?;
        let announced = announced.strip_suffix(b"+").unwrap_or(announced);
        let length: usize = std::str::from_utf8(announced).ok()?.parse().ok()?;
        let content = self.rest.get(end + 1..)?.strip_prefix(b"\r\n")?;
        let (content, rest) = content.split_at_checked(length)?;
        self.rest = rest;
        Some(content)
    }

    fn streamed(&mut self) -> Option<u64> {
        let rest = self.rest.get(1..)?;
        let end = rest.iter().position(|&b| b == STREAMED)?;
        self.rest = rest.get(end + 1..)?;
        std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_in_whatever_form_they_come() {
        let line = b"  NIL \"nil\" a\\*b \"q\\\"\\\\ C:\\dir\" {3}\r\nx)\" (a (b \")\") {1}\r\n() \x00512\x00 ";
        let mut reader = Reader::new(line, 5);
        let mut next = || reader.value().unwrap();
        assert_eq!(next(), Value::Nil);
        assert_eq!(next().text().unwrap(), "nil");
        assert_eq!(next(), Value::Atom(b"a\\*b"));
        assert_eq!(next().text().unwrap(), "q\"\\ C:\\dir");
        assert_eq!(next().text().unwrap(), "x)\"");
        assert_eq!(next(), Value::List(b"a (b \")\") {1}\r\n("));
        assert_eq!(next(), Value::Streamed(512));
        assert_eq!(reader.value(), None);
        assert!(reader.is_at_end());
    }

    #[test]
    fn numbers_that_cannot_be_are_none() {
        for (text, number) in [
            ("7", Some(7)),
            ("\"7\"", Some(7)),
            ("(7)", Some(7)),
            ("-1", None),
            ("NIL", None),
            ("99999999999999999999", None),
        ] {
            let value = Reader::new(text.as_bytes(), 5).value().unwrap();
            assert_eq!(value.number(), number, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_to_an_end(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut reader = Reader::new(&octets, 5);
            while reader.value().is_some() {}
        }
    }
}
