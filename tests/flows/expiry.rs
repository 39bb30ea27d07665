//! What time does to mail, in one go of six weeks: a week of retries that ends
//! in a notice, a memory that lasts two weeks, and a purge by the scheduler of
//! what has lain in Trash for 30 days.

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::batch::{Batch, StateChange};
use mailcore::event::{EventCursor, EventName};
use mailcore::mailbox::{MailboxName, SpecialUse};
use mailcore::schedule::{Job, JobError, OldMail};
use mailcore::seams::{Clock, StateKey};
use mailcore::testing::VirtualClock;
use mailcore::time::Timestamp;
use mailcore_tests::{House, PASSWORD, StoreKind, World, base64};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A server's life, day by day.
struct Life {
    clock: VirtualClock,
    born: Timestamp,
}

impl Life {
    /// Lets time pass until so many hours after the beginning.
    async fn until(&self, day: u64, hour: u64) {
        let end = self
            .born
            .after(Duration::from_secs(day * DAY + hour * HOUR));
        self.clock.run_for(end.since(self.clock.now())).await;
    }

    /// Hours since the beginning.
    fn hours(&self, at: Timestamp) -> f64 {
        at.since(self.born).as_secs_f64() / 3_600.0
    }
}

/// A job as the binary has it: daily, for one account.
fn purge(house: &House, account: &str) -> Job {
    let old = OldMail {
        storage: Arc::clone(&house.stores.storage),
        special_use: SpecialUse::Trash,
        name: MailboxName::parse("Trash").unwrap(),
        keep_for: Duration::from_secs(30 * DAY),
    };
    let account = AccountId::new(account);
    Job::new("purge", "10 3 * * *".parse().unwrap(), move |run| {
        let (old, account) = (old.clone(), account.clone());
        async move {
            let removed = old.purge(&account, run.began).await?;
            Ok::<_, JobError>(format!("{removed} removed"))
        }
    })
}

/// When events of this name happened.
async fn times(house: &House, name: &EventName) -> Vec<Timestamp> {
    let events = house.stores.outbox.read(EventCursor::default(), 10_000);
    let events = events.await.unwrap().into_iter();
    let named = events.filter(|stored| stored.event.name == *name);
    named.map(|stored| stored.event.at).collect()
}

async fn throw_away(house: &House, text: &str) {
    let mut imap = house.imap("alice").await;
    imap.ask_all(
        &format!("2 APPEND Trash {{{}+}}\r\n{text}", text.len()),
        "2 OK",
    )
    .await;
}

async fn write_to_carol(house: &House) {
    let mut smtp = house.smtp("submission").await;
    let login = base64(format!("\0alice@a.test\0{PASSWORD}").as_bytes());
    smtp.ask(&format!("AUTH PLAIN {login}"), "235").await;
    let message = b"Subject: x\r\n\r\nhi\r\n";
    smtp.send_mail("alice@a.test", &["carol@b.test"], message)
        .await;
}

/// Has the store remember something until then.
async fn remember(house: &House, expires: Timestamp) -> StateKey {
    let key = StateKey::new("vacation", "alice carol");
    let put = StateChange::Put {
        key: key.clone(),
        value: b"told".to_vec(),
        expires: Some(expires),
    };
    let batch = Batch {
        state: vec![put],
        ..Batch::default()
    };
    house.stores.commit.commit(batch).await.unwrap();
    key
}

async fn remembers(house: &House, key: &StateKey) -> bool {
    house.stores.state.read(key).await.unwrap().is_some()
}

#[tokio::test]
async fn a_week_of_retries_two_weeks_of_memory_and_a_purge_after_thirty_days() {
    let (world, clock) = World::in_virtual_time();
    let kind = StoreKind::Memory;
    let a = world.house("mx.a.test", "a.test", &["alice"], kind).await;
    let b = world.house("mx.b.test", "b.test", &["carol"], kind).await;
    world.cut(&b);
    let life = Life {
        born: clock.now(),
        clock,
    };
    a.server.scheduler().add(purge(&a, "alice@a.test")).unwrap();

    write_to_carol(&a).await;
    let mut imap = a.imap("alice").await;
    imap.ask_all("2 CREATE Trash (USE (\\Trash))", "2 OK").await;
    drop(imap);
    throw_away(&a, "Subject: old\r\n\r\nold\r\n").await;
    let answered = remember(&a, life.born.after(Duration::from_secs(14 * DAY))).await;

    life.until(7, 1).await;
    let deferred = times(&a, &EventName::RecipientDeferred).await;
    let tried: Vec<f64> = deferred.iter().map(|at| life.hours(*at)).collect();
    assert_eq!(tried[..7], [0.0, 0.5, 1.5, 3.5, 6.5, 10.5, 14.5]);
    assert!(tried.len() > 40 && tried[5..].windows(2).all(|two| two[1] - two[0] == 4.0));
    let failed = times(&a, &EventName::RecipientFailed).await;
    assert_eq!(failed.len(), 1);
    assert_eq!(life.hours(failed[0]), 168.0, "a week, then the notice");
    assert_eq!(a.count("alice", "INBOX").await, 2, "a delay and a failure");

    throw_away(&a, "Subject: newer\r\n\r\nnewer\r\n").await;
    life.until(13, 23).await;
    assert!(remembers(&a, &answered).await);
    life.until(14, 1).await;
    assert!(!remembers(&a, &answered).await, "two weeks are over");

    life.until(30, 3).await;
    assert_eq!(a.count("alice", "Trash").await, 2);
    life.until(30, 4).await;
    assert_eq!(a.count("alice", "Trash").await, 1, "the older one is gone");
    life.until(36, 4).await;
    assert_eq!(a.count("alice", "Trash").await, 1, "29 days are too few");
    life.until(37, 4).await;
    assert_eq!(a.count("alice", "Trash").await, 0);
    assert_eq!(a.count("alice", "INBOX").await, 2, "other mail stays");
    let purged = times(&a, &EventName::JobDone).await;
    assert_eq!(purged.len(), 38, "one run a day");
}

#[tokio::test]
async fn mail_held_for_an_hour_arrives_after_it_here_too() {
    let (world, clock) = World::in_virtual_time();
    let kind = StoreKind::Memory;
    let users = ["alice", "bob"];
    let a = world.house("mx.a.test", "a.test", &users, kind).await;
    let mut smtp = a.smtp("submission").await;
    let login = base64(format!("\0alice@a.test\0{PASSWORD}").as_bytes());
    smtp.ask(&format!("AUTH PLAIN {login}"), "235").await;
    smtp.ask("MAIL FROM:<alice@a.test> HOLDFOR=3600", "250")
        .await;
    smtp.ask("RCPT TO:<bob@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.ask("Subject: later\r\n\r\nlater\r\n.", "250").await;
    clock.run_for(Duration::from_secs(HOUR - 60)).await;
    assert_eq!(a.count("bob", "INBOX").await, 0);
    clock.run_for(Duration::from_secs(120)).await;
    assert_eq!(a.count("bob", "INBOX").await, 1);
}
