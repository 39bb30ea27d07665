//! What a group's record says: effects with absolute values, so that applying
//! the log again gives the same store.
//!
//! Nothing is decided here (that is the sequencer's) and nothing is kept (that
//! is the index's).

mod codec;
#[cfg(test)]
mod tests;

use mailcore::mailbox::{EmailId, Flags, Keyword, MessageInfo, ModSeq, ThreadId, Uid};
use mailcore::pack::{PackError, Packer, Unpacker};
use mailcore::time::Timestamp;

use codec::newest;

/// The version of the record's own layout.
const RECORD: u8 = 1;
/// Where a body's octets lie, as the record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodySource {
    /// In the body frame of this index of the same group.
    Frame(u32),
    /// In the extent file of this number.
    Extent(u64),
}

/// A message's place in a mailbox, all values final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filed {
    pub(crate) mailbox: u64,
    pub(crate) uid: u32,
    pub(crate) modseq: u64,
    pub(crate) content: u64,
    pub(crate) flags: Flags,
    pub(crate) size: u64,
    pub(crate) internal_date: i64,
    pub(crate) save_date: i64,
    pub(crate) email_id: u128,
    /// `None` in records of the first layout.
    pub(crate) thread: Option<u64>,
    /// The message's key, when the account's table of threads has to lead from
    /// it to the thread.
    pub(crate) thread_key: Option<u64>,
}

impl Filed {
    /// The message as its mailbox has it; `None` for numbers that can't be.
    pub(crate) fn info(&self) -> Option<MessageInfo> {
        Some(MessageInfo {
            uid: Uid::new(self.uid)?,
            flags: self.flags.clone(),
            modseq: ModSeq::new(self.modseq)?,
            size: self.size,
            internal_date: Timestamp::from_millis(self.internal_date),
            save_date: Timestamp::from_millis(self.save_date),
            email_id: EmailId(self.email_id),
            thread_id: self.thread.map(ThreadId),
        })
    }
}

/// Whether messages that go can be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// For as long as the store's settings say.
    ForUndelete,
    /// They were moved, or none is kept.
    Nothing,
}

/// What a mailbox has given out, for one that lost effects to compaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Floor {
    pub(crate) mailbox: u64,
    pub(crate) uid_next: u64,
    pub(crate) modseq: u64,
    /// Keys of messages left out, with the threads they lead to in the
    /// mailbox's account.
    pub(crate) threads: Vec<(u64, u64)>,
}

/// What the store has given out up to here: the next value of everything that
/// is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Numbers {
    pub(crate) mailbox: u64,
    pub(crate) body: u64,
    pub(crate) content: u64,
    pub(crate) version: u64,
    pub(crate) event: u64,
    pub(crate) validity: u32,
    /// Events before this one have had their time.
    pub(crate) first_event: u64,
}

