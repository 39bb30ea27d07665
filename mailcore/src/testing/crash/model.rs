//! The plain model of a store: what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::Observed;
use super::step::{QueueWork, Spot, Step, Text, Told, Work, uid_set};
use crate::batch::StateChange;
use crate::mailbox::{FlagChange, Flags, MailboxName, SystemFlag};
use crate::queue::QueueProgress;
use crate::seams::{Appended, StateValue};

/// A message. Numbers that were not told are not known.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) text: Text,
    pub(super) flags: Flags,
    pub(super) modseq: Option<u64>,
    pub(super) email: Option<u128>,
}

/// A mailbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    pub(super) id: Option<u64>,
    pub(super) validity: Option<u32>,
    /// Its UIDVALIDITY must be greater than this.
    pub(super) validity_above: u32,
    /// No new message may have a smaller UID.
    pub(super) next_uid: u32,
    /// The greatest ModSeq that anybody was told.
    pub(super) modseq: u64,
    pub(super) messages: BTreeMap<u32, Kept>,
    /// Messages whose UID was not told.
    pub(super) fresh: Vec<Kept>,
    /// UIDs that went, and a ModSeq from before that.
    pub(super) gone: Vec<(u32, u64)>,
}

/// A value of the state.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) value: Vec<u8>,
    /// At least this; exactly, when it was told.
    pub(super) version: u64,
    pub(super) told: bool,
}

/// See the file's description.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) folders: BTreeMap<Spot, Folder>,
    pub(super) subscribed: BTreeSet<Spot>,
    pub(super) queue: BTreeMap<u128, (Text, QueueProgress)>,
    pub(super) state: BTreeMap<String, Value>,
    /// The kit's own events in the order seen.
    pub(super) events: Vec<u128>,
    /// Events not seen yet: by the moment, then by the batches of that moment,
    /// which may come in any order.
    pub(super) loose: Vec<Vec<Vec<u128>>>,
    /// All events as they were seen: cursor and octets.
    pub(super) outbox: Vec<(u64, Vec<u8>)>,
    /// The store replaces messages.
    pub(super) replaces: bool,
    delivered: BTreeSet<u128>,
    /// The greatest UIDVALIDITY that a name had.
    validities: BTreeMap<Spot, u32>,
}

impl Folder {
    fn file(&mut self, kept: Kept, uid: Option<u32>) {
        match uid {
            Some(uid) => {
                self.modseq = self.modseq.max(kept.modseq.unwrap_or(0));
                self.messages.insert(uid, kept);
                self.next_uid = self.next_uid.max(uid.saturating_add(1));
            }
            None => self.fresh.push(kept),
        }
    }

    fn take(&mut self, uid: u32) -> Option<Kept> {
        let taken = self.messages.remove(&uid)?;
        self.gone.push((uid, self.modseq));
        Some(taken)
    }
}

impl Model {
    /// A new store: every account has its INBOX.
    pub(super) fn new(accounts: usize) -> Self {
        let mut model = Self::default();
        for account in 0..accounts {
            model.create(&Spot::new(account, "INBOX"));
        }
        model
    }

    /// What is wrong with an answer, or that there is nothing.
    pub(super) fn doubts(&self, step: &Step, told: &Told) -> Vec<String> {
        let mut doubts = Vec::new();
        let mut file = |spot: &Spot, uid: u32, modseq: Option<u64>| {
            let Some(folder) = self.folders.get(spot) else {
                return doubts.push(format!("filed to {spot:?}, which is not there"));
            };
            if uid < folder.next_uid {
                doubts.push(format!("UID {uid} of {spot:?} was used before"));
            }
            if modseq.is_some_and(|it| it <= folder.modseq) {
                doubts.push(format!("ModSeq {modseq:?} of {spot:?} does not grow"));
            }
        };
        match (step, told) {
            (Step::Commit(work), Told::Receipt(receipt)) => {
                for ((spot, _, id), outcome) in work.deliveries.iter().zip(&receipt.appends) {
                    if let (Ok(appended), false) = (outcome, self.delivered.contains(id)) {
                        file(spot, appended.uid.value(), Some(appended.modseq.value()));
                    }
                }
            }
            (Step::Append(spot, ..), Told::Appended(appended)) => {
                for it in appended {
                    file(spot, it.uid.value(), Some(it.modseq.value()));
                }
            }
            (Step::Replace(spot, _, to, _), Told::Appended(appended)) => {
                let to = spot.beside(to);
                for it in appended {
                    file(&to, it.uid.value(), Some(it.modseq.value()));
                }
            }
            (Step::Copy(spot, _, to) | Step::Move(spot, _, to), Told::Copied(receipt)) => {
                let to = spot.beside(to);
                for (_, uid) in &receipt.pairs {
                    file(&to, uid.value(), None);
                }
            }
            (Step::Expunge(spot, uids), Told::Expunged(gone)) => {
                let mut after = self.clone();
                after.expunge(spot, uids);
                let left = after.uids(spot);
                let went = self.uids(spot).into_iter().filter(|it| !left.contains(it));
                if *gone != uid_set(&went.collect::<Vec<_>>()) {
                    doubts.push(format!("{spot:?}: expunged {gone} of {uids:?}"));
                }
            }
            _ => {}
        }
        doubts
    }

