//! [`Incoming`]: a command on its way in, line by line and literal by literal.
//!
//! What is wrong is read to its end all the same, so that no octet of a literal
//! passes for a command.

use mailcore::wire::{Input, Line};

use super::tokens::{After, Ending, Fault, Item, announced, split};

/// Octets of a line before its CRLF: a SASL response in quotes has room (RFC
/// 4954 section 4 asks for 12,288 where mail is sent).
pub(super) const MAX_LINE: usize = 16 * 1024;

/// Parts of a command; none of ours has more than three.
const MAX_ITEMS: usize = 4;

/// What a session takes in its state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Octets kept of the literals of one command.
    pub(super) kept: usize,
    /// Octets of a literal that is read over. One that is longer can't be waited
    /// for.
    pub(super) passed: u32,
}

/// A command as far as it is here.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    items: Vec<Item>,
    kept: usize,
    fault: Option<Fault>,
    literal: Option<Literal>,
    follows_literal: bool,
}

#[derive(Debug)]
struct Literal {
    left: usize,
    /// None while it is read over.
    octets: Option<Vec<u8>>,
}

/// What [`Incoming::read`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// More octets are needed.
    Starved,
    /// A whole command, or a whole line of an exchange.
    Command(Vec<Item>),
    /// It is over, and none.
    Wrong(Fault),
    /// It can't be told where it ends: the connection must.
    Lost(Fault),
}

impl Incoming {
    /// Takes what is here of the next command.
    pub(super) fn read(&mut self, input: &mut Input, room: Room) -> Read {
        loop {
            if let Some(literal) = &mut self.literal {
                let octets = input.take(literal.left);
                literal.left -= octets.len();
                if let Some(kept) = &mut literal.octets {
                    kept.extend_from_slice(&octets);
                }
                if literal.left > 0 {
                    return Read::Starved;
                }
                let octets = self.literal.take().and_then(|it| it.octets);
                self.push(octets.map_or(Item::TooLarge, Item::Text));
                self.follows_literal = true;
            }
            let line = match input.line(MAX_LINE) {
                Line::Incomplete => return Read::Starved,
                Line::TooLong => return Read::Lost(Fault::LineTooLong),
                Line::BareLf(line) if announced(&line).is_some() => {
                    return Read::Lost(Fault::BareLf);
                }
                Line::BareLf(_) => {
                    self.fault.get_or_insert(Fault::BareLf);
                    return self.complete();
                }
                Line::Complete(line) => line,
            };
            match self.line(&line) {
                Ending::Command => return self.complete(),
                Ending::Literal(size) if size > room.passed => {
                    return Read::Lost(Fault::LiteralTooLong);
                }
                Ending::Literal(size) => self.begin(size, room),
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Ending {
        let after = match std::mem::take(&mut self.follows_literal) {
            true => After::Literal,
            false => After::Nothing,
        };
        match split(line, after) {
            Ok((items, ending)) => {
                for item in items {
                    self.push(item);
                }
                ending
            }
            Err(fault) => {
                self.fault.get_or_insert(fault);
                announced(line).map_or(Ending::Command, Ending::Literal)
            }
        }
    }

    fn push(&mut self, item: Item) {
        match self.items.len() < MAX_ITEMS {
            true => self.items.push(item),
            false => {
                self.fault.get_or_insert(Fault::TooMany);
            }
        }
    }

    /// Memory grows as octets come, not as they are announced.
    fn begin(&mut self, size: u32, room: Room) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let fits = size <= room.kept.saturating_sub(self.kept);
        let keeps = fits && self.fault.is_none();
        if keeps {
            self.kept += size;
        }
        self.literal = Some(Literal {
            left: size,
            octets: keeps.then(Vec::new),
        });
    }

    fn complete(&mut self) -> Read {
        let done = std::mem::take(self);
        match done.fault {
            Some(fault) => Read::Wrong(fault),
            None => Read::Command(done.items),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        kept: 10,
        passed: 100,
    };

    fn reads(octets: &[u8]) -> Vec<Read> {
        let (mut input, mut incoming) = (Input::with_limit(MAX_LINE + 2), Incoming::default());
        input.extend(octets);
        let mut all = Vec::new();
        loop {
            match incoming.read(&mut input, ROOM) {
                Read::Starved => return all,
                Read::Lost(fault) => {
                    all.push(Read::Lost(fault));
                    return all;
                }
                read => all.push(read),
            }
        }
    }

    fn atom(text: &str) -> Item {
        Item::Atom(text.into())
    }

    fn text(text: &str) -> Item {
        Item::Text(text.into())
    }

    #[test]
    fn literals_are_part_of_their_command() {
        let found = reads(b"A {3+}\r\n\r\nx \"y\" {0+}\r\n\r\nB\r\n");
        let first = vec![atom("A"), text("\r\nx"), text("y"), text("")];
        assert_eq!(
            found,
            [Read::Command(first), Read::Command(vec![atom("B")])]
        );
    }

    #[test]
    fn a_literal_over_the_limit_is_read_over() {
        let found = reads(b"A {6+}\r\nB\r\nB\r\n {6+}\r\nC\r\nC\r\n\r\nD\r\n");
        let first = vec![atom("A"), text("B\r\nB\r\n"), Item::TooLarge];
        assert_eq!(
            found,
            [Read::Command(first), Read::Command(vec![atom("D")])]
        );
    }

    #[test]
    fn a_literal_of_a_wrong_command_is_no_command() {
        let found = reads(b"(A {3+}\r\nB\r\n\r\nC\r\n");
        let fault = Read::Wrong(Fault::Atom);
        assert_eq!(found, [fault, Read::Command(vec![atom("C")])]);
        let many = reads(b"A b c d e f\r\nC\r\n");
        assert_eq!(
            many,
            [Read::Wrong(Fault::TooMany), Read::Command(vec![atom("C")])]
        );
    }

    #[test]
    fn what_has_no_end_that_can_be_waited_for_ends_the_session() {
        assert_eq!(reads(b"A {101+}\r\n"), [Read::Lost(Fault::LiteralTooLong)]);
        assert_eq!(reads(b"A {3+}\nxyz\r\n"), [Read::Lost(Fault::BareLf)]);
        let long = vec![b'a'; MAX_LINE + 2];
        assert_eq!(reads(&long), [Read::Lost(Fault::LineTooLong)]);
    }
}
