//! Checks of [`Outbox`](crate::seams::Outbox).

use crate::account::AccountId;
use crate::batch::Batch;
use crate::event::{Event, EventCursor, EventId, EventName, StoredEvent, TraceId};
use crate::mailbox::{FlagChange, SystemFlag, UidSet};
use crate::server::Stores;
use crate::testing::VirtualClock;
use crate::time::Timestamp;

use super::fixtures::{account, append_to, create, fill, flags, name, octets, open, uids};

/// Checks [`Outbox`](crate::seams::Outbox): order, cursors, the events that the
/// store adds.
pub async fn outbox(make: &impl AsyncFn(VirtualClock) -> Stores) {
    super::run!(&make(VirtualClock::new()).await;
        events_come_in_order_and_again,
        filed_messages_raise_an_event,
        changes_by_clients_raise_events,
        watchers_are_told,
    );
}

fn event(id: u128, name: &str) -> Event {
    Event {
        id: EventId(id),
        at: Timestamp::from_secs(1),
        name: EventName::parse(name),
        trace: Some(TraceId(id)),
        account: Some(AccountId::new("a")),
        fields: vec![("from".into(), "b".into())],
    }
}

async fn raise(stores: &Stores, events: Vec<Event>) {
    let batch = Batch {
        events,
        ..Batch::default()
    };
    stores.commit.commit(batch).await.expect("commit");
}

async fn read(stores: &Stores, after: EventCursor, limit: usize) -> Vec<StoredEvent> {
    stores.outbox.read(after, limit).await.expect("read")
}

async fn events_come_in_order_and_again(stores: &Stores) {
    let start = EventCursor::default();
    assert!(read(stores, start, 10).await.is_empty());
    let raised = [event(1, "One"), event(2, "Two"), event(3, "Three")];
    raise(stores, raised[..2].to_vec()).await;
    raise(stores, raised[2..].to_vec()).await;
    let all = read(stores, start, 10).await;
    let events: Vec<_> = all.iter().map(|it| it.event.clone()).collect();
    assert_eq!(events, raised, "in commit order, as they were raised");
    assert_eq!(read(stores, start, 10).await, all, "readable again");
    assert_eq!(read(stores, start, 2).await, all[..2]);
    assert_eq!(read(stores, all[1].cursor, 10).await, all[2..]);
    assert!(read(stores, all[2].cursor, 10).await.is_empty());
    assert_eq!(*stores.outbox.watch().borrow(), all[2].cursor);
}

async fn filed_messages_raise_an_event(stores: &Stores) {
    let batch = Batch {
        appends: vec![append_to("none", "one")],
        ..Batch::default()
    };
    let receipt = stores.commit.commit(batch).await.expect("commit");
    let filed = receipt.appends[0].as_ref().expect("filed");
    let events = read(stores, EventCursor::default(), 100).await;
    let mut new = events
        .iter()
        .map(|it| &it.event)
        .filter(|it| it.name == EventName::MessageNew);
    let event = new.next().expect("a message filed raises MessageNew");
    assert!(new.next().is_none(), "once");
    assert_eq!(event.trace, Some(TraceId(7)), "with the message's track");
    assert_eq!(event.account, Some(account()));
    let field = |name| event.field(name).unwrap_or_default();
    assert_eq!(field("mailbox"), "INBOX", "where it lies, not was sent");
    assert_eq!(field("to"), "user+x@example.com");
    assert_eq!(field("uid"), filed.uid.to_string());
    assert_eq!(field("size"), octets("one").len().to_string());
    assert_eq!(field("uid_validity"), filed.uid_validity.to_string());
}

async fn changes_by_clients_raise_events(stores: &Stores) {
    let box_a = create(&stores.storage, "a").await;
    fill(&box_a, 2).await;
    let deleted = flags([SystemFlag::Deleted]);
    for change in [
        FlagChange::Add(deleted.clone()),
        FlagChange::Remove(deleted.clone()),
        FlagChange::Replace(deleted),
    ] {
        box_a.store(&uids([2]), &change, None).await.expect("store");
    }
    box_a.expunge(&UidSet::all()).await.expect("expunge");
    let (storage, whose) = (&stores.storage, account());
    storage
        .rename(&whose, &name("a"), &name("b"))
        .await
        .expect("rename");
    let status = open(storage, "b").await.status().await.expect("status");
    storage.delete(&whose, &name("b")).await.expect("delete");
    let told: Vec<Event> = read(stores, EventCursor::default(), 100)
        .await
        .into_iter()
        .map(|it| it.event)
        .filter(|it| it.field("mailbox") != Some("INBOX"))
        .collect();
    let want = [
        (EventName::MailboxCreate, "a", None),
        (EventName::MessageAppend, "a", Some(("uid", "1"))),
        (EventName::MessageAppend, "a", Some(("uid", "2"))),
        (EventName::FlagsSet, "a", Some(("uids", "2"))),
        (EventName::FlagsClear, "a", Some(("uids", "2"))),
        (EventName::FlagsSet, "a", Some(("uids", "2"))),
        (EventName::MessageExpunge, "a", Some(("uids", "2"))),
        (EventName::MailboxRename, "b", Some(("from", "a"))),
        (EventName::MailboxDelete, "b", None),
    ];
    let names: Vec<_> = told.iter().map(|it| it.name.clone()).collect();
    assert_eq!(names, want.clone().map(|it| it.0), "{told:?}");
    for (event, (_, mailbox, field)) in told.iter().zip(want) {
        assert_eq!(event.account, Some(account()));
        assert_eq!(event.field("mailbox"), Some(mailbox), "{event:?}");
        let validity = status.uid_validity.to_string();
        assert_eq!(event.field("uid_validity"), Some(&*validity), "{event:?}");
        if let Some((key, value)) = field {
            assert_eq!(event.field(key), Some(value), "{event:?}");
        }
        if let EventName::FlagsSet | EventName::FlagsClear = event.name {
            assert_eq!(event.field("flags"), Some("\\Deleted"), "{event:?}");
        }
    }
}

async fn watchers_are_told(stores: &Stores) {
    let mut watch = stores.outbox.watch();
    watch.borrow_and_update();
    raise(stores, vec![event(1, "One")]).await;
    watch.changed().await.expect("the store is there");
}
