//! Text for people and for searching: header values and bodies as UTF-8
//! ([`header_text`], [`TextDecoder`], [`charset_text`]; RFC 2047).
//!
//! Lenient: what cannot be decoded stays as it is or becomes U+FFFD. Nothing
//! here is for checking signatures or for sending on.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{Decoder, Encoding, ISO_2022_JP, UTF_8, WINDOWS_1252};
use memchr::memmem;

use super::part::ContentFields;
use super::transfer::{self, TransferDecoder, TransferEncoding};

/// The text of an unfolded header value: encoded-words decoded (RFC 2047), raw
/// octets read as UTF-8 or, when nothing in them is, Windows-1252, control characters as spaces. At
/// most three times as long as `value`.
pub fn header_text(value: &[u8]) -> String {
    let mut text = HeaderText::default();
    let mut rest = value;
    let mut from = 0;
    while let Some(at) = memmem::find(rest.get(from..).unwrap_or_default(), b"=?") {
        let (before, candidate) = rest.split_at_checked(from + at).unwrap_or((rest, b""));
        match EncodedWord::parse(candidate) {
            Some((word, after)) => {
                text.plain(before, After::Word);
                text.word(&word);
                (rest, from) = (after, 0);
            }
            // Without any `?=` ahead nothing further can be an encoded-word.
            None if memmem::find(candidate, b"?=").is_none() => break,
            None => from += at + 2,
        }
    }
    text.plain(rest, After::Text);
    text.finish()
}

/// `octets` in the character set called `label`, as UTF-8; none when the set
/// is not known. Malformed octets become U+FFFD.
pub fn charset_text(label: &[u8], octets: &[u8]) -> Option<String> {
    let (text, _) = Encoding::for_label(label)?.decode_without_bom_handling(octets);
    Some(text.into_owned())
}

/// Decodes the body of a text part in pieces of any size; how it is cut
/// changes nothing.
///
/// A character set that is missing, `us-ascii` or unknown is read as UTF-8: it
/// includes the first, and is what mislabelled mail mostly means.
pub struct TextDecoder {
    transfer: TransferDecoder,
    charset: Decoder,
    buffer: Vec<u8>,
}

impl fmt::Debug for TextDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let charset = self.charset.encoding().name();
        f.debug_struct("TextDecoder")
            .field("charset", &charset)
            .finish_non_exhaustive()
    }
}

impl TextDecoder {
    /// A decoder for the body of a part with these fields. A transfer encoding
    /// that is not known is taken for none.
    pub fn new(content: &ContentFields) -> Self {
        let encoding = TransferEncoding::parse(&content.encoding);
        let label = content.parameter("charset").unwrap_or_default();
        Self {
            transfer: TransferDecoder::new(encoding.unwrap_or(TransferEncoding::Identity)),
            charset: charset(label).new_decoder(),
            buffer: Vec::new(),
        }
    }

    /// Decodes `octets`, appending to `into` at most three octets for each.
    pub fn push(&mut self, octets: &[u8], into: &mut String) {
        self.buffer.clear();
        self.transfer.push(octets, &mut self.buffer);
        convert(&mut self.charset, &self.buffer, into, Last::No);
    }

    /// Ends the body.
    pub fn finish(mut self, into: &mut String) {
        self.buffer.clear();
        self.transfer.finish(&mut self.buffer);
        convert(&mut self.charset, &self.buffer, into, Last::Yes);
    }
}

/// The text of a part's body held in memory, cut off once it is over `limit`
/// octets long.
pub fn body_text(content: &ContentFields, body: &[u8], limit: usize) -> String {
    let mut text = String::new();
    let mut decoder = TextDecoder::new(content);
    for chunk in body.chunks(8 * 1024) {
        decoder.push(chunk, &mut text);
        if text.len() > limit {
            break;
        }
    }
    decoder.finish(&mut text);
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

fn convert(decoder: &mut Decoder, octets: &[u8], into: &mut String, last: Last) {
    let room = decoder
        .max_utf8_buffer_length(octets.len())
        .unwrap_or(octets.len());
    into.reserve(room);
    let mut rest = octets;
    loop {
        let (result, read, _) = decoder.decode_to_string(rest, into, last == Last::Yes);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            encoding_rs::CoderResult::InputEmpty => break,
            encoding_rs::CoderResult::OutputFull => into.reserve(rest.len() * 3 + 16),
        }
    }
}

