//! What a session asks its host, what it is answered, and what it is told
//! unasked.
//!
//! Every question is about the account that logged in and, where no mailbox is
//! named, about the mailbox last selected: whoever answers keeps both.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::Identity;
use mailcore::mailbox::{
    Annotation, Changes, EntryName, FlagChange, Flags, MailboxEntry, MailboxId, MailboxName,
    MailboxStatus, MessageInfo, ModSeq, Rights, SpecialUse, Uid, UidSet, UidValidity,
};
use mailcore::message::Summary;
use mailcore::sasl::Inquiry;
use mailcore::seams::{
    Appended, AuthError, CopyReceipt, Credentials, Excerpt, StoreError, StoreReceipt,
};
use mailcore::time::Timestamp;

use crate::types::MessageUrl;

/// What only the host can know or do. One answer is right for each, and
/// [`Answer::Failed`] for all but [`Question::Authenticate`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Question {
    /// Ask the authenticator. Answer: [`Answer::Credentials`] where that is
    /// what was asked for, else [`Answer::Identity`]; when it is `Ok`, later
    /// questions are about that account.
    Authenticate(Inquiry),
    /// What time it is. Answer: [`Answer::Now`].
    Now,
    /// Forget who logged in, and whatever was opened or begun. Answer:
    /// [`Answer::Done`], always.
    Unauthenticate,
    /// Every mailbox and subscription. Answer: [`Answer::Mailboxes`].
    Mailboxes,
    /// Make a mailbox. Answer: [`Answer::Created`].
    Create {
        /// Its name.
        name: MailboxName,
        /// What it is for.
        special_use: Option<SpecialUse>,
    },
    /// Delete a mailbox. Answer: [`Answer::Done`].
    Delete(MailboxName),
    /// Rename a mailbox. Answer: [`Answer::Done`].
    Rename {
        /// Its name now.
        from: MailboxName,
        /// Its name then.
        to: MailboxName,
    },
    /// Subscribe. Answer: [`Answer::Done`].
    Subscribe(MailboxName),
    /// End a subscription. Answer: [`Answer::Done`].
    Unsubscribe(MailboxName),
    /// A mailbox's counters. Answer: [`Answer::Status`].
    Status(MailboxName),
    /// What the account may do with a mailbox. Answer: [`Answer::Rights`].
    MyRights(MailboxName),
    /// What is noted on a mailbox, or on the server. Answer:
    /// [`Answer::Annotations`].
    Annotations(Option<MailboxName>),
    /// Note or remove, all or none. Answer: [`Answer::Done`], or
    /// [`Answer::TooManyAnnotations`].
    Annotate {
        /// On which mailbox; `None` for the server.
        mailbox: Option<MailboxName>,
        /// What; without a value to be removed.
        changes: Vec<(EntryName, Option<Vec<u8>>)>,
        /// How many there may be then.
        limit: usize,
    },
    /// Open a mailbox and report its changes from then on. Answer:
    /// [`Answer::Opened`]; on failure none is open.
    Open {
        /// Which.
        name: MailboxName,
        /// What for.
        access: Access,
        /// What the client knows of it, to be told what changed since.
        known: Option<Known>,
    },
    /// Close the open mailbox. Answer: [`Answer::Done`].
    Close,
    /// What changed in the open mailbox. Answer: [`Answer::News`].
    Changes {
        /// After this.
        since: ModSeq,
        /// The last message the session knows of: newer ones are claimed as
        /// recent when `access` says so.
        last: Option<Uid>,
        /// How the mailbox was opened.
        access: Access,
    },
    /// The rows of these messages. Answer: [`Answer::Rows`].
    Rows(UidSet),
    /// The summaries of these messages. Answer: [`Answer::Summaries`].
    Summaries(UidSet),
    /// Octets of a message, 64 kB at most. Answer: [`Answer::Octets`].
    Read {
        /// Which message.
        uid: Uid,
        /// Which octets.
        range: Range<u64>,
    },
    /// The first octets of each of these messages, as many as asked: headers,
    /// many at a time. Answer: [`Answer::Fronts`].
    Fronts(Vec<(Uid, Excerpt)>),
    /// Change flags. Answer: [`Answer::Stored`].
    Store {
        /// Of which messages.
        uids: UidSet,
        /// How.
        change: FlagChange,
        /// Only those not changed after this (RFC 7162 section 3.1.3).
        unchanged_since: Option<ModSeq>,
    },
    /// Copy messages. Answer: [`Answer::Copied`].
    Copy {
        /// Which.
        uids: UidSet,
        /// Where to.
        to: MailboxName,
    },
    /// Move messages. Answer: [`Answer::Copied`].
    Move {
        /// Which.
        uids: UidSet,
        /// Where to.
        to: MailboxName,
    },
    /// Remove those of these messages that have `\Deleted`. Answer:
    /// [`Answer::Expunged`].
    Expunge(UidSet),
    /// Begin to take a message in. Answer: [`Answer::Done`].
    AppendBegin {
        /// Where to.
        to: MailboxName,
        /// Octets that it is known to have.
        size: u64,
        /// Octets that it may come to have.
        limit: u64,
    },
    /// The message's next octets. Answer: [`Answer::Done`].
    AppendOctets(Bytes),
    /// What this names in the same account are the message's next octets.
    /// Answer: [`Answer::Done`]; [`StoreError::NotFound`] when it names nothing,
    /// [`StoreError::TooLarge`] when that is too much.
    AppendUrl(MessageUrl),
    /// The message is complete and waits for the next one. Answer:
    /// [`Answer::Done`].
    AppendNext {
        /// Its flags.
        flags: Flags,
        /// Its internal date; now when none is given.
        internal_date: Option<Timestamp>,
    },
    /// The message is complete and the last: it and those that wait are added,
    /// all or none. Answer: [`Answer::Appended`].
    AppendEnd {
        /// Its flags.
        flags: Flags,
        /// Its internal date; now when none is given.
        internal_date: Option<Timestamp>,
    },
    /// The message is complete: it takes the place of one in the open mailbox,
    /// in one change. Answer: [`Answer::Appended`].
    Replace {
        /// The one that goes away.
        uid: Uid,
        /// Where the new one goes.
        to: MailboxName,
        /// Its flags.
        flags: Flags,
        /// Its internal date; now when none is given.
        internal_date: Option<Timestamp>,
    },
    /// Begin or end to notice changes in the account. Answer: [`Answer::Done`].
    WatchAccount(Watching),
    /// Forget the message and those that wait. Answer: [`Answer::Done`].
    AppendAbandon,
}

