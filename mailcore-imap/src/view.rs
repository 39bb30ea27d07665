//! [`View`]: what a session has been told of its mailbox, and with it the
//! sequence numbers (RFC 9051 section 2.3.1.2).
//!
//! A view changes only when the client is told: new messages by EXISTS, lost
//! ones by EXPUNGE, and that only at moments when no command by sequence number
//! is in progress (RFC 3501 sections 5.5 and 7.4.1). The view neither writes
//! responses nor asks a store.

use mailcore::mailbox::{Uid, UidSet};

use crate::types::SeqNum;

/// UIDs that follow one another without a gap, and the sequence number of the
/// first. A mailbox that lost few messages is few runs however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    last: u32,
    seq: u32,
}

impl Run {
    fn len(self) -> u32 {
        self.last - self.first + 1
    }
}

/// A session's messages in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    runs: Vec<Run>,
    exists: u32,
    /// Gone from the mailbox, not told yet. May name more than the view holds.
    lost: UidSet,
    /// `\Recent` in this session.
    recent: UidSet,
}

impl View {
    /// The view of a mailbox just selected.
    pub fn new(uids: &UidSet) -> Self {
        let mut view = Self::default();
        view.rebuild(uids.ranges().map(|(a, b)| (a.value(), b.value())));
        view
    }

    /// How many messages the client knows of.
    pub fn exists(&self) -> u32 {
        self.exists
    }

    /// The last message's UID.
    pub fn last_uid(&self) -> Option<Uid> {
        self.runs.last().and_then(|run| Uid::new(run.last))
    }

    /// The message at `seq`.
    pub fn uid(&self, seq: SeqNum) -> Option<Uid> {
        let seq = seq.value();
        let run = self.run_before(|run| run.seq <= seq)?;
        let offset = seq - run.seq;
        (offset < run.len())
            .then(|| Uid::new(run.first + offset))
            .flatten()
    }

    /// The place of `uid`.
    pub fn seq(&self, uid: Uid) -> Option<SeqNum> {
        let uid = uid.value();
        let run = self.run_before(|run| run.first <= uid)?;
        (uid <= run.last)
            .then(|| SeqNum::new(run.seq + (uid - run.first)))
            .flatten()
    }

    /// The places of those of `uids` that the client knows of, as ascending
    /// ranges.
    pub fn seqs(&self, uids: &UidSet) -> Vec<(u32, u32)> {
        let mut places: Vec<(u32, u32)> = Vec::new();
        for (first, last) in self.known(uids).ranges() {
            let (Some(first), Some(last)) = (self.seq(first), self.seq(last)) else {
                continue;
            };
            match places.last_mut() {
                Some((_, end)) if *end + 1 == first.value() => *end = last.value(),
                _ => places.push((first.value(), last.value())),
            }
        }
        places
    }

    /// Every message.
    pub fn all(&self) -> UidSet {
        self.runs
            .iter()
            .filter_map(|run| Some((Uid::new(run.first)?, Uid::new(run.last)?)))
            .collect_ranges()
    }

    /// The messages at ascending ranges of sequence numbers.
    pub fn uids(&self, seqs: &[(u32, u32)]) -> UidSet {
        let runs = self
            .runs
            .iter()
            .map(|run| (run.seq, run.seq + run.len() - 1));
        let shared = intersect(runs, seqs.iter().copied());
        let uid = |seq| SeqNum::new(seq).and_then(|seq| self.uid(seq));
        shared
            .into_iter()
            .filter_map(|(a, b)| Some((uid(a)?, uid(b)?)))
            .collect_ranges()
    }

    /// Those of `uids` that the client knows of.
    pub fn known(&self, uids: &UidSet) -> UidSet {
        let runs = self.runs.iter().map(|run| (run.first, run.last));
        let shared = intersect(runs, uids.ranges().map(|(a, b)| (a.value(), b.value())));
        shared
            .into_iter()
            .filter_map(|(a, b)| Some((Uid::new(a)?, Uid::new(b)?)))
            .collect_ranges()
    }

    /// Takes up `uids` that came after the last one known; others are ignored,
    /// since a place in the middle can't be told to a client. Returns the new
    /// number of messages when there are more than before.
    pub fn extend(&mut self, uids: impl IntoIterator<Item = Uid>) -> Option<u32> {
        let before = self.exists;
        for uid in uids {
            let uid = uid.value();
            match self.runs.last_mut() {
                Some(run) if uid <= run.last => continue,
                Some(run) if uid == run.last + 1 => run.last = uid,
                _ => self.runs.push(Run {
                    first: uid,
                    last: uid,
                    seq: self.exists + 1,
                }),
            }
            self.exists += 1;
        }
        (self.exists > before).then_some(self.exists)
    }