/// One change to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Octets that messages and queue entries may refer to.
    Body {
        id: u64,
        source: BodySource,
        length: u64,
        hash: [u8; 32],
    },
    /// A prefix over a body, with its summary.
    Content {
        id: u64,
        body: u64,
        prefix: Vec<u8>,
        summary: Vec<u8>,
    },
    /// A message in a mailbox.
    File(Filed),
    /// A delivery that must not be filed twice.
    Delivery {
        id: u128,
        mailbox: u64,
        uid: u32,
        modseq: u64,
    },
    /// New flags of messages of one mailbox, as ranges of UIDs that have the
    /// same.
    Flags {
        mailbox: u64,
        modseq: u64,
        messages: Vec<(u32, u32, Flags)>,
    },
    /// Messages gone from a mailbox, as ranges of UIDs.
    Expunge {
        mailbox: u64,
        modseq: u64,
        uids: Vec<(u32, u32)>,
        keep: Keep,
    },
    /// A new mailbox.
    CreateMailbox {
        id: u64,
        account: String,
        name: String,
        uid_validity: u32,
        special_use: Option<String>,
    },
    /// A mailbox and its messages gone.
    DeleteMailbox { id: u64, keep: Keep },
    /// A mailbox's new name.
    RenameMailbox { id: u64, name: String },
    /// A subscription.
    Subscribe { account: String, name: String },
    /// No subscription.
    Unsubscribe { account: String, name: String },
    /// A queue entry.
    Enqueue {
        id: u128,
        body: u64,
        fixed: Vec<u8>,
        progress: Vec<u8>,
    },
    /// A queue entry's new progress.
    Progress { id: u128, progress: Vec<u8> },
    /// A queue entry gone.
    Dequeue { id: u128 },
    /// A value of the state.
    Put {
        namespace: String,
        key: String,
        value: Vec<u8>,
        version: u64,
        expires: Option<i64>,
    },
    /// A key of the state gone.
    Drop { namespace: String, key: String },
    /// An event, as `Event::encode` writes it.
    Event { cursor: u64, event: Vec<u8> },
    /// Somebody's rights on a mailbox, as letters; `None` for no entry.
    Rights {
        mailbox: u64,
        identifier: String,
        rights: Option<String>,
    },
    /// Removed messages that can be brought back no more, as mailbox and ranges
    /// of UIDs: they were brought back, or given up.
    Forget { mailbox: u64, uids: Vec<(u32, u32)> },
    /// Written by compaction, for a mailbox whose effects it left out.
    Floor(Floor),
    /// Written by compaction, for the effects it left out.
    Numbers(Numbers),
}

/// A group's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it was committed, in milliseconds since 1970.
    pub(crate) at: i64,
    /// In order.
    pub(crate) effects: Vec<Effect>,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(RECORD);
        out.i64(self.at);
        out.list(&self.effects, |out, effect| {
            let mut body = Packer::new(effect.version());
            out.u64(effect.write(&mut body));
            out.octets(&body.finish());
        });
        out.finish()
    }

    /// Undoes [`Record::encode`].
    ///
    /// # Errors
    /// [`PackError`]; an effect not known here is of a newer version.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, RECORD)?;
        let at = from.i64()?;
        let effects = from.list(|from| {
            let tag = from.u64()?;
            let octets = from.octets()?;
            let layout = octets.first().copied().unwrap_or(0);
            Effect::read(tag, layout, &mut Unpacker::new(octets, newest(tag))?)
        })?;
        Ok(Self { at, effects })
    }
}

impl Numbers {
    /// Takes over what is greater.
    pub(crate) fn raise(&mut self, other: &Self) {
        self.mailbox = self.mailbox.max(other.mailbox);
        self.body = self.body.max(other.body);
        self.content = self.content.max(other.content);
        self.version = self.version.max(other.version);
        self.event = self.event.max(other.event);
        self.validity = self.validity.max(other.validity);
        self.first_event = self.first_event.max(other.first_event);
    }
}

/// Keywords as one text with spaces between; no keyword holds a space.
pub(crate) fn keywords_text(flags: &Flags) -> String {
    let words: Vec<&str> = flags.keywords().map(Keyword::as_str).collect();
    words.join(" ")
}

/// Adds a message to those of [`Effect::Flags`]; false when it has the flags of
/// the one before it, and joins its range.
pub(crate) fn put_alike(messages: &mut Vec<(u32, u32, Flags)>, uid: u32, flags: &Flags) -> bool {
    match messages.last_mut() {
        Some((_, last, before)) if last.checked_add(1) == Some(uid) && before == flags => {
            *last = uid;
            false
        }
        _ => {
            messages.push((uid, uid, flags.clone()));
            true
        }
    }
}

/// Undoes [`keywords_text`].
pub(crate) fn flags_from(bits: u8, keywords: &str) -> Flags {
    Flags::from_parts(bits, keywords.split(' ').filter_map(Keyword::new))
}

/// Equal for equal octets, wherever they lie (RFC 8474 section 4).
pub(crate) fn email_id(prefix: &[u8], body: &[u8; 32]) -> u128 {
    let mut hash = blake3::Hasher::new();
    hash.update(body);
    hash.update(prefix);
    let mut octets = [0; 16];
    hash.finalize_xof().fill(&mut octets);
    u128::from_be_bytes(octets)
}
