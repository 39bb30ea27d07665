//! The memory store as reference: any run of operations does the same to the
//! embedded store, before and after it is closed and opened.
//!
//! Numbers that a store may choose, ModSeq, UIDVALIDITY and ids, are compared
//! by what they mean, not by value.
#![cfg(all(feature = "memory", feature = "embedded"))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::batch::{
    AfterUpdate, Append, Batch, DeliveryId, IfMissing, SpoolChange, StateChange,
};
use mailcore::event::TraceId;
use mailcore::mailbox::{
    FlagChange, Flags, Identifier, Keyword, MailboxName, ModSeq, Rights, RightsChange, SystemFlag,
    ThreadId, Uid, UidSet,
};
use mailcore::message::{Message, Summary};
use mailcore::queue::{Origin, QueueEntry, QueueId, QueueProgress};
use mailcore::seams::{Mailbox, NewMessage, QuotaLimit, QuotaUsage, RemovedQuery, StateKey};
use mailcore::server::Stores;
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use mailcore_store::{MemoryLimits, MemoryStore};
use proptest::prelude::*;

/// How long removed messages can be brought back.
const UNDELETE_FOR: Duration = Duration::from_secs(100);
const NAMES: [&str; 6] = ["INBOX", "a", "a/b", "a/b/c", "d", "INBOX/e"];