    /// Notes that `uids` are gone. They keep their places until
    /// [`View::expunge`].
    pub fn lose(&mut self, uids: &UidSet) {
        let lost = self.known(uids);
        if !lost.is_empty() {
            self.lost = UidSet::from_ranges(self.lost.ranges().chain(lost.ranges()));
        }
    }

    /// True when [`View::expunge`] would tell something.
    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Messages that the client still counts and that are gone.
    pub fn lost(&self) -> &UidSet {
        &self.lost
    }

    /// Drops lost messages from the view. Returns their places as ascending
    /// ranges; told from the last to the first, each number is right at its
    /// moment.
    pub fn expunge(&mut self) -> Vec<(u32, u32)> {
        let places = self.seqs(&self.lost);
        self.vanish();
        places
    }

    /// As [`View::expunge`], for a client that is told UIDs. Returns those.
    pub fn vanish(&mut self) -> UidSet {
        let lost = std::mem::take(&mut self.lost);
        let kept = subtract(
            self.runs.iter().map(|run| (run.first, run.last)),
            lost.ranges().map(|(a, b)| (a.value(), b.value())),
        );
        self.rebuild(kept.into_iter());
        lost
    }

    /// Makes no message `\Recent`: the client wants to hear of that no more.
    pub fn forget_recent(&mut self) {
        self.recent = UidSet::EMPTY;
    }

    /// Makes those of the known messages `\Recent` that have `from` or a
    /// greater UID.
    pub fn claim_recent(&mut self, from: Uid) {
        if let Some(last) = self.last_uid().filter(|last| *last >= from) {
            self.recent = UidSet::from_ranges(self.recent.ranges().chain([(from, last)]));
        }
    }

    /// True when `uid` is `\Recent` in this session.
    pub fn is_recent(&self, uid: Uid) -> bool {
        !self.recent.is_empty() && self.recent.contains(uid)
    }

    /// How many known messages are `\Recent`.
    pub fn recent(&self) -> u32 {
        u32::try_from(self.known(&self.recent).len()).unwrap_or(u32::MAX)
    }

    /// The last run for which `holds`, given that it holds for a first part.
    fn run_before(&self, holds: impl Fn(&Run) -> bool) -> Option<Run> {
        let after = self.runs.partition_point(holds);
        after.checked_sub(1).and_then(|i| self.runs.get(i)).copied()
    }

    fn rebuild(&mut self, ranges: impl Iterator<Item = (u32, u32)>) {
        let mut exists = 0;
        self.runs = ranges
            .map(|(first, last)| {
                let run = Run {
                    first,
                    last,
                    seq: exists + 1,
                };
                exists += run.len();
                run
            })
            .collect();
        self.exists = exists;
    }
}

/// Ends an iterator of ascending UID ranges.
trait CollectRanges {
    fn collect_ranges(self) -> UidSet;
}

impl<I: Iterator<Item = (Uid, Uid)>> CollectRanges for I {
    fn collect_ranges(self) -> UidSet {
        UidSet::from_ranges(self)
    }
}

/// What two ascending lists of disjoint ranges share.
fn intersect(
    left: impl Iterator<Item = (u32, u32)>,
    right: impl Iterator<Item = (u32, u32)>,
) -> Vec<(u32, u32)> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    let mut shared = Vec::new();
    while let (Some(&(a, b)), Some(&(c, d))) = (left.peek(), right.peek()) {
        if a.max(c) <= b.min(d) {
            shared.push((a.max(c), b.min(d)));
        }
        if b < d {
            left.next();
        } else {
            right.next();
        }
    }
    shared
}

