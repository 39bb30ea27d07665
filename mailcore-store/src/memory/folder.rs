//! One mailbox: its rows, counters, tombstones and watchers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::mailbox::{
    Changes, EmailId, FlagChange, Flags, Identifier, MAX_KEYWORDS, MailboxId, MailboxName,
    MailboxStatus, MessageInfo, ModSeq, Rights, SpecialUse, SystemFlag, ThreadId, Uid, UidSet,
    UidValidity,
};
use mailcore::message::{Message, Summary};
use mailcore::seams::{QuotaUsage, StoreError, StoreReceipt};
use mailcore::time::Timestamp;
use tokio::sync::watch;

use super::content::Charge;

/// What copies of a message share.
pub(super) struct Body {
    pub(super) message: Message,
    pub(super) summary: Arc<Summary>,
    pub(super) email_id: EmailId,
    #[expect(dead_code, reason = "held for what its drop does")]
    pub(super) charge: Charge,
}

/// A message in a mailbox.
pub(super) struct Row {
    pub(super) info: MessageInfo,
    pub(super) body: Arc<Body>,
}

impl Row {
    pub(super) fn as_arrival(&self) -> Arrival {
        Arrival {
            body: Arc::clone(&self.body),
            flags: self.info.flags.clone(),
            internal_date: self.info.internal_date,
            thread: self.info.thread_id,
        }
    }

    /// What it counts in its account's quota.
    pub(super) fn usage(&self) -> QuotaUsage {
        QuotaUsage::message(self.info.size)
    }
}

/// A message about to come into a mailbox.
pub(super) struct Arrival {
    pub(super) body: Arc<Body>,
    pub(super) flags: Flags,
    pub(super) internal_date: Timestamp,
    pub(super) thread: Option<ThreadId>,
}

/// What STORE asks for.
pub(super) struct FlagRequest<'a> {
    pub(super) uids: &'a UidSet,
    pub(super) change: &'a FlagChange,
    pub(super) unchanged_since: Option<ModSeq>,
}

/// A mailbox.
pub(super) struct Folder {
    pub(super) id: MailboxId,
    pub(super) account: AccountId,
    pub(super) name: MailboxName,
    pub(super) special_use: Option<SpecialUse>,
    pub(super) rights: BTreeMap<Identifier, Rights>,
    pub(super) uid_validity: UidValidity,
    pub(super) highest: ModSeq,
    pub(super) size: u64,
    uid_next: Option<Uid>,
    unseen: u32,
    deleted: u32,
    rows: BTreeMap<Uid, Row>,
    /// The rows again, in the order of their last change.
    by_modseq: BTreeSet<(ModSeq, Uid)>,
    tombstones: VecDeque<(ModSeq, UidSet)>,
    /// Changes since this or a later ModSeq are known in full.
    floor: ModSeq,
    /// The first UID that no session claimed as recent.
    recent: Option<Uid>,
    watchers: watch::Sender<ModSeq>,
}

impl Folder {
    pub(super) fn new(
        id: MailboxId,
        account: AccountId,
        name: MailboxName,
        uid_validity: UidValidity,
    ) -> Self {
        Self {
            id,
            account,
            name,
            special_use: None,
            rights: BTreeMap::new(),
            uid_validity,
            highest: ModSeq::MIN,
            size: 0,
            uid_next: Some(Uid::MIN),
            unseen: 0,
            deleted: 0,
            rows: BTreeMap::new(),
            by_modseq: BTreeSet::new(),
            tombstones: VecDeque::new(),
            floor: ModSeq::MIN,
            recent: Some(Uid::MIN),
            watchers: watch::Sender::new(ModSeq::MIN),
        }
    }

