//! Addresses that nothing is sent to any more: refused at RCPT, failed in the
//! queue, untouched where mail is filed here.

use std::sync::Arc;
use std::time::Duration;

use mailcore::route::{Suppression, SuppressionList};
use mailcore::seams::{Clock, DirectoryWrite};
use mailcore::testing::VirtualClock;
use mailcore::time::Timestamp;
use mailcore_tests::{Dialogue, House, PASSWORD, StoreKind, World, base64};

const MESSAGE: &[u8] = b"From: ann@a.test\r\nSubject: hi\r\n\r\nhi\r\n";

async fn houses() -> (World, VirtualClock, House, House) {
    let (world, clock) = World::in_virtual_time();
    let here = (world.house("mx.a.test", "a.test", &["ann"], StoreKind::Memory)).await;
    let there = (world.house("mx.b.test", "b.test", &["bob", "cat"], StoreKind::Memory)).await;
    (world, clock, here, there)
}

fn list(house: &House) -> SuppressionList {
    SuppressionList::new(Arc::clone(&house.stores.state))
}

fn entry(who: &str) -> Suppression {
    Suppression::new(who.parse().unwrap(), Timestamp::from_secs(0)).because("asked us to stop")
}

/// Ann, logged in.
async fn ann(house: &House) -> Dialogue {
    let mut smtp = house.smtp("submission").await;
    let login = base64(format!("\0ann@a.test\0{PASSWORD}").as_bytes());
    smtp.ask(&format!("AUTH PLAIN {login}"), "235").await;
    smtp
}

#[tokio::test]
async fn senders_are_told_at_once_and_strangers_learn_nothing() {
    let (_world, clock, here, there) = houses().await;
    let soon = clock.now().after(Duration::from_secs(3_600));
    let entries = [
        entry("Bob@b.test"),
        entry("@a.test"),
        entry("@c.test").until(soon),
    ];
    list(&here).add(&entries).await.unwrap();
    let mut smtp = ann(&here).await;
    smtp.ask("MAIL FROM:<ann@a.test>", "250").await;
    let words = "550 5.7.1 bob@b.test is on the suppression list of this server: asked us to stop";
    smtp.ask("RCPT TO:<bob@B.test>", words).await;
    smtp.ask("RCPT TO:<cat@b.test>", "250").await;
    smtp.ask("RCPT TO:<x@c.test>", "550 5.7.1").await;
    // Mail that stays here is not meant.
    smtp.ask("RCPT TO:<ann@a.test>", "250").await;
    clock.run_for(Duration::from_secs(3_601)).await;
    let mut smtp = ann(&here).await;
    smtp.ask("MAIL FROM:<ann@a.test>", "250").await;
    smtp.ask("RCPT TO:<x@c.test>", "250").await;

    let mut stranger = here.smtp("smtp").await;
    stranger.ask("MAIL FROM:<x@d.test>", "250").await;
    let known = stranger.ask("RCPT TO:<bob@b.test>", "550").await;
    let other = stranger.ask("RCPT TO:<cat@b.test>", "550").await;
    assert_eq!(known, other);
    here.shutdown().await;
    there.shutdown().await;
}

#[tokio::test]
async fn mail_that_waits_comes_back_and_an_alias_does_not_help() {
    let (world, clock, here, there) = houses().await;
    world.cut(&there);
    let mut smtp = ann(&here).await;
    let sent = smtp.send_mail("ann@a.test", &["bob@b.test", "cat@b.test"], MESSAGE);
    assert!(sent.await.starts_with("250"));
    clock.run_for(Duration::from_secs(60)).await;
    list(&here).add(&[entry("bob@b.test")]).await.unwrap();
    world.mend(&there);
    clock.run_for(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(there.count("bob", "INBOX").await, 0);
    assert_eq!(there.count("cat", "INBOX").await, 1);
    assert_eq!(here.count("ann", "INBOX").await, 1);
    let notice = notice(&here, 1).await;
    assert!(
        notice.contains("bob@b.test is on the suppression list"),
        "{notice}"
    );
    assert!(notice.contains("Status: 5.7.1"), "{notice}");
    assert!(!notice.contains("cat@b.test"), "{notice}");

    let (bob, cat) = ("bob@b.test".parse().unwrap(), "cat@b.test".parse().unwrap());
    let both = ("both@a.test".parse().unwrap(), [bob, cat]);
    let alone = ("alone@a.test".parse().unwrap(), &both.1[..1]);
    here.directory().add_alias(&both.0, &both.1).await.unwrap();
    here.directory().add_alias(&alone.0, alone.1).await.unwrap();
    let mut smtp = ann(&here).await;
    let sent = smtp.send_mail("ann@a.test", &["both@a.test"], MESSAGE);
    assert!(sent.await.starts_with("250"));
    clock.run_for(Duration::from_secs(60)).await;
    assert_eq!(there.count("bob", "INBOX").await, 0);
    assert_eq!(there.count("cat", "INBOX").await, 2);
    assert_eq!(here.count("ann", "INBOX").await, 2);
    let mut smtp = ann(&here).await;
    smtp.ask("MAIL FROM:<ann@a.test>", "250").await;
    smtp.ask("RCPT TO:<alone@a.test>", "550 5.1.1").await;
    assert_eq!(here.stores.spool.counts().await.unwrap().queued(), 0);
    here.shutdown().await;
    there.shutdown().await;
}

/// A message of Ann's.
async fn notice(house: &House, number: u32) -> String {
    let mut imap = house.imap("ann").await;
    imap.ask_all("2 EXAMINE INBOX", "2 OK").await;
    imap.send(&format!("3 FETCH {number} BODY[]")).await;
    let line = imap.line().await;
    let text = imap.literal(&line).await;
    String::from_utf8(text).unwrap()
}