/// What of `left` is not in `right`, both ascending and disjoint.
fn subtract(
    left: impl Iterator<Item = (u32, u32)>,
    right: impl Iterator<Item = (u32, u32)>,
) -> Vec<(u32, u32)> {
    let mut right = right.peekable();
    let mut kept = Vec::new();
    for (mut first, last) in left {
        while let Some(&(from, to)) = right.peek() {
            if to < first {
                right.next();
                continue;
            }
            if from > last {
                break;
            }
            if from > first {
                kept.push((first, from - 1));
            }
            // `to` may be the greatest number; then nothing of `left` is left.
            first = to.saturating_add(1);
            if to >= last {
                break;
            }
            right.next();
        }
        if first <= last
            && !right
                .peek()
                .is_some_and(|&(from, to)| from <= first && to >= last)
        {
            kept.push((first, last));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn uid(value: u32) -> Uid {
        Uid::new(value).unwrap()
    }

    fn set(values: impl IntoIterator<Item = u32>) -> UidSet {
        values.into_iter().map(uid).collect()
    }

    /// The definition: a list of UIDs, looked through from the front.
    #[derive(Debug, Default)]
    struct Naive {
        uids: Vec<u32>,
        lost: BTreeSet<u32>,
    }

    impl Naive {
        fn expunge(&mut self) -> Vec<u32> {
            let mut told = Vec::new();
            for at in (0..self.uids.len()).rev() {
                if self.lost.remove(&self.uids[at]) {
                    self.uids.remove(at);
                    told.push(u32::try_from(at).unwrap() + 1);
                }
            }
            told
        }
    }

    #[derive(Debug, Clone)]
    enum Change {
        Arrive(Vec<u32>),
        Lose(Vec<u32>),
        Tell,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            proptest::collection::vec(1u32..60, 0..9).prop_map(Change::Arrive),
            proptest::collection::vec(1u32..60, 0..9).prop_map(Change::Lose),
            Just(Change::Tell),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            start in proptest::collection::btree_set(1u32..40, 0..20),
            changes in proptest::collection::vec(change(), 0..20),
            seqs in (1u32..30, 0u32..10),
        ) {
            let mut view = View::new(&set(start.iter().copied()));
            let mut naive = Naive { uids: start.into_iter().collect(), ..Naive::default() };
            for change in changes {
                match change {
                    Change::Arrive(mut uids) => {
                        uids.sort_unstable();
                        let before = naive.uids.len();
                        for &uid in &uids {
                            if naive.uids.last().is_none_or(|last| uid > *last) {
                                naive.uids.push(uid);
                            }
                        }
                        let told = view.extend(uids.into_iter().map(uid));
                        prop_assert_eq!(told.is_some(), naive.uids.len() > before);
                    }
                    Change::Lose(uids) => {
                        naive.lost.extend(uids.iter().filter(|uid| naive.uids.contains(uid)));
                        view.lose(&set(uids));
                    }
                    Change::Tell => {
                        let told: Vec<u32> = view.expunge().into_iter().flat_map(|(a, b)| a..=b).collect();
                        let mut naive_told = naive.expunge();
                        naive_told.reverse();
                        prop_assert_eq!(told, naive_told);
                    }
                }
                prop_assert_eq!(view.exists() as usize, naive.uids.len());
                prop_assert_eq!(view.last_uid().map(Uid::value), naive.uids.last().copied());
                prop_assert_eq!(view.all(), set(naive.uids.iter().copied()));
                for value in 1..62 {
                    let place = naive.uids.iter().position(|&it| it == value).map(|at| at as u32 + 1);
                    prop_assert_eq!(view.seq(uid(value)).map(SeqNum::value), place);
                    let there = naive.uids.get(value as usize - 1).copied();
                    prop_assert_eq!(view.uid(SeqNum::new(value).unwrap()).map(Uid::value), there);
                }
                let (first, last) = (seqs.0, seqs.0 + seqs.1);
                let asked = naive.uids.iter().skip(first as usize - 1).take((last - first + 1) as usize);
                prop_assert_eq!(view.uids(&[(first, last)]), set(asked.copied()));
            }
        }
    }

    #[test]
    fn recent_is_what_this_session_claimed() {
        let mut view = View::new(&set([1, 2, 3]));
        view.claim_recent(uid(3));
        view.extend([uid(4), uid(5)]);
        view.claim_recent(uid(5));
        let recent: Vec<bool> = (1..=5).map(|value| view.is_recent(uid(value))).collect();
        assert_eq!(recent, [false, false, true, false, true]);
        assert_eq!(view.recent(), 2);
        view.lose(&set([3]));
        view.expunge();
        assert_eq!(view.recent(), 1);
    }

    #[test]
    fn the_greatest_uid_is_no_edge() {
        let mut view = View::new(&set([1, u32::MAX]));
        view.lose(&UidSet::all());
        assert_eq!(view.expunge(), [(1, 2)]);
        assert_eq!(view.exists(), 0);
    }
}
