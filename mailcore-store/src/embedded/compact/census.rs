//! What a run says as a whole, known before any of it is left out: what comes
//! first, what comes last, and the numbers that were given out.

use std::collections::{HashMap, HashSet};

use crate::embedded::body::EXTENT_BODIES;
use crate::embedded::log::{Damage, Group, Item, LogDirectory, LogError, Lsn, Part, Range};
use crate::embedded::log::{SEGMENT_HEADER, read_segment};
use crate::embedded::record::{Effect, Floor, Numbers, Record};

/// An effect's place: its group, and its place there.
pub(super) type Spot = (Lsn, usize);

/// See the file's description.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The last effect on each key of the state.
    pub(super) states: HashMap<(String, String), Spot>,
    /// The last effect on each subscription.
    pub(super) subscriptions: HashMap<(String, String), Spot>,
    /// The last expunge in each mailbox.
    pub(super) expunges: HashMap<u64, Spot>,
    /// The last effect on each entry of rights.
    pub(super) rights: HashMap<(u64, String), Spot>,
    /// Queue entries by whether the run begins them.
    entries: HashMap<u128, bool>,
    /// Mailboxes that the run makes.
    pub(super) made: HashSet<u64>,
    /// What each mailbox has given out.
    pub(super) floors: HashMap<u64, Floor>,
    pub(super) numbers: Numbers,
    /// The last group, and when it was committed.
    pub(super) last: (Lsn, i64),
    pub(super) groups: u64,
}

/// Reads a run's groups in order.
///
/// # Errors
/// [`LogError`], or what `visit` returns.
pub(super) fn read_run(
    log: &LogDirectory,
    parts: &[Part],
    visit: &mut dyn FnMut(&Part, Group) -> Result<(), LogError>,
) -> Result<Option<Damage>, LogError> {
    let mut damage = None;
    for part in parts {
        let file = log.open(&part.file.path(&log.path))?;
        let range = Range {
            file: part.file,
            from: SEGMENT_HEADER,
            first: part.first,
            extent: part.extent,
            last: part.last,
        };
        read_segment(&*file, log.store, range, &mut |item| match item {
            Item::Group(group) => visit(part, group),
            Item::Damage(it) => {
                damage.get_or_insert(it);
                Ok(())
            }
        })?;
    }
    Ok(damage)
}

impl Census {
    pub(super) fn take(&mut self, lsn: Lsn, record: &Record) {
        self.groups += 1;
        self.last = (lsn, record.at);
        for (at, effect) in record.effects.iter().enumerate() {
            self.count(effect);
            let spot = (lsn, at);
            match effect {
                Effect::Put { namespace, key, .. } | Effect::Drop { namespace, key } => {
                    self.states.insert((namespace.clone(), key.clone()), spot);
                }
                Effect::Subscribe { account, name } | Effect::Unsubscribe { account, name } => {
                    let key = (account.clone(), name.clone());
                    self.subscriptions.insert(key, spot);
                }
                Effect::Expunge { mailbox, .. } => {
                    self.expunges.insert(*mailbox, spot);
                }
                Effect::Rights {
                    mailbox,
                    identifier,
                    ..
                } => {
                    self.rights.insert((*mailbox, identifier.clone()), spot);
                }
                Effect::Enqueue { id, .. } => {
                    self.entries.entry(*id).or_insert(true);
                }
                Effect::Progress { id, .. } | Effect::Dequeue { id } => {
                    self.entries.entry(*id).or_insert(false);
                }
                Effect::CreateMailbox { id, .. } => {
                    self.made.insert(*id);
                }
                _ => {}
            }
        }
    }

    /// True when nothing before the run speaks of this queue entry.
    pub(super) fn begins(&self, id: u128) -> bool {
        self.entries.get(&id).copied().unwrap_or(false)
    }

    fn count(&mut self, effect: &Effect) {
        let next = &mut self.numbers;
        match effect {
            Effect::Body { id, .. } if *id < EXTENT_BODIES => next.body = next.body.max(id + 1),
            Effect::Content { id, .. } => next.content = next.content.max(id + 1),
            Effect::CreateMailbox {
                id, uid_validity, ..
            } => {
                next.mailbox = next.mailbox.max(id + 1);
                next.validity = next.validity.max(uid_validity.saturating_add(1));
            }
            Effect::Put { version, .. } => next.version = next.version.max(version + 1),
            Effect::Event { cursor, .. } => next.event = next.event.max(cursor + 1),
            Effect::Numbers(numbers) => next.raise(numbers),
            Effect::File(it) => self.raise(it.mailbox, u64::from(it.uid) + 1, it.modseq),
            Effect::Flags {
                mailbox, modseq, ..
            }
            | Effect::Expunge {
                mailbox, modseq, ..
            } => self.raise(*mailbox, 0, *modseq),
            Effect::Floor(it) => self.raise(it.mailbox, it.uid_next, it.modseq),
            _ => {}
        }
    }

    fn raise(&mut self, mailbox: u64, uid_next: u64, modseq: u64) {
        let floor = self.floors.entry(mailbox).or_insert(Floor {
            mailbox,
            uid_next: 0,
            ..Floor::default()
        });
        floor.uid_next = floor.uid_next.max(uid_next);
        floor.modseq = floor.modseq.max(modseq);
    }
}