    /// What is done from here on comes after all that was done before.
    pub(super) fn pass_moment(&mut self) {
        self.loose.push(Vec::new());
    }

    /// UIDs of a mailbox, ascending.
    pub(super) fn uids(&self, spot: &Spot) -> Vec<u32> {
        let folder = self.folders.get(spot);
        folder.map_or_else(Vec::new, |it| it.messages.keys().copied().collect())
    }

    /// Does a step. Where nothing was told, it was done without a word.
    pub(super) fn apply(&mut self, step: &Step, told: &Told) {
        match step {
            Step::Commit(work) => self.commit(work, told),
            Step::Append(spot, texts, flags) => {
                for (at, text) in texts.iter().enumerate() {
                    let appended = match told {
                        Told::Appended(appended) => appended.get(at),
                        _ => None,
                    };
                    self.file(spot, *text, flags.clone(), appended);
                }
            }
            Step::Flags(spot, uids, change) => self.change_flags(spot, uids, change, told),
            Step::Copy(spot, uids, to) => self.copy(spot, uids, to, told),
            Step::Move(spot, uids, to) => {
                self.copy(spot, uids, to, told);
                for uid in uids {
                    self.folder(spot).take(*uid);
                }
            }
            Step::Expunge(spot, uids) => self.expunge(spot, uids),
            Step::Replace(spot, uid, to, text) => {
                let appended = match told {
                    Told::Appended(appended) => appended.first(),
                    _ => None,
                };
                self.folder(spot).take(*uid);
                self.file(&spot.beside(to), *text, Flags::NONE, appended);
            }
            Step::Create(spot) => self.create(spot),
            Step::Delete(spot) => self.delete(spot),
            Step::Rename(spot, to) => self.rename(spot, to),
            Step::Subscribe(spot) => drop(self.subscribed.insert(spot.clone())),
            Step::Unsubscribe(spot) => drop(self.subscribed.remove(spot)),
            Step::State(changes) => {
                let values = match told {
                    Told::State(values) => values.as_slice(),
                    _ => &[],
                };
                self.change_state(changes, values);
            }
        }
    }

    fn folder(&mut self, spot: &Spot) -> &mut Folder {
        self.folders.entry(spot.clone()).or_default()
    }

    fn file(&mut self, spot: &Spot, text: Text, flags: Flags, told: Option<&Appended>) {
        let kept = Kept {
            text,
            flags,
            modseq: told.map(|it| it.modseq.value()),
            email: None,
        };
        let uid = told.map(|it| it.uid.value());
        self.folder(spot).file(kept, uid);
    }

    fn commit(&mut self, work: &Work, told: &Told) {
        let receipt = match told {
            Told::Receipt(receipt) => Some(receipt),
            _ => None,
        };
        for (at, (spot, text, id)) in work.deliveries.iter().enumerate() {
            let outcome = receipt.and_then(|it| it.appends.get(at));
            if matches!(outcome, Some(Err(_))) || !self.delivered.insert(*id) {
                continue;
            }
            let appended = outcome.and_then(|it| it.as_ref().ok());
            self.file(spot, *text, Flags::NONE, appended);
        }
        for change in &work.queue {
            match change {
                QueueWork::Enqueue(id, text, progress) => {
                    self.queue.insert(*id, (*text, progress.clone()));
                }
                QueueWork::Update(id, progress) => {
                    if let Some(entry) = self.queue.get_mut(id) {
                        entry.1 = progress.clone();
                    }
                }
                QueueWork::Remove(id) => drop(self.queue.remove(id)),
            }
        }
        let values = receipt.map_or(&[][..], |it| &it.state);
        self.change_state(&work.state, values);
        if !work.events.is_empty() {
            let events = work.events.clone().collect();
            match self.loose.last_mut() {
                Some(moment) => moment.push(events),
                None => self.loose.push(vec![events]),
            }
        }
    }

