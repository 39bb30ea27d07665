//! What a watched mailbox is said to have changed, from memory or from the
//! index, is what did change, since whenever one asks.

use mailcore::seams::Mailbox;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Append(usize),
    Store((u32, u32), u8),
    Expunge((u32, u32)),
    CopyHere((u32, u32)),
    MoveAway((u32, u32)),
    /// Somebody begins or ends to watch.
    Watch(bool),
    /// The index shows what was acknowledged.
    Read,
}

fn op() -> impl Strategy<Value = Op> {
    let uids = || (1u32..30, 0u32..12).prop_map(|(first, more)| (first, first + more));
    prop_oneof![
        3 => (1usize..6).prop_map(Op::Append),
        6 => (uids(), any::<u8>()).prop_map(|(a, b)| Op::Store(a, b)),
        2 => uids().prop_map(Op::Expunge),
        1 => uids().prop_map(Op::CopyHere),
        1 => uids().prop_map(Op::MoveAway),
        1 => any::<bool>().prop_map(Op::Watch),
        1 => Just(Op::Read),
    ]
}

fn set((first, last): (u32, u32)) -> UidSet {
    UidSet::range(Uid::new(first).unwrap(), Uid::new(last).unwrap())
}

fn change(bits: u8) -> FlagChange {
    let mut flags = Flags::from_parts(bits & 0x17, []);
    if bits & 0x20 != 0 {
        flags.insert_keyword(Keyword::new("$Work").unwrap());
    }
    match bits >> 6 {
        0 => FlagChange::Replace(flags),
        1 => FlagChange::Remove(flags),
        _ => FlagChange::Add(flags),
    }
}

async fn modseq(mailbox: &dyn Mailbox) -> ModSeq {
    mailbox.status().await.unwrap().highest_modseq
}

/// Does one operation; what went away.
async fn run(mailbox: &dyn Mailbox, op: &Op) -> UidSet {
    let (inbox, away) = (MailboxName::inbox(), MailboxName::parse("away").unwrap());
    match op {
        Op::Append(count) => {
            let messages = (0..*count).map(|n| new_message(text(n as u64))).collect();
            mailbox.append(messages, QuotaLimit::NONE).await.unwrap();
        }
        Op::Store(uids, bits) => {
            let stored = mailbox.store(&set(*uids), &change(*bits), None).await;
            let stored = stored.unwrap();
            // Reading has the table take what the writer holds: not each time.
            if bits % 3 == 0 {
                let there = mailbox.messages(&set(*uids)).await.unwrap();
                assert_eq!(stored.messages, there);
            }
        }
        Op::Expunge(uids) => {
            let deleted = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
            mailbox.store(&set(*uids), &deleted, None).await.unwrap();
            return mailbox.expunge(&set(*uids)).await.unwrap();
        }
        Op::CopyHere(uids) => {
            let copied = mailbox.copy(&set(*uids), &inbox, QuotaLimit::NONE).await;
            copied.unwrap();
        }
        Op::MoveAway(uids) => {
            let moved = mailbox.move_to(&set(*uids), &away).await.unwrap();
            return moved.pairs.into_iter().map(|(old, _)| old).collect();
        }
        Op::Watch(_) => {}
        Op::Read => drop(mailbox.messages(&UidSet::all()).await.unwrap()),
    }
    UidSet::EMPTY
}

async fn tells_what_changed(ops: &[Op]) {
    let place = TempDir::new().unwrap();
    let store = open(place.path());
    let away = MailboxName::parse("away").unwrap();
    store.create(&account(), &away, None).await.unwrap();
    let inbox = Storage::open(&store, &account(), &MailboxName::inbox()).await;
    let inbox = inbox.unwrap();
    let mut watch = Some(inbox.watch());
    let mut moments = vec![modseq(&*inbox).await];
    let mut gone: Vec<(ModSeq, UidSet)> = Vec::new();
    for op in ops {
        if let Op::Watch(on) = op {
            watch = on.then(|| inbox.watch());
        }
        let left = run(&*inbox, op).await;
        let now = modseq(&*inbox).await;
        gone.push((now, left));
        moments.push(now);
        // Asked before anything is read: the answers are those in memory.
        let mut told = Vec::new();
        for since in &moments {
            let all = inbox.changes(*since).await.unwrap();
            let uids = inbox.changed_uids(*since).await.unwrap();
            assert_eq!(uids, all.clone().into());
            told.push((*since, all));
        }
        let there = inbox.messages(&UidSet::all()).await.unwrap();
        for (since, told) in told {
            let changed = there.iter().filter(|row| row.modseq > since).cloned();
            assert_eq!(told.changed, changed.collect::<Vec<_>>(), "since {since:?}");
            let went = gone.iter().filter(|(at, _)| *at > since);
            let went = UidSet::from_ranges(went.flat_map(|(_, uids)| uids.ranges()));
            assert_eq!(told.vanished, went, "since {since:?}");
            assert_eq!(told.status.highest_modseq, now);
            assert_eq!(told.status.messages as usize, there.len());
        }
    }
    drop(watch);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_watched_mailbox_tells_what_changed_since_any_moment(
        ops in prop::collection::vec(op(), 1..24)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(tells_what_changed(&ops));
    }
}

#[tokio::test]
async fn more_changes_than_are_kept_in_memory_are_told_all_the_same() {
    let place = TempDir::new().unwrap();
    let store = open(place.path());
    let inbox = Storage::open(&store, &account(), &MailboxName::inbox()).await;
    let inbox = inbox.unwrap();
    let watch = inbox.watch();
    let before = modseq(&*inbox).await;
    let messages = (0..1_500).map(|n| new_message(text(n % 7))).collect();
    inbox.append(messages, QuotaLimit::NONE).await.unwrap();
    for bits in [0x81, 0x82, 0x84, 0x90] {
        let changed = inbox.store(&UidSet::all(), &change(bits), None).await;
        assert_eq!(changed.unwrap().messages.len(), 1_500);
    }
    let told = inbox.changes(before).await.unwrap();
    assert_eq!(told.changed.len(), 1_500);
    let all = Flags::from_parts(0x17, []);
    assert!(told.changed.iter().all(|row| row.flags == all));
    let unseen = inbox.status().await.unwrap().unseen;
    assert_eq!(
        unseen,
        if all.contains(SystemFlag::Seen) {
            0
        } else {
            1_500
        }
    );
    drop(watch);
}