fn charset(label: &[u8]) -> &'static Encoding {
    let ascii = label.eq_ignore_ascii_case(b"us-ascii") || label.eq_ignore_ascii_case(b"ascii");
    Encoding::for_label(label)
        .filter(|_| !ascii)
        .unwrap_or(UTF_8)
}

/// `=?charset?encoding?text?=`, with RFC 2231's language dropped.
struct EncodedWord {
    charset: &'static Encoding,
    octets: Vec<u8>,
}

impl EncodedWord {
    /// Parses the word at the start of `candidate`; with it, what follows.
    fn parse(candidate: &[u8]) -> Option<(Self, &[u8])> {
        let inner = candidate.strip_prefix(b"=?")?;
        let label_end = inner.iter().take(128).position(|&octet| octet == b'?')?;
        let (label, inner) = inner.split_at_checked(label_end)?;
        let [b'?', encoding, b'?', inner @ ..] = inner else {
            return None;
        };
        let (text, after) = inner.split_at_checked(memmem::find(inner, b"?=")?)?;
        let label = label
            .split(|&octet| octet == b'*')
            .next()
            .unwrap_or_default();
        let octets = match encoding {
            b'B' | b'b' => transfer::decode(TransferEncoding::Base64, text),
            b'Q' | b'q' => {
                let text: Vec<u8> = text
                    .iter()
                    .map(|&o| if o == b'_' { b' ' } else { o })
                    .collect();
                // A final space is content here, not padding.
                let mut octets = transfer::decode(TransferEncoding::QuotedPrintable, &text);
                let spaces = text
                    .iter()
                    .rev()
                    .take_while(|&&octet| octet == b' ')
                    .count();
                octets.resize(octets.len() + spaces, b' ');
                octets
            }
            _ => return None,
        };
        let charset = Encoding::for_label(label).unwrap_or_else(|| charset(label));
        Some((Self { charset, octets }, after.strip_prefix(b"?=")?))
    }
}

/// What comes after a run of plain text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Word,
    Text,
}

/// Text put together. Octets of neighbouring words in one character set are
/// joined before they are decoded: mailers cut characters in two.
#[derive(Default)]
struct HeaderText {
    text: String,
    pending: Option<EncodedWord>,
}

impl HeaderText {
    fn plain(&mut self, octets: &[u8], after: After) {
        // White space between encoded-words is not part of the text.
        let between = self.pending.is_some() && after == After::Word;
        if octets.is_empty() || between && octets.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.flush();
        self.text.push_str(&raw_text(octets));
    }

    fn word(&mut self, word: &EncodedWord) {
        match &mut self.pending {
            // ISO-2022-JP shifts back to ASCII at each word's end.
            Some(pending) if pending.charset == word.charset && word.charset != ISO_2022_JP => {
                pending.octets.extend_from_slice(&word.octets);
            }
            _ => {
                self.flush();
                let octets = word.octets.clone();
                self.pending = Some(EncodedWord {
                    charset: word.charset,
                    octets,
                });
            }
        }
    }

