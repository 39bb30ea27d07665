//! Addresses of header values (RFC 5322 section 3.4): [`parse`].

/// Addresses read of one value.
const MAX_ADDRESSES: usize = 10_000;

/// `local@domain` of each address, and `local` of one without a domain; names,
/// comments, groups and routes are left out (RFC 5228 sections 2.7.4 and 5.1).
pub(super) fn parse(value: &[u8]) -> Vec<String> {
    let mut parser = Parser {
        rest: value,
        list: Vec::new(),
        in_group: false,
    };
    while parser.entry() {}
    parser.list
}

struct Parser<'a> {
    rest: &'a [u8],
    list: Vec<String>,
    in_group: bool,
}

/// Words read so far.
#[derive(Default)]
struct Words {
    /// All of them, with a space wherever there was one.
    text: Vec<u8>,
    /// The last run of words that only dots join: the local part, should an `@`
    /// follow.
    run: Vec<u8>,
    space: bool,
    dot: bool,
}

impl Words {
    fn push(&mut self, piece: &[u8], dot: bool) {
        if self.space && !self.text.is_empty() {
            self.text.push(b' ');
            if !dot && !self.dot {
                self.run.clear();
            }
        }
        self.text.extend_from_slice(piece);
        self.run.extend_from_slice(piece);
        self.space = false;
        self.dot = dot;
    }
}

impl Parser<'_> {
    /// Reads one entry or separator; false at the end.
    fn entry(&mut self) -> bool {
        let mut words = Words::default();
        loop {
            words.space |= self.skip_space();
            let Some((&octet, rest)) = self.rest.split_first() else {
                self.push(&words.text, b"");
                return false;
            };
            match octet {
                b',' | b';' => {
                    self.rest = rest;
                    self.push(&words.text, b"");
                    self.in_group &= octet != b';';
                    break;
                }
                b':' if !self.in_group => {
                    self.rest = rest;
                    self.in_group = true;
                    break;
                }
                b'<' => {
                    self.rest = rest;
                    self.angle();
                    break;
                }
                b'@' => {
                    self.rest = rest;
                    self.after_at(&words);
                    break;
                }
                _ => self.word(&mut words),
            }
        }
        self.list.len() < MAX_ADDRESSES
    }

    fn push(&mut self, local: &[u8], domain: &[u8]) {
        if local.is_empty() && domain.is_empty() {
            return;
        }
        let mut address = String::from_utf8_lossy(local).into_owned();
        if !domain.is_empty() {
            address.push('@');
            address.push_str(&String::from_utf8_lossy(domain));
        }
        self.list.push(address);
    }

    /// `words` stood before an `@` outside of angle brackets.
    fn after_at(&mut self, words: &Words) {
        let domain = self.domain();
        self.skip_space();
        if let Some((b'<', rest)) = self.rest.split_first() {
            // `user@host <user@host>`: the first is the display name.
            self.rest = rest;
            return self.angle();
        }
        self.finish(&words.run, &domain);
    }

    /// After a `<`.
    fn angle(&mut self) {
        self.skip_space();
        if self.rest.first() == Some(&b'@') {
            self.skip_route();
        }
        let mut words = Words::default();
        let mut domain = Vec::new();
        loop {
            self.skip_space();
            match self.rest.split_first() {
                Some((b'@', rest)) => {
                    self.rest = rest;
                    domain = self.domain();
                }
                Some((b'>', rest)) => {
                    self.rest = rest;
                    break;
                }
                None | Some((b',' | b';', _)) => break,
                Some(_) => self.word(&mut words),
            }
        }
        self.finish(&words.text, &domain);
    }

    /// Skips what should not follow an address, then keeps it.
    fn finish(&mut self, local: &[u8], domain: &[u8]) {
        loop {
            self.skip_space();
            match self.rest.first() {
                None | Some(b',' | b';') => break,
                Some(_) => self.word(&mut Words::default()),
            }
        }
        self.push(local, domain);
    }

    /// `@a,@b:` (RFC 5322 section 4.4); without the colon it is the address after
    /// all.
    fn skip_route(&mut self) {
        let ends = |octet: &u8| matches!(octet, b':' | b'>' | b'<' | b';');
        let end = self.rest.iter().position(ends);
        let after = end.and_then(|end| self.rest.get(end..));
        if let Some([b':', rest @ ..]) = after {
            self.rest = rest;
        }
    }

    /// Atoms and dots, or a literal in brackets, with the spaces gone.
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

    fn literal(&mut self, into: &mut Vec<u8>) {
        let end = self.rest.iter().position(|&octet| octet == b']');
        let end = end.map_or(self.rest.len(), |at| at + 1);
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
                words.push(&text, false);
            }
            Some((b'.', rest)) => {
                self.rest = rest;
                words.push(b".", true);
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
                words.push(atom, false);
            }
        }
    }

    /// Skips white space and comments; true when there were any.
    fn skip_space(&mut self) -> bool {
        let mut any = false;
        while let Some((&octet, rest)) = self.rest.split_first() {
            if octet == b'(' {
                self.rest = rest;
                self.enclosed(b')');
            } else if is_space(octet) {
                self.rest = rest;
            } else {
                break;
            }
            any = true;
        }
        any
    }

    /// The text up to the unescaped `close`; comments nest.
    fn enclosed(&mut self, close: u8) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 1usize;
        while let Some((&octet, rest)) = self.rest.split_first() {
            self.rest = rest;
            let mut kept = octet;
            match octet {
                b'\\' => {
                    let Some((&escaped, rest)) = rest.split_first() else {
                        break;
                    };
                    self.rest = rest;
                    kept = escaped;
                }
                b'(' if close == b')' => depth += 1,
                _ if octet == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if !matches!(kept, b'\r' | b'\n' | 0) {
                text.push(kept);
            }
        }
        text
    }
}

fn is_space(octet: u8) -> bool {
    octet <= b' ' || octet == 0x7f
}

fn is_atom_end(octet: u8) -> bool {
    is_space(octet) || b"(<>[:;@,.\"".contains(&octet)
}
