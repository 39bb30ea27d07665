//! The two encodings of parameter values: xtext (RFC 3461 section 4) and the
//! `\x{..}` form of UTF-8 addresses in `ORCPT=` (RFC 6533 section 3).
//!
//! Which octets a decoded value may hold is the caller's to check.

use std::fmt::Write as _;

/// Undoes `xtext = *( xchar / hexchar )`; `None` when `text` is not xtext.
///
/// Lower-case hexadecimal digits are let through: old clients write them.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => {
                let high = hex_digit(octets.next()?)?;
                let low = hex_digit(octets.next()?)?;
                out.push(high << 4 | low);
            }
            b'=' => return None,
            b'!'..=b'~' => out.push(octet),
            _ => return None,
        }
    }
    Some(out)
}

/// Writes `octets` as xtext.
pub(super) fn encode(octets: &[u8], out: &mut String) {
    for &octet in octets {
        match octet {
            b'+' | b'=' => push_hex(octet, out),
            b'!'..=b'~' => out.push(char::from(octet)),
            _ => push_hex(octet, out),
        }
    }
}

/// Undoes `utf-8-enc-addr`: plain UTF-8 with `\x{HEXPOINT}` for what SMTP
/// cannot carry.
pub(super) fn decode_unitext(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at_checked(at)?;
        let (digits, after) = escape.strip_prefix("\\x{")?.split_once('}')?;
        if !(2..=6).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        out.push_str(plain);
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    let plain = |c: char| c != '+' && c != '=' && !c.is_ascii_control() && c != ' ';
    text.chars().all(plain).then_some(out)
}

/// Writes `utf-8-addr-xtext`, the form that is safe without SMTPUTF8.
pub(super) fn encode_unitext(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' | '+' | '=' => push_point(c, out),
            '!'..='~' => out.push(c),
            _ => push_point(c, out),
        }
    }
}

fn push_point(c: char, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
}

fn push_hex(octet: u8, out: &mut String) {
    let _ = write!(out, "+{octet:02X}");
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
