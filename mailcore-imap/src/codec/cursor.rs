//! [`Cursor`]: reads the grammar's small pieces off one complete command.
//!
//! The command holds its literals in place, announcement included, as the
//! framer collected them; nothing here waits for more.

use std::borrow::Cow;

use mailcore::mailbox::{Flags, Keyword, MailboxName, SystemFlag};
use thiserror::Error;

use super::{TextForm, is_astring_char, is_atom_char, mutf7};

/// Flags allowed in one list.
const MAX_FLAGS: usize = 200;

/// Why a command could not be read, in words for the BAD response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The grammar asks for something else here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Everything was read and more followed.
    #[error("more arguments than the command takes")]
    TrailingData,
    /// A count, depth or length over its limit.
    #[error("too many or too deep: {0}")]
    TooMuch(&'static str),
    /// A mailbox name that can't be one; NO rather than BAD.
    #[error("that is not a possible mailbox name")]
    MailboxName,
    /// SEARCH in a charset this server does not read; NO rather than BAD.
    #[error("that charset is not supported")]
    BadCharset,
}

type Parsed<T> = Result<T, ParseError>;

/// A place in a complete command.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    texts: TextForm,
}

impl<'a> Cursor<'a> {
    /// A cursor at the front of `command`, which has no final CRLF.
    pub fn new(command: &'a [u8]) -> Self {
        Self {
            rest: command,
            texts: TextForm::Ascii,
        }
    }

