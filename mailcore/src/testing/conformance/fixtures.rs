//! Accounts, names and messages that the checks use.

use std::sync::Arc;

use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{Append, IfMissing};
use crate::envelope::{MailParams, Recipient};
use crate::event::TraceId;
use crate::mailbox::{Flags, MailboxName, SystemFlag, Uid, UidSet};
use crate::message::{Message, Summary};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress};
use crate::seams::{Mailbox, NewMessage, QuotaLimit, Storage};
use crate::time::Timestamp;

pub(super) fn account() -> AccountId {
    AccountId::new("user@example.com")
}

pub(super) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

pub(super) fn uid(value: u32) -> Uid {
    Uid::new(value).expect("a UID is not 0")
}

pub(super) fn uids(values: impl IntoIterator<Item = u32>) -> UidSet {
    values.into_iter().map(uid).collect()
}

pub(super) fn flags(flags: impl IntoIterator<Item = SystemFlag>) -> Flags {
    flags.into_iter().collect()
}

/// The octets of a small message.
pub(super) fn octets(subject: &str) -> String {
    format!("From: a@example.org\r\nSubject: {subject}\r\n\r\nText of {subject}.\r\n")
}

pub(super) fn message(subject: &str) -> NewMessage {
    let octets = octets(subject);
    NewMessage {
        summary: Arc::new(Summary::scan(octets.as_bytes())),
        message: Message::from_bytes(octets),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(1_000_000_000),
    }
}

pub(super) fn flagged(subject: &str, flag: SystemFlag) -> NewMessage {
    NewMessage {
        flags: flags([flag]),
        ..message(subject)
    }
}

pub(super) async fn inbox(storage: &Arc<dyn Storage>) -> Arc<dyn Mailbox> {
    open(storage, "INBOX").await
}

pub(super) async fn open(storage: &Arc<dyn Storage>, mailbox: &str) -> Arc<dyn Mailbox> {
    storage
        .open(&account(), &name(mailbox))
        .await
        .unwrap_or_else(|error| panic!("open {mailbox}: {error}"))
}

pub(super) async fn create(storage: &Arc<dyn Storage>, mailbox: &str) -> Arc<dyn Mailbox> {
    storage
        .create(&account(), &name(mailbox), None)
        .await
        .unwrap_or_else(|error| panic!("create {mailbox}: {error}"));
    open(storage, mailbox).await
}

/// Appends messages named `1`, `2`, ... and returns their UIDs.
pub(super) async fn fill(mailbox: &Arc<dyn Mailbox>, count: u32) -> Vec<Uid> {
    let messages = (1..=count).map(|n| message(&n.to_string())).collect();
    let appended = mailbox
        .append(messages, QuotaLimit::NONE)
        .await
        .expect("append");
    appended.into_iter().map(|it| it.uid).collect()
}

pub(super) async fn read(mailbox: &Arc<dyn Mailbox>, uid: Uid) -> String {
    let message = mailbox.message(uid).await.expect("the message is there");
    let octets = message.read_all(1 << 20).await.expect("read");
    String::from_utf8(octets.to_vec()).expect("the fixtures are text")
}

/// The UIDs of all messages.
pub(super) async fn all(mailbox: &Arc<dyn Mailbox>) -> Vec<u32> {
    let rows = mailbox.messages(&UidSet::all()).await.expect("messages");
    rows.into_iter().map(|row| row.uid.value()).collect()
}

pub(super) fn append_to(mailbox: &str, subject: &str) -> Append {
    Append {
        account: account(),
        mailbox: name(mailbox),
        if_missing: IfMissing::FileToInbox,
        message: message(subject),
        delivery_id: None,
        quota: QuotaLimit::NONE,
        trace: TraceId(7),
        recipient: Some(Address::parse("user+x@example.com").expect("an address")),
    }
}

pub(super) fn entry(id: u128, to: &str, due: Timestamp) -> QueueEntry {
    let address = |text: &str| Address::parse(text).expect("an address");
    QueueEntry {
        id: QueueId(id),
        trace: TraceId(id),
        reverse_path: ReversePath::Address(address("sender@example.com")),
        params: MailParams::default(),
        origin: Origin::Received,
        received_at: due,
        message: Message::from_bytes(octets("queued")),
        findings: Arc::default(),
        progress: QueueProgress::new(
            [Recipient::new(address(to))],
            due,
            Timestamp::from_secs(4_000_000_000),
        ),
    }
}
