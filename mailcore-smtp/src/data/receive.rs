//! Mail data as the server reads it: [`DataReceiver`].
//!
//! Chunks are slices of the input buffer; only a chunk in which a line starts
//! with a dot is copied.

use bytes::Bytes;
use mailcore::wire::Input;
use memchr::memchr3;

use super::DataFault;

/// The smallest chunk that can be asked for: room for any token and progress.
const MIN_CHUNK: usize = 16;

/// What [`DataReceiver::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum DataStep {
    /// The input is used up, but for at most two octets that may be the
    /// beginning of the end.
    NeedInput,
    /// Message content without stuffing.
    Chunk(Bytes),
    /// The final dot came. The message's octets, or why it is refused.
    End(Result<u64, DataFault>),
}

/// Reads one message's data out of a session's input.
///
/// Any split of the input gives the same content and the same end.
#[derive(Debug)]
pub struct DataReceiver {
    at_line_start: bool,
    limit: u64,
    received: u64,
    discarded: u64,
    fault: Option<DataFault>,
}

impl DataReceiver {
    /// A receiver for a message of at most `limit` octets, as RFC 1870 section
    /// 4 counts them: with line ends, without stuffing and the final dot.
    pub fn with_limit(limit: u64) -> Self {
        Self {
            at_line_start: true,
            limit,
            received: 0,
            discarded: 0,
            fault: None,
        }
    }

    /// The next chunk of at most `max` octets. Once a fault is found what
    /// follows is searched for its end and dropped.
    pub fn next(&mut self, input: &mut Input, max: usize) -> DataStep {
        loop {
            let full = input.as_slice();
            let window = full.get(..max.max(MIN_CHUNK)).unwrap_or(full);
            let mut scan = Scan::new(window, self.at_line_start);
            let ended = scan.run();
            self.at_line_start = scan.at_line_start;
            let (used, unstuffed) = (scan.at, scan.finish());
            if let Some(fault) = unstuffed.fault {
                self.note(fault);
            }
            match (used, ended) {
                (0, true) => {
                    input.take(END.len());
                    return DataStep::End(self.fault.map_or(Ok(self.received), Err));
                }
                (0, false) => return DataStep::NeedInput,
                _ => {}
            }
            let slice = input.take(used);
            if let Some(chunk) = self.admit(unstuffed.copy.map_or(slice, Bytes::from)) {
                return DataStep::Chunk(chunk);
            }
        }
    }

    /// Octets dropped since a fault was found: a caller that reads no more than
    /// so many closes.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Octets of the message that came so far, kept or dropped.
    pub fn taken(&self) -> u64 {
        self.received.saturating_add(self.discarded)
    }

    fn admit(&mut self, chunk: Bytes) -> Option<Bytes> {
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.fault.is_none() {
            self.received = self.received.saturating_add(length);
            if self.received > self.limit {
                self.note(DataFault::TooLarge);
            }
        }
        if self.fault.is_some() {
            self.discarded = self.discarded.saturating_add(length);
            return None;
        }
        // A chunk of a lone stuffed dot unstuffs to nothing.
        (!chunk.is_empty()).then_some(chunk)
    }

    fn note(&mut self, fault: DataFault) {
        self.fault = Some(worst(self.fault, fault));
    }
}

/// A stray line end is never hidden behind another fault, and a NUL not behind the
/// size: which of them is found first depends on how the octets come.
fn worst(known: Option<DataFault>, new: DataFault) -> DataFault {
    match (known, new) {
        (None | Some(DataFault::TooLarge), new) => new,
        (Some(DataFault::Nul), DataFault::StrayLineEnd) => new,
        (Some(known), _) => known,
    }
}

const END: &[u8] = b".\r\n";

/// One pass over a window of the input.
struct Scan<'a> {
    window: &'a [u8],
    /// Octets looked at and understood.
    at: usize,
    at_line_start: bool,
    /// Where the octets start that are not in `copy` yet.
    uncopied: usize,
    copy: Option<Vec<u8>>,
    fault: Option<DataFault>,
}

struct Unstuffed {
    copy: Option<Vec<u8>>,
    fault: Option<DataFault>,
}

impl<'a> Scan<'a> {
    fn new(window: &'a [u8], at_line_start: bool) -> Self {
        Self {
            window,
            at: 0,
            at_line_start,
            uncopied: 0,
            copy: None,
            fault: None,
        }
    }

    /// Scans until the window is used up or the final dot stands at `at`; true
    /// for the latter.
    fn run(&mut self) -> bool {
        loop {
            let rest = self.window.get(self.at..).unwrap_or_default();
            if self.at_line_start {
                match rest {
                    [] | [b'.'] | [b'.', b'\r'] => return false,
                    [b'.', b'\r', b'\n', ..] => return true,
                    [b'.', ..] => self.drop_dot(),
                    _ => {}
                }
                self.at_line_start = false;
                continue;
            }
            let Some(found) = memchr3(b'\r', b'\n', 0, rest) else {
                self.at = self.window.len();
                return false;
            };
            match rest.get(found..).unwrap_or_default() {
                // Half a line end at most: left for the next pass.
                [] | [b'\r'] => {
                    self.at += found;
                    return false;
                }
                [b'\r', b'\n', ..] => {
                    self.at += found + 2;
                    self.at_line_start = true;
                }
                [stray, ..] => {
                    let fault = if *stray == 0 {
                        DataFault::Nul
                    } else {
                        DataFault::StrayLineEnd
                    };
                    self.fault = Some(worst(self.fault, fault));
                    self.at += found + 1;
                }
            }
        }
    }

    fn drop_dot(&mut self) {
        let pending = self.window.get(self.uncopied..self.at).unwrap_or_default();
        self.copy
            .get_or_insert_with(|| Vec::with_capacity(self.window.len()))
            .extend_from_slice(pending);
        self.at += 1;
        self.uncopied = self.at;
    }

    fn finish(self) -> Unstuffed {
        let mut copy = self.copy;
        if let Some(copy) = &mut copy {
            copy.extend_from_slice(self.window.get(self.uncopied..self.at).unwrap_or_default());
        }
        Unstuffed {
            copy,
            fault: self.fault,
        }
    }
}