    pub(super) fn status(&self) -> MailboxStatus {
        MailboxStatus {
            id: self.id,
            messages: u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            unseen: self.unseen,
            deleted: self.deleted,
            uid_next: self.uid_next,
            uid_validity: self.uid_validity,
            highest_modseq: self.highest,
            size: self.size,
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn row(&self, uid: Uid) -> Option<&Row> {
        self.rows.get(&uid)
    }

    /// The rows of those of `uids` that exist, ascending.
    pub(super) fn rows<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = &'a Row> + 'a {
        uids.ranges()
            .flat_map(|(first, last)| self.rows.range(first..=last))
            .map(|(_, row)| row)
    }

    pub(super) fn all_uids(&self) -> UidSet {
        self.rows.keys().copied().collect()
    }

    pub(super) fn deleted_among(&self, uids: &UidSet) -> UidSet {
        self.rows(uids)
            .filter(|row| row.info.flags.contains(SystemFlag::Deleted))
            .map(|row| row.info.uid)
            .collect()
    }

    pub(super) fn uids_among(&self, uids: &UidSet) -> UidSet {
        self.rows(uids).map(|row| row.info.uid).collect()
    }

    pub(super) fn watch(&self) -> watch::Receiver<ModSeq> {
        self.watchers.subscribe()
    }

    pub(super) fn claim_recent(&mut self) -> Uid {
        let first = self.recent;
        self.recent = self.uid_next;
        first.unwrap_or(Uid::MAX)
    }

    /// Adds rows under one ModSeq; their UIDs, in order.
    pub(super) fn append(
        &mut self,
        arrivals: Vec<Arrival>,
        now: Timestamp,
    ) -> Result<Vec<Uid>, StoreError> {
        if arrivals.is_empty() {
            return Ok(Vec::new());
        }
        let uids: Vec<Uid> = std::iter::successors(self.uid_next, |uid| uid.next())
            .take(arrivals.len())
            .collect();
        if uids.len() < arrivals.len() {
            return Err(StoreError::Limit("the mailbox has no UIDs left"));
        }
        if arrivals.iter().any(|it| too_many_keywords(&it.flags)) {
            return Err(StoreError::Limit("keywords on one message"));
        }
        let modseq = self.highest.next();
        for (&uid, arrival) in uids.iter().zip(arrivals) {
            self.uid_next = uid.next();
            self.insert(uid, arrival, modseq, now);
        }
        self.changed_at(modseq);
        Ok(uids)
    }

    fn insert(&mut self, uid: Uid, arrival: Arrival, modseq: ModSeq, now: Timestamp) {
        let size = arrival.body.message.len();
        let info = MessageInfo {
            uid,
            modseq,
            size,
            internal_date: arrival.internal_date,
            save_date: now,
            email_id: arrival.body.email_id,
            thread_id: arrival.thread,
            flags: arrival.flags,
        };
        self.size += size;
        self.count_flags(&info.flags, 1);
        self.by_modseq.insert((modseq, uid));
        let body = arrival.body;
        self.rows.insert(uid, Row { info, body });
    }

    /// Removes rows under one ModSeq and remembers at most `tombstones` such
    /// removals. Returns the rows.
    pub(super) fn remove(&mut self, uids: &UidSet, tombstones: usize) -> Vec<Row> {
        let there: Vec<Uid> = self.rows(uids).map(|row| row.info.uid).collect();
        if there.is_empty() {
            return Vec::new();
        }
        let modseq = self.highest.next();
        let mut gone = Vec::with_capacity(there.len());
        for uid in &there {
            if let Some(mut row) = self.rows.remove(uid) {
                self.size -= row.info.size;
                self.count_flags(&row.info.flags, -1);
                self.by_modseq.remove(&(row.info.modseq, *uid));
                row.info.modseq = modseq;
                gone.push(row);
            }
        }
        self.tombstones
            .push_back((modseq, there.into_iter().collect()));
        while self.tombstones.len() > tombstones {
            if let Some((oldest, _)) = self.tombstones.pop_front() {
                self.floor = oldest;
            }
        }
        self.changed_at(modseq);
        gone
    }

    /// Every row, the mailbox being deleted.
    pub(super) fn into_rows(self) -> Vec<Row> {
        let modseq = self.highest;
        let rows = self.rows.into_values().map(|mut row| {
            row.info.modseq = modseq;
            row
        });
        rows.collect()
    }

    /// Whether so many more messages may come in.
    pub(super) fn has_room(&self, messages: usize) -> bool {
        let left = self
            .uid_next
            .map_or(0, |next| u64::from(u32::MAX - next.value()) + 1);
        messages as u64 <= left
    }

    /// Changes flags; the receipt, and which messages came out different.
    pub(super) fn store(
        &mut self,
        request: &FlagRequest<'_>,
    ) -> Result<(StoreReceipt, UidSet), StoreError> {
        let mut modified = Vec::new();
        let mut changes = Vec::new();
        let mut asked = Vec::new();
        for row in self.rows(request.uids) {
            asked.push(row.info.uid);
            if request
                .unchanged_since
                .is_some_and(|since| row.info.modseq > since)
            {
                modified.push(row.info.uid);
                continue;
            }
            let flags = request.change.apply(&row.info.flags);
            if too_many_keywords(&flags) {
                return Err(StoreError::Limit("keywords on one message"));
            }
            if flags != row.info.flags {
                changes.push((row.info.uid, flags));
            }
        }
        let changed = changes.iter().map(|(uid, _)| *uid).collect();
        let modseq = (!changes.is_empty()).then(|| self.highest.next());
        if let Some(modseq) = modseq {
            for (uid, flags) in changes {
                self.set_flags(uid, flags, modseq);
            }
            self.changed_at(modseq);
        }
        let rows = asked.iter().filter_map(|uid| self.rows.get(uid));
        let receipt = StoreReceipt {
            messages: rows.map(|row| row.info.clone()).collect(),
            modified: modified.into_iter().collect(),
            modseq,
        };
        Ok((receipt, changed))
    }

    fn set_flags(&mut self, uid: Uid, flags: Flags, modseq: ModSeq) {
        let Some(row) = self.rows.get_mut(&uid) else {
            return;
        };
        self.by_modseq.remove(&(row.info.modseq, uid));
        self.by_modseq.insert((modseq, uid));
        row.info.modseq = modseq;
        let old = std::mem::replace(&mut row.info.flags, flags.clone());
        self.count_flags(&old, -1);
        self.count_flags(&flags, 1);
    }

    pub(super) fn changes(&self, since: ModSeq) -> Changes {
        let mut changed: Vec<&Row> = self
            .by_modseq
            .range((since.next(), Uid::MIN)..)
            .filter_map(|(_, uid)| self.rows.get(uid))
            .collect();
        changed.sort_unstable_by_key(|row| row.info.uid);
        let vanished = self
            .tombstones
            .iter()
            .rev()
            .take_while(|(modseq, _)| *modseq > since)
            .flat_map(|(_, uids)| uids.ranges());
        Changes {
            changed: changed.into_iter().map(|row| row.info.clone()).collect(),
            vanished: UidSet::from_ranges(vanished),
            complete: since >= self.floor,
            status: self.status(),
        }
    }

    fn changed_at(&mut self, modseq: ModSeq) {
        self.highest = modseq;
        self.watchers.send_replace(modseq);
    }

    fn count_flags(&mut self, flags: &Flags, by: i32) {
        if !flags.contains(SystemFlag::Seen) {
            self.unseen = self.unseen.saturating_add_signed(by);
        }
        if flags.contains(SystemFlag::Deleted) {
            self.deleted = self.deleted.saturating_add_signed(by);
        }
    }
}

pub(super) fn too_many_keywords(flags: &Flags) -> bool {
    flags.keywords().count() > MAX_KEYWORDS
}
