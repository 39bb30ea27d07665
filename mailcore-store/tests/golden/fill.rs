//! What the golden store holds: one of everything that the store keeps, made
//! through the seams.

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::address::ReversePath;
use mailcore::batch::{
    AfterUpdate, Append, Batch, DeliveryId, IfMissing, SpoolChange, StateChange,
};
use mailcore::envelope::{BodyType, MailParams, Notify, OriginalRecipient, Recipient, Ret};
use mailcore::event::{Event, EventId, EventName, TraceId};
use mailcore::mailbox::{
    FlagChange, Flags, Identifier, Keyword, MailboxName, Rights, RightsChange, SpecialUse,
    SystemFlag, Uid, UidSet,
};
use mailcore::message::{Message, Summary};
use mailcore::queue::{EntryState, Origin, QueueEntry, QueueId, QueueProgress};
use mailcore::seams::{
    Clock, Commit, Mailbox, NewMessage, QuotaLimit, RemovedId, RemovedQuery, StateKey, Storage,
};
use mailcore::status::{Failure, Status};
use mailcore::testing::VirtualClock;
use mailcore::time::Timestamp;
use mailcore_store::embedded::EmbeddedStore;

/// Namespaces of the state.
pub(crate) const NAMESPACES: [&str; 2] = ["ban", "greylist"];

const MINUTE: Duration = Duration::from_secs(60);
/// 2026-01-01 00:00 UTC.
const START: i64 = 1_767_225_600;

/// When the store is begun.
pub(crate) fn start() -> VirtualClock {
    VirtualClock::at(Timestamp::from_secs(START))
}

/// When it is looked at: a day later.
pub(crate) fn end() -> VirtualClock {
    VirtualClock::at(Timestamp::from_secs(START + 86_400))
}

pub(crate) fn alice() -> AccountId {
    AccountId::new("alice@golden.test")
}

fn bob() -> AccountId {
    AccountId::new("bob@golden.test")
}

pub(crate) fn accounts() -> [AccountId; 3] {
    [alice(), bob(), AccountId::new("günther@golden.test")]
}

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn uids(first: u32, last: u32) -> UidSet {
    UidSet::range(Uid::new(first).unwrap(), Uid::new(last).unwrap())
}

fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
    let mut flags: Flags = system.iter().copied().collect();
    for keyword in keywords {
        flags.insert_keyword(Keyword::new(keyword).unwrap());
    }
    flags
}

/// A message of about `size` octets.
fn text(n: u32, size: usize) -> Vec<u8> {
    let mut out = format!(
        "From: Sender {n} <s{n}@elsewhere.test>\r\nTo: alice@golden.test\r\n\
         Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= {n}\r\nMessage-ID: <{n}@elsewhere.test>\r\n\
         In-Reply-To: <{}@elsewhere.test>\r\nDate: Thu, 01 Jan 2026 00:00:{n:02} +0000\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n",
        n / 2
    )
    .into_bytes();
    while out.len() < size {
        out.extend_from_slice(format!("line {} of {n}\r\n", out.len()).as_bytes());
    }
    out
}

fn new_message(octets: Vec<u8>, flags: Flags, day: i64) -> NewMessage {
    NewMessage {
        summary: Arc::new(Summary::scan(&octets)),
        message: Message::from_bytes(octets),
        flags,
        internal_date: Timestamp::from_secs(START - day * 86_400),
    }
}

/// `body` behind header lines of its own, as a copy for one recipient has.
fn prefixed(body: &Message, prefix: &str, octets: &[u8]) -> NewMessage {
    let whole = [prefix.as_bytes(), octets].concat();
    NewMessage {
        summary: Arc::new(Summary::scan(&whole)),
        message: body.with_prefix(prefix.as_bytes().to_vec()),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(START),
    }
}

fn delivery(account: AccountId, mailbox: &str, message: NewMessage, id: u128) -> Append {
    Append {
        account,
        mailbox: name(mailbox),
        if_missing: IfMissing::Create,
        message,
        delivery_id: Some(DeliveryId(id)),
        quota: Some(10_000_000).into(),
        trace: TraceId(id),
        recipient: Some("alice@golden.test".parse().unwrap()),
    }
}

