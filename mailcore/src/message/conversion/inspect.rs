//! What octets hold that not every host takes: [`Inspector`], [`Traits`].

use memchr::{memchr, memchr_iter};

use super::MAX_TEXT_LINE;

/// What some octets hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traits {
    /// Octets above 127.
    pub eight_bit: bool,
    /// Octets above 127 before the first empty line.
    pub eight_bit_header: bool,
    /// A bare CR, a bare LF or a NUL.
    pub stray: bool,
    /// A line of more than [`MAX_TEXT_LINE`] octets.
    pub long_line: bool,
}

/// Looks at octets in pieces of any size; how they are cut changes nothing.
#[derive(Debug, Default)]
pub struct Inspector {
    traits: Traits,
    /// Past the first empty line.
    in_body: bool,
    /// Octets of the line so far, without its line end.
    line: usize,
    after_cr: bool,
}

impl Inspector {
    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        self.traits.stray |= memchr(0, octets).is_some();
        let mut start = 0;
        for end in memchr_iter(b'\n', octets) {
            self.text(octets.get(start..end).unwrap_or_default());
            self.traits.stray |= !std::mem::take(&mut self.after_cr);
            self.in_body |= self.line == 0;
            self.line = 0;
            start = end + 1;
        }
        self.text(octets.get(start..).unwrap_or_default());
    }

    /// Octets of one line without its LF.
    fn text(&mut self, octets: &[u8]) {
        let [rest @ .., last] = octets else { return };
        // A CR seen before was not followed by LF, and one within is not.
        self.traits.stray |= self.after_cr || memchr(b'\r', rest).is_some();
        self.after_cr = *last == b'\r';
        self.line += octets.len() - usize::from(self.after_cr);
        self.traits.long_line |= self.line > MAX_TEXT_LINE;
        if !octets.is_ascii() {
            self.traits.eight_bit = true;
            self.traits.eight_bit_header |= !self.in_body;
        }
    }

    /// Ends the octets.
    pub fn finish(mut self) -> Traits {
        self.traits.stray |= self.after_cr;
        self.traits
    }
}
