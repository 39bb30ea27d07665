//! Modified UTF-7, in which IMAP4rev1 writes mailbox names
//! (RFC 3501 section 5.1.3).

/// The base64 alphabet with `,` for `/`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes `name` in modified UTF-7.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let shifted = |c: char| !(' '..='~').contains(&c);
        let end = if shifted(first) {
            rest.find(|c| !shifted(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (head, tail) = rest.split_at(end);
        match first {
            '&' => out.push_str("&-"),
            _ if shifted(first) => encode_run(head, &mut out),
            _ => out.push(first),
        }
        rest = tail;
    }
    out
}

/// `&`, the run's UTF-16 in base64 without padding, `-`.
fn encode_run(run: &str, out: &mut String) {
    let (mut bits, mut count) = (0_u32, 0_u32);
    out.push('&');
    for unit in run.encode_utf16() {
        bits = (bits << 16) | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            out.push(letter(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(letter(bits << (6 - count)));
    }
    out.push('-');
}

fn letter(sextet: u32) -> char {
    ALPHABET
        .get((sextet & 0x3f) as usize)
        .map_or('A', |&b| char::from(b))
}

/// Reads a mailbox name: modified UTF-7 when it is ASCII, UTF-8 when not.
/// `None` for what is neither: a shift that does not end, that hides printable
/// ASCII, or half a surrogate pair.
pub fn decode(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    if !text.is_ascii() {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (run, tail) = shifted.split_once('-')?;
        if run.is_empty() {
            out.push('&');
        } else {
            decode_run(run, &mut out)?;
        }
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

fn decode_run(run: &str, out: &mut String) -> Option<()> {
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut units = Vec::with_capacity(run.len() * 3 / 8 + 1);
    for letter in run.bytes() {
        let sextet = ALPHABET.iter().position(|&b| b == letter)?;
        bits = (bits << 6) | u32::try_from(sextet).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from((bits >> count) & 0xffff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    // What is left is padding: fewer than six bits, all zero.
    if count >= 6 || bits != 0 || units.is_empty() {
        return None;
    }
    for decoded in char::decode_utf16(units) {
        let c = decoded.ok()?;
        if (' '..='~').contains(&c) {
            return None;
        }
        out.push(c);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_3501() {
        let wire = "~peter/mail/&U,BTFw-/&ZeVnLIqe-";
        assert_eq!(encode("~peter/mail/台北/日本語"), wire);
        assert_eq!(decode(wire.as_bytes()).unwrap(), "~peter/mail/台北/日本語");
        assert_eq!(encode("a&b"), "a&-b");
        assert_eq!(encode("Отправленные"), "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-");
    }

    #[test]
    fn what_is_no_modified_utf7_is_refused() {
        for bad in ["&", "&U", "&AGE-", "&2D0-", "&U,BTF-", "&U,BT Fw-"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn a_name_reads_back(name in "\\PC{0,40}") {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|b| (0x20..0x7f).contains(&b)));
            prop_assert_eq!(decode(wire.as_bytes()), Some(name));
        }

        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&octets);
        }
    }
}
