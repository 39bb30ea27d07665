//! [`SequenceSet`]: which messages a command is about, by sequence number or
//! by UID.
//!
//! Sets are kept and combined as ranges; nothing here walks the numbers of a
//! range, so `1:4294967295` costs what `1` costs.

use std::fmt;
use std::num::NonZeroU32;

use mailcore::mailbox::{Uid, UidSet};

/// A message's place in a session's view of a mailbox, from 1
/// (RFC 9051 section 2.3.1.2). Never stored, never shared between sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqNum(NonZeroU32);

impl SeqNum {
    /// A sequence number, unless `value` is 0.
    pub fn new(value: u32) -> Option<Self> {
        NonZeroU32::new(value).map(Self)
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `seq-number = nz-number / "*"`; `None` is `*`, the largest in use.
type Bound = Option<NonZeroU32>;

/// `seq-range = seq-number ":" seq-number`, in either order. A lone
/// `seq-number` is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    first: Bound,
    last: Bound,
}

impl SeqRange {
    /// A range; `None` stands for `*`.
    pub fn new(first: Option<NonZeroU32>, last: Option<NonZeroU32>) -> Self {
        Self { first, last }
    }

    /// The ends in ascending order with `*` read as `largest`.
    fn resolve(self, largest: u32) -> (u32, u32) {
        let first = self.first.map_or(largest, NonZeroU32::get);
        let last = self.last.map_or(largest, NonZeroU32::get);
        (first.min(last), first.max(last))
    }
}

/// `sequence-set = (seq-number / seq-range) *("," sequence-set)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Vec<SeqRange>);

impl SequenceSet {
    /// A set; `None` when there is no range in it.
    pub fn new(ranges: Vec<SeqRange>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// The sequence numbers meant in a mailbox of `exists` messages, as
    /// ascending disjoint ranges. `None` when one lies beyond the mailbox,
    /// `*` in an empty one included: the command is then BAD
    /// (RFC 3501 section 9, `seq-number`).
    pub fn resolve(&self, exists: u32) -> Option<Vec<(u32, u32)>> {
        let ranges = merged(self.0.iter().map(|range| range.resolve(exists)));
        let within = |range: &(u32, u32)| range.0 >= 1 && range.1 <= exists;
        ranges.iter().all(within).then_some(ranges)
    }

    /// As [`SequenceSet::resolve`], with numbers beyond the mailbox left out:
    /// SEARCH finds none there and is no error for it.
    pub fn clamped(&self, exists: u32) -> Vec<(u32, u32)> {
        let ranges = merged(self.0.iter().map(|range| range.resolve(exists)));
        let within = ranges.into_iter().filter(|range| range.0 <= exists);
        within
            .map(|(first, last)| (first.max(1), last.min(exists)))
            .filter(|(first, last)| first <= last)
            .collect()
    }

    /// The numbers as ranges, in any order; `None` when `*` is among them.
    pub fn numbers(&self) -> Option<Vec<(u32, u32)>> {
        let range = |range: &SeqRange| {
            let (a, b) = (range.first?.get(), range.last?.get());
            Some((a.min(b), a.max(b)))
        };
        self.0.iter().map(range).collect()
    }

    /// As [`SequenceSet::numbers`], each number after the one before it; `None`
    /// when that is not so.
    pub fn ascending(&self) -> Option<Vec<(u32, u32)>> {
        let numbers = self.numbers()?;
        let is_turned = |range: &SeqRange| range.first > range.last;
        let ascends = numbers.is_sorted_by(|a, b| a.1 < b.0);
        (ascends && !self.0.iter().any(is_turned)).then_some(numbers)
    }

    /// The UIDs meant when `largest` is the last in the mailbox. Numbers that
    /// no message has are kept: UID commands ignore them without error
    /// (RFC 3501 section 6.4.8).
    pub fn uids(&self, largest: Option<Uid>) -> UidSet {
        let largest = largest.unwrap_or(Uid::MIN).value();
        let ends = self.0.iter().map(|range| range.resolve(largest));
        UidSet::from_ranges(ends.filter_map(|(a, b)| Some((Uid::new(a)?, Uid::new(b)?))))
    }
}

/// What a command names messages by.
///
/// `sequence-set =/ seq-last-command`, where `seq-last-command = "$"` is the
/// result of the last SEARCH that kept it (RFC 5182).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSet {
    /// Numbers.
    Numbers(SequenceSet),
    /// `$`.
    Saved,
}

/// Ascending ranges as a sequence set is written.
pub fn display_ranges(ranges: &[(u32, u32)]) -> impl fmt::Display {
    std::fmt::from_fn(move |f| {
        for (i, (first, last)) in ranges.iter().enumerate() {
            write!(f, "{}{first}", if i > 0 { "," } else { "" })?;
            if last > first {
                write!(f, ":{last}")?;
            }
        }
        Ok(())
    })
}

/// Sorts ranges and joins those that touch.
fn merged(ranges: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut sorted: Vec<(u32, u32)> = ranges.collect();
    sorted.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(sorted.len().min(64));
    for (first, last) in sorted {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |f: &mut fmt::Formatter<'_>, bound: Bound| match bound {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("*"),
        };
        for (i, range) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            number(f, range.first)?;
            if range.first != range.last {
                f.write_str(":")?;
                number(f, range.last)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> SequenceSet {
        let bound = NonZeroU32::new;
        SequenceSet::new(
            ranges
                .iter()
                .map(|&(a, b)| SeqRange::new(bound(a), bound(b)))
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn the_examples_of_rfc_3501_resolve() {
        // 2,4:7,9,12:* in a mailbox with 15 messages; 0 stands for `*` here.
        assert_eq!(
            set(&[(2, 2), (4, 7), (9, 9), (12, 0)]).resolve(15),
            Some(vec![(2, 2), (4, 7), (9, 9), (12, 15)])
        );
        assert_eq!(set(&[(0, 4), (5, 7)]).resolve(10), Some(vec![(4, 10)]));
        assert_eq!(set(&[(0, 0)]).resolve(0), None);
        assert_eq!(set(&[(1, 11)]).resolve(10), None);
    }

    #[test]
    fn a_uid_range_to_star_includes_the_last_message() {
        let uids = set(&[(3291, 0)]).uids(Uid::new(7));
        assert!(uids.contains(Uid::new(7).unwrap()));
    }
}