    /// The same, for a client whose mailbox names come in this form.
    #[must_use]
    pub fn texts(self, texts: TextForm) -> Self {
        Self { texts, ..self }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octet, left in place.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// True when everything was read.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads nothing: there must be nothing left.
    ///
    /// # Errors
    /// [`ParseError::TrailingData`].
    pub fn end(&self) -> Parsed<()> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(ParseError::TrailingData)
        }
    }

    /// Reads `octet` if it is next.
    pub fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads `octet`.
    ///
    /// # Errors
    /// [`ParseError::Expected`] with `what`.
    pub fn expect(&mut self, octet: u8, what: &'static str) -> Parsed<()> {
        if self.eat(octet) {
            Ok(())
        } else {
            Err(ParseError::Expected(what))
        }
    }

    /// `SP`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "a space")
    }

    /// Reads `word` in any case if it is next and ends there.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let Some((head, rest)) = self.rest.split_at_checked(word.len()) else {
            return false;
        };
        if !head.eq_ignore_ascii_case(word.as_bytes())
            || rest.first().is_some_and(|&b| is_atom_char(b))
        {
            return false;
        }
        self.rest = rest;
        true
    }

    /// Reads the octets that `accept` takes; may be none.
    pub fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|&b| !accept(b))
            .unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at(end);
        self.rest = rest;
        head
    }

    /// `atom = 1*ATOM-CHAR`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn atom(&mut self) -> Parsed<&'a str> {
        match self.take_while(is_atom_char) {
            [] => Err(ParseError::Expected("an atom")),
            octets => std::str::from_utf8(octets).map_err(|_| ParseError::Expected("an atom")),
        }
    }

    /// `number = 1*DIGIT`, 32 bits.
    ///
    /// # Errors
    /// [`ParseError::Expected`], also for a number that does not fit.
    pub fn number(&mut self) -> Parsed<u32> {
        self.number64()
            .and_then(|n| u32::try_from(n).map_err(|_| ParseError::Expected("a 32-bit number")))
    }

    /// `number64 = 1*DIGIT`, 63 bits (RFC 9051 section 9).
    ///
    /// # Errors
    /// [`ParseError::Expected`], also for a number that does not fit.
    pub fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or(ParseError::Expected("a number"))
    }

    /// `astring = 1*ASTRING-CHAR / string`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.take_while(is_astring_char) {
                [] => Err(ParseError::Expected("a string")),
                octets => Ok(Cow::Borrowed(octets)),
            },
        }
    }

    /// `string = quoted / literal`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(ParseError::Expected("a quoted string or literal")),
        }
    }

    /// `nstring = string / nil`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.eat_word("NIL") {
            Ok(None)
        } else {
            self.string().map(Some)
        }
    }

    /// An `astring` that must be UTF-8.
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn astring_utf8(&mut self) -> Parsed<String> {
        let octets = self.astring()?.into_owned();
        String::from_utf8(octets).map_err(|_| ParseError::Expected("UTF-8"))
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`. Octets over 127 must be UTF-8
    /// (RFC 6855 section 3), whatever was enabled: clients send it early.
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.expect(b'"', "a quoted string")?;
        let head = self.take_while(|b| b != b'"' && b != b'\\');
        if self.eat(b'"') {
            utf8(head)?;
            return Ok(Cow::Borrowed(head));
        }
        let mut text = head.to_vec();
        loop {
            text.extend_from_slice(self.take_while(|b| b != b'"' && b != b'\\'));
            if self.eat(b'"') {
                utf8(&text)?;
                return Ok(Cow::Owned(text));
            }
            self.expect(b'\\', "the end of a quoted string")?;
            match self.rest.split_first() {
                Some((&escaped @ (b'"' | b'\\'), rest)) => {
                    text.push(escaped);
                    self.rest = rest;
                }
                _ => return Err(ParseError::Expected("\\\" or \\\\ in a quoted string")),
            }
        }
    }

    /// `literal = "{" number ["+"] "}" CRLF *CHAR8`
    fn literal(&mut self) -> Parsed<&'a [u8]> {
        self.expect(b'{', "a literal")?;
        let length =
            usize::try_from(self.number64()?).map_err(|_| ParseError::Expected("a literal"))?;
        self.eat(b'+');
        self.expect(b'}', "the end of a literal's announcement")?;
        let content = self
            .rest
            .strip_prefix(b"\r\n")
            .and_then(|rest| rest.split_at_checked(length));
        let (octets, rest) = content.ok_or(ParseError::Expected("a literal's octets"))?;
        self.rest = rest;
        Ok(octets)
    }

    /// `mailbox = "INBOX" / astring`. In ASCII it is decoded from modified UTF-7
    /// (RFC 3501 section 5.1.3), unless the client enabled UTF-8, where `&` is a
    /// letter like others.
    ///
    /// # Errors
    /// [`ParseError::MailboxName`] for a string that is no name.
    pub fn mailbox(&mut self) -> Parsed<MailboxName> {
        self.mailbox_as_given().map(|(name, _)| name)
    }

    /// As [`Cursor::mailbox`], with the text the client gave when the name is
    /// another (`inbox` for `INBOX`).
    ///
    /// # Errors
    /// [`ParseError::MailboxName`].
    pub fn mailbox_as_given(&mut self) -> Parsed<(MailboxName, Option<String>)> {
        let text = self.mailbox_text()?;
        // A trailing delimiter only declares that names below will follow
        // (RFC 3501 section 6.3.3).
        let name = text.strip_suffix('/').unwrap_or(&text);
        let parsed = MailboxName::parse(name).map_err(|_| ParseError::MailboxName)?;
        let given = (parsed.as_str() != name).then(|| name.to_owned());
        Ok((parsed, given))
    }

    /// A mailbox name or reference as LIST takes it: decoded, not checked.
    ///
    /// # Errors
    /// [`ParseError::MailboxName`].
    pub fn mailbox_text(&mut self) -> Parsed<String> {
        let octets = self.astring()?;
        self.decode_name(&octets)
    }

    /// `list-mailbox = 1*list-char / string`
    ///
    /// # Errors
    /// [`ParseError::Expected`], [`ParseError::MailboxName`].
    pub fn list_mailbox(&mut self) -> Parsed<String> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.mailbox_text();
        }
        match self.take_while(|b| is_astring_char(b) || matches!(b, b'%' | b'*')) {
            [] => Err(ParseError::Expected("a mailbox pattern")),
            octets => self.decode_name(octets),
        }
    }

    fn decode_name(&self, octets: &[u8]) -> Parsed<String> {
        match self.texts {
            TextForm::Ascii => mutf7::decode(octets),
            TextForm::Utf8 => std::str::from_utf8(octets).ok().map(str::to_owned),
        }
        .ok_or(ParseError::MailboxName)
    }

    /// `flag-list = "(" [flag *(SP flag)] ")"`
    ///
    /// # Errors
    /// [`ParseError::Expected`], [`ParseError::TooMuch`].
    pub fn flag_list(&mut self) -> Parsed<Flags> {
        self.expect(b'(', "a list of flags")?;
        if self.eat(b')') {
            return Ok(Flags::NONE);
        }
        let flags = self.flags()?;
        self.expect(b')', "the end of the list of flags")?;
        Ok(flags)
    }

    /// `flag *(SP flag)`. `\Recent` is the server's alone and no client can
    /// set it, so it and unknown system flags are an error.
    ///
    /// # Errors
    /// [`ParseError::Expected`], [`ParseError::TooMuch`].
    pub fn flags(&mut self) -> Parsed<Flags> {
        let mut flags = Flags::NONE;
        for _ in 0..MAX_FLAGS {
            if self.peek() == Some(b'\\') {
                flags.insert(self.system_flag()?);
            } else {
                let word = self.atom()?;
                flags.insert_keyword(Keyword::new(word).ok_or(ParseError::Expected("a keyword"))?);
            }
            if !self.eat(b' ') {
                return Ok(flags);
            }
        }
        Err(ParseError::TooMuch("flags"))
    }

    fn system_flag(&mut self) -> Parsed<SystemFlag> {
        let start = self.rest;
        self.expect(b'\\', "a flag")?;
        let name = self.atom()?;
        let whole = start.get(..name.len() + 1).unwrap_or_default();
        std::str::from_utf8(whole)
            .ok()
            .and_then(SystemFlag::parse)
            .ok_or(ParseError::Expected("a flag that clients can set"))
    }
}

fn utf8(octets: &[u8]) -> Parsed<()> {
    std::str::from_utf8(octets)
        .map(drop)
        .map_err(|_| ParseError::Expected("UTF-8 in a quoted string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_in_three_forms() {
        let mut cursor = Cursor::new(b"atom] \"q \\\"u\\\\\" {3}\r\na b {2+}\r\nxy");
        let mut next = || {
            let text = cursor.astring().unwrap().into_owned();
            cursor.eat(b' ');
            text
        };
        assert_eq!(next(), b"atom]");
        assert_eq!(next(), b"q \"u\\");
        assert_eq!(next(), b"a b");
        assert_eq!(next(), b"xy");
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for bad in [
            "\"open",
            "\"bad \\n\"",
            "{5}\r\nabc",
            "{99999999999999999999}\r\n",
            "",
            "(",
            "{3}abc",
        ] {
            assert!(Cursor::new(bad.as_bytes()).astring().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn flags_and_names_are_checked() {
        let flags = Cursor::new(b"(\\seen $Work)").flag_list().unwrap();
        assert!(flags.contains(SystemFlag::Seen));
        assert!(Cursor::new(b"(\\Recent)").flag_list().is_err());
        assert_eq!(Cursor::new(b"Work/").mailbox().unwrap().as_str(), "Work");
        assert_eq!(Cursor::new(b"a//b").mailbox(), Err(ParseError::MailboxName));
        assert_eq!(
            Cursor::new(b"\"&bad\"").mailbox(),
            Err(ParseError::MailboxName)
        );
    }
}