/// Whether changes in the account are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// From now on.
    On,
    /// No more.
    Off,
}

/// What a mailbox is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// SELECT.
    ReadWrite,
    /// EXAMINE.
    ReadOnly,
}

/// An answer to a [`Question`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// What a proof is to be checked against.
    Credentials(Credentials),
    /// Who logged in; or why nobody did, or can.
    Identity(Result<Identity, AuthError>),
    /// The time.
    Now(Timestamp),
    /// It is done.
    Done,
    /// It failed.
    Failed(StoreError),
    /// Mailboxes in name order.
    Mailboxes(Vec<MailboxEntry>),
    /// The new mailbox.
    Created(MailboxId),
    /// Counters.
    Status(MailboxStatus),
    /// Rights.
    Rights(Rights),
    /// Annotations by entry.
    Annotations(Vec<Annotation>),
    /// There would be more annotations than there may be.
    TooManyAnnotations,
    /// The mailbox is open.
    Opened(Box<Opened>),
    /// Changes.
    News(Box<News>),
    /// Rows, ascending by UID.
    Rows(Vec<MessageInfo>),
    /// Summaries, ascending by UID.
    Summaries(Vec<(Uid, Arc<Summary>)>),
    /// Octets.
    Octets(Bytes),
    /// Octets of several messages in the order asked; `None` for one that is
    /// gone or can't be read.
    Fronts(Vec<Option<Bytes>>),
    /// What STORE did.
    Stored(StoreReceipt),
    /// What COPY or MOVE did.
    Copied(CopyReceipt),
    /// What EXPUNGE removed.
    Expunged(UidSet),
    /// Where the messages lie, in their order.
    Appended(Vec<Appended>),
}

/// Up to where a client knows a mailbox (RFC 7162 section 3.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The UIDVALIDITY it knows; with another one it knows nothing.
    pub uid_validity: UidValidity,
    /// What changed up to here is known.
    pub modseq: ModSeq,
}

/// A mailbox just opened, all of it as of one moment.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What it is open for: reading, if the store takes no changes, whatever was
    /// asked.
    pub access: Access,
    /// Its counters.
    pub status: MailboxStatus,
    /// Its messages.
    pub uids: UidSet,
    /// Messages from here on are recent in this session.
    pub recent_from: Option<Uid>,
    /// The first message without `\Seen`, when the store can tell.
    pub first_unseen: Option<Uid>,
    /// What the client missed; `None` when it was not asked for, or not of
    /// this UIDVALIDITY.
    pub resync: Option<Resync>,
}

/// What happened in a mailbox since a client knew it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// Messages that are new or changed.
    pub changed: UidSet,
    /// Messages that went away; `None` when the store no longer knows.
    pub vanished: Option<UidSet>,
}

/// What changed in the open mailbox.
#[derive(Debug, Clone)]
pub struct News {
    /// The changes.
    pub changes: Changes,
    /// New messages from here on are recent in this session.
    pub recent_from: Option<Uid>,
}

/// What a session is told unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The open mailbox changed; its greatest ModSeq now.
    Changed(ModSeq),
    /// The open mailbox was deleted.
    Gone,
    /// Something in the account changed.
    Account,
}
