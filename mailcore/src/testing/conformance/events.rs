//! Checks of [`Outbox`](crate::seams::Outbox).

use crate::account::AccountId;
use crate::batch::Batch;
use crate::event::{Event, EventCursor, EventId, EventName, StoredEvent, TraceId};
use crate::server::Stores;
use crate::testing::VirtualClock;
use crate::time::Timestamp;

use super::fixtures::{account, append_to};

/// Checks [`Outbox`](crate::seams::Outbox): order, cursors, the events that the
/// store adds.
pub async fn outbox(make: &impl AsyncFn(VirtualClock) -> Stores) {
    super::run!(&make(VirtualClock::new()).await;
        events_come_in_order_and_again,
        filed_messages_raise_an_event,
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
    assert_eq!(field("uid_validity"), filed.uid_validity.to_string());
}

async fn watchers_are_told(stores: &Stores) {
    let mut watch = stores.outbox.watch();
    watch.borrow_and_update();
    raise(stores, vec![event(1, "One")]).await;
    watch.changed().await.expect("the store is there");
}