    fn change_flags(&mut self, spot: &Spot, uids: &[u32], change: &FlagChange, told: &Told) {
        let folder = self.folder(spot);
        for uid in uids {
            let Some(kept) = folder.messages.get_mut(uid) else {
                continue;
            };
            kept.flags = change.apply(&kept.flags);
            kept.modseq = None;
        }
        if let Told::Flags(receipt) = told {
            for row in &receipt.messages {
                let modseq = row.modseq.value();
                folder.modseq = folder.modseq.max(modseq);
                if let Some(kept) = folder.messages.get_mut(&row.uid.value()) {
                    kept.modseq = Some(modseq);
                }
            }
        }
    }

    fn copy(&mut self, spot: &Spot, uids: &[u32], to: &MailboxName, told: &Told) {
        let to = spot.beside(to);
        let pairs = match told {
            Told::Copied(receipt) => receipt.pairs.as_slice(),
            _ => &[],
        };
        for uid in uids {
            let Some(mut kept) = self.folder(spot).messages.get(uid).cloned() else {
                continue;
            };
            kept.modseq = None;
            let pair = pairs.iter().find(|(old, _)| old.value() == *uid);
            self.folder(&to)
                .file(kept, pair.map(|(_, new)| new.value()));
        }
    }

    fn expunge(&mut self, spot: &Spot, uids: &[u32]) {
        let folder = self.folder(spot);
        for uid in uids {
            let kept = folder.messages.get(uid);
            if kept.is_some_and(|it| it.flags.contains(SystemFlag::Deleted)) {
                folder.take(*uid);
            }
        }
    }

    fn create(&mut self, spot: &Spot) {
        let levels = std::iter::successors(Some(spot.name.clone()), MailboxName::parent);
        for name in levels {
            let spot = Spot {
                name,
                ..spot.clone()
            };
            let validity_above = self.validities.get(&spot).copied().unwrap_or(0);
            self.folders.entry(spot).or_insert(Folder {
                validity_above,
                next_uid: 1,
                ..Folder::default()
            });
        }
    }

    fn delete(&mut self, spot: &Spot) {
        if let Some(folder) = self.folders.remove(spot) {
            let last = self.validities.entry(spot.clone()).or_default();
            *last = (*last).max(folder.validity.unwrap_or(0));
        }
    }

    fn rename(&mut self, spot: &Spot, to: &MailboxName) {
        for (old, folder) in std::mem::take(&mut self.folders) {
            let moved = match old.account == spot.account {
                true => old.name.moved(&spot.name, to),
                false => None,
            };
            let key = match moved {
                Some(name) => Spot {
                    name,
                    ..old.clone()
                },
                None => old,
            };
            self.folders.insert(key, folder);
        }
    }

    fn change_state(&mut self, changes: &[StateChange], values: &[Option<StateValue>]) {
        for (at, change) in changes.iter().enumerate() {
            let (key, value) = match change {
                StateChange::Put { key, value, .. } => (key, Some(value.clone())),
                StateChange::Remove { key } => (key, None),
                StateChange::Add { key, amount, .. } => {
                    let old = self.state.get(&*key.key);
                    let old = old.and_then(|it| it.value.as_slice().try_into().ok());
                    let sum = old.map_or(0, i64::from_be_bytes) + amount;
                    (key, Some(sum.to_be_bytes().to_vec()))
                }
            };
            let told = values.get(at).and_then(Option::as_ref);
            let before = self.state.remove(&*key.key).map_or(0, |it| it.version);
            if let Some(value) = value {
                // Answers to changes at the same time come in any order.
                let version = told.map_or(before + 1, |it| it.version.max(before));
                let value = Value {
                    value,
                    version,
                    told: told.is_some(),
                };
                self.state.insert(key.key.to_string(), value);
            }
        }
    }

    /// Takes over the numbers that were seen; what was seen is what is modelled.
    pub(super) fn adopt(&mut self, seen: &Observed) {
        for (spot, there) in &seen.folders {
            let folder = self.folder(spot);
            folder.id = Some(there.status.id.0);
            folder.validity = Some(there.status.uid_validity.value());
            folder.modseq = there.status.highest_modseq.value();
            folder.next_uid = there.status.uid_next.map_or(u32::MAX, |it| it.value());
            folder.fresh.clear();
            for (row, text) in &there.messages {
                let kept = Kept {
                    text: *text,
                    flags: row.flags.clone(),
                    modseq: Some(row.modseq.value()),
                    email: Some(row.email_id.0),
                };
                folder.messages.insert(row.uid.value(), kept);
            }
        }
        for (key, value) in &seen.state {
            let value = Value {
                value: value.value.clone(),
                version: value.version,
                told: true,
            };
            self.state.insert(key.clone(), value);
        }
        self.events = seen.events.clone();
        self.loose.clear();
        self.outbox = seen.outbox.clone();
    }
}
