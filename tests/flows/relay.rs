//! Mail to another domain: found by MX, retried on schedule, told about once.

use std::time::Duration;

use mailcore::address::ReversePath;
use mailcore::envelope::Envelope;
use mailcore_tests::{House, PASSWORD, StoreKind, World, base64};

const MESSAGE: &[u8] = b"From: alice@a.test\r\nTo: carol@b.test\r\nSubject: over there\r\nMessage-ID: <1@a.test>\r\n\r\nhi\r\n";

async fn two_houses(world: &World) -> (House, House) {
    let a = world
        .house("mx.a.test", "a.test", &["alice"], StoreKind::Memory)
        .await;
    let b = world
        .house("mx.b.test", "b.test", &["carol"], StoreKind::Memory)
        .await;
    (a, b)
}

async fn submit(house: &House, to: &[&str]) -> String {
    let mut smtp = house.smtp("submission").await;
    let login = base64(format!("\0alice@a.test\0{PASSWORD}").as_bytes());
    smtp.ask(&format!("AUTH PLAIN {login}"), "235").await;
    smtp.send_mail("alice@a.test", to, MESSAGE).await
}

/// The octets of the only message in an inbox.
async fn only_message(house: &House, user: &str) -> String {
    let mut imap = house.imap(user).await;
    let lines = imap.ask_all("2 SELECT INBOX", "2 OK").await;
    assert!(lines.contains(&"* 1 EXISTS".to_owned()), "{lines:?}");
    imap.send("3 FETCH 1 BODY.PEEK[]").await;
    let line = imap.line().await;
    String::from_utf8(imap.literal(&line).await).unwrap()
}

#[tokio::test]
async fn mail_reaches_the_server_that_mx_names() {
    let (world, clock) = World::in_virtual_time();
    let (a, b) = two_houses(&world).await;
    assert!(submit(&a, &["carol@b.test"]).await.starts_with("250"));
    clock.run_for(Duration::from_secs(10)).await;
    let message = only_message(&b, "carol").await;
    assert!(message.contains("Subject: over there\r\n"), "{message}");
    assert!(
        message.starts_with("Return-Path: <alice@a.test>\r\n"),
        "{message}"
    );
    assert_eq!(message.matches("Return-Path:").count(), 1);
    assert_eq!(
        message.matches("Received:").count(),
        2,
        "one for each server"
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_tried_again_and_then_served() {
    let (world, clock) = World::in_virtual_time();
    let (a, b) = two_houses(&world).await;
    world.cut(&b);
    submit(&a, &["carol@b.test"]).await;
    clock.run_for(Duration::from_secs(600)).await;
    world.mend(&b);
    assert_eq!(b.count("carol", "INBOX").await, 0);
    clock.run_for(Duration::from_secs(1_300)).await;
    assert_eq!(
        b.count("carol", "INBOX").await,
        1,
        "the attempt after 30 minutes arrives"
    );
    assert_eq!(
        a.count("alice", "INBOX").await,
        0,
        "nothing to tell the sender"
    );
}

#[tokio::test]
async fn a_server_that_stays_down_ends_in_exactly_one_notice_of_failure() {
    let (world, clock) = World::in_virtual_time();
    let (a, b) = two_houses(&world).await;
    world.cut(&b);
    submit(&a, &["carol@b.test"]).await;
    clock.run_for(Duration::from_secs(3_600 * 24 * 9)).await;
    let mut imap = a.imap("alice").await;
    imap.ask_all("2 SELECT INBOX", "2 OK").await;
    let failed = imap
        .ask_all("3 SEARCH BODY \"Action: failed\"", "3 OK")
        .await;
    let delayed = imap
        .ask_all("4 SEARCH BODY \"Action: delayed\"", "4 OK")
        .await;
    assert_eq!(
        failed[0].split(' ').count(),
        3,
        "one failure notice: {failed:?}"
    );
    assert_eq!(
        delayed[0].split(' ').count(),
        3,
        "one delay notice: {delayed:?}"
    );
    let lines = imap
        .ask_all(
            "5 FETCH 1:* (BODY.PEEK[HEADER.FIELDS (RETURN-PATH)])",
            "5 OK",
        )
        .await;
    assert!(
        lines
            .iter()
            .filter(|line| line.contains("Return-Path: <>"))
            .count()
            == 2,
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_recipient_refused_over_there_is_told_at_once_and_the_other_served() {
    let (world, clock) = World::in_virtual_time();
    let (a, b) = two_houses(&world).await;
    submit(&a, &["carol@b.test", "nobody@b.test"]).await;
    clock.run_for(Duration::from_secs(10)).await;
    assert_eq!(b.count("carol", "INBOX").await, 1);
    let notice = only_message(&a, "alice").await;
    assert!(
        notice.contains("Final-Recipient: rfc822; nobody@b.test"),
        "{notice}"
    );
    assert!(notice.contains("Status: 5.1.1"), "{notice}");
    assert!(
        !notice.contains("carol@b.test\r\nAction: failed"),
        "{notice}"
    );
}

#[tokio::test]
async fn the_host_can_await_what_becomes_of_its_mail() {
    let (world, clock) = World::in_virtual_time();
    let (a, _b) = two_houses(&world).await;
    let sender = ReversePath::Address("alice@a.test".parse().unwrap());
    let to = ["carol@b.test", "nobody@b.test", "alice@a.test"].map(|to| to.parse().unwrap());
    let sent = a
        .server
        .submit(Envelope::new(sender, to), MESSAGE)
        .await
        .unwrap();
    let outcome = tokio::spawn(sent.outcome());
    clock.run_for(Duration::from_secs(10)).await;
    let mut outcome = outcome.await.unwrap().unwrap();
    outcome.sort_by(|a, b| a.recipient.cmp(&b.recipient));
    let told: Vec<_> = outcome
        .iter()
        .map(|one| (one.recipient.as_str(), one.success))
        .collect();
    assert_eq!(
        told,
        [
            ("alice@a.test", true),
            ("carol@b.test", true),
            ("nobody@b.test", false)
        ]
    );
}
