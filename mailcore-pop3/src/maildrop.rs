//! The maildrop of one session: the messages that were there at login, their
//! numbers, sizes and deletion marks (RFC 1939 sections 4 and 5).
//!
//! Pure: reading and removing messages is the host's.

use std::fmt;
use std::sync::Arc;

use mailcore::mailbox::{Uid, UidSet, UidValidity};

/// A message's place in the maildrop, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageNumber(pub u32);

/// What never changes during a session but for the marks: messages that arrive
/// later are seen by the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maildrop {
    uid_validity: UidValidity,
    /// Shared with the host, which reads ahead.
    entries: Arc<[Entry]>,
    /// Which of them are marked as deleted.
    deleted: Vec<bool>,
    live: u32,
    octets: u64,
}

/// A message of the maildrop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its UID in the mailbox.
    pub uid: Uid,
    /// Its length in octets.
    pub size: u64,
}

/// Why a number names no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSuchMessage {
    /// There are only so many.
    OutOfRange {
        /// How many.
        messages: usize,
    },
    /// It is marked as deleted.
    Deleted,
}

/// What UIDL tells: unique in the mailbox, and the same in every session
/// (RFC 1939 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UniqueId(UidValidity, Uid);

impl Maildrop {
    /// A maildrop of these messages, in the order of their numbers.
    pub fn new(uid_validity: UidValidity, messages: impl IntoIterator<Item = (Uid, u64)>) -> Self {
        let messages = messages.into_iter();
        let entries: Arc<[Entry]> = messages.map(|(uid, size)| Entry { uid, size }).collect();
        let mut maildrop = Self {
            uid_validity,
            deleted: Vec::new(),
            entries,
            live: 0,
            octets: 0,
        };
        maildrop.reset();
        maildrop
    }

    /// All messages as they were at login, in the order of their numbers.
    pub(crate) fn entries(&self) -> &Arc<[Entry]> {
        &self.entries
    }

    /// Messages not marked as deleted.
    pub fn messages(&self) -> u32 {
        self.live
    }

    /// Their octets.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The message of that number.
    ///
    /// # Errors
    /// [`NoSuchMessage`].
    pub fn entry(&self, number: MessageNumber) -> Result<&Entry, NoSuchMessage> {
        let found = index(number).and_then(|i| Some((self.entries.get(i)?, self.deleted.get(i)?)));
        match found {
            None => Err(NoSuchMessage::OutOfRange {
                messages: self.entries.len(),
            }),
            Some((_, true)) => Err(NoSuchMessage::Deleted),
            Some((entry, false)) => Ok(entry),
        }
    }

    /// The first message at or after `number` that is not marked as deleted.
    pub fn next_live(&self, number: MessageNumber) -> Option<(MessageNumber, &Entry)> {
        let start = index(number)?;
        let marks = self.deleted.get(start..)?;
        (number.0..)
            .zip(self.entries.get(start..)?.iter().zip(marks))
            .find(|(_, (_, deleted))| !**deleted)
            .map(|(number, (entry, _))| (MessageNumber(number), entry))
    }

    /// The unique id of a message.
    pub fn unique_id(&self, entry: &Entry) -> UniqueId {
        UniqueId(self.uid_validity, entry.uid)
    }

    /// Marks a message as deleted.
    ///
    /// # Errors
    /// [`NoSuchMessage`].
    pub fn delete(&mut self, number: MessageNumber) -> Result<(), NoSuchMessage> {
        let size = self.entry(number)?.size;
        if let Some(deleted) = index(number).and_then(|i| self.deleted.get_mut(i)) {
            *deleted = true;
            self.live -= 1;
            self.octets -= size;
        }
        Ok(())
    }

    /// Takes every mark back.
    pub fn reset(&mut self) {
        self.deleted = vec![false; self.entries.len()];
        self.live = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.octets = self.entries.iter().map(|entry| entry.size).sum();
    }

    /// What is to be removed in the UPDATE state.
    pub fn deleted(&self) -> UidSet {
        let marked = self.entries.iter().zip(&self.deleted);
        let deleted = marked.filter(|(_, deleted)| **deleted);
        deleted.map(|(entry, _)| entry.uid).collect()
    }
}

fn index(number: MessageNumber) -> Option<usize> {
    usize::try_from(number.0).ok()?.checked_sub(1)
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:08x}", self.0.value(), self.1.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildrop() -> Maildrop {
        let uid = |value| Uid::new(value).unwrap();
        Maildrop::new(
            UidValidity::new(10).unwrap(),
            [(uid(3), 100), (uid(5), 20), (uid(9), 3)],
        )
    }

    #[test]
    fn marks_hide_a_message_until_they_are_taken_back() {
        let mut drop = maildrop();
        drop.delete(MessageNumber(2)).unwrap();
        assert_eq!((drop.messages(), drop.octets()), (2, 103));
        assert_eq!(drop.entry(MessageNumber(2)), Err(NoSuchMessage::Deleted));
        assert_eq!(drop.delete(MessageNumber(2)), Err(NoSuchMessage::Deleted));
        assert_eq!(
            drop.next_live(MessageNumber(2)).unwrap().0,
            MessageNumber(3)
        );
        assert_eq!(drop.deleted().to_string(), "5");
        drop.reset();
        assert_eq!((drop.messages(), drop.octets()), (3, 123));
        assert!(drop.deleted().is_empty());
    }

    #[test]
    fn numbers_outside_the_maildrop_name_nothing() {
        let drop = maildrop();
        for number in [0, 4, u32::MAX] {
            assert_eq!(
                drop.entry(MessageNumber(number)),
                Err(NoSuchMessage::OutOfRange { messages: 3 })
            );
        }
        assert!(drop.next_live(MessageNumber(4)).is_none());
        let first = drop.entry(MessageNumber(1)).unwrap();
        assert_eq!(drop.unique_id(first).to_string(), "0000000a00000003");
    }
}
