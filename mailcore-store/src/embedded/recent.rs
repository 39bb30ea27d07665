//! What changed last in a mailbox that somebody watches, kept in memory: of a
//! thousand sessions that are told of one new message none has to look into the
//! index.
//!
//! All of it can be dropped at any time: the index has it, too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailcore::mailbox::{Changes, MailboxStatus, MessageInfo, ModSeq, Uid, UidSet};

/// Rows and ranges kept of one mailbox.
pub(crate) const MAX_KEPT: usize = 4_096;
/// Rows and ranges kept of all mailboxes.
const MAX_ALL: usize = 65_536;

/// Messages that were filed or changed, or that went away.
#[derive(Debug)]
pub(crate) enum Change {
    /// Ascending by UID.
    Rows(Vec<MessageInfo>),
    Gone(UidSet),
}

/// A change with the ModSeq that it took.
#[derive(Debug)]
struct Step {
    modseq: ModSeq,
    change: Change,
}

impl Step {
    fn weight(&self) -> usize {
        match &self.change {
            Change::Rows(rows) => rows.len() + 1,
            Change::Gone(uids) => uids.ranges().count() + 1,
        }
    }
}

/// What the groups published next change in a mailbox, as far as it was
/// gathered.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// Everything after this is here.
    since: ModSeq,
    steps: Vec<Step>,
    weight: usize,
}

impl Fresh {
    /// Nothing yet, in a mailbox whose greatest ModSeq is this.
    pub(crate) fn since(modseq: u64) -> Self {
        Self {
            since: ModSeq::new(modseq).unwrap_or(ModSeq::MIN),
            steps: Vec::new(),
            weight: 0,
        }
    }

    /// True when no more will be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.weight > MAX_KEPT
    }

    /// Gathers a change.
    pub(crate) fn push(&mut self, modseq: u64, change: Change) {
        let step = Step {
            modseq: ModSeq::new(modseq).unwrap_or(ModSeq::MIN),
            change,
        };
        self.weight += step.weight();
        if self.is_full() {
            self.steps = Vec::new();
        } else {
            self.steps.push(step);
        }
    }

    /// Gathers no more: this is too much, or can't be told.
    pub(crate) fn give_up(&mut self) {
        self.steps = Vec::new();
        self.weight = usize::MAX;
    }

    /// True when nothing is missing up to `modseq`.
    pub(crate) fn reaches(&self, modseq: ModSeq) -> bool {
        !self.is_full() && self.steps.last().is_some_and(|it| it.modseq == modseq)
    }
}

/// How much all mailboxes keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<AtomicUsize>);

impl Kept {
    /// True when it is too much.
    pub(crate) fn is_too_much(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MAX_ALL
    }
}

/// The last changes of a mailbox, without a gap.
#[derive(Debug)]
pub(crate) struct Recent {
    since: ModSeq,
    steps: VecDeque<Step>,
    weight: usize,
    kept: Kept,
}

impl Drop for Recent {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

impl Recent {
    /// What is kept after `fresh`, up to `until`: with what was kept `before`
    /// where that joins.
    pub(crate) fn extended(
        before: Option<Self>,
        fresh: Option<Fresh>,
        until: ModSeq,
        kept: &Kept,
    ) -> Option<Self> {
        let fresh = fresh.filter(|it| it.reaches(until))?;
        let mut recent = before
            .filter(|it| it.until() == fresh.since)
            .unwrap_or_else(|| Self {
                since: fresh.since,
                steps: VecDeque::new(),
                weight: 0,
                kept: kept.clone(),
            });
        recent.weight += fresh.weight;
        recent.kept.0.fetch_add(fresh.weight, Ordering::Relaxed);
        recent.steps.extend(fresh.steps);
        while recent.weight > MAX_KEPT {
            recent.forget_first();
        }
        Some(recent)
    }

    /// Steps of one ModSeq go together: half of them would be a gap.
    fn forget_first(&mut self) {
        let Some(modseq) = self.steps.front().map(|it| it.modseq) else {
            return;
        };
        while let Some(step) = self.steps.pop_front_if(|it| it.modseq == modseq) {
            self.weight -= step.weight();
            self.kept.0.fetch_sub(step.weight(), Ordering::Relaxed);
        }
        self.since = modseq;
    }

    fn until(&self) -> ModSeq {
        self.steps.back().map_or(self.since, |it| it.modseq)
    }

    /// What changed after `since`; `None` when that is not kept.
    pub(crate) fn changes(&self, since: ModSeq, status: MailboxStatus) -> Option<Changes> {
        if since < self.since || self.until() != status.highest_modseq {
            return None;
        }
        let from = self.steps.partition_point(|step| step.modseq <= since);
        let mut steps = self.steps.range(from..);
        let (changed, vanished) = match (steps.next(), steps.next()) {
            (Some(step), None) => match &step.change {
                Change::Rows(rows) => (rows.clone(), UidSet::EMPTY),
                Change::Gone(uids) => (Vec::new(), uids.clone()),
            },
            _ => self.merged(from),
        };
        Some(Changes {
            changed,
            vanished,
            complete: true,
            status,
        })
    }

    /// Each message as it is after the last step that speaks of it.
    fn merged(&self, from: usize) -> (Vec<MessageInfo>, UidSet) {
        let mut changed: BTreeMap<Uid, &MessageInfo> = BTreeMap::new();
        let mut gone: Vec<(Uid, Uid)> = Vec::new();
        for step in self.steps.range(from..) {
            match &step.change {
                Change::Rows(rows) => changed.extend(rows.iter().map(|row| (row.uid, row))),
                Change::Gone(uids) => {
                    changed.retain(|uid, _| !uids.contains(*uid));
                    gone.extend(uids.ranges());
                }
            }
        }
        let changed = changed.into_values().cloned().collect();
        (changed, UidSet::from_ranges(gone))
    }
}