/// One operation; places are taken modulo what there is.
#[derive(Debug, Clone)]
enum Op {
    Create(usize),
    Delete(usize),
    Rename(usize, usize),
    Subscribe(usize, bool),
    Append(usize, Vec<u8>, Option<u16>),
    Store(usize, (u32, u32), u8, Option<usize>),
    Expunge(usize, (u32, u32)),
    Copy(usize, (u32, u32), usize, Option<u16>),
    Replace(usize, u32, usize, u8, Option<u16>),
    Restore(u8, u8, Option<usize>),
    Purge(u8),
    Rights(usize, u8, u8),
    Move(usize, (u32, u32), usize),
    Deliver(usize, u8, u8, Option<u16>),
    Add(u8, i8, Option<u8>),
    Remove(u8),
    Enqueue(u8, u8),
    Reschedule(u8, u8),
    Dequeue(u8),
    /// A session opens a mailbox and keeps it open.
    Keep(usize),
    /// It files a message there, whatever became of the name.
    AppendKept(usize, u8),
    Advance(u8),
    Reopen,
    Rebuild,
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..NAMES.len();
    let uids = || (1u32..8, 1u32..8);
    let quota = || prop::option::of(0u16..1_500);
    prop_oneof![
        2 => name().prop_map(Op::Create),
        1 => name().prop_map(Op::Delete),
        1 => (name(), name()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (name(), any::<bool>()).prop_map(|(a, b)| Op::Subscribe(a, b)),
        4 => (name(), prop::collection::vec(0u8..32, 1..4), quota())
            .prop_map(|(a, b, c)| Op::Append(a, b, c)),
        4 => (name(), uids(), any::<u8>(), prop::option::of(0usize..20))
            .prop_map(|(a, b, c, d)| Op::Store(a, b, c, d)),
        3 => (name(), uids()).prop_map(|(a, b)| Op::Expunge(a, b)),
        2 => (name(), uids(), name(), quota()).prop_map(|(a, b, c, d)| Op::Copy(a, b, c, d)),
        2 => (name(), 1u32..8, name(), 0u8..32, quota())
            .prop_map(|(a, b, c, d, e)| Op::Replace(a, b, c, d, e)),
        2 => (0u8..4, 0u8..4, prop::option::of(name())).prop_map(|(a, b, c)| Op::Restore(a, b, c)),
        1 => (0u8..4).prop_map(Op::Purge),
        1 => (name(), 0u8..4, 0u8..8).prop_map(|(a, b, c)| Op::Rights(a, b, c)),
        2 => (name(), uids(), name()).prop_map(|(a, b, c)| Op::Move(a, b, c)),
        4 => (name(), 0u8..3, 0u8..6, prop::option::of(0u16..400))
            .prop_map(|(a, b, c, d)| Op::Deliver(a, b, c, d)),
        1 => (0u8..4, any::<i8>(), prop::option::of(0u8..60)).prop_map(|(a, b, c)| Op::Add(a, b, c)),
        1 => (0u8..4).prop_map(Op::Remove),
        1 => (0u8..4, 0u8..60).prop_map(|(a, b)| Op::Enqueue(a, b)),
        1 => (0u8..4, 0u8..60).prop_map(|(a, b)| Op::Reschedule(a, b)),
        1 => (0u8..4).prop_map(Op::Dequeue),
        2 => name().prop_map(Op::Keep),
        2 => (0usize..4, 0u8..32).prop_map(|(a, b)| Op::AppendKept(a, b)),
        1 => (0u8..60).prop_map(Op::Advance),
        1 => Just(Op::Reopen),
        1 => Just(Op::Rebuild),
    ]
}

fn account() -> AccountId {
    AccountId::new("user@example.com")
}

fn name(place: usize) -> MailboxName {
    MailboxName::parse(NAMES[place % NAMES.len()]).unwrap()
}

/// A limit in octets, with one in messages that follows from it.
fn limit(octets: Option<u16>) -> QuotaLimit {
    QuotaLimit {
        octets: octets.map(u64::from),
        messages: octets
            .filter(|it| it % 2 == 0)
            .map(|it| u64::from(it) / 100),
    }
}

fn set(range: (u32, u32)) -> UidSet {
    UidSet::range(Uid::new(range.0).unwrap(), Uid::new(range.1).unwrap())
}

fn new_message(flags: u8) -> NewMessage {
    let before = flags / 2;
    let reply = match flags % 4 {
        0 => String::new(),
        1 => format!("In-Reply-To: <{before}@x>\r\n"),
        _ => format!("References: <{}@x> <{before}@x>\r\n", flags / 3),
    };
    let octets = format!(
        "Subject: {flags}\r\nMessage-ID: <{flags}@x>\r\n{reply}\r\n{}\r\n",
        "x".repeat(flags.into())
    );
    NewMessage {
        summary: Arc::new(Summary::scan(octets.as_bytes())),
        message: Message::from_bytes(octets),
        flags: Flags::from_parts(flags & 0x1f, []),
        internal_date: mailcore::time::Timestamp::from_secs(flags.into()),
    }
}

fn change(bits: u8) -> FlagChange {
    let mut flags = Flags::from_parts(bits & 0x1f, []);
    if bits & 0x20 != 0 {
        flags.insert_keyword(Keyword::new("$Keyword").unwrap());
    }
    // Mostly additions, and often \Deleted, so that expunges find something.
    match bits >> 6 {
        0 => FlagChange::Remove(flags),
        1 => FlagChange::Replace(flags),
        2 => {
            flags.insert(SystemFlag::Deleted);
            FlagChange::Add(flags)
        }
        _ => FlagChange::Add(flags),
    }
}

fn entry(id: u8, due: mailcore::time::Timestamp) -> QueueEntry {
    QueueEntry {
        id: QueueId(id.into()),
        trace: TraceId(id.into()),
        reverse_path: mailcore::address::ReversePath::Null,
        params: Default::default(),
        origin: Origin::Server,
        received_at: due,
        message: new_message(id).message,
        findings: Arc::default(),
        progress: progress(due),
    }
}

fn progress(due: mailcore::time::Timestamp) -> QueueProgress {
    let address = "a@x.test".parse().unwrap();
    let recipient = mailcore::envelope::Recipient::new(address);
    QueueProgress::new([recipient], due, due)
}

/// Threads by the order in which they are seen.
#[derive(Default)]
struct Threads(Vec<ThreadId>);

impl Threads {
    fn number(&mut self, thread: Option<ThreadId>) -> usize {
        let thread = thread.unwrap();
        let known = self.0.iter().position(|it| *it == thread);
        known.unwrap_or_else(|| {
            self.0.push(thread);
            self.0.len() - 1
        })
    }
}

/// A store under test and the ModSeqs it gave out, by moment.
struct Side {
    stores: Stores,
    moments: Vec<Vec<(MailboxName, ModSeq)>>,
    /// Mailboxes that sessions have open.
    kept: Vec<Arc<dyn Mailbox>>,
}

fn said<T>(result: Result<T, mailcore::seams::StoreError>, show: impl Fn(T) -> String) -> String {
    result.map_or_else(|error| format!("error: {error}"), show)
}

impl Side {
    /// Does one operation; what it answered, without numbers of its own.
    async fn run(&mut self, op: &Op, clock: &VirtualClock) -> String {
        use mailcore::seams::Clock;

        let storage = &self.stores.storage;
        let (who, now) = (account(), clock.now());
        match op {
            Op::Create(a) => said(storage.create(&who, &name(*a), None).await, |_| {
                "made".into()
            }),
            Op::Delete(a) => said(storage.delete(&who, &name(*a)).await, |()| "gone".into()),
            Op::Rename(a, b) => {
                let renamed = storage.rename(&who, &name(*a), &name(*b)).await;
                // Which of two reasons is told is the store's to choose.
                format!("{:?}", renamed.is_ok())
            }
            Op::Subscribe(a, true) => {
                format!("{:?}", storage.subscribe(&who, &name(*a)).await.is_ok())
            }
            Op::Subscribe(a, false) => {
                format!("{:?}", storage.unsubscribe(&who, &name(*a)).await.is_ok())
            }
            Op::Append(..)
            | Op::Store(..)
            | Op::Expunge(..)
            | Op::Copy(..)
            | Op::Replace(..)
            | Op::Move(..) => self.in_mailbox(op).await,
            Op::Restore(..) | Op::Purge(_) | Op::Rights(..) => self.beside_messages(op).await,
            Op::Keep(a) => match storage.open(&who, &name(*a)).await {
                Ok(mailbox) => {
                    self.kept.push(mailbox);
                    "kept".into()
                }
                Err(error) => format!("error: {error}"),
            },
            Op::AppendKept(..) => self.append_kept(op).await,
            Op::Deliver(a, missing, id, quota) => self.deliver((*a, *missing, *id), *quota).await,
            _ => self.beside_mailboxes(op, now).await,
        }
    }

