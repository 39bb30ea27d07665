//! [`PartialRange`]: a page of a longer result (RFC 9394).

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;

use mailcore::mailbox::{Uid, UidSet};

/// ```text
/// partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number
/// ```
/// Either end may be the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    first: NonZeroU32,
    last: NonZeroU32,
    end: PartialEnd,
}

/// Where the places of a [`PartialRange`] are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialEnd {
    /// 1 is the first result.
    First,
    /// -1 is the last result.
    Last,
}

impl PartialRange {
    /// The places from `first` to `last`, both included.
    pub fn new(first: NonZeroU32, last: NonZeroU32, end: PartialEnd) -> Self {
        Self { first, last, end }
    }

    /// The places within `count` results, from 0.
    pub fn within(self, count: usize) -> Range<usize> {
        let place = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let near = place(self.first.min(self.last));
        let far = place(self.first.max(self.last)).min(count);
        let near = (near - 1).min(far);
        match self.end {
            PartialEnd::First => near..far,
            PartialEnd::Last => count - far..count - near,
        }
    }

    /// The page of `uids`.
    pub fn of(self, uids: &UidSet) -> UidSet {
        let count = usize::try_from(uids.len()).unwrap_or(usize::MAX);
        let page = self.within(count);
        let (start, end) = (page.start as u64, page.end as u64);
        let mut before = 0;
        let ranges = uids.ranges().filter_map(|(first, last)| {
            let length = u64::from(last.value() - first.value()) + 1;
            let (from, to) = (start.max(before), end.min(before + length));
            let at = |place: u64| {
                let offset = u32::try_from(place - before).ok()?;
                Uid::new(first.value() + offset)
            };
            let shared = (from < to).then(|| Some((at(from)?, at(to - 1)?)));
            before += length;
            shared.flatten()
        });
        UidSet::from_ranges(ranges)
    }
}

impl fmt::Display for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            PartialEnd::First => write!(f, "{}:{}", self.first, self.last),
            PartialEnd::Last => write!(f, "-{}:-{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_is_what_a_slice_of_the_list_is(
            uids in proptest::collection::btree_set(1u32..60, 0..40),
            (first, last, from_end) in (1u32..50, 1u32..50, any::<bool>()),
        ) {
            let uids: Vec<Uid> = uids.into_iter().filter_map(Uid::new).collect();
            let number = |n| NonZeroU32::new(n).unwrap();
            let end = if from_end { PartialEnd::Last } else { PartialEnd::First };
            let range = PartialRange::new(number(first), number(last), end);
            let place = |at: usize| match end {
                PartialEnd::First => at + 1,
                PartialEnd::Last => uids.len() - at,
            };
            let (low, high) = (first.min(last) as usize, first.max(last) as usize);
            let wanted = (0..uids.len()).filter(|at| (low..=high).contains(&place(*at)));
            let wanted: UidSet = wanted.map(|at| uids[at]).collect();
            let page: UidSet = uids[range.within(uids.len())].iter().copied().collect();
            prop_assert_eq!(&page, &wanted);
            prop_assert_eq!(range.of(&uids.iter().copied().collect()), wanted);
        }
    }
}
