//! `:matches` in linear time: [`Glob`] (RFC 5228 section 2.7.1).
//!
//! A pattern is split at its stars. Each piece is looked for from where the one
//! before ended, which gives the shortest captures from left to right that RFC 5229
//! section 3.2 asks for, without ever going back.

use std::ops::Range;

use memchr::memmem;

use super::comparator::{Begin, Comparator};
use super::meter::{Meter, OutOfSteps};

/// A pattern made ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// What stands between stars; one piece has no star.
    pieces: Box<[Piece]>,
}

/// Literal text and question marks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Octets and nothing else.
    Text(Box<[u8]>),
    /// One character wherever there is none.
    Marks(Box<[Option<char>]>),
}

/// Text to match, already folded as the pattern is.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) octets: &'a [u8],
    /// Where characters of the text it was folded from begin; without any, folded
    /// characters are as long as theirs.
    pub(super) begins: &'a [Begin],
    /// Octets of the text it was folded from.
    pub(super) origin_len: usize,
}

impl Glob {
    /// Splits a pattern and folds what is literal of it. A backslash takes the
    /// meaning of the character after it away; at the end it stands for itself.
    pub(super) fn new(pattern: &str, comparator: Comparator) -> Self {
        let mut pieces = Vec::new();
        let mut piece: Vec<Option<char>> = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' => {
                    pieces.push(Piece::new(std::mem::take(&mut piece)));
                    continue;
                }
                '?' => {
                    piece.push(None);
                    continue;
                }
                '\\' => characters.next().unwrap_or('\\'),
                _ => character,
            };
            comparator.fold_character(literal, |folded| piece.push(Some(folded)));
        }
        pieces.push(Piece::new(piece));
        Self {
            pieces: pieces.into(),
        }
    }

    pub(super) fn memory_size(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Marks(marks) => size_of_val(&**marks),
        });
        size_of_val(&*self.pieces) + pieces.sum::<usize>()
    }

    /// Where the wildcards matched, in the pattern's order; none when the whole
    /// does not match. `spans` is cleared.
    pub(super) fn matches(
        &self,
        subject: Subject<'_>,
        spans: &mut Vec<Range<usize>>,
        meter: &mut Meter,
    ) -> Result<bool, OutOfSteps> {
        spans.clear();
        let Some((first, rest)) = self.pieces.split_first() else {
            return Ok(false);
        };
        let Some(mut at) = first.at(subject, 0, spans, meter)? else {
            return Ok(false);
        };
        let Some((last, middle)) = rest.split_last() else {
            return Ok(at == subject.octets.len());
        };
        for piece in middle {
            let star = spans.len();
            spans.push(at..at);
            let Some(found) = piece.find(subject, at, spans, meter)? else {
                return Ok(false);
            };
            if let Some(span) = spans.get_mut(star) {
                span.end = found.start;
            }
            at = found.end;
        }
        let Some(start) = last.start_at_end(subject) else {
            return Ok(false);
        };
        if start < at {
            return Ok(false);
        }
        spans.push(at..start);
        let end = last.at(subject, start, spans, meter)?;
        Ok(end == Some(subject.octets.len()))
    }
}

impl Piece {
    fn new(piece: Vec<Option<char>>) -> Self {
        let text: Option<String> = piece.iter().copied().collect();
        match text {
            Some(text) => Self::Text(text.into_bytes().into()),
            None => Self::Marks(piece.into()),
        }
    }

    /// Where the piece ends that begins at `at`.
    fn at(
        &self,
        subject: Subject<'_>,
        at: usize,
        spans: &mut Vec<Range<usize>>,
        meter: &mut Meter,
    ) -> Result<Option<usize>, OutOfSteps> {
        let rest = subject.octets.get(at..).unwrap_or_default();
        let marks = match self {
            Self::Text(text) => {
                return Ok(rest.starts_with(text).then_some(at + text.len()));
            }
            Self::Marks(marks) => marks,
        };
        let kept = spans.len();
        let mut place = at;
        for (done, mark) in marks.iter().enumerate() {
            let end = match mark {
                None => subject.next(place),
                Some(character) => subject.literal(place, *character),
            };
            let Some(end) = end else {
                spans.truncate(kept);
                meter.charge_octets(done + 1)?;
                return Ok(None);
            };
            if mark.is_none() {
                spans.push(place..end);
            }
            place = end;
        }
        meter.charge_octets(marks.len())?;
        Ok(Some(place))
    }

