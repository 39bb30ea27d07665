//! Copies of delivered mail: what they tell, and when they go.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::plan::Action;
use mailcore::queue::{Ended, EntryState, EntryStateKind, QueueEntry, remove_outlived};
use mailcore::seams::{Clock, Rules, RulesInput, Ruling, Spool, SpoolQuery};
use mailcore_tests::Desk;

const DAY: u64 = 24 * 3_600;
const MESSAGE: &[u8] = b"From: x@b.test\r\nSubject: hi\r\n\r\nhi\r\n";

async fn desk(users: &[&str]) -> Desk {
    let keep_for = Some(Duration::from_secs(14 * DAY));
    Desk::new(users, |it| it.keep_delivered(keep_for)).await
}

async fn kept(desk: &Desk) -> Vec<Arc<QueueEntry>> {
    let mut query = SpoolQuery::default();
    query.state = Some(EntryStateKind::Kept);
    let found = desk.store().list(&query).await.unwrap();
    found.into_iter().map(|it| it.entry).collect()
}

fn ends(entry: &QueueEntry) -> Vec<(String, Ended)> {
    let ends = entry.progress.done.iter();
    ends.map(|it| (it.recipient.address.to_string(), it.ended))
        .collect()
}

async fn send(desk: &Desk, to: &[&str]) -> String {
    desk.smtp()
        .await
        .send_mail("sender@a.test", to, MESSAGE)
        .await
}

#[tokio::test]
async fn a_copy_of_what_was_filed_at_once_is_kept_for_its_time() {
    let desk = desk(&["ann", "bob", "sender"]).await;
    desk.alias("team", &["bob@a.test"]).await;
    let reply = send(&desk, &["ann@a.test", "team@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    let copies = kept(&desk).await;
    let until = desk.clock.now().after(Duration::from_secs(14 * DAY));
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].progress.state, EntryState::Kept { until });
    let delivered = |who: &str| (who.to_owned(), Ended::Delivered);
    assert_eq!(
        ends(&copies[0]),
        [delivered("ann@a.test"), delivered("bob@a.test")]
    );
    let octets = copies[0].message.read_all(10_000).await.unwrap();
    assert!(octets.ends_with(MESSAGE));

    let remove = async || {
        let store = desk.store();
        remove_outlived(store, store, desk.clock.now())
            .await
            .unwrap()
    };
    desk.wait(14 * DAY - 60).await;
    assert_eq!(remove().await, 0);
    desk.wait(60).await;
    assert_eq!(remove().await, 1);
    assert_eq!(kept(&desk).await.len(), 0);
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn a_copy_tells_how_each_recipient_ended() {
    let desk = desk(&["full", "bob", "sender"]).await;
    desk.quota("full", 10).await;
    let reply = send(&desk, &["full@a.test"]).await;
    assert!(reply.starts_with("552"), "{reply}");
    assert_eq!(kept(&desk).await.len(), 0, "nothing was delivered");

    let reply = send(&desk, &["full@a.test", "bob@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    let copies = kept(&desk).await;
    let delivered = ("bob@a.test".to_owned(), Ended::Delivered);
    assert_eq!(copies.len(), 1);
    assert_eq!(ends(&copies[0]), [delivered]);

    desk.wait(8 * DAY).await;
    let copies = kept(&desk).await;
    let failed = ("full@a.test".to_owned(), Ended::Failed);
    assert!(copies.iter().any(|copy| ends(copy) == [failed.clone()]));
    let counts = desk.store().counts().await.unwrap();
    assert_eq!((counts.queued(), counts.kept), (0, 4), "both notices, too");
}

#[tokio::test]
async fn a_kept_copy_is_sent_once_more() {
    let desk = desk(&["ann", "bob", "sender"]).await;
    send(&desk, &["ann@a.test"]).await;
    let id = kept(&desk).await[0].id;
    let queue = desk.server.queue().unwrap();
    queue.resend(id, &[]).await.unwrap();
    queue.resend(id, &[Desk::address("bob")]).await.unwrap();
    queue.resend(id, &[Desk::address("gone")]).await.unwrap();
    desk.wait(10).await;
    let told = desk.messages("sender", "INBOX").await.len();
    assert_eq!(told, 0, "its sender did not send it again");
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 2);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(kept(&desk).await.len(), 4);
}

/// Throws everything away.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Rules for Nothing {
    async fn evaluate(&self, _: &RulesInput<'_>) -> Ruling {
        Ruling::actions([Action::Discard])
    }
}

#[tokio::test]
async fn no_copy_is_kept_of_what_rules_throw_away() {
    let keep_for = Some(Duration::from_secs(14 * DAY));
    let desk = Desk::new(&["ann", "sender"], |it| {
        it.keep_delivered(keep_for).rules(Arc::new(Nothing))
    })
    .await;
    let reply = send(&desk, &["ann@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 0);
    assert_eq!(kept(&desk).await.len(), 0);
}