/// Asks for the delivery of [`first_half`] once more.
pub(crate) fn filed_delivery() -> Batch {
    let message = new_message(text(90, 300), Flags::NONE, 0);
    Batch {
        appends: vec![delivery(alice(), "INBOX", message, 7_001)],
        ..Batch::default()
    }
}

/// A delivery that the store does not hold.
pub(crate) fn new_delivery() -> Batch {
    let message = new_message(text(91, 300), Flags::NONE, 0);
    Batch {
        appends: vec![delivery(alice(), "INBOX", message, 9_001)],
        ..Batch::default()
    }
}

/// Mailboxes, messages, flags, copies, moves and expunges.
pub(crate) async fn first_half(store: &EmbeddedStore, clock: &VirtualClock) {
    make_mailboxes(store, clock).await;
    let inbox = Storage::open(store, &alice(), &name("INBOX"))
        .await
        .unwrap();
    let messages = (1..=8)
        .map(|n| new_message(text(n, 200 * n as usize), Flags::NONE, i64::from(n)))
        .collect();
    inbox.append(messages, QuotaLimit::NONE).await.unwrap();
    clock.advance(MINUTE);
    let kept = flags(&[SystemFlag::Seen, SystemFlag::Answered], &["$Forwarded"]);
    let large = new_message(text(9, 70_001), kept, 400);
    let empty = new_message(b"\r\n".to_vec(), Flags::NONE, 0);
    inbox
        .append(vec![large, empty], QuotaLimit::NONE)
        .await
        .unwrap();
    change_messages(&*inbox, clock).await;
    let mut batch = filed_delivery();
    let shared = text(20, 3_000);
    let body = Message::from_bytes(shared.clone());
    for (n, (who, mailbox)) in [(alice(), "INBOX"), (bob(), "Lists/announce")]
        .into_iter()
        .enumerate()
    {
        let prefix = format!("Delivered-To: {}\r\n", who.as_str());
        let message = prefixed(&body, &prefix, &shared);
        batch
            .appends
            .push(delivery(who, mailbox, message, 7_002 + n as u128));
    }
    store.commit(batch).await.unwrap();
    clock.advance(MINUTE);
}

async fn make_mailboxes(store: &EmbeddedStore, clock: &VirtualClock) {
    let special = [
        ("Sent", SpecialUse::Sent),
        ("Müll", SpecialUse::Trash),
        ("Drafts", SpecialUse::Drafts),
    ];
    for (mailbox, special_use) in special {
        store
            .create(&alice(), &name(mailbox), Some(special_use))
            .await
            .unwrap();
    }
    for mailbox in ["work/2025/q1", "work/2026", "gone", "日本語/メール"] {
        store.create(&alice(), &name(mailbox), None).await.unwrap();
    }
    clock.advance(MINUTE);
    store
        .rename(&alice(), &name("work"), &name("Arbeit"))
        .await
        .unwrap();
    for mailbox in ["INBOX", "Arbeit/2026", "elsewhere"] {
        store.subscribe(&alice(), &name(mailbox)).await.unwrap();
    }
    store
        .subscribe(&bob(), &name("not for long"))
        .await
        .unwrap();
    store
        .unsubscribe(&bob(), &name("not for long"))
        .await
        .unwrap();
}

