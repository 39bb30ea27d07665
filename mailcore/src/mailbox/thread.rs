//! Which messages belong together: [`ThreadId`] and the keys it follows from
//! (RFC 8474 section 5.2).
//!
//! A message belongs to the thread of the first message that its References
//! name, else its In-Reply-To, else to one that it starts itself. A thread is
//! named after its first message, so that a message that starts one needs no
//! record of it.

use std::fmt;

use super::EmailId;
use crate::message::Summary;

/// A set of related messages of one account (RFC 8474 THREADID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u64);

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{:x}", self.0)
    }
}

/// A message id, folded to a number: what an account's table of threads is
/// kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey(pub u64);

impl MessageKey {
    /// The key of a message id without its brackets.
    pub fn of(message_id: &[u8]) -> Self {
        // FNV-1a over 128 bits, folded: not a secret, only a name that spreads
        // well. Who wants to be in a thread just has to name it.
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        let hash = message_id.iter().fold(START, |hash, octet| {
            (hash ^ u128::from(*octet)).wrapping_mul(PRIME)
        });
        let [high, low] = [hash >> 64, hash & u128::from(u64::MAX)];
        Self(u64::try_from(high ^ low).unwrap_or_default())
    }

    /// The thread that a message of this key starts.
    pub fn thread(self) -> ThreadId {
        ThreadId(self.0)
    }
}

/// What a message's header says of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ThreadKeys {
    /// Its own id.
    pub own: Option<MessageKey>,
    /// The first message of its thread, where it names another.
    pub root: Option<MessageKey>,
}

/// A message's thread, and what the account's table has to remember for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Threaded {
    /// The thread.
    pub thread: ThreadId,
    /// The message's key, where the table has to lead from it to the thread.
    pub keep: Option<MessageKey>,
}

impl ThreadKeys {
    /// The keys of a message.
    pub fn of(summary: &Summary) -> Self {
        let own = summary.message_id().map(MessageKey::of);
        let named = summary.references.first().map(Vec::as_slice);
        let root = named
            .or_else(|| summary.in_reply_to().next())
            .map(MessageKey::of)
            // A message that answers itself answers nothing.
            .filter(|root| Some(*root) != own);
        Self { own, root }
    }

    /// The message's thread. `known` is the account's table: the thread that
    /// was kept for a key. It is not asked for a message that starts a thread.
    ///
    /// # Errors
    /// What `known` says.
    pub fn thread<E>(
        &self,
        email_id: EmailId,
        mut known: impl FnMut(MessageKey) -> Result<Option<ThreadId>, E>,
    ) -> Result<Threaded, E> {
        let keep = None;
        let Some(root) = self.root else {
            let own = self.own.map(MessageKey::thread);
            // Without any id, it is related to its copies only.
            let low = u64::try_from(email_id.0 & u128::from(u64::MAX)).unwrap_or_default();
            let thread = own.unwrap_or(ThreadId(low));
            return Ok(Threaded { thread, keep });
        };
        // The same message once more stays where it was put the first time:
        // what is told of its root may have changed since.
        if let Some(own) = self.own
            && let Some(thread) = known(own)?
        {
            return Ok(Threaded { thread, keep });
        }
        let thread = known(root)?.unwrap_or(root.thread());
        let keep = self.own.filter(|own| own.thread() != thread);
        Ok(Threaded { thread, keep })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[derive(Default)]
    struct Table(HashMap<MessageKey, ThreadId>);

    impl Table {
        fn file(&mut self, header: &str) -> Threaded {
            let keys = ThreadKeys::of(&Summary::scan(format!("{header}\r\n\r\n").as_bytes()));
            let threaded = keys
                .thread(EmailId(7), |key| {
                    Ok::<_, std::convert::Infallible>(self.0.get(&key).copied())
                })
                .unwrap();
            self.0
                .extend(threaded.keep.map(|key| (key, threaded.thread)));
            threaded
        }
    }

    #[test]
    fn replies_follow_to_the_first_message() {
        let mut table = Table::default();
        let first = table.file("Message-ID: <a@x>");
        assert_eq!(
            first.keep, None,
            "a message that starts a thread costs nothing"
        );
        let reply = table.file("Message-ID: <b@x>\r\nReferences: <a@x>");
        assert_eq!(reply.thread, first.thread);
        // Without References, by way of the message before.
        let third = table.file("Message-ID: <c@x>\r\nIn-Reply-To: Yours of today <b@x>");
        assert_eq!(third.thread, first.thread);
        let long = table.file("Message-ID: <d@x>\r\nReferences: <a@x> <b@x> <c@x>");
        assert_eq!(long.thread, first.thread);
        assert_ne!(table.file("Message-ID: <e@x>").thread, first.thread);
    }

    #[test]
    fn a_reply_that_comes_first_waits_in_the_right_thread() {
        let mut table = Table::default();
        let reply = table.file("Message-ID: <b@x>\r\nReferences: <a@x>");
        assert_eq!(table.file("Message-ID: <a@x>").thread, reply.thread);
    }

    #[test]
    fn the_same_message_again_has_the_same_thread() {
        let mut table = Table::default();
        let late = "Message-ID: <c@x>\r\nIn-Reply-To: <b@x>";
        let once = table.file(late);
        table.file("Message-ID: <b@x>\r\nReferences: <a@x>");
        assert_eq!(table.file(late).thread, once.thread);
    }

    #[test]
    fn a_message_without_ids_is_alone() {
        let mut table = Table::default();
        let alone = table.file("Subject: x");
        assert_eq!((alone.thread, alone.keep), (ThreadId(7), None));
        let own = table.file("Message-ID: <a@x>\r\nReferences: <a@x>");
        assert_eq!(own.keep, None);
    }
}
