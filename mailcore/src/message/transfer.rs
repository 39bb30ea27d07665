//! Content-Transfer-Encoding undone, piece by piece: [`TransferEncoding`],
//! [`TransferDecoder`] (RFC 2045 section 6).
//!
//! Damaged encodings give what can be made of them; character sets are
//! [`super::decode`]'s.

/// How a body was made fit for transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferEncoding {
    /// `7bit`, `8bit`, `binary`: not at all.
    Identity,
    /// `quoted-printable` (RFC 2045 section 6.7).
    QuotedPrintable,
    /// `base64` (RFC 2045 section 6.8).
    Base64,
}

impl TransferEncoding {
    /// The encoding with this name in any case; none for one not known.
    pub fn parse(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("7bit") || is("8bit") || is("binary") => Some(Self::Identity),
            () if is("quoted-printable") => Some(Self::QuotedPrintable),
            () if is("base64") => Some(Self::Base64),
            () => None,
        }
    }
}

/// Decodes a body in pieces of any size; how it is cut changes nothing. Never
/// gives more octets than it took, bar a few held back before.
#[derive(Debug)]
pub struct TransferDecoder(State);

#[derive(Debug)]
enum State {
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

impl TransferDecoder {
    /// A decoder at the start of a body.
    pub fn new(encoding: TransferEncoding) -> Self {
        Self(match encoding {
            TransferEncoding::Identity => State::Identity,
            TransferEncoding::Base64 => State::Base64(Base64::default()),
            TransferEncoding::QuotedPrintable => State::QuotedPrintable(QuotedPrintable::default()),
        })
    }

    /// Decodes `octets`, appending to `into`.
    pub fn push(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => into.extend_from_slice(octets),
            State::Base64(base64) => base64.push(octets, into),
            State::QuotedPrintable(quoted) => octets.iter().for_each(|&o| quoted.take(o, into)),
        }
    }

    /// Ends the body, appending what was held back.
    pub fn finish(mut self, into: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => {}
            State::Base64(base64) => base64.flush(into),
            State::QuotedPrintable(quoted) => quoted.flush(into),
        }
    }
}

/// Octets outside of the alphabet are passed over (RFC 2045 section 6.8);
/// padding ends a group, after which another may follow.
#[derive(Debug, Default)]
struct Base64 {
    bits: u32,
    count: u8,
}

/// Sextets by octet; [`NO_SEXTET`] outside of the alphabet.
const SEXTETS: [u8; 256] = sextets();
const NO_SEXTET: u8 = 0xff;

#[expect(clippy::indexing_slicing, reason = "computed at compile time")]
const fn sextets() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [NO_SEXTET; 256];
    let mut index = 0;
    while index < 64 {
        table[alphabet[index] as usize] = index as u8;
        index += 1;
    }
    table
}

impl Base64 {
    fn push(&mut self, octets: &[u8], into: &mut Vec<u8>) {
        into.reserve(octets.len() / 4 * 3);
        for &octet in octets {
            let sextet = SEXTETS
                .get(usize::from(octet))
                .copied()
                .unwrap_or(NO_SEXTET);
            if sextet == NO_SEXTET {
                if octet == b'=' {
                    self.flush(into);
                }
                continue;
            }
            self.bits = self.bits << 6 | u32::from(sextet);
            self.count += 1;
            if self.count == 4 {
                let [_, first, second, third] = self.bits.to_be_bytes();
                into.extend_from_slice(&[first, second, third]);
                (self.bits, self.count) = (0, 0);
            }
        }
    }