async fn change_messages(inbox: &dyn Mailbox, clock: &VirtualClock) {
    let deleted = flags(&[SystemFlag::Deleted], &[]);
    let work = flags(
        &[SystemFlag::Seen, SystemFlag::Flagged],
        &["$Work", "NonJunk"],
    );
    inbox
        .store(&uids(1, 4), &FlagChange::Add(work), None)
        .await
        .unwrap();
    inbox
        .store(
            &uids(2, 2),
            &FlagChange::Remove(flags(&[SystemFlag::Flagged], &["$Work"])),
            None,
        )
        .await
        .unwrap();
    clock.advance(MINUTE);
    inbox
        .copy(&uids(1, 5), &name("Arbeit/2026"), QuotaLimit::NONE)
        .await
        .unwrap();
    // The large body, shared by two messages.
    inbox
        .copy(&uids(9, 9), &name("日本語/メール"), QuotaLimit::NONE)
        .await
        .unwrap();
    inbox.move_to(&uids(5, 6), &name("gone")).await.unwrap();
    inbox.move_to(&uids(7, 7), &name("Müll")).await.unwrap();
    clock.advance(MINUTE);
    inbox
        .store(&uids(3, 4), &FlagChange::Add(deleted), None)
        .await
        .unwrap();
    inbox.expunge(&uids(3, 3)).await.unwrap();
}

/// The queue, the state, and what follows a renaming of INBOX.
pub(crate) async fn second_half(store: &EmbeddedStore, clock: &VirtualClock) {
    store.delete(&alice(), &name("gone")).await.unwrap();
    // Its child stays, so it is still listed, as a level without a mailbox.
    store.delete(&alice(), &name("Arbeit/2025")).await.unwrap();
    let bobs = Storage::open(store, &bob(), &name("INBOX")).await.unwrap();
    bobs.append(
        vec![new_message(text(30, 500), Flags::NONE, 2)],
        QuotaLimit::NONE,
    )
    .await
    .unwrap();
    store
        .rename(&bob(), &name("INBOX"), &name("old mail"))
        .await
        .unwrap();
    clock.advance(MINUTE);
    enqueue(store, clock).await;
    change_queue_and_state(store, clock).await;
}

/// What came with format 2: rights, replaced messages, threads that are joined,
/// messages brought back and given up, and files that were compacted.
pub(crate) async fn format_2(store: &EmbeddedStore, clock: &VirtualClock) {
    give_rights(store).await;
    join_threads(store).await;
    let drafts = Storage::open(store, &alice(), &name("Drafts"))
        .await
        .unwrap();
    let draft = new_message(text(50, 700), flags(&[SystemFlag::Draft], &[]), 0);
    let sent = new_message(text(52, 900), flags(&[SystemFlag::Seen], &[]), 0);
    drafts
        .append(vec![draft.clone()], QuotaLimit::NONE)
        .await
        .unwrap();
    let first = Uid::new(1).unwrap();
    let again = drafts
        .replace(first, &name("Drafts"), draft, QuotaLimit::NONE)
        .await
        .unwrap();
    drafts
        .replace(again.uid, &name("Sent"), sent, QuotaLimit::NONE)
        .await
        .unwrap();
    clock.advance(MINUTE);
    remove_and_restore(store, clock).await;
    compact(store, clock).await;
}

async fn give_rights(store: &EmbeddedStore) {
    let acl = store.acl().unwrap();
    let entries = [
        ("INBOX", "bob@golden.test", "lrs"),
        ("Arbeit/2026", "$team", "lrswite"),
        ("Arbeit/2026", "-günther@golden.test", "w"),
        ("Arbeit/2026", "anyone", "l"),
        ("Drafts", "anyone", "lr"),
    ];
    for (mailbox, identifier, rights) in entries {
        let identifier = Identifier::parse(identifier).unwrap();
        let change = RightsChange::Replace(Rights::parse(rights.as_bytes()).unwrap());
        acl.set(&alice(), &name(mailbox), &identifier, change)
            .await
            .unwrap();
    }
    let anyone = Identifier::parse(Identifier::ANYONE).unwrap();
    acl.remove(&alice(), &name("Drafts"), &anyone)
        .await
        .unwrap();
    // Rights stay with a mailbox that is renamed.
    store
        .rename(&alice(), &name("Arbeit/2026"), &name("Arbeit/heute"))
        .await
        .unwrap();
}

