//! Checks of [`State`](crate::seams::State).

use std::time::Duration;

use crate::batch::StateChange;
use crate::seams::{Clock, StateKey, StateValue};
use crate::server::Stores;
use crate::testing::VirtualClock;
use crate::time::Timestamp;

/// Checks [`State`](crate::seams::State): values, counters, expiry, scans.
pub async fn state(make: &impl AsyncFn(VirtualClock) -> Stores) {
    let subject = async || {
        let clock = VirtualClock::new();
        Subject {
            stores: make(clock.clone()).await,
            clock,
        }
    };
    super::run!(&subject().await;
        values_read_back,
        versions_are_never_used_again,
        counters_count,
        values_expire,
        counters_keep_their_expiry,
        scans_page_in_key_order,
    );
}

struct Subject {
    stores: Stores,
    clock: VirtualClock,
}

impl Subject {
    async fn read(&self, key: &str) -> Option<StateValue> {
        let state = &self.stores.state;
        state.read(&StateKey::new("test", key)).await.expect("read")
    }

    async fn change(&self, change: StateChange) -> Option<StateValue> {
        let after = self.stores.state.change(vec![change]).await;
        after.expect("change").pop().expect("one value a change")
    }

    fn soon(&self) -> Timestamp {
        self.clock.now().after(Duration::from_secs(60))
    }
}

fn put(key: &str, value: &str, expires: Option<Timestamp>) -> StateChange {
    StateChange::Put {
        key: StateKey::new("test", key),
        value: value.into(),
        expires,
    }
}

fn add(key: &str, amount: i64, expires: Option<Timestamp>) -> StateChange {
    StateChange::Add {
        key: StateKey::new("test", key),
        amount,
        expires,
    }
}

fn remove(key: &str) -> StateChange {
    StateChange::Remove {
        key: StateKey::new("test", key),
    }
}

async fn values_read_back(subject: &Subject) {
    assert_eq!(subject.read("key").await, None);
    let after = subject.change(put("key", "value", None)).await;
    assert_eq!(
        subject.read("key").await,
        after,
        "the value after the change"
    );
    assert_eq!(after.expect("set").value, b"value");
    let other = StateKey::new("other", "key");
    let found = subject.stores.state.read(&other).await.expect("read");
    assert_eq!(found, None, "namespaces are apart");
    assert_eq!(subject.change(remove("key")).await, None);
    assert_eq!(subject.read("key").await, None);
    assert_eq!(subject.change(remove("key")).await, None, "twice is fine");
}

async fn versions_are_never_used_again(subject: &Subject) {
    let first = subject.change(put("key", "a", None)).await.expect("set");
    subject.change(remove("key")).await;
    let second = subject.change(put("key", "a", None)).await.expect("set");
    assert!(
        second.version > first.version,
        "a key that was gone in between has another version"
    );
}

async fn counters_count(subject: &Subject) {
    for (amount, want) in [(5, 5), (-7, -2), (1, -1)] {
        let after = subject.change(add("count", amount, None)).await;
        assert_eq!(after.expect("set").counter(), Some(want));
    }
}

async fn values_expire(subject: &Subject) {
    subject
        .change(put("key", "value", Some(subject.soon())))
        .await;
    subject.clock.advance(Duration::from_secs(59));
    assert!(subject.read("key").await.is_some());
    subject.clock.advance(Duration::from_secs(2));
    assert_eq!(subject.read("key").await, None, "its time is over");
    let state = &subject.stores.state;
    let found = state.scan("test", "", None, 10).await.expect("scan");
    assert!(found.is_empty(), "a scan shows nothing expired");
}

async fn counters_keep_their_expiry(subject: &Subject) {
    let expires = subject.soon();
    subject.change(add("count", 1, Some(expires))).await;
    subject.clock.advance(Duration::from_secs(30));
    let later = Some(subject.soon());
    let after = subject.change(add("count", 1, later)).await.expect("set");
    assert_eq!((after.counter(), after.expires), (Some(2), Some(expires)));
    subject.clock.advance(Duration::from_secs(31));
    let after = subject.change(add("count", 1, later)).await.expect("set");
    assert_eq!(after.counter(), Some(1), "an expired counter starts over");
    assert_eq!(after.expires, later);
}

async fn scans_page_in_key_order(subject: &Subject) {
    for key in ["b", "a:2", "a:1", "a:3", "c"] {
        subject.change(put(key, key, None)).await;
    }
    let scan = async |prefix: &str, after: Option<&str>, limit| {
        let found = subject.stores.state.scan("test", prefix, after, limit);
        let keys = found.await.expect("scan").into_iter();
        keys.map(|(key, _)| key.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(scan("", None, 10).await, ["a:1", "a:2", "a:3", "b", "c"]);
    assert_eq!(scan("a:", None, 2).await, ["a:1", "a:2"]);
    assert_eq!(scan("a:", Some("a:2"), 10).await, ["a:3"]);
    assert!(scan("d", None, 10).await.is_empty());
}
