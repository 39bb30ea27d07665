//! Reads sequence sets.

use std::num::NonZeroU32;

use super::{Cursor, ParseError};
use crate::types::{MessageSet, PartialEnd, PartialRange, SeqRange, SequenceSet};

impl Cursor<'_> {
    /// `sequence-set = (seq-number / seq-range) *("," sequence-set)`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn sequence_set(&mut self) -> Result<SequenceSet, ParseError> {
        let mut ranges = Vec::new();
        loop {
            let first = self.seq_number()?;
            let last = if self.eat(b':') {
                self.seq_number()?
            } else {
                first
            };
            ranges.push(SeqRange::new(first, last));
            if !self.eat(b',') {
                break;
            }
        }
        SequenceSet::new(ranges).ok_or(ParseError::Expected("a sequence set"))
    }

    /// A sequence set or `$` (RFC 5182).
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn message_set(&mut self) -> Result<MessageSet, ParseError> {
        if self.eat(b'$') {
            return Ok(MessageSet::Saved);
        }
        self.sequence_set().map(MessageSet::Numbers)
    }

    /// `partial-range`
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn partial_range(&mut self) -> Result<PartialRange, ParseError> {
        let end = match self.peek() {
            Some(b'-') => PartialEnd::Last,
            _ => PartialEnd::First,
        };
        let first = self.place(end)?;
        self.expect(b':', "a range such as 1:100 or -1:-100")?;
        Ok(PartialRange::new(first, self.place(end)?, end))
    }

    fn place(&mut self, end: PartialEnd) -> Result<NonZeroU32, ParseError> {
        if end == PartialEnd::Last {
            self.expect(b'-', "a place counted from the end")?;
        }
        NonZeroU32::new(self.number()?).ok_or(ParseError::Expected("a number above zero"))
    }

    /// `seq-number = nz-number / "*"`; `None` is `*`.
    fn seq_number(&mut self) -> Result<Option<NonZeroU32>, ParseError> {
        if self.eat(b'*') {
            return Ok(None);
        }
        let number = NonZeroU32::new(self.number()?);
        number
            .map(Some)
            .ok_or(ParseError::Expected("a number above zero"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_and_gaps_are_refused() {
        for bad in ["0", "1,", ",1", "1:", "a", "4294967296", "1:0"] {
            assert!(Cursor::new(bad.as_bytes()).sequence_set().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_set_reads_back(ranges in proptest::collection::vec((any::<u32>(), any::<u32>()), 1..9)) {
            let bound = NonZeroU32::new;
            let ranges = ranges.into_iter().map(|(a, b)| SeqRange::new(bound(a), bound(b))).collect();
            let set = SequenceSet::new(ranges).unwrap();
            let text = set.to_string();
            prop_assert_eq!(Cursor::new(text.as_bytes()).sequence_set(), Ok(set));
        }
    }
}