    fn flush(&mut self) {
        if let Some(word) = self.pending.take() {
            let (text, _) = word.charset.decode_without_bom_handling(&word.octets);
            self.text.push_str(&text);
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        if self.text.contains(char::is_control) {
            self.text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect()
        } else {
            self.text
        }
    }
}

/// UTF-8, also where it is damaged, or else Windows-1252, in which everything
/// means something.
fn raw_text(octets: &[u8]) -> Cow<'_, str> {
    let sound = match std::str::from_utf8(octets) {
        Ok(text) => return Cow::Borrowed(text),
        Err(fault) => octets.get(..fault.valid_up_to()).unwrap_or_default(),
    };
    if sound.is_ascii() {
        WINDOWS_1252.decode_without_bom_handling(octets).0
    } else {
        String::from_utf8_lossy(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> String {
        header_text(value.as_bytes())
    }

    #[test]
    fn rfc2047_examples() {
        assert_eq!(text("=?ISO-8859-1?Q?a?="), "a");
        assert_eq!(text("=?ISO-8859-1?Q?a?= b"), "a b");
        assert_eq!(text("=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?="), "ab");
        assert_eq!(text("=?ISO-8859-1?Q?a_b?="), "a b");
        assert_eq!(text("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), "a b");
        assert_eq!(
            text("=?US-ASCII*EN?Q?Keith_Moore?= <m@x>"),
            "Keith Moore <m@x>"
        );
        assert_eq!(
            text(
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\t=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?="
            ),
            "If you can read this you understand the example."
        );
    }

    #[test]
    fn odd_values() {
        assert_eq!(text("=?utf-8?B?4oI=?= =?utf-8?B?rA==?="), "€");
        assert_eq!(text("=?koi8-r?Q?=F2=D5=D3?="), "Рус");
        assert_eq!(
            text("a =?x?= b =?utf-8?X?c?= d"),
            "a =?x?= b =?utf-8?X?c?= d"
        );
        assert_eq!(text("=?utf-8?Q?a_?="), "a ");
        assert_eq!(text("=?utf-8?Q?a=0D=0AX:_b?="), "a  X: b");
        assert_eq!(header_text(b"caf\xe9"), "café");
        assert_eq!(text("naïve"), "naïve");
        assert_eq!(header_text(b"na\xc3\xafve\xc3"), "naïve\u{fffd}");
        let kana = "=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=";
        assert_eq!(text(&format!("{kana} {kana}")), "テストテスト");
        assert_eq!(text("=?nonsense?Q?=C3=A9?="), "é");
    }

    #[test]
    fn many_openings_take_linear_time() {
        assert_eq!(text(&"=?a?q?x ".repeat(50_000)).len(), 400_000);
        assert_eq!(text(&"=?".repeat(200_000)).len(), 400_000);
    }

    #[test]
    fn bodies() {
        let content = |charset: &str, encoding: &str| {
            let mut content = ContentFields::default();
            content.parameters[0].value = charset.into();
            content.encoding = encoding.into();
            content
        };
        assert_eq!(
            body_text(&content("iso-8859-1", "quoted-printable"), b"=E9=\r\n!", 99),
            "é!"
        );
        assert_eq!(body_text(&content("utf-8", "base64"), b"4oKs", 99), "€");
        assert_eq!(
            body_text(&content("us-ascii", "8bit"), "é".as_bytes(), 99),
            "é"
        );
        assert_eq!(
            body_text(&content("iso-2022-jp", "7bit"), b"\x1b$B$\"\x1b(B", 99),
            "あ"
        );
        assert_eq!(
            body_text(&content("utf-8", "7bit"), "ééé".as_bytes(), 3),
            "é"
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(body: Vec<u8>, which in 0usize..4) {
            let mut content = ContentFields::default();
            content.parameters[0].value = [&b"utf-8"[..], b"gb18030", b"utf-16le", b"x"][which].to_vec();
            let mut decoder = TextDecoder::new(&content);
            let mut pieces = String::new();
            body.chunks(1).for_each(|octet| decoder.push(octet, &mut pieces));
            decoder.finish(&mut pieces);
            prop_assert_eq!(pieces, body_text(&content, &body, usize::MAX));
        }

        #[test]
        fn any_value_is_bounded(value in proptest::collection::vec(
            prop_oneof![proptest::sample::select(b"=?QqBb_utf-8 4A".to_vec()), any::<u8>()], 0..100)) {
            prop_assert!(header_text(&value).len() <= value.len() * 3);
        }
    }
}
