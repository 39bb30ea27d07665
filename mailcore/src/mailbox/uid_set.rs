//! Sets of UIDs as ranges.

use std::fmt;

use super::Uid;

/// A set of UIDs as sorted, disjoint, non-adjacent ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// No UID.
    pub const EMPTY: Self = Self(Vec::new());

    /// Every UID.
    pub fn all() -> Self {
        Self(vec![(1, u32::MAX)])
    }

    /// From `first` to `last`, both included; the two may come in either order.
    pub fn range(first: Uid, last: Uid) -> Self {
        let (a, b) = (first.value(), last.value());
        Self(vec![(a.min(b), a.max(b))])
    }

    /// Ranges in any order, overlapping or not.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (Uid, Uid)>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b).value(), a.max(b).value()))
            .collect();
        sorted.sort_unstable();
        let mut set = Self(Vec::with_capacity(sorted.len()));
        for (first, last) in sorted {
            set.push_range(first, last);
        }
        set
    }

    /// Appends a range that starts at or after the last one's start.
    fn push_range(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// The ranges, ascending, both ends included.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = (Uid, Uid)> + '_ {
        self.0
            .iter()
            .filter_map(|&(a, b)| Some((Uid::new(a)?, Uid::new(b)?)))
    }

    /// Every UID, ascending. A set such as [`UidSet::all`] has four billion:
    /// intersect with what a mailbox holds instead of walking it.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0
            .iter()
            .flat_map(|&(a, b)| (a..=b).filter_map(Uid::new))
    }

    /// True when `uid` is in the set.
    pub fn contains(&self, uid: Uid) -> bool {
        let value = uid.value();
        let after = self.0.partition_point(|&(first, _)| first <= value);
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .is_some_and(|&(_, last)| value <= last)
    }

    /// True when every UID from `first` to `last` is in the set.
    pub fn covers(&self, first: Uid, last: Uid) -> bool {
        let after = self.0.partition_point(|&(from, _)| from <= first.value());
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .is_some_and(|&(_, to)| last.value() <= to)
    }

    /// True when the set holds no UID.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set as several of at most `ranges` ranges each, ascending.
    pub fn parts(&self, ranges: usize) -> impl Iterator<Item = Self> + '_ {
        self.0.chunks(ranges.max(1)).map(|part| Self(part.to_vec()))
    }

    /// How many UIDs the set holds.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|&(a, b)| u64::from(b - a) + 1).sum()
    }

    /// The UIDs that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (few, many) = match self.0.len() <= other.0.len() {
            true => (self, other),
            false => (other, self),
        };
        let mut common = Vec::new();
        for &(first, last) in &few.0 {
            let begin = many.0.partition_point(|&(_, end)| end < first);
            let meeting = many.0.iter().skip(begin).take_while(|it| it.0 <= last);
            common.extend(meeting.map(|&(start, end)| (start.max(first), end.min(last))));
        }
        Self(common)
    }

    /// The UIDs of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut kept = Vec::new();
        for &(first, last) in &self.0 {
            // Where what is left of the range starts; none when it was cut off
            // at the greatest UID.
            let mut from = Some(first);
            let begin = other.0.partition_point(|&(_, end)| end < first);
            for &(start, end) in other.0.iter().skip(begin).take_while(|it| it.0 <= last) {
                kept.extend(
                    from.filter(|from| *from < start)
                        .map(|from| (from, start - 1)),
                );
                from = end.checked_add(1);
            }
            kept.extend(from.filter(|from| *from <= last).map(|from| (from, last)));
        }
        Self(kept)
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(iter: I) -> Self {
        Self::from_ranges(iter.into_iter().map(|uid| (uid, uid)))
    }
}

/// As IMAP writes it: `1:3,5`.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_meet_and_part_as_lists_do(a in prop::collection::vec(1u32..60, 0..40), b in prop::collection::vec(1u32..60, 0..40)) {
            let set = |of: &[u32]| of.iter().filter_map(|it| Uid::new(*it)).collect::<UidSet>();
            let (both, less): (Vec<u32>, Vec<u32>) = a.iter().partition(|it| b.contains(it));
            prop_assert_eq!(set(&a).intersection(&set(&b)), set(&both));
            prop_assert_eq!(set(&a).difference(&set(&b)), set(&less));
            prop_assert_eq!(UidSet::all().difference(&set(&a)).intersection(&set(&a)), UidSet::EMPTY);
        }
    }

    #[test]
    fn uid_sets_merge_and_print_like_imap() {
        let uid = |v| Uid::new(v).unwrap();
        let set = UidSet::from_ranges([
            (uid(7), uid(5)),
            (uid(1), uid(2)),
            (uid(3), uid(3)),
            (uid(6), uid(9)),
        ]);
        assert_eq!(set.to_string(), "1:3,5:9");
        assert_eq!(set.len(), 8);
        assert!(set.covers(uid(5), uid(9)) && !set.covers(uid(3), uid(5)));
        let parts: Vec<String> = set.parts(1).map(|it| it.to_string()).collect();
        assert_eq!(parts, ["1:3", "5:9"]);
        assert_eq!(set.parts(2).map(|it| it.len()).collect::<Vec<_>>(), [8]);
        assert!(set.contains(uid(9)) && !set.contains(uid(4)) && !set.contains(uid(10)));
    }
}
