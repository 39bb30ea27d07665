//! Address lists of header fields: [`HeaderAddress`], [`parse_addresses`]
//! (RFC 5322 section 3.4 and the obsolete forms of section 4.4).
//!
//! Any octets give some list: the header of a received message is what it is.
//! Addresses that SMTP may use are [`crate::address`]'s.

/// Addresses kept of one list; the rest is dropped.
pub const MAX_ADDRESSES: usize = 10_000;

/// One entry of a list in IMAP's sense, where a group is a start, its members
/// and an end (RFC 9051 section 7.5.2, `ENVELOPE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderAddress {
    /// One address.
    Mailbox(HeaderMailbox),
    /// A group begins; its name.
    GroupStart(Vec<u8>),
    /// The group ends.
    GroupEnd,
}

impl HeaderAddress {
    /// The address, when this is one.
    pub fn mailbox(&self) -> Option<&HeaderMailbox> {
        match self {
            Self::Mailbox(mailbox) => Some(mailbox),
            Self::GroupStart(_) | Self::GroupEnd => None,
        }
    }
}

/// An address with its display name. Octets are as sent, with quotes, comments
/// and white space around dots removed; encoded-words are not decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderMailbox {
    /// The display name, or the comment that old mailers wrote instead.
    pub name: Option<Vec<u8>>,
    /// The source route, `@a,@b` (RFC 5322 section 4.4 `obs-route`).
    pub route: Option<Vec<u8>>,
    /// The local part.
    pub local_part: Vec<u8>,
    /// The domain; empty when the address has none.
    pub host: Vec<u8>,
}

impl HeaderMailbox {
    /// `local-part@host`, or the local part alone without a host.
    pub fn address(&self) -> Vec<u8> {
        let mut address = self.local_part.clone();
        if !self.host.is_empty() {
            address.push(b'@');
            address.extend_from_slice(&self.host);
        }
        address
    }
}

/// Parses the raw body of an address field, folds and all. Linear in its
/// length; at most `limit` addresses and group marks are kept.
pub fn parse_addresses(raw: &[u8], limit: usize) -> Vec<HeaderAddress> {
    let mut parser = Parser {
        rest: raw,
        list: Vec::new(),
        limit,
        in_group: false,
        comment: None,
    };
    while parser.entry() {}
    if parser.in_group {
        parser.list.push(HeaderAddress::GroupEnd);
    }
    parser.list
}

struct Parser<'a> {
    rest: &'a [u8],
    list: Vec<HeaderAddress>,
    limit: usize,
    in_group: bool,
    comment: Option<Vec<u8>>,
}

/// Words read so far.
#[derive(Default)]
struct Words {
    /// All of them, with a space wherever white space or a comment stood.
    text: Vec<u8>,
    /// The last run of words that only dots join, spaces removed: the local
    /// part, should an `@` follow.
    run: Vec<u8>,
    /// Where in `text` that run starts.
    run_at: usize,
    space: bool,
    dot: bool,
}

impl Words {
    fn push(&mut self, piece: &[u8], kind: Piece) {
        let dot = kind == Piece::Dot;
        if self.space && !self.text.is_empty() {
            self.text.push(b' ');
            if !dot && !self.dot {
                self.run.clear();
                self.run_at = self.text.len();
            }
        }
        self.text.extend_from_slice(piece);
        self.run.extend_from_slice(piece);
        self.space = false;
        self.dot = dot;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Word,
    Dot,
}

impl Parser<'_> {
    /// Reads one entry or separator; false at the end.
    fn entry(&mut self) -> bool {
        self.comment = None;
        let mut words = Words::default();
        loop {
            words.space |= self.skip_space();
            let Some((&octet, rest)) = self.rest.split_first() else {
                self.push_bare(words);
                return false;
            };
            match octet {
                b',' | b';' => {
                    self.rest = rest;
                    self.push_bare(words);
                    if octet == b';' && self.in_group {
                        self.in_group = false;
                        self.list.push(HeaderAddress::GroupEnd);
                    }
                    break;
                }
                b':' if !self.in_group => {
                    self.rest = rest;
                    self.in_group = true;
                    self.list.push(HeaderAddress::GroupStart(words.text));
                    break;
                }
                b'<' => {
                    self.rest = rest;
                    self.angle(words.text);
                    break;
                }
                b'@' => {
                    self.rest = rest;
                    self.after_at(words);
                    break;
                }
                _ => self.word(&mut words),
            }
        }
        self.list.len() < self.limit
    }

    /// An entry without `@` and brackets: kept as a local part.
    fn push_bare(&mut self, words: Words) {
        if !words.text.is_empty() {
            let name = self.comment.take();
            self.push(HeaderMailbox {
                name,
                local_part: words.text,
                ..HeaderMailbox::default()
            });
        }
    }

    /// `words` stood before an `@` outside of angle brackets.
    fn after_at(&mut self, mut words: Words) {
        let host = self.domain();
        self.skip_space();
        if let Some((b'<', rest)) = self.rest.split_first() {
            // `user@host <user@host>`: the first is the display name.
            self.rest = rest;
            words.text.push(b'@');
            words.text.extend_from_slice(&host);
            return self.angle(words.text);
        }
        words.text.truncate(words.run_at);
        let name = display_name(words.text);
        self.finish(HeaderMailbox {
            name,
            route: None,
            local_part: words.run,
            host,
        });
    }

