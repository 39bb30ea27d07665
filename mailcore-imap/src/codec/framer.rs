//! [`Framer`]: finds where a command ends, literals included, before anything
//! reads it, so that a bad command can't desynchronise the session.
//!
//! The framer never lets a literal in by itself: it tells the session, which
//! collects it, streams it (APPEND) or refuses it before the `+`
//! (RFC 7888 section 4).

use bytes::{Bytes, BytesMut};
use mailcore::wire::{Input, Line};

use crate::types::Tag;
use crate::types::tag::MAX_TAG;

/// What a command may weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Octets of one line.
    pub line: usize,
    /// Octets of a command with its literals.
    pub command: usize,
    /// Literals in a command.
    pub literals: usize,
}

impl FrameLimits {
    /// Before login: a line that holds any SASL response, and names and
    /// passwords as literals.
    pub const BEFORE_LOGIN: Self = Self {
        line: 12_288,
        command: 16_384,
        literals: 4,
    };
    /// After login.
    pub const AFTER_LOGIN: Self = Self {
        line: 65_536,
        command: 1_048_576,
        literals: 1_000,
    };
}

/// Whether the client waits for `+` before it sends a literal's octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronising {
    /// `{n}`: it waits.
    Yes,
    /// `{n+}`: it does not (RFC 7888).
    No,
}

/// What [`Framer::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// More octets are needed.
    Incomplete,
    /// A whole command without its final CRLF, literals in place.
    Command(Bytes),
    /// A literal is announced. Call [`Framer::collect`], [`Framer::stream`] or
    /// [`Framer::refuse`] before the next [`Framer::next`].
    Literal {
        /// Its octets.
        length: u64,
        /// Whether the client waits.
        sync: Synchronising,
    },
    /// A line that can't be part of a command. It was taken from the input.
    Fault(Fault),
}

/// Why a line can't be part of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A NUL, or a line end that is not CRLF.
    Octets {
        /// The command's tag, where it can be made out.
        tag: Option<Tag>,
    },
    /// A line over the limit. Where the command ends is not known any more:
    /// close.
    LineTooLong {
        /// The command's tag, where it can be made out.
        tag: Option<Tag>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a line.
    Line,
    /// A literal of this many octets waits for a decision.
    Announced(u64),
    /// This many octets of a literal are still to come.
    Literal(usize),
}

/// Collects one command at a time.
#[derive(Debug)]
pub struct Framer {
    limits: FrameLimits,
    command: BytesMut,
    literals: usize,
    /// A NUL was seen: the command is a fault, which is told at its end so
    /// that its literals are not taken for commands.
    tainted: bool,
    state: State,
}

impl Framer {
    /// A framer at the start of a command.
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            command: BytesMut::new(),
            literals: 0,
            tainted: false,
            state: State::Line,
        }
    }

    /// Sets the limits from the next line on.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// The command so far, up to and including an announced literal's CRLF.
    pub fn pending(&self) -> &[u8] {
        &self.command
    }

    /// The tag of the command so far.
    pub fn pending_tag(&self) -> Option<Tag> {
        tag_of(&self.command)
    }

    /// Forgets what was collected and starts over at a line's start.
    pub fn reset(&mut self) {
        self.command = BytesMut::new();
        self.literals = 0;
        self.tainted = false;
        self.state = State::Line;
    }

    /// Takes from `input` what belongs to the command.
    pub fn next(&mut self, input: &mut Input) -> Frame {
        loop {
            match self.state {
                State::Line => return self.line(input),
                State::Announced(_) => return Frame::Incomplete,
                State::Literal(0) => self.state = State::Line,
                State::Literal(left) => {
                    let octets = input.take(left);
                    if octets.is_empty() {
                        return Frame::Incomplete;
                    }
                    self.tainted |= memchr::memchr(0, &octets).is_some();
                    self.command.extend_from_slice(&octets);
                    self.state = State::Literal(left - octets.len());
                }
            }
        }
    }

    /// True when the announced literal fits the limits of a command.
    pub fn fits(&self, length: u64) -> bool {
        let room = self.limits.command.saturating_sub(self.command.len());
        self.literals < self.limits.literals
            && usize::try_from(length).is_ok_and(|length| length <= room)
    }

    /// Makes the announced literal part of the command. Does nothing for one
    /// that does not fit.
    pub fn collect(&mut self) {
        if let State::Announced(length) = self.state
            && self.fits(length)
        {
            self.literals += 1;
            self.state = State::Literal(usize::try_from(length).unwrap_or(0));
        }
    }

    /// Leaves the announced literal to the caller, who takes its octets from
    /// the input. Returns the command so far; the framer goes on with the line
    /// that follows the literal.
    pub fn stream(&mut self) -> Bytes {
        let command = std::mem::take(&mut self.command).freeze();
        self.reset();
        command
    }

    /// Drops the command: the client was told not to send the literal.
    pub fn refuse(&mut self) {
        self.reset();
    }

    fn line(&mut self, input: &mut Input) -> Frame {
        let line = match input.line(self.limits.line) {
            Line::Incomplete => return Frame::Incomplete,
            Line::TooLong => {
                let start = if self.command.is_empty() {
                    input.as_slice()
                } else {
                    &self.command
                };
                let tag = tag_of(start);
                self.reset();
                return Frame::Fault(Fault::LineTooLong { tag });
            }
            Line::BareLf(line) => {
                self.append(&line);
                return self.fault();
            }
            Line::Complete(line) => line,
        };
        self.tainted |= memchr::memchr(0, &line).is_some();
        if let Some((length, sync)) = announced_literal(&line) {
            self.append(&line);
            self.command.extend_from_slice(b"\r\n");
            self.state = State::Announced(length);
            return Frame::Literal { length, sync };
        }
        if self.command.is_empty() && !self.tainted {
            return Frame::Command(line);
        }
        self.append(&line);
        if self.tainted {
            return self.fault();
        }
        Frame::Command(self.stream())
    }

    fn append(&mut self, line: &[u8]) {
        self.command.extend_from_slice(line);
    }

    fn fault(&mut self) -> Frame {
        let tag = self.pending_tag();
        self.reset();
        Frame::Fault(Fault::Octets { tag })
    }
}

