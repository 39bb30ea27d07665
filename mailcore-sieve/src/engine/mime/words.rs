//! Encoded-words of header values (RFC 2047): [`text`].

use std::borrow::Cow;

use memchr::memmem;

use super::charset::{to_utf8, unnamed};
use super::transfer::{base64, quoted_line};

/// The text of an unfolded value. Words of sets that are not known stay as they are;
/// control characters become spaces.
pub(super) fn text(value: &[u8]) -> Cow<'_, str> {
    let text = match memmem::find(value, b"=?") {
        None => unnamed(value),
        Some(_) => Cow::Owned(decoded(value)),
    };
    match text.contains(char::is_control) {
        true => text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
        false => text,
    }
}

fn decoded(value: &[u8]) -> String {
    let mut text = Text::default();
    let mut rest = value;
    let mut from = 0;
    while let Some(at) = memmem::find(rest.get(from..).unwrap_or_default(), b"=?") {
        let (before, candidate) = rest.split_at_checked(from + at).unwrap_or((rest, b""));
        match Word::parse(candidate) {
            Some((word, after)) => {
                let between = text.pending.is_some() && before.iter().all(u8::is_ascii_whitespace);
                // White space between two encoded-words is no text (section 6.2).
                if !between {
                    text.plain(before);
                }
                text.word(word);
                (rest, from) = (after, 0);
            }
            // Without any `?=` ahead nothing further can be a word.
            None if memmem::find(candidate, b"?=").is_none() => break,
            None => from += at + 2,
        }
    }
    text.plain(rest);
    text.flush();
    text.done
}

/// `=?charset?encoding?text?=`.
struct Word<'a> {
    charset: &'a [u8],
    octets: Vec<u8>,
}

impl<'a> Word<'a> {
    /// The word that `candidate` begins with, and what follows it.
    fn parse(candidate: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let inner = candidate.strip_prefix(b"=?")?;
        let end = inner.iter().take(128).position(|&octet| octet == b'?')?;
        let (label, inner) = inner.split_at_checked(end)?;
        let [b'?', encoding, b'?', inner @ ..] = inner else {
            return None;
        };
        let (text, after) = inner.split_at_checked(memmem::find(inner, b"?=")?)?;
        // A language may follow the set (RFC 2231 section 5).
        let charset = label.split(|&octet| octet == b'*').next()?;
        let octets = match encoding {
            b'B' | b'b' => base64(text, text.len()),
            b'Q' | b'q' => {
                let spaced: Vec<u8> = text
                    .iter()
                    .map(|&o| if o == b'_' { b' ' } else { o })
                    .collect();
                let mut octets = Vec::with_capacity(spaced.len());
                quoted_line(&spaced, &mut octets);
                octets
            }
            _ => return None,
        };
        to_utf8(charset, b"")?;
        Some((Self { charset, octets }, after.strip_prefix(b"?=")?))
    }
}

/// Text put together. Neighbouring words of one set are joined before they are
/// decoded: mailers cut characters in two.
#[derive(Default)]
struct Text<'a> {
    done: String,
    pending: Option<Word<'a>>,
}

impl<'a> Text<'a> {
    fn plain(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            self.flush();
            self.done.push_str(&unnamed(octets));
        }
    }

    fn word(&mut self, word: Word<'a>) {
        match &mut self.pending {
            Some(pending) if pending.charset.eq_ignore_ascii_case(word.charset) => {
                pending.octets.extend_from_slice(&word.octets);
            }
            _ => {
                self.flush();
                self.pending = Some(word);
            }
        }
    }

    fn flush(&mut self) {
        if let Some(word) = self.pending.take() {
            let text = to_utf8(word.charset, &word.octets);
            self.done
                .push_str(&text.unwrap_or_else(|| unnamed(&word.octets)));
        }
    }
}