/// Two threads that a third message, naming both, makes one.
async fn join_threads(store: &EmbeddedStore) {
    let inbox = Storage::open(store, &alice(), &name("INBOX"))
        .await
        .unwrap();
    for header in [
        "Message-ID: <left@t.test>\r\nSubject: left",
        "Message-ID: <right@t.test>\r\nSubject: right",
        "Message-ID: <both@t.test>\r\nReferences: <left@t.test> <right@t.test>\r\nSubject: both",
    ] {
        let octets = format!("{header}\r\n\r\ntext\r\n").into_bytes();
        inbox
            .append(vec![new_message(octets, Flags::NONE, 0)], QuotaLimit::NONE)
            .await
            .unwrap();
    }
}

/// Of five messages that are expunged two are brought back, one of them into
/// another mailbox, and one is given up; the rest still can be brought back.
async fn remove_and_restore(store: &EmbeddedStore, clock: &VirtualClock) {
    let lists = filled(store, &name("Lists/removed"), (60, 5, 400)).await;
    expunge(&*lists, &uids(1, 5)).await;
    clock.advance(MINUTE);
    let undelete = store.undelete().unwrap();
    let removed = removed(store, "Lists/removed").await;
    undelete
        .restore(&bob(), &removed[..1], None, QuotaLimit::NONE)
        .await
        .unwrap();
    let elsewhere = name("Lists/restored");
    undelete
        .restore(&bob(), &removed[1..2], Some(&elsewhere), QuotaLimit::NONE)
        .await
        .unwrap();
    assert_eq!(undelete.purge(&bob(), &removed[2..3]).await.unwrap(), 1);
    clock.advance(MINUTE);
}

