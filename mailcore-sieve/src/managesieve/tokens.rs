//! The parts of a line: atoms, quoted strings, and what announces a literal (RFC
//! 5804 section 4).

use thiserror::Error;

/// A part of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A command's name, or a number.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// A literal over the limit: read, not kept.
    TooLarge,
}

/// What follows a line's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: the command is complete.
    Command,
    /// So many octets of a literal.
    Literal(u32),
}

/// Why a line is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("lines end in CRLF")]
    BareLf,
    #[error("the line is too long; send long strings as literals")]
    LineTooLong,
    #[error("the literal is too long")]
    LiteralTooLong,
    #[error("a literal is announced as {{size+}} at the end of its line")]
    Literal,
    #[error("a quoted string has no end, or characters that only a literal may hold")]
    Quoted,
    #[error("strings are quoted")]
    Atom,
    #[error("a space is missing between two arguments")]
    Space,
    #[error("there are too many arguments")]
    TooMany,
}

/// Whether a literal came just before the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    Literal,
}

/// The parts of a line without its CRLF. More than one space between them is
/// taken, as other servers do.
pub(super) fn split(line: &[u8], after: After) -> Result<(Vec<Item>, Ending), Fault> {
    let (mut items, mut rest) = (Vec::new(), line);
    if after == After::Literal && !matches!(rest.first(), None | Some(b' ')) {
        return Err(Fault::Space);
    }
    loop {
        rest = rest.trim_ascii_start();
        match rest.first() {
            None => return Ok((items, Ending::Command)),
            Some(b'{') => {
                let size = literal(rest).ok_or(Fault::Literal)?;
                return Ok((items, Ending::Literal(size)));
            }
            Some(b'"') => {
                let (text, left) = quoted(rest)?;
                items.push(Item::Text(text));
                rest = left;
            }
            Some(_) => {
                let (atom, left) = atom(rest)?;
                items.push(Item::Atom(atom));
                rest = left;
            }
        }
        if !matches!(rest.first(), None | Some(b' ')) {
            return Err(Fault::Space);
        }
    }
}

/// The size of the literal that a line announces at its end, whatever is wrong
/// before that: what follows is no command then.
pub(super) fn announced(line: &[u8]) -> Option<u32> {
    let at = memchr::memrchr(b'{', line)?;
    literal(line.get(at..)?)
}

/// `literal-c2s = "{" number "+}"`
fn literal(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"{")?.strip_suffix(b"+}")?;
    let digits = std::str::from_utf8(digits).ok()?;
    match digits.bytes().all(|octet| octet.is_ascii_digit()) {
        // More than 32 bits hold is too long in any case.
        true if !digits.is_empty() => Some(digits.parse().unwrap_or(u32::MAX)),
        _ => None,
    }
}

fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Fault> {
    let (mut found, mut rest) = (Vec::new(), text.get(1..).unwrap_or_default());
    loop {
        let (&octet, left) = rest.split_first().ok_or(Fault::Quoted)?;
        rest = left;
        match octet {
            b'"' => return Ok((found, rest)),
            b'\\' => {
                let (&escaped, left) = rest.split_first().ok_or(Fault::Quoted)?;
                if !matches!(escaped, b'"' | b'\\') {
                    return Err(Fault::Quoted);
                }
                found.push(escaped);
                rest = left;
            }
            0 | b'\r' => return Err(Fault::Quoted),
            octet => found.push(octet),
        }
    }
}

fn atom(text: &[u8]) -> Result<(String, &[u8]), Fault> {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let (atom, rest) = text.split_at(end);
    let odd =
        |octet: u8| !octet.is_ascii_graphic() || matches!(octet, b'(' | b')' | b'{' | b'"' | b'\\');
    if atom.iter().any(|&octet| odd(octet)) {
        return Err(Fault::Atom);
    }
    let atom = String::from_utf8(atom.to_vec()).map_err(|_| Fault::Atom)?;
    Ok((atom, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(octets: &[u8]) -> Item {
        Item::Text(octets.to_vec())
    }

    #[test]
    fn a_line_is_atoms_strings_and_at_last_a_literal() {
        let (items, ending) = split(br#"PutScript  "a \"b\" \\" {31+}"#, After::Nothing).unwrap();
        assert_eq!(items, [Item::Atom("PutScript".into()), text(br#"a "b" \"#)]);
        assert_eq!(ending, Ending::Literal(31));
        assert_eq!(split(b"", After::Literal), Ok((vec![], Ending::Command)));
        let huge = split(b"{99999999999999999999+}", After::Nothing).unwrap();
        assert_eq!(huge.1, Ending::Literal(u32::MAX));
    }

    #[test]
    fn what_is_no_part_of_a_line_is_refused() {
        for (line, fault) in [
            (&b"NOOP \"a"[..], Fault::Quoted),
            (b"NOOP \"a\\n\"", Fault::Quoted),
            (b"NOOP \"a\"b", Fault::Space),
            (b"NOOP {3}", Fault::Literal),
            (b"NOOP {3+} x", Fault::Literal),
            (b"NOOP {-3+}", Fault::Literal),
            (b"NOOP (a)", Fault::Atom),
            (b"N\xc3\xbcOP", Fault::Atom),
        ] {
            assert_eq!(split(line, After::Nothing), Err(fault), "{line:?}");
        }
        assert_eq!(split(b"x", After::Literal), Err(Fault::Space));
    }

    #[test]
    fn a_literal_is_seen_behind_a_line_that_is_wrong() {
        assert_eq!(announced(b"(x \"{7+}"), Some(7));
        assert_eq!(announced(b"{7+}\""), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line: Vec<u8>) {
            let _ = (split(&line, After::Nothing), announced(&line));
        }

        #[test]
        fn what_is_quoted_comes_back(octets in proptest::collection::vec(1u8..255, 0..40)) {
            prop_assume!(!octets.contains(&b'\r') && !octets.contains(&b'\n'));
            let mut line = vec![b'"'];
            for octet in &octets {
                if matches!(octet, b'"' | b'\\') {
                    line.push(b'\\');
                }
                line.push(*octet);
            }
            line.push(b'"');
            let (items, _) = split(&line, After::Nothing).unwrap();
            prop_assert_eq!(items, [text(&octets)]);
        }
    }
}