    /// After the `<` of an address with the display name `name`.
    fn angle(&mut self, name: Vec<u8>) {
        let mut mailbox = HeaderMailbox {
            name: display_name(name),
            ..HeaderMailbox::default()
        };
        self.skip_space();
        if self.rest.first() == Some(&b'@') {
            mailbox.route = self.route();
        }
        let mut words = Words::default();
        loop {
            self.skip_space();
            match self.rest.split_first() {
                Some((b'@', rest)) => {
                    self.rest = rest;
                    mailbox.host = self.domain();
                }
                Some((b'>', rest)) => {
                    self.rest = rest;
                    break;
                }
                None | Some((b',' | b';', _)) => break,
                Some(_) => self.word(&mut words),
            }
        }
        mailbox.local_part = words.text;
        self.finish(mailbox);
    }

    /// Skips what should not follow an address, up to the separator, then
    /// keeps the address. A comment there names an address without a name.
    fn finish(&mut self, mut mailbox: HeaderMailbox) {
        loop {
            self.skip_space();
            match self.rest.first() {
                None | Some(b',' | b';') => break,
                Some(_) => self.word(&mut Words::default()),
            }
        }
        mailbox.name = mailbox.name.or_else(|| self.comment.take());
        self.push(mailbox);
    }

    fn push(&mut self, mailbox: HeaderMailbox) {
        self.list.push(HeaderAddress::Mailbox(mailbox));
    }

    /// `@a,@b:`; without the colon the octets are the address after all, and
    /// the `@` is left for the caller.
    fn route(&mut self) -> Option<Vec<u8>> {
        let end = self
            .rest
            .iter()
            .position(|octet| matches!(octet, b':' | b'>' | b'<' | b';'))?;
        let (route, rest) = self.rest.split_at_checked(end)?;
        let [b':', rest @ ..] = rest else { return None };
        self.rest = rest;
        Some(
            route
                .iter()
                .copied()
                .filter(|&octet| !is_space(octet))
                .collect(),
        )
    }

    /// Atoms and dots, or a literal in brackets, with the spaces removed.
    fn domain(&mut self) -> Vec<u8> {
        let mut words = Words::default();
        loop {
            let space = self.skip_space();
            match self.rest.first() {
                Some(b'[') => self.literal(&mut words.text),
                None | Some(b',' | b';' | b'<' | b'>' | b'@' | b':' | b'"') => break,
                // Two words without a dot between them: the second is garbage.
                Some(&octet) if space && octet != b'.' && !words.dot && !words.text.is_empty() => {
                    break;
                }
                Some(_) => self.word(&mut words),
            }
        }
        words.text
    }

    /// `[...]`, kept with its brackets.
    fn literal(&mut self, into: &mut Vec<u8>) {
        let end = self
            .rest
            .iter()
            .position(|&octet| octet == b']')
            .map_or(self.rest.len(), |at| at + 1);
        let (literal, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, b""));
        into.extend(literal.iter().copied().filter(|&octet| !is_space(octet)));
        self.rest = rest;
    }

    /// Reads one atom, dot, quoted string or stray special. Always advances.
    fn word(&mut self, words: &mut Words) {
        match self.rest.split_first() {
            None => {}
            Some((b'"', rest)) => {
                self.rest = rest;
                let text = self.enclosed(b'"');
                words.push(&text, Piece::Word);
            }
            Some((b'.', rest)) => {
                self.rest = rest;
                words.push(b".", Piece::Dot);
            }
            Some(_) => {
                let end = self
                    .rest
                    .iter()
                    .skip(1)
                    .position(|&octet| is_atom_end(octet));
                let end = end.map_or(self.rest.len(), |at| at + 1);
                let (atom, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, b""));
                self.rest = rest;
                words.push(atom, Piece::Word);
            }
        }
    }

    /// Skips white space and comments; true when there were any. The last
    /// comment is remembered.
    fn skip_space(&mut self) -> bool {
        let mut any = false;
        while let Some((&octet, rest)) = self.rest.split_first() {
            if octet == b'(' {
                self.rest = rest;
                let text = self.enclosed(b')');
                self.comment = display_name(text).or_else(|| self.comment.take());
            } else if is_space(octet) {
                self.rest = rest;
            } else {
                break;
            }
            any = true;
        }
        any
    }

    /// The text up to the unescaped `close`, without backslashes and line
    /// ends. Comments nest; their inner parentheses are kept.
    fn enclosed(&mut self, close: u8) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 1usize;
        while let Some((&octet, rest)) = self.rest.split_first() {
            self.rest = rest;
            match octet {
                b'\\' => {
                    if let Some((&escaped, rest)) = rest.split_first() {
                        self.rest = rest;
                        if !matches!(escaped, b'\r' | b'\n' | 0) {
                            text.push(escaped);
                        }
                    }
                    continue;
                }
                b'\r' | b'\n' | 0 => continue,
                b'(' if close == b')' => depth += 1,
                _ if octet == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(octet);
        }
        text
    }
}

