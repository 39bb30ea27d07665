//! Time is the test's: a month of a server, with everything that waits in it,
//! passes in the moment that the work takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mailcore::abuse::Ban;
use mailcore::account::AccountId;
use mailcore::intake::HookError;
use mailcore::mailbox::{Flags, MailboxName, SpecialUse};
use mailcore::message::Message;
use mailcore::queue::remove_outlived;
use mailcore::schedule::{Job, JobError, OldMail};
use mailcore::seams::{Clock, NewMessage, QuotaLimit, Spool, Storage};
use mailcore_tests::Desk;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const MESSAGE: &[u8] = b"From: sender@a.test\r\nSubject: hi\r\n\r\nhi\r\n";

/// Removes copies, and what has lain in Junk for 30 days, every day.
fn housekeeping(desk: &Desk) -> [Job; 2] {
    let daily = || "10 3 * * *".parse().unwrap();
    let (store, clock) = (Arc::new(desk.store().clone()), desk.clock.clone());
    let old = OldMail {
        storage: Arc::clone(&store) as _,
        special_use: SpecialUse::Junk,
        name: MailboxName::parse("Junk").unwrap(),
        keep_for: Duration::from_secs(30 * DAY),
    };
    let copies = Job::new("copies", daily(), move |_| {
        let (store, clock) = (Arc::clone(&store), clock.clone());
        async move {
            let gone = remove_outlived(&*store, &*store, clock.now()).await?;
            Ok::<_, JobError>(format!("{gone} copies removed"))
        }
    });
    let purge = Job::new("purge", daily(), move |run| {
        let old = old.clone();
        async move {
            let gone = old.purge(&AccountId::new("ann@a.test"), run.began).await?;
            Ok::<_, JobError>(format!("{gone} messages removed"))
        }
    });
    [copies, purge]
}

async fn file_junk(desk: &Desk) {
    let (ann, junk) = (
        AccountId::new("ann@a.test"),
        MailboxName::parse("Junk").unwrap(),
    );
    let purpose = Some(SpecialUse::Junk);
    desk.store().create(&ann, &junk, purpose).await.unwrap();
    let message = Message::from_bytes(MESSAGE);
    let new = NewMessage {
        summary: Arc::new(message.summarize().await.unwrap()),
        message,
        flags: Flags::NONE,
        internal_date: desk.clock.now(),
    };
    let junk = desk.store().open(&ann, &junk).await.unwrap();
    junk.append(vec![new], QuotaLimit::NONE).await.unwrap();
}

#[tokio::test]
async fn a_month_of_retries_copies_bans_and_purges_is_a_moment() {
    let began = Instant::now();
    let desk = Desk::new(&["ann", "sender"], |builder| {
        builder
            .keep_delivered(Some(Duration::from_secs(14 * DAY)))
            .deliver_to("never@a.test", |_| async {
                Err(HookError::TryLater("not today".into()))
            })
    })
    .await;
    for job in housekeeping(&desk) {
        desk.server.scheduler().add(job).unwrap();
    }
    let counts = async || desk.store().counts().await.unwrap();
    let limiter = desk.server.limiter();
    let network = "192.0.2.0/24".parse().unwrap();
    let now = desk.clock.now();
    let until = now.after(Duration::from_secs(3 * HOUR));
    let ban = Ban::new(network, "guesses", now).until(until);
    limiter.ban(ban).await.unwrap();
    let to = ["ann@a.test", "never@a.test"];
    let reply = desk
        .smtp()
        .await
        .send_mail("sender@a.test", &to, MESSAGE)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    file_junk(&desk).await;

    desk.wait(3 * HOUR + 60).await;
    assert!(limiter.banned().is_empty(), "three hours are over");
    desk.wait(7 * DAY).await;
    assert_eq!(counts().await.queued(), 0, "a week of attempts is enough");
    let told = desk.messages("sender", "INBOX").await.len();
    assert_eq!(told, 2, "a delay and a failure");
    assert!(counts().await.kept > 0);
    desk.wait(15 * DAY).await;
    assert_eq!(counts().await.kept, 0, "two weeks after the last one");
    assert_eq!(desk.messages("ann", "Junk").await.len(), 1);
    desk.wait(9 * DAY).await;
    assert_eq!(desk.messages("ann", "Junk").await.len(), 0, "after 30 days");
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 1);
    println!("a month took {:?}", began.elapsed());
}
