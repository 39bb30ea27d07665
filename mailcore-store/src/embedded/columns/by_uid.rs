//! [`ByUid`]: what a mailbox's messages are made of and what they say of
//! themselves, so that reading them again needs no look at the index.
//!
//! Neither ever changes, so nothing has to be brought up to date but for
//! compaction, which moves bodies. A place that is out of date has no file any
//! more: whoever finds that forgets it here and asks the index.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailcore::mailbox::Uid;
use mailcore::message::{Part, Summary};

use super::page::{Budget, Charge, offset_of, page_of};
use crate::embedded::index::read::ContentRow;

/// Where the octets of a mailbox's messages lie.
pub(crate) type Places = ByUid<ContentRow>;
/// Summaries of a mailbox's messages.
pub(crate) type Summaries = ByUid<Arc<Summary>>;

/// Something of each message, in pages as the columns are.
#[derive(Debug)]
pub(crate) struct ByUid<T>(BTreeMap<u32, Page<T>>);

/// What takes memory.
pub(crate) trait Weighed {
    /// About how many octets.
    fn octets(&self) -> usize;
}

#[derive(Debug)]
struct Page<T> {
    /// UIDs from the page's first on, ascending.
    offsets: Vec<u16>,
    values: Vec<T>,
    /// Octets of the values.
    octets: usize,
    charge: Charge,
}

impl<T> Default for ByUid<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone + Weighed> ByUid<T> {
    /// A message's, when it is held.
    pub(crate) fn get(&self, uid: Uid) -> Option<&T> {
        let page = self.0.get(&page_of(uid))?;
        let at = page.offsets.binary_search(&offset_of(uid)).ok()?;
        page.values.get(at)
    }

    /// Holds these, while there is plenty of room.
    pub(crate) fn put(&mut self, found: &[(Uid, Option<T>)], budget: &Budget) {
        for (uid, value) in found {
            if let Some(value) = value
                && budget.has_plenty()
            {
                let page = self.0.entry(page_of(*uid));
                let page = page.or_insert_with(|| Page::new(budget));
                page.put(offset_of(*uid), value.clone());
            }
        }
    }

    /// Forgets a message and those around it: what moved one moved them.
    pub(crate) fn forget(&mut self, uid: Uid) {
        self.0.remove(&page_of(uid));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Weighed> Page<T> {
    fn new(budget: &Budget) -> Self {
        Self {
            offsets: Vec::new(),
            values: Vec::new(),
            octets: 0,
            charge: Charge::new(budget),
        }
    }

    fn put(&mut self, offset: u16, value: T) {
        if let Err(at) = self.offsets.binary_search(&offset) {
            self.octets += value.octets() + size_of::<u16>();
            self.offsets.insert(at, offset);
            self.values.insert(at, value);
            self.charge.set(size_of::<Self>() + self.octets);
        }
    }
}

impl Weighed for ContentRow {
    fn octets(&self) -> usize {
        size_of::<Self>() + self.prefix.capacity()
    }
}

/// Octets of a text with what holds it, about.
const TEXT: usize = 48;

impl Weighed for Arc<Summary> {
    fn octets(&self) -> usize {
        let envelope = &self.envelope;
        let lists = [
            &envelope.from,
            &envelope.sender,
            &envelope.reply_to,
            &envelope.to,
            &envelope.cc,
            &envelope.bcc,
        ];
        let addresses: usize = lists.iter().map(|it| it.len()).sum();
        let texts = [
            &envelope.date,
            &envelope.subject,
            &envelope.in_reply_to,
            &envelope.message_id,
        ];
        let texts: usize = texts.iter().copied().flatten().map(Vec::len).sum();
        let parameters: usize = self
            .parts
            .iter()
            .map(|it| it.content.parameters.len())
            .sum();
        size_of::<Summary>()
            + texts
            + (4 * addresses + 2 * parameters + self.references.len()) * TEXT
            + self.parts.len() * (size_of::<Part>() + 4 * TEXT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::index::read::BodyRow;

    fn uid(value: u32) -> Uid {
        Uid::new(value).unwrap()
    }

    fn content(id: u64) -> Option<ContentRow> {
        let body = BodyRow {
            id,
            segment: 1,
            generation: 0,
            place: id * 100,
            lsn: id,
            length: 10,
        };
        let prefix = format!("A: {id}\r\n").into_bytes();
        Some(ContentRow { prefix, body })
    }

    #[test]
    fn messages_are_found_in_any_order_until_their_page_is_forgotten() {
        let budget = Budget::new(1 << 20);
        let mut places = Places::default();
        let found = [
            (uid(7), content(7)),
            (uid(5_000), content(50)),
            (uid(3), content(3)),
            (uid(4), None),
        ];
        places.put(&found, &budget);
        let id = |places: &Places, at| places.get(uid(at)).map(|it| it.body.id);
        assert_eq!(id(&places, 3), Some(3));
        assert_eq!(id(&places, 7), Some(7));
        assert_eq!(id(&places, 5_000), Some(50));
        assert_eq!(id(&places, 4), None);
        places.forget(uid(3));
        assert_eq!(id(&places, 7), None);
        assert_eq!(id(&places, 5_000), Some(50));
        places.clear();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_part_of_the_budget_is_left_to_the_columns() {
        let budget = Budget::new(4_000);
        let mut places = Places::default();
        for n in 1..1_000 {
            places.put(&[(uid(n), content(n.into()))], &budget);
        }
        assert!(places.get(uid(1)).is_some() && places.get(uid(900)).is_none());
        assert!(budget.has_room() && budget.used() > 2_000);
    }
}
