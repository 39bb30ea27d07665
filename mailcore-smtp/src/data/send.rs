//! Mail data as the client writes it: [`DotStuffer`].

use memchr::memchr3;

use super::DataFault;

/// Puts a dot before each line that starts with one, and the end after all.
///
/// Nothing leaves here that another server could take for the end of the data:
/// a bare CR, a bare LF or a NUL is an error. Any split of the content gives
/// the same octets.
#[derive(Debug)]
pub struct DotStuffer {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    InLine,
    AfterCr,
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self {
            state: State::LineStart,
        }
    }
}

impl DotStuffer {
    /// Appends the next piece of content to `out`, stuffed.
    ///
    /// # Errors
    /// [`DataFault::StrayLineEnd`] or [`DataFault::Nul`]: the message cannot be
    /// sent as it is. What is already written cannot be taken back, so the
    /// connection must be closed without the final dot.
    pub fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), DataFault> {
        let mut rest = content;
        while let Some(&first) = rest.first() {
            match self.state {
                State::AfterCr if first != b'\n' => return Err(DataFault::StrayLineEnd),
                State::AfterCr => {
                    out.push(b'\n');
                    rest = rest.get(1..).unwrap_or_default();
                    self.state = State::LineStart;
                    continue;
                }
                State::LineStart if first == b'.' => out.push(b'.'),
                State::LineStart | State::InLine => {}
            }
            self.state = State::InLine;
            let found = memchr3(b'\r', b'\n', 0, rest);
            match found.and_then(|at| rest.get(at)) {
                Some(b'\r') => self.state = State::AfterCr,
                Some(b'\n') => return Err(DataFault::StrayLineEnd),
                Some(_) => return Err(DataFault::Nul),
                None => {}
            }
            let length = found.map_or(rest.len(), |at| at + 1);
            let (head, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            out.extend_from_slice(head);
            rest = tail;
        }
        Ok(())
    }

    /// Appends the end of the data: a CRLF where the last line has none, and
    /// the dot.
    ///
    /// # Errors
    /// [`DataFault::StrayLineEnd`] when the content ended in a bare CR.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), DataFault> {
        match self.state {
            State::AfterCr => return Err(DataFault::StrayLineEnd),
            State::InLine => out.extend_from_slice(b"\r\n"),
            State::LineStart => {}
        }
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}