    /// Operations on state and queue.
    async fn beside_mailboxes(&self, op: &Op, now: mailcore::time::Timestamp) -> String {
        let later = |seconds: u8| now.after(Duration::from_secs(seconds.into()));
        let key = |key: u8| StateKey::new("test", &key.to_string());
        let spool = |change| Batch {
            spool: vec![change],
            ..Batch::default()
        };
        match op {
            Op::Add(which, amount, expires) => {
                let change = StateChange::Add {
                    key: key(*which),
                    amount: (*amount).into(),
                    expires: expires.map(later),
                };
                let after = self.stores.state.change(vec![change]).await.unwrap();
                format!(
                    "{:?}",
                    after[0].as_ref().map(|it| (it.counter(), it.expires))
                )
            }
            Op::Remove(which) => {
                let change = StateChange::Remove { key: key(*which) };
                format!(
                    "{:?}",
                    self.stores.state.change(vec![change]).await.unwrap()
                )
            }
            Op::Enqueue(id, due) => {
                self.commit(spool(SpoolChange::Enqueue(Arc::new(entry(
                    *id,
                    later(*due),
                )))))
                .await
            }
            Op::Reschedule(id, due) => {
                self.commit(spool(SpoolChange::Update {
                    id: QueueId((*id).into()),
                    progress: progress(later(*due)),
                    lease: AfterUpdate::EndLease,
                }))
                .await
            }
            Op::Dequeue(id) => {
                self.commit(spool(SpoolChange::Remove {
                    id: QueueId((*id).into()),
                }))
                .await
            }
            _ => String::new(),
        }
    }

    async fn commit(&self, batch: Batch) -> String {
        format!("{:?}", self.stores.commit.commit(batch).await.is_ok())
    }