fn display_name(mut name: Vec<u8>) -> Option<Vec<u8>> {
    while name.last().copied().is_some_and(is_space) {
        name.pop();
    }
    let lead = name.iter().take_while(|&&octet| is_space(octet)).count();
    name.drain(..lead);
    (!name.is_empty()).then_some(name)
}

fn is_space(octet: u8) -> bool {
    octet <= b' ' || octet == 0x7f
}

fn is_atom_end(octet: u8) -> bool {
    is_space(octet)
        || matches!(
            octet,
            b'(' | b'<' | b'>' | b'[' | b':' | b';' | b'@' | b',' | b'.' | b'"'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `name|route|local|host` for each address, `{name` and `}` for groups.
    fn shown(raw: &str) -> Vec<String> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        parse_addresses(raw.as_bytes(), MAX_ADDRESSES)
            .iter()
            .map(|entry| match entry {
                HeaderAddress::GroupStart(name) => format!("{{{}", text(name)),
                HeaderAddress::GroupEnd => "}".to_owned(),
                HeaderAddress::Mailbox(mailbox) => format!(
                    "{}|{}|{}|{}",
                    text(mailbox.name.as_deref().unwrap_or(b"-")),
                    text(mailbox.route.as_deref().unwrap_or(b"-")),
                    text(&mailbox.local_part),
                    text(&mailbox.host),
                ),
            })
            .collect()
    }

    #[test]
    fn rfc5322_examples() {
        assert_eq!(
            shown(" \"Joe Q. Public\" <john.q.public@example.com>"),
            ["Joe Q. Public|-|john.q.public|example.com"]
        );
        assert_eq!(
            shown("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
            [
                "Mary Smith|-|mary|x.test",
                "-|-|jdoe|example.org",
                "Who?|-|one|y.test"
            ]
        );
        assert_eq!(
            shown("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
            [
                "{A Group",
                "Ed Jones|-|c|a.test",
                "-|-|joe|where.test",
                "John|-|jdoe|one.test",
                "}"
            ]
        );
        assert_eq!(
            shown("Undisclosed recipients:;"),
            ["{Undisclosed recipients", "}"]
        );
        assert_eq!(
            shown("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
            ["Pete|-|pete|silly.test"]
        );
        assert_eq!(
            shown("Joe Q. Public <john.q.public@example.com>, , jdoe@test   . example"),
            [
                "Joe Q. Public|-|john.q.public|example.com",
                "-|-|jdoe|test.example"
            ]
        );
        assert_eq!(
            shown("<@a.test, @b.test:jdoe@c.test>"),
            ["-|@a.test,@b.test|jdoe|c.test"]
        );
    }

    #[test]
    fn old_and_odd_forms() {
        assert_eq!(shown("jdoe@a.test (John Doe)"), ["John Doe|-|jdoe|a.test"]);
        assert_eq!(shown("john . doe @ a.test"), ["-|-|john.doe|a.test"]);
        assert_eq!(shown("\"a b\"@c.test"), ["-|-|a b|c.test"]);
        assert_eq!(shown("x@[IPv6:2001:db8::1]"), ["-|-|x|[IPv6:2001:db8::1]"]);
        assert_eq!(shown("a@b.test <a@b.test>"), ["a@b.test|-|a|b.test"]);
        assert_eq!(shown("John Doe jd@a.test"), ["John Doe|-|jd|a.test"]);
        assert_eq!(
            shown("<a@b.test, c@d.test"),
            ["-|-|a|b.test", "-|-|c|d.test"]
        );
        assert_eq!(shown("nobody"), ["-|-|nobody|"]);
        assert_eq!(shown("\"open <a@b.test>"), ["-|-|open <a@b.test>|"]);
        assert_eq!(shown("g: a@b, c@d"), ["{g", "-|-|a|b", "-|-|c|d", "}"]);
        assert_eq!(shown(""), [""; 0]);
        assert_eq!(shown(" , ;; ,"), [""; 0]);
    }

    #[test]
    fn limit_bounds_the_list() {
        assert_eq!(parse_addresses(&b"a@b,".repeat(50), 7).len(), 7);
    }

    proptest! {
        #[test]
        fn any_octets_give_a_clean_list(raw in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(b"<>@,;:.\"()[]\\ \r\nab".to_vec()),
                any::<u8>(),
            ], 0..120)) {
            let list = parse_addresses(&raw, 20);
            prop_assert!(list.len() <= 21);
            let mut open = 0i32;
            for entry in &list {
                match entry {
                    HeaderAddress::GroupStart(_) => open += 1,
                    HeaderAddress::GroupEnd => open -= 1,
                    HeaderAddress::Mailbox(mailbox) => {
                        let bad = |octet: &u8| matches!(octet, b'\r' | b'\n' | 0);
                        prop_assert!(!mailbox.address().iter().any(bad));
                    }
                }
                prop_assert!((0..=1).contains(&open));
            }
            prop_assert_eq!(open, 0);
        }
    }
}
