//! The text of HTML without its mark-up: [`text`].

use memchr::{memchr, memchr2, memmem};

/// Elements that stand within words; all others stand between them.
const INLINE: &[&[u8]] = &[
    b"a", b"abbr", b"b", b"bdi", b"bdo", b"big", b"em", b"font", b"i", b"mark", b"o:p", b"s",
    b"small", b"span", b"strike", b"strong", b"sub", b"sup", b"tt", b"u", b"wbr",
];

/// The text that people would read, roughly: tags and comments gone, scripts and styles
/// with what they hold, character references decoded. In linear time; no longer than
/// `html`.
pub(crate) fn text(html: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = memchr2(b'<', b'&', rest) {
        let (before, special) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(before);
        rest = match special {
            [b'&', ..] => reference(special, &mut out),
            [b'<', b'!', b'-', b'-', inner @ ..] => after(inner, memmem::find(inner, b"-->"), 3),
            [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!' | b'?', ..] => tag(special, &mut out),
            _ => {
                out.push(b'<');
                special.get(1..).unwrap_or_default()
            }
        };
    }
    out.extend_from_slice(rest);
    out
}

/// What follows a place that was found; nothing where it was not.
fn after(octets: &[u8], found: Option<usize>, length: usize) -> &[u8] {
    let end = found.map(|at| at + length);
    end.and_then(|end| octets.get(end..)).unwrap_or_default()
}

/// Passes over a tag, and over all of an element that holds no text.
fn tag<'a>(special: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let name = special.get(1..).unwrap_or_default();
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let ends = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'>' | b'/');
    let length = name
        .iter()
        .take(16)
        .position(ends)
        .unwrap_or(name.len().min(16));
    let name = name.get(..length).unwrap_or_default().to_ascii_lowercase();
    if !INLINE.contains(&name.as_slice()) {
        out.push(b' ');
    }
    let rest = after(special, memchr(b'>', special), 1);
    match name.as_slice() {
        b"script" | b"style" if special.get(1) != Some(&b'/') => close(rest, &name),
        _ => rest,
    }
}

/// From the end tag of this element on.
fn close<'a>(octets: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut at = 0;
    while let Some(found) = octets.get(at..).and_then(|rest| memmem::find(rest, b"</")) {
        at += found;
        let own = octets.get(at + 2..at + 2 + name.len());
        if own.is_some_and(|own| own.eq_ignore_ascii_case(name)) {
            return octets.get(at..).unwrap_or_default();
        }
        at += 2;
    }
    b""
}

/// Decodes a character reference; what is none stands for itself.
fn reference<'a>(special: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let near = special.get(..special.len().min(12)).unwrap_or_default();
    let end = memchr(b';', near);
    let name = end.and_then(|end| near.get(1..end)).unwrap_or_default();
    let character = match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        b"nbsp" => Some(' '),
        [b'#', digits @ ..] => number(digits),
        _ => None,
    };
    match (character, end) {
        (Some(character), Some(end)) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            special.get(end + 1..).unwrap_or_default()
        }
        _ => {
            out.push(b'&');
            special.get(1..).unwrap_or_default()
        }
    }
}

fn number(digits: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(digits).ok()?;
    let number = match text.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    // A no-break space is a space to who writes a test.
    let character = char::from_u32(number.ok()?)?;
    Some(if character == '\u{a0}' {
        ' '
    } else {
        character
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(html: &str) -> String {
        String::from_utf8(text(html.as_bytes())).unwrap()
    }

    #[test]
    fn words_are_those_that_people_see() {
        assert_eq!(
            shown("<p>Make <b>mon</B>ey&nbsp;<I>fast</i>"),
            " Make money fast"
        );
        assert_eq!(shown("a<!-- <p>x -->b<br/>c<td>d"), "ab c d");
        assert_eq!(shown("<style>x</b></Style>y<script src=a>z"), "  y ");
        assert_eq!(
            shown("1 < 2 &amp;&lt;&#65;&#x42;&#xa0;&bogus; &"),
            "1 < 2 &<AB &bogus; &"
        );
    }

    #[test]
    fn openings_without_ends_take_linear_time() {
        assert_eq!(shown(&"<a".repeat(500_000)).trim(), "");
        assert_eq!(shown(&"&".repeat(500_000)).len(), 500_000);
        shown(&"<script>".repeat(200_000));
        shown(&"<!--".repeat(200_000));
    }

    proptest! {
        #[test]
        fn text_is_no_longer_than_its_html(html in r"([<>&;/!-]|[a-z#0-9]{1,5}|\PC){0,30}") {
            prop_assert!(text(html.as_bytes()).len() <= html.len());
        }
    }
}
