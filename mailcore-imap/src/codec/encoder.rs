//! [`Encoder`]: writes responses, choosing between atom, quoted string and
//! literal.

use bytes::{BufMut, BytesMut};
use mailcore::mailbox::{Flags, MailboxName};

use super::{TextForm, is_astring_char, mutf7};

/// The longest text written as a quoted string; longer ones are literals, for
/// clients with line limits.
const MAX_QUOTED: usize = 1_000;

/// Writes to the end of a buffer.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut BytesMut,
    texts: TextForm,
}

impl<'a> Encoder<'a> {
    /// An encoder at the end of `out`.
    pub fn new(out: &'a mut BytesMut) -> Self {
        Self {
            out,
            texts: TextForm::Ascii,
        }
    }

    /// The same, for a client that reads this form.
    #[must_use]
    pub fn texts(self, texts: TextForm) -> Self {
        Self { texts, ..self }
    }

    /// `text` as it is.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.out.put_slice(text.as_bytes());
        self
    }

    /// `octets` as they are.
    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.out.put_slice(octets);
        self
    }

    /// Anything that has its own IMAP form.
    pub fn display(&mut self, value: impl std::fmt::Display) -> &mut Self {
        use std::fmt::Write;
        // A BytesMut grows and never fails.
        let _ = write!(self.out, "{value}");
        self
    }

    /// `number`, without the formatting machinery: FETCH writes millions.
    pub fn number(&mut self, value: u64) -> &mut Self {
        let mut digits = [0_u8; 20];
        let mut start = digits.len();
        let mut rest = value;
        for (i, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            start = i;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.put_slice(digits.get(start..).unwrap_or_default());
        self
    }

    /// `CRLF`
    pub fn crlf(&mut self) -> &mut Self {
        self.raw("\r\n")
    }

    /// `string = quoted / literal`. NUL has no place in either and becomes a
    /// question mark.
    pub fn string(&mut self, text: &[u8]) -> &mut Self {
        if text.len() > MAX_QUOTED || !self.fits_quoted(text) {
            self.raw("{").number(text.len() as u64).raw("}\r\n");
            if memchr::memchr(0, text).is_none() {
                return self.octets(text);
            }
            let printable: Vec<u8> = text
                .iter()
                .map(|&b| if b == 0 { b'?' } else { b })
                .collect();
            return self.octets(&printable);
        }
        self.out.put_u8(b'"');
        let mut rest = text;
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            let (head, tail) = rest.split_at(at);
            self.octets(head)
                .raw("\\")
                .octets(tail.get(..1).unwrap_or_default());
            rest = tail.get(1..).unwrap_or_default();
        }
        self.octets(rest);
        self.out.put_u8(b'"');
        self
    }

    /// True when `text` can stand between quotes.
    fn fits_quoted(&self, text: &[u8]) -> bool {
        let plain = |b: &u8| (0x20..0x7f).contains(b) || *b == b'\t';
        match self.texts {
            TextForm::Ascii => text.iter().all(plain),
            TextForm::Utf8 => {
                text.iter().all(|b| plain(b) || *b >= 0x80) && std::str::from_utf8(text).is_ok()
            }
        }
    }

    /// `nstring = string / nil`
    pub fn nstring(&mut self, text: Option<&[u8]>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.raw("NIL"),
        }
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub fn astring(&mut self, text: &[u8]) -> &mut Self {
        let is_atom =
            !text.is_empty() && text.len() < 64 && text.iter().all(|&b| is_astring_char(b));
        if is_atom && !text.eq_ignore_ascii_case(b"NIL") {
            self.octets(text)
        } else {
            self.string(text)
        }
    }

    /// `mailbox`, in modified UTF-7 for a client that did not enable UTF-8.
    pub fn mailbox(&mut self, name: &MailboxName) -> &mut Self {
        self.mailbox_text(name.as_str())
    }

    /// As [`Encoder::mailbox`], for a text that need be no name.
    pub fn mailbox_text(&mut self, text: &str) -> &mut Self {
        let unchanged = text.bytes().all(|b| is_astring_char(b) && b != b'&');
        if unchanged || self.texts == TextForm::Utf8 {
            return self.astring(text.as_bytes());
        }
        self.astring(mutf7::encode(text).as_bytes())
    }

    /// `"(" [flag-fetch *(SP flag-fetch)] ")"`
    pub fn flags(&mut self, flags: &Flags, recent: Recent) -> &mut Self {
        self.out.put_u8(b'(');
        let mut space = "";
        let system = flags.system().map(|flag| flag.as_str());
        let keywords = flags.keywords().map(|keyword| keyword.as_str());
        let recent = (recent == Recent::Yes).then_some("\\Recent");
        for flag in system.chain(keywords).chain(recent) {
            self.raw(space).raw(flag);
            space = " ";
        }
        self.raw(")")
    }
}

/// Whether a message is `\Recent` in this session (RFC 3501 section 2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recent {
    /// This session is the first to be told of it.
    Yes,
    /// It is not.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Cursor;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut Encoder::new(&mut out));
        out.to_vec()
    }

    #[test]
    fn the_form_follows_the_text() {
        assert_eq!(
            written(|out| {
                out.astring(b"INBOX");
            }),
            b"INBOX"
        );
        assert_eq!(
            written(|out| {
                out.astring(b"nil");
            }),
            b"\"nil\""
        );
        assert_eq!(
            written(|out| {
                out.string(b"a\"\\b");
            }),
            b"\"a\\\"\\\\b\""
        );
        assert_eq!(
            written(|out| {
                out.string(b"a\r\n");
            }),
            b"{3}\r\na\r\n"
        );
        assert_eq!(
            written(|out| {
                out.number(0).raw(" ").number(u64::MAX);
            }),
            b"0 18446744073709551615"
        );
        let name = MailboxName::parse("Entw\u{fc}rfe & mehr").unwrap();
        assert_eq!(
            written(|out| {
                out.mailbox(&name);
            }),
            b"\"Entw&APw-rfe &- mehr\""
        );
    }

    proptest! {
        #[test]
        fn a_string_reads_back(text in proptest::collection::vec(1u8..=255, 0..60)) {
            let wire = written(|out| { out.string(&text); });
            let mut cursor = Cursor::new(&wire);
            prop_assert_eq!(cursor.string().unwrap().into_owned(), text);
            prop_assert!(cursor.is_at_end());
        }

        #[test]
        fn any_astring_reads_back(text in "[ -~]{0,20}") {
            let wire = written(|out| { out.astring(text.as_bytes()); });
            prop_assert_eq!(Cursor::new(&wire).astring().unwrap().into_owned(), text.into_bytes());
        }
    }
}