    async fn deliver(&self, place: (usize, u8, u8), quota: Option<u16>) -> String {
        let (mailbox, missing, id) = place;
        let append = Append {
            account: account(),
            mailbox: name(mailbox),
            if_missing: match missing {
                0 => IfMissing::FileToInbox,
                1 => IfMissing::Create,
                _ => IfMissing::Fail,
            },
            message: new_message(id),
            delivery_id: (id > 2).then_some(DeliveryId(id.into())),
            quota: limit(quota),
            trace: TraceId(0),
            recipient: None,
        };
        let batch = Batch {
            appends: vec![append],
            ..Batch::default()
        };
        let receipt = self.stores.commit.commit(batch).await.unwrap();
        let filed = receipt.appends.into_iter().next().unwrap();
        said(filed, |filed| format!("filed {}", filed.uid))
    }

    /// Operations on removed messages and rights.
    async fn beside_messages(&self, op: &Op) -> String {
        let storage = &self.stores.storage;
        let undelete = storage.undelete().unwrap();
        let query = RemovedQuery::default();
        let there = undelete.removed(&account(), &query).await.unwrap();
        let at = |place: u8| there.get(usize::from(place)).map(|it| it.id);
        match op {
            Op::Restore(first, more, into) => {
                let ids: Vec<_> = at(*first).into_iter().chain(at(first + more)).collect();
                let into = into.map(name);
                let limit = QuotaLimit::NONE;
                let restored = undelete
                    .restore(&account(), &ids, into.as_ref(), limit)
                    .await;
                said(restored, |done| {
                    format!("{:?}", done.iter().map(|it| it.uid).collect::<Vec<_>>())
                })
            }
            Op::Purge(place) => {
                let ids: Vec<_> = at(*place).into_iter().collect();
                format!("{}", undelete.purge(&account(), &ids).await.unwrap())
            }
            Op::Rights(mailbox, who, letters) => {
                let who = ["anyone", "-anyone", "$staff", "fred"][usize::from(*who)];
                let who = Identifier::parse(who).unwrap();
                let rights = ["", "l", "lr", "lrs", "a", "te", "kx", "lrswipkxtean"];
                let rights = rights[usize::from(*letters)].as_bytes();
                let change = RightsChange::Replace(Rights::parse(rights).unwrap());
                let acl = storage.acl().unwrap();
                let set = acl.set(&account(), &name(*mailbox), &who, change).await;
                said(set, |()| "set".into())
            }
            _ => String::new(),
        }
    }

    async fn append_kept(&self, op: &Op) -> String {
        let Op::AppendKept(place, flags) = op else {
            return String::new();
        };
        let Some(mailbox) = self.kept.get(*place) else {
            return String::new();
        };
        let one = vec![new_message(*flags)];
        let filed = mailbox.append(one, QuotaLimit::NONE).await;
        said(filed, |filed| filed[0].uid.to_string())
    }

    /// What sessions see of the mailboxes they have open.
    async fn look_at_kept(&self, seen: &mut Vec<String>) {
        for mailbox in &self.kept {
            let status = mailbox.status().await;
            let since = status.as_ref().map_or(ModSeq::MIN, |it| it.highest_modseq);
            let news = mailbox.changes(since).await;
            seen.push(said(status, |it| {
                format!("kept: {} messages, next {:?}", it.messages, it.uid_next)
            }));
            seen.push(said(news, |it| {
                let (changed, gone) = (it.changed.len(), it.vanished);
                format!("  {changed} changed, gone {gone}, {}", it.complete)
            }));
        }
    }

