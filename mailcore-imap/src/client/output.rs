//! [`Outgoing`]: the command being sent, and what waits to be written.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::command::{Command, Part};
use super::config::Limits;
use super::{Capabilities, CommandId};

/// Octets of one write.
const PIECE: usize = 64 * 1024;

/// Which literals need no leave (RFC 7888).
#[derive(Debug, Clone, Copy)]
struct Unasked(u64);

impl Unasked {
    fn new(offered: &Capabilities, limits: &Limits) -> Self {
        Self(if offered.has("LITERAL+") {
            limits.unasked_literal
        } else if offered.has("LITERAL-") || offered.is_rev2() {
            limits.unasked_literal.min(4_096)
        } else {
            0
        })
    }
}

/// A command on its way.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) id: CommandId,
    parts: VecDeque<Part>,
    unasked: Unasked,
    pub(super) wait: Wait,
}

/// What holds a command up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing.
    No,
    /// The server's `+`.
    Leave,
    /// So many octets that the host brings.
    Content(u64),
}

impl Sending {
    pub(super) fn new(
        id: CommandId,
        command: &mut Command,
        offered: &Capabilities,
        limits: &Limits,
    ) -> Self {
        Self {
            id,
            parts: std::mem::take(&mut command.parts).into(),
            unasked: Unasked::new(offered, limits),
            wait: Wait::No,
        }
    }

    /// Writes as far as may be; true when the whole command is written.
    pub(super) fn go_on(&mut self, out: &mut Outgoing) -> bool {
        while self.wait == Wait::No {
            let Some(part) = self.parts.front_mut() else {
                out.put(b"\r\n");
                return true;
            };
            let size = match part {
                Part::Octets(octets) => {
                    out.put(octets);
                    self.parts.pop_front();
                    continue;
                }
                Part::Literal(octets) => octets.len() as u64,
                Part::Stream(size) => *size,
            };
            if size <= self.unasked.0 {
                out.put(format!("{{{size}+}}\r\n").as_bytes());
                self.begin_literal(out);
            } else {
                out.put(format!("{{{size}}}\r\n").as_bytes());
                self.wait = Wait::Leave;
            }
        }
        false
    }

    /// The server lets the literal come.
    pub(super) fn leave(&mut self, out: &mut Outgoing) {
        self.wait = Wait::No;
        self.begin_literal(out);
    }

    fn begin_literal(&mut self, out: &mut Outgoing) {
        match self.parts.pop_front() {
            Some(Part::Literal(octets) | Part::Octets(octets)) => out.put(&octets),
            Some(Part::Stream(0)) | None => {}
            Some(Part::Stream(size)) => self.wait = Wait::Content(size),
        }
    }

    /// Takes octets of the literal that is being sent; false when there are
    /// more of them than were announced, or none.
    pub(super) fn content(&mut self, octets: &[u8], out: &mut Outgoing) -> bool {
        let Wait::Content(left) = self.wait else {
            return false;
        };
        let Some(left) = left.checked_sub(octets.len() as u64) else {
            return false;
        };
        out.put(octets);
        self.wait = if left == 0 {
            Wait::No
        } else {
            Wait::Content(left)
        };
        !octets.is_empty()
    }
}

/// Octets to be written. They may hold a password, so they never show.
#[derive(Default)]
pub(super) struct Outgoing(BytesMut);

impl Outgoing {
    pub(super) fn put(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The next write, if there is something to write.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let count = self.0.len().min(PIECE);
        (count > 0).then(|| self.0.split_to(count).freeze())
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}