/// Segments most of which is of no more use are rewritten, an extent is freed.
async fn compact(store: &EmbeddedStore, clock: &VirtualClock) {
    let bulk = filled(store, &name("bulk"), (100, 20, 1_000)).await;
    let most: UidSet = (1..=20)
        .filter(|n| n % 10 != 0)
        .filter_map(Uid::new)
        .collect();
    expunge(&*bulk, &most).await;
    let batch = Batch {
        spool: vec![SpoolChange::Remove { id: QueueId(5) }],
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
    let given_up = removed(store, "bulk").await;
    store
        .undelete()
        .unwrap()
        .purge(&bob(), &given_up)
        .await
        .unwrap();
    clock.advance(MINUTE);
    let report = store.compact().unwrap();
    assert!(
        report.segments > 0 && report.extents > 0 && report.damaged == 0,
        "{report:?}"
    );
}

/// A new mailbox of bob's with so many messages of a size, numbered from the first.
async fn filled(
    store: &EmbeddedStore,
    mailbox: &MailboxName,
    (first, count, size): (u32, u32, usize),
) -> Arc<dyn Mailbox> {
    store.create(&bob(), mailbox, None).await.unwrap();
    let opened = Storage::open(store, &bob(), mailbox).await.unwrap();
    for n in first..first + count {
        let message = new_message(text(n, size), Flags::NONE, 0);
        opened
            .append(vec![message], QuotaLimit::NONE)
            .await
            .unwrap();
    }
    opened
}

async fn expunge(mailbox: &dyn Mailbox, uids: &UidSet) {
    let deleted = flags(&[SystemFlag::Deleted], &[]);
    mailbox
        .store(uids, &FlagChange::Add(deleted), None)
        .await
        .unwrap();
    mailbox.expunge(uids).await.unwrap();
}

/// What of one of bob's mailboxes can be brought back.
async fn removed(store: &EmbeddedStore, mailbox: &str) -> Vec<RemovedId> {
    let mut query = RemovedQuery::default();
    query.mailbox = Some(name(mailbox));
    let found = store.undelete().unwrap().removed(&bob(), &query).await;
    found.unwrap().into_iter().map(|it| it.id).collect()
}

async fn enqueue(store: &EmbeddedStore, clock: &VirtualClock) {
    let body = Message::from_bytes(text(40, 2_000));
    let enqueued = (1..=4).map(|n| {
        let prefix = format!("Received: by golden.test id {n}\r\n");
        SpoolChange::Enqueue(Arc::new(entry(n, body.with_prefix(prefix.into_bytes()))))
    });
    let large = Message::from_bytes(text(41, 66_000));
    let batch = Batch {
        spool: enqueued
            .chain([SpoolChange::Enqueue(Arc::new(entry(5, large)))])
            .collect(),
        events: vec![Event {
            id: EventId(77),
            at: clock.now(),
            name: EventName::Other("golden".into()),
            trace: Some(TraceId(4)),
            account: Some(bob()),
            fields: vec![("k".into(), "v with spaces, ü".into())],
        }],
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
    clock.advance(MINUTE);
}

async fn change_queue_and_state(store: &EmbeddedStore, clock: &VirtualClock) {
    let batch = Batch {
        spool: vec![
            SpoolChange::Update {
                id: QueueId(2),
                progress: tried(),
                lease: AfterUpdate::EndLease,
            },
            SpoolChange::Update {
                id: QueueId(3),
                progress: progress(1).in_state(EntryState::Held),
                lease: AfterUpdate::EndLease,
            },
            SpoolChange::Remove { id: QueueId(4) },
        ],
        state: state(clock.now()),
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
    let removed = StateChange::Remove {
        key: StateKey::new("ban", "removed"),
    };
    let counted = StateChange::Add {
        key: StateKey::new("ban", "count"),
        amount: -7,
        expires: None,
    };
    let batch = Batch {
        state: vec![removed, counted],
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
}

fn state(now: Timestamp) -> Vec<StateChange> {
    let put = |namespace, key, value: &[u8], expires| StateChange::Put {
        key: StateKey::new(namespace, key),
        value: value.to_vec(),
        expires,
    };
    vec![
        put("greylist", "for good", b"\0\xff", None),
        put(
            "greylist",
            "for a year",
            b"x",
            Some(now.after(MINUTE * 525_600)),
        ),
        put(
            "greylist",
            "for an hour",
            b"y",
            Some(now.after(MINUTE * 60)),
        ),
        put("ban", "removed", b"z", None),
        StateChange::Add {
            key: StateKey::new("ban", "count"),
            amount: 3,
            expires: Some(now.after(MINUTE * 525_600)),
        },
    ]
}

fn entry(n: u128, message: Message) -> QueueEntry {
    let mut params = MailParams::default();
    if n == 1 {
        params.size = Some(2_345);
        params.body = BodyType::EightBitMime;
        params.smtputf8 = true;
        params.ret = Some(Ret::Headers);
        params.envelope_id = Some("envelope+1".into());
    }
    QueueEntry {
        id: QueueId(n),
        trace: TraceId(n << 64),
        reverse_path: match n {
            1 => ReversePath::Address("söder@golden.test".parse().unwrap()),
            _ => ReversePath::Null,
        },
        params,
        origin: match n {
            1 => Origin::Received,
            2 => Origin::Host,
            _ => Origin::Server,
        },
        received_at: Timestamp::from_secs(START + n as i64),
        message,
        findings: Arc::default(),
        progress: progress(n as i64),
    }
}

fn progress(due: i64) -> QueueProgress {
    let mut first = Recipient::new("someone@elsewhere.test".parse().unwrap());
    first.notify = Notify {
        success: true,
        ..Notify::default()
    };
    first.original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "original@elsewhere.test".into(),
    });
    let mut second = Recipient::new("other@elsewhere.test".parse().unwrap());
    second.notify = Notify::NEVER;
    QueueProgress::new(
        [first, second],
        Timestamp::from_secs(START + due * 100),
        Timestamp::from_secs(START + 5 * 86_400),
    )
}

/// One recipient served, the other tried in vain.
fn tried() -> QueueProgress {
    let mut progress = progress(7_200);
    progress.recipients.remove(0);
    let status = Status::transient(4, 1, "no answer from host");
    progress.recipients[0].last_failure = Some(Failure {
        remote: Some("mx.elsewhere.test".parse().unwrap()),
        reply_code: Some(451),
        ..Failure::local(status)
    });
    progress.attempts = 3;
    progress.delay_told = true;
    progress
}
