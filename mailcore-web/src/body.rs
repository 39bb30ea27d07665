//! A request's content off the wire: by length, or in chunks (RFC 9112 section
//! 7.1), never more than the limit.

use bytes::{Bytes, BytesMut};
use mailcore::wire::{Input, Line};

use crate::Status;
use crate::fields::{Framing, is_control, one_field, trimmed};

/// Octets of a chunk's line, extensions included.
const MAX_CHUNK_LINE: usize = 128;
/// Lines of a trailer.
const MAX_TRAILER: usize = 32;

/// Content that is being read.
#[derive(Debug)]
pub(crate) struct Body {
    part: Part,
    octets: BytesMut,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// So many octets, and that is all.
    Length(usize),
    ChunkLine,
    /// So many octets of a chunk, and its line end.
    Chunk(usize),
    ChunkEnd,
    /// Lines of the trailer so far.
    Trailer(usize),
    Whole,
}

impl Body {
    /// Content framed so.
    pub(crate) fn new(framing: Framing, limit: usize) -> Result<Self, Status> {
        let part = match framing {
            Framing::Chunked => Part::ChunkLine,
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= limit => Part::Length(length),
                _ => return Err(Status::CONTENT_TOO_LARGE),
            },
        };
        Ok(Self {
            part,
            octets: BytesMut::new(),
            limit,
        })
    }

    /// Takes what there is. The content, once it is whole.
    pub(crate) fn read(&mut self, input: &mut Input) -> Result<Option<Bytes>, Status> {
        loop {
            self.part = match self.part {
                Part::Length(left) => match self.take(left, input) {
                    0 => Part::Whole,
                    left => {
                        self.part = Part::Length(left);
                        return Ok(None);
                    }
                },
                Part::Chunk(left) => match self.take(left, input) {
                    0 => Part::ChunkEnd,
                    left => {
                        self.part = Part::Chunk(left);
                        return Ok(None);
                    }
                },
                Part::ChunkLine => match line(input)? {
                    Some(line) => self.chunk(&line)?,
                    None => return Ok(None),
                },
                Part::ChunkEnd => match line(input)? {
                    Some(line) if line.is_empty() => Part::ChunkLine,
                    Some(_) => return Err(Status::BAD_REQUEST),
                    None => return Ok(None),
                },
                Part::Trailer(lines) => match line(input)? {
                    Some(line) if line.is_empty() => Part::Whole,
                    Some(_) if lines >= MAX_TRAILER => return Err(Status::FIELDS_TOO_LARGE),
                    Some(line) => match one_field(&line) {
                        Ok(_) => Part::Trailer(lines + 1),
                        Err(error) => return Err(error.status()),
                    },
                    None => return Ok(None),
                },
                Part::Whole => return Ok(Some(std::mem::take(&mut self.octets).freeze())),
            };
        }
    }

    /// Moves up to `left` octets over; how many are still to come.
    fn take(&mut self, left: usize, input: &mut Input) -> usize {
        let taken = input.take(left);
        self.octets.extend_from_slice(&taken);
        left - taken.len()
    }

    /// What follows a chunk's line. Extensions mean nothing here; white space
    /// is allowed before one, and nowhere else.
    fn chunk(&self, line: &[u8]) -> Result<Part, Status> {
        let digits = match memchr::memchr(b';', line) {
            Some(at) => trimmed(line.get(..at).unwrap_or_default()),
            None => line,
        };
        let hex = !digits.is_empty() && digits.len() <= 8;
        if !hex || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Status::BAD_REQUEST);
        }
        let size = std::str::from_utf8(digits).ok();
        let size = size.and_then(|it| usize::from_str_radix(it, 16).ok());
        let size = size.ok_or(Status::BAD_REQUEST)?;
        match size {
            0 => Ok(Part::Trailer(0)),
            size if self.octets.len().saturating_add(size) > self.limit => {
                Err(Status::CONTENT_TOO_LARGE)
            }
            size => Ok(Part::Chunk(size)),
        }
    }
}

fn line(input: &mut Input) -> Result<Option<Bytes>, Status> {
    match input.line(MAX_CHUNK_LINE) {
        Line::Complete(line) if line.iter().copied().any(is_control) => Err(Status::BAD_REQUEST),
        Line::Complete(line) => Ok(Some(line)),
        Line::Incomplete => Ok(None),
        Line::BareLf(_) | Line::TooLong => Err(Status::BAD_REQUEST),
    }
}
