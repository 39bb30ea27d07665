//! Text of a named character set as UTF-8: [`to_utf8`].

use std::borrow::Cow;

/// `octets` of the character set `label` as UTF-8; none for a set that is not known.
/// RFC 5228 section 2.7.2 asks for these sets. What is malformed becomes U+FFFD.
pub(crate) fn to_utf8<'a>(label: &[u8], octets: &'a [u8]) -> Option<Cow<'a, str>> {
    let label = label.trim_ascii().to_ascii_lowercase();
    Some(match label.as_slice() {
        // Mail that says nothing, or `us-ascii`, mostly is UTF-8, which includes it.
        b"" | b"us-ascii" | b"ascii" | b"utf-8" | b"utf8" => String::from_utf8_lossy(octets),
        b"iso-8859-1" | b"latin1" | b"iso8859-1" | b"windows-1252" | b"cp1252" => latin(octets),
        _ if label.starts_with(b"iso-8859-") && octets.is_ascii() => latin(octets),
        _ => return None,
    })
}

/// Octets that no character set is named for: UTF-8, also where it is damaged, or
/// else Windows-1252, in which everything means something.
pub(crate) fn unnamed(octets: &[u8]) -> Cow<'_, str> {
    let sound = match std::str::from_utf8(octets) {
        Ok(text) => return Cow::Borrowed(text),
        Err(fault) => octets.get(..fault.valid_up_to()).unwrap_or_default(),
    };
    match sound.is_ascii() {
        true => latin(octets),
        false => String::from_utf8_lossy(octets),
    }
}

/// Windows-1252, which mail labelled ISO-8859-1 is read as everywhere.
fn latin(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => octets.iter().map(|&octet| windows_1252(octet)).collect(),
    }
}

/// The characters of Windows-1252 in 0x80 to 0x9f; five are controls of their own.
const HIGH: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

fn windows_1252(octet: u8) -> char {
    let high = octet.checked_sub(0x80).map(usize::from);
    let special = high.and_then(|index| HIGH.get(index)).copied();
    special.unwrap_or(char::from(octet))
}