    async fn in_mailbox(&self, op: &Op) -> String {
        let (Op::Append(place, ..)
        | Op::Replace(place, ..)
        | Op::Store(place, ..)
        | Op::Expunge(place, _)
        | Op::Copy(place, ..)
        | Op::Move(place, ..)) = op
        else {
            return String::new();
        };
        let mailbox = match self.stores.storage.open(&account(), &name(*place)).await {
            Ok(mailbox) => mailbox,
            Err(error) => return format!("error: {error}"),
        };
        match op {
            Op::Append(_, flags, quota) => {
                let messages = flags.iter().map(|it| new_message(*it)).collect();
                said(mailbox.append(messages, limit(*quota)).await, |appended| {
                    format!("{:?}", appended.iter().map(|it| it.uid).collect::<Vec<_>>())
                })
            }
            Op::Store(_, uids, bits, moment) => {
                let since = moment.and_then(|it| self.modseq_at(it, &name(*place)));
                let receipt = mailbox.store(&set(*uids), &change(*bits), since).await;
                said(receipt, |it| {
                    let rows: Vec<_> = it.messages.iter().map(|it| (it.uid, &it.flags)).collect();
                    format!("{rows:?}, modified {}", it.modified)
                })
            }
            Op::Expunge(_, uids) => said(mailbox.expunge(&set(*uids)).await, |it| it.to_string()),
            Op::Copy(_, uids, to, quota) => {
                let copied = mailbox.copy(&set(*uids), &name(*to), limit(*quota)).await;
                said(copied, |it| format!("{:?}", it.pairs))
            }
            Op::Replace(_, uid, to, new, quota) => {
                let uid = Uid::new(*uid).unwrap();
                let replaced = mailbox
                    .replace(uid, &name(*to), new_message(*new), limit(*quota))
                    .await;
                // Which of two reasons is told is the store's to choose.
                replaced.map_or("refused".into(), |it| it.uid.to_string())
            }
            Op::Move(_, uids, to) => said(mailbox.move_to(&set(*uids), &name(*to)).await, |it| {
                format!("{:?}", it.pairs)
            }),
            _ => String::new(),
        }
    }

    fn modseq_at(&self, moment: usize, mailbox: &MailboxName) -> Option<ModSeq> {
        let moment = self.moments.get(moment)?;
        let found = moment.iter().find(|(name, _)| name == mailbox)?;
        Some(found.1)
    }

    /// Everything that can be seen, as lines.
    async fn look(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut moment = Vec::new();
        let mut threads = Threads::default();
        let mut sum = QuotaUsage::default();
        let storage = Arc::clone(&self.stores.storage);
        for listed in storage.list(&account()).await.unwrap() {
            let exists = listed.id.is_some() || listed.name.is_inbox();
            let (name, subscribed) = (&listed.name, listed.subscribed);
            seen.push(format!("{name}: exists {exists} subscribed {subscribed}"));
            if !exists {
                continue;
            }
            let mailbox = storage.open(&account(), &listed.name).await.unwrap();
            let status = mailbox.status().await.unwrap();
            let (messages, unseen, deleted) = (status.messages, status.unseen, status.deleted);
            let (uid_next, size) = (status.uid_next, status.size);
            seen.push(format!(
                "  {messages} messages, {unseen} unseen, {deleted} deleted, \
                 next {uid_next:?}, {size} octets"
            ));
            for row in mailbox.messages(&UidSet::all()).await.unwrap() {
                let message = mailbox.message(row.uid).await.unwrap();
                let octets = message.read_all(1 << 20).await.unwrap();
                let (uid, flags, dates) = (row.uid, row.flags, (row.internal_date, row.save_date));
                let thread = threads.number(row.thread_id);
                sum = sum.plus(QuotaUsage::message(row.size));
                seen.push(format!(
                    "  {uid} {flags:?} {dates:?} {} {thread} {octets:?}",
                    row.size
                ));
                assert!(row.modseq <= status.highest_modseq);
            }
            for at in 0..self.moments.len() {
                // A mailbox made anew has no past.
                let Some(since) = self.modseq_at(at, &listed.name) else {
                    continue;
                };
                let changes = mailbox.changes(since).await.unwrap();
                let uids: Vec<Uid> = changes.changed.iter().map(|it| it.uid).collect();
                let (vanished, complete) = (changes.vanished, changes.complete);
                seen.push(format!("  since {at}: {uids:?} gone {vanished} {complete}"));
            }
            moment.push((listed.name, status.highest_modseq));
        }
        self.moments.push(moment);
        self.look_at_kept(&mut seen).await;
        let usage = storage.quota().unwrap().usage(&account()).await.unwrap();
        assert_eq!(usage, sum, "usage is the sum over the messages");
        self.look_beside(&mut seen, &mut threads).await;
        for (key, value) in self.stores.state.scan("test", "", None, 99).await.unwrap() {
            seen.push(format!("{key:?} {:?} {:?}", value.counter(), value.expires));
        }
        for line in self.stores.spool.list(&Default::default()).await.unwrap() {
            seen.push(format!("{} {:?}", line.entry.id, line.entry.progress));
        }
        seen
    }