    fn flush(&mut self, into: &mut Vec<u8>) {
        let [_, first, second, _] = (self.bits << (6 * (4 - self.count.min(4)))).to_be_bytes();
        match self.count {
            2 => into.push(first),
            3 => into.extend_from_slice(&[first, second]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }
}

/// White space that may yet prove to end a line is held back up to this.
const MAX_SPACES: usize = 1_000;

#[derive(Debug, Default)]
struct QuotedPrintable {
    held: Held,
    /// White space that is dropped should a line end follow (rule 3).
    spaces: Vec<u8>,
}

/// An `=` and what came after it.
#[derive(Debug, Clone, Copy, Default)]
enum Held {
    #[default]
    Nothing,
    Equals,
    Digit(u8),
    /// A soft line break whose line feed is to come.
    Break,
}

impl QuotedPrintable {
    fn take(&mut self, octet: u8, into: &mut Vec<u8>) {
        match (self.held, octet) {
            (Held::Nothing, _) => self.plain(octet, into),
            (Held::Equals, digit) if digit.is_ascii_hexdigit() => self.held = Held::Digit(digit),
            (Held::Equals | Held::Break, b' ' | b'\t' | b'\r') => self.held = Held::Break,
            (Held::Equals | Held::Break, b'\n') => self.held = Held::Nothing,
            (Held::Digit(high), low) if low.is_ascii_hexdigit() => {
                self.held = Held::Nothing;
                self.spaces_stay(into);
                into.push(hex(high) << 4 | hex(low));
            }
            (Held::Equals | Held::Digit(_) | Held::Break, _) => {
                // No encoding at all: the octets stand for themselves.
                self.unhold(into);
                self.plain(octet, into);
            }
        }
    }

    fn plain(&mut self, octet: u8, into: &mut Vec<u8>) {
        match octet {
            b'=' => {
                self.spaces_stay(into);
                self.held = Held::Equals;
            }
            b' ' | b'\t' => {
                if self.spaces.len() == MAX_SPACES {
                    self.spaces_stay(into);
                }
                self.spaces.push(octet);
            }
            b'\r' => self.spaces.push(octet),
            b'\n' => {
                let crlf = self.spaces.last() == Some(&b'\r');
                self.spaces.clear();
                into.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            }
            _ => {
                self.spaces_stay(into);
                into.push(octet);
            }
        }
        if self.spaces.len() > MAX_SPACES {
            self.spaces_stay(into);
        }
    }

    fn spaces_stay(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.spaces);
    }

    fn unhold(&mut self, into: &mut Vec<u8>) {
        self.spaces_stay(into);
        match self.held {
            Held::Nothing | Held::Break => {}
            Held::Equals => into.push(b'='),
            Held::Digit(digit) => into.extend_from_slice(&[b'=', digit]),
        }
        self.held = Held::Nothing;
    }

    fn flush(&mut self, into: &mut Vec<u8>) {
        // `=` at the very end is a soft line break cut short.
        if !matches!(self.held, Held::Nothing | Held::Equals) {
            self.unhold(into);
        }
        self.held = Held::Nothing;
        self.spaces.clear();
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Decodes octets held in memory.
pub(super) fn decode(encoding: TransferEncoding, octets: &[u8]) -> Vec<u8> {
    let mut decoder = TransferDecoder::new(encoding);
    let mut decoded = Vec::new();
    decoder.push(octets, &mut decoded);
    decoder.finish(&mut decoded);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use proptest::prelude::*;

    fn quoted(text: &str) -> String {
        let decoded = decode(TransferEncoding::QuotedPrintable, text.as_bytes());
        String::from_utf8(decoded).unwrap()
    }

    #[test]
    fn quoted_printable_rules() {
        assert_eq!(quoted("a=3Db=\r\nc =\r\nd"), "a=bc d");
        assert_eq!(quoted("line \t\r\nnext  \nend  "), "line\r\nnext\nend");
        assert_eq!(quoted("soft= \t\r\nbreak="), "softbreak");
        assert_eq!(quoted("=E4=bd=A0"), "你");
        assert_eq!(quoted("a=b =XY =4 ="), "a=b =XY =4 ");
    }

    #[test]
    fn base64_damage() {
        let decoded = |text: &str| decode(TransferEncoding::Base64, text.as_bytes());
        assert_eq!(decoded("SGVs\r\nbG8="), b"Hello");
        assert_eq!(decoded("SGk=SGk="), b"HiHi");
        assert_eq!(decoded("S*GVsbG8"), b"Hello");
        assert_eq!(decoded("S"), b"");
    }

    proptest! {
        #[test]
        fn base64_reads_what_was_encoded(octets: Vec<u8>) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&octets);
            prop_assert_eq!(decode(TransferEncoding::Base64, encoded.as_bytes()), octets);
        }

        #[test]
        fn any_split_gives_the_same(octets in proptest::collection::vec(
            prop_oneof![proptest::sample::select(b"=\r\n \tA4fz+".to_vec()), any::<u8>()], 0..80)) {
            for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable] {
                let whole = decode(encoding, &octets);
                let mut decoder = TransferDecoder::new(encoding);
                let mut pieces = Vec::new();
                octets.chunks(1).for_each(|octet| decoder.push(octet, &mut pieces));
                decoder.finish(&mut pieces);
                prop_assert!(whole.len() <= octets.len());
                prop_assert_eq!(pieces, whole);
            }
        }
    }
}