/// `"{" number ["+"] "}"` at a line's end. A number over 63 bits counts as the
/// greatest one, which no limit lets in.
fn announced_literal(line: &[u8]) -> Option<(u64, Synchronising)> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, sync) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, Synchronising::No),
        None => (inner, Synchronising::Yes),
    };
    let start = inner.iter().rposition(|b| !b.is_ascii_digit())?;
    let digits = inner.get(start + 1..)?;
    if inner.get(start) != Some(&b'{') || digits.is_empty() {
        return None;
    }
    let length = std::str::from_utf8(digits)
        .ok()?
        .parse()
        .unwrap_or(u64::MAX);
    Some((length, sync))
}

/// The tag that `command` begins with.
pub fn tag_of(command: &[u8]) -> Option<Tag> {
    let head = command.get(..MAX_TAG + 1).unwrap_or(command);
    Tag::new(head.split(|&b| b == b' ').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs `octets` in pieces through a framer that collects what fits.
    fn frames(octets: &[u8], cuts: &[usize]) -> Vec<Frame> {
        let mut framer = Framer::new(FrameLimits {
            line: 64,
            command: 200,
            literals: 3,
        });
        let mut input = Input::with_limit(100_000);
        let mut found = Vec::new();
        let mut start = 0;
        let ends = cuts
            .iter()
            .map(|cut| cut % (octets.len() + 1))
            .chain([octets.len()]);
        for end in ends {
            if end > start {
                input.extend(&octets[start..end]);
                start = end;
            }
            loop {
                match framer.next(&mut input) {
                    Frame::Incomplete => break,
                    Frame::Literal { length, .. } if framer.fits(length) => framer.collect(),
                    frame @ (Frame::Literal { .. } | Frame::Fault(Fault::LineTooLong { .. })) => {
                        found.push(frame);
                        return found;
                    }
                    frame => found.push(frame),
                }
            }
        }
        found
    }

    #[test]
    fn literals_are_part_of_the_command() {
        let command = Frame::Command(Bytes::from_static(b"a LOGIN {3}\r\nb\r\n {2+}\r\n{9"));
        assert_eq!(
            frames(b"a LOGIN {3}\r\nb\r\n {2+}\r\n{9\r\n", &[]),
            [command]
        );
        let tag = Tag::new(b"a");
        let fault = || Frame::Fault(Fault::Octets { tag: tag.clone() });
        assert_eq!(frames(b"a X \0{8}\r\nb NOOP\r\n\r\n", &[]), [fault()]);
        assert_eq!(frames(b"a {13}\r\n a  \0a   a \r\n1\r\n", &[14]), [fault()]);
    }

    #[test]
    fn bombs_are_announced_and_not_collected() {
        let literal = |length| Frame::Literal {
            length,
            sync: Synchronising::Yes,
        };
        assert_eq!(frames(b"a LOGIN {4294967296}\r\n", &[]), [literal(1 << 32)]);
        assert_eq!(
            frames(b"a LOGIN {18446744073709551616}\r\n", &[]),
            [literal(u64::MAX)]
        );
        let tag = Tag::new(b"a");
        assert_eq!(
            frames(format!("a {}", "x".repeat(80)).as_bytes(), &[]),
            [Frame::Fault(Fault::LineTooLong { tag })]
        );
        assert_eq!(
            frames(b"a {1}\r\nb{1}\r\nb{1}\r\nb{1}\r\n", &[]),
            [literal(1)]
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(
            octets in "([a-c ]{0,9}(\\{[0-9]{1,2}\\+?\\})?(\r\n|\n|\r|\0)?){0,8}",
            cuts in proptest::collection::vec(0usize..200, 0..9),
        ) {
            let mut cuts = cuts;
            cuts.iter_mut().for_each(|cut| *cut %= octets.len() + 1);
            cuts.sort_unstable();
            prop_assert_eq!(frames(octets.as_bytes(), &cuts), frames(octets.as_bytes(), &[]));
        }
    }
}