    /// Rights, and what can be brought back.
    async fn look_beside(&self, seen: &mut Vec<String>, threads: &mut Threads) {
        let storage = &self.stores.storage;
        let everybody = ["anyone", "-anyone", "$staff", "fred"];
        let everybody = everybody.map(|it| Identifier::parse(it).unwrap());
        for found in storage
            .acl()
            .unwrap()
            .mailboxes_of(&everybody)
            .await
            .unwrap()
        {
            let mut entries = found.entries;
            entries.sort_by(|a, b| a.identifier.cmp(&b.identifier));
            let all = storage
                .acl()
                .unwrap()
                .entries(&found.owner, &found.name)
                .await;
            assert_eq!(all.unwrap(), entries);
            seen.push(format!("rights on {}: {entries:?}", found.name));
        }
        let query = RemovedQuery::default();
        let removed = storage
            .undelete()
            .unwrap()
            .removed(&account(), &query)
            .await;
        for it in removed.unwrap() {
            let (name, at, info) = (it.mailbox, it.removed_at, it.info);
            let thread = threads.number(info.thread_id);
            let (uid, flags, dates) = (info.uid, info.flags, (info.internal_date, info.save_date));
            let summary = it.summary.and_then(|it| it.envelope.subject.clone());
            seen.push(format!(
                "removed from {name} at {at:?}: {uid} {flags:?} {dates:?} {} {thread} {summary:?}",
                info.size
            ));
        }
    }

    /// Forgets the ModSeqs of mailboxes that an operation may have replaced.
    fn forget(&mut self, op: &Op) {
        if matches!(op, Op::Delete(_) | Op::Rename(..)) {
            self.moments.clear();
        }
    }
}

fn open_embedded(place: &tempfile::TempDir, clock: &VirtualClock) -> Arc<EmbeddedStore> {
    let mut options = EmbeddedOptions::default();
    options.clock = Arc::new(clock.clone());
    options.entropy = Arc::new(SeededEntropy::new(2));
    options.retention.undelete_for = UNDELETE_FOR;
    Arc::new(EmbeddedStore::open(place.path(), options).unwrap())
}

fn lose_index(place: &tempfile::TempDir) {
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(place.path().join(name)));
    }
}

async fn compare(ops: Vec<Op>) {
    let clock = VirtualClock::new();
    let place = tempfile::tempdir().unwrap();
    let entropy = Arc::new(SeededEntropy::new(1));
    let mut limits = MemoryLimits::default();
    limits.undelete_for = UNDELETE_FOR;
    let memory = MemoryStore::with_limits(Arc::new(clock.clone()), entropy, limits);
    let mut memory = Side {
        stores: Stores::from(Arc::new(memory)),
        moments: Vec::new(),
        kept: Vec::new(),
    };
    let mut store = open_embedded(&place, &clock);
    let mut embedded = Side {
        stores: Stores::from(Arc::clone(&store)),
        moments: Vec::new(),
        kept: Vec::new(),
    };
    for (at, op) in ops.iter().enumerate() {
        if let Op::Advance(seconds) = op {
            clock.advance(Duration::from_secs((*seconds).into()));
        }
        let (want, got) = (memory.run(op, &clock).await, embedded.run(op, &clock).await);
        assert_eq!(got, want, "the answer to operation {at}, {op:?}");
        if matches!(op, Op::Reopen | Op::Rebuild) {
            memory.kept.clear();
            embedded.kept.clear();
            store.close();
            if matches!(op, Op::Rebuild) {
                lose_index(&place);
            }
            store = open_embedded(&place, &clock);
            embedded.stores = Stores::from(Arc::clone(&store));
        }
        memory.forget(op);
        embedded.forget(op);
        let (want, got) = (memory.look().await, embedded.look().await);
        assert_eq!(got, want, "what is seen after operation {at}, {op:?}");
    }
    let report = tokio::task::block_in_place(|| store.check()).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn embedded_and_memory_store_do_the_same(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(compare(ops));
    }
}