    /// The first place from `from` on where the piece is.
    fn find(
        &self,
        subject: Subject<'_>,
        from: usize,
        spans: &mut Vec<Range<usize>>,
        meter: &mut Meter,
    ) -> Result<Option<Range<usize>>, OutOfSteps> {
        let rest = subject.octets.get(from..).unwrap_or_default();
        if let Self::Text(text) = self {
            meter.charge_octets(text.len())?;
            let found = memmem::find(rest, text).map(|offset| from + offset);
            return Ok(found.map(|start| start..start + text.len()));
        }
        let mut start = from;
        loop {
            if let Some(end) = self.at(subject, start, spans, meter)? {
                return Ok(Some(start..end));
            }
            match subject.next(start) {
                Some(next) => start = next,
                None => return Ok(None),
            }
        }
    }

    /// Where the piece must begin to end with the subject, as far as lengths tell.
    fn start_at_end(&self, subject: Subject<'_>) -> Option<usize> {
        let marks = match self {
            Self::Text(text) => return subject.octets.len().checked_sub(text.len()),
            Self::Marks(marks) => marks,
        };
        let mut end = subject.octets.len();
        for mark in marks.iter().rev() {
            end = match mark {
                Some(character) => end.checked_sub(character.len_utf8())?,
                None => subject.previous(end)?,
            };
        }
        Some(end)
    }
}

impl<'a> Subject<'a> {
    /// Text that folding leaves as it is.
    pub(super) fn plain(octets: &'a [u8]) -> Self {
        Self {
            octets,
            begins: &[],
            origin_len: octets.len(),
        }
    }

    /// Where a span lay before folding.
    pub(super) fn origin(&self, span: &Range<usize>) -> Range<usize> {
        if self.begins.is_empty() {
            return span.clone();
        }
        let place = |at: usize| {
            let index = self.begins.partition_point(|begin| begin.folded() < at);
            let begin = self.begins.get(index).map(Begin::origin);
            begin.unwrap_or(self.origin_len)
        };
        place(span.start)..place(span.end)
    }

    fn literal(&self, at: usize, character: char) -> Option<usize> {
        let mut room = [0; 4];
        let text = character.encode_utf8(&mut room).as_bytes();
        let rest = self.octets.get(at..)?;
        rest.starts_with(text).then_some(at + text.len())
    }

    /// Where the character after the one at `at` begins.
    fn next(&self, at: usize) -> Option<usize> {
        let (first, rest) = self.octets.get(at..)?.split_first()?;
        if !self.begins.is_empty() {
            let after = self.begins.partition_point(|begin| begin.folded() <= at);
            let next = self.begins.get(after).map(Begin::folded);
            return Some(next.unwrap_or(self.octets.len()));
        }
        let more = rest.iter().take(width(*first) - 1);
        Some(at + 1 + more.take_while(|octet| is_continuation(**octet)).count())
    }

    /// Where the character that ends at `end` begins.
    fn previous(&self, end: usize) -> Option<usize> {
        let before = self.octets.get(..end)?;
        before.last()?;
        if !self.begins.is_empty() {
            let after = self.begins.partition_point(|begin| begin.folded() < end);
            return self.begins.get(after.checked_sub(1)?).map(Begin::folded);
        }
        let start = before
            .iter()
            .rev()
            .take(4)
            .position(|o| !is_continuation(*o));
        let start = start.map_or(end - 1, |back| end - 1 - back);
        // Continuations that no first octet asks for are characters of their own.
        Some(if self.next(start) == Some(end) {
            start
        } else {
            end - 1
        })
    }
}

fn is_continuation(octet: u8) -> bool {
    octet & 0xc0 == 0x80
}

fn width(first: u8) -> usize {
    match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => 1,
    }
}
