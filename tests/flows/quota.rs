//! A quota holds on every way into a mailbox, and what is expunged makes room.

use mailcore::seams::QuotaLimit;
use mailcore_tests::{Dialogue, House, StoreKind, World};

/// As it is sent: what is filed has trace fields before it.
const MESSAGE: &[u8] = b"Subject: room\r\n\r\nIs there any?\r\n";

async fn mail(house: &House) -> String {
    let mut smtp = house.smtp("smtp").await;
    smtp.send_mail("x@b.test", &["alice@a.test"], MESSAGE).await
}

/// The answer to an APPEND of so many octets.
async fn append(imap: &mut Dialogue, octets: usize) -> String {
    imap.send(&format!("a APPEND INBOX {{{octets}}}")).await;
    let line = imap.line().await;
    if !line.starts_with('+') {
        return line;
    }
    imap.send(&"x".repeat(octets)).await;
    imap.until("a ").await.pop().unwrap()
}

async fn tidy(imap: &mut Dialogue) {
    imap.ask_all("t STORE 1:* +FLAGS.SILENT (\\Deleted)", "t OK")
        .await;
    imap.ask_all("t EXPUNGE", "t OK").await;
}

#[tokio::test]
async fn octets_are_limited_for_smtp_and_imap_alike() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["alice"], StoreKind::Embedded)
        .await;
    // The session is there before the limit is.
    let mut imap = house.imap("alice").await;
    imap.ask_all("s SELECT INBOX", "s OK").await;
    let octets = Some(2_000);
    house
        .quota(
            "alice",
            QuotaLimit {
                octets,
                messages: None,
            },
        )
        .await;

    assert!(append(&mut imap, 1_990).await.starts_with("a OK"));
    let reply = mail(&house).await;
    assert!(reply.starts_with("552 5.2.2"), "{reply}");
    let reply = append(&mut imap, 11).await;
    assert!(reply.starts_with("a NO [OVERQUOTA]"), "{reply}");
    imap.ask_all("c COPY 1 INBOX", "c NO [OVERQUOTA]").await;

    tidy(&mut imap).await;
    let reply = mail(&house).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert!(append(&mut imap, 11).await.starts_with("a OK"));
    assert_eq!(house.count("alice", "INBOX").await, 2);
    house.shutdown().await;
}

#[tokio::test]
async fn messages_are_limited_for_smtp_and_imap_alike() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["alice"], StoreKind::Embedded)
        .await;
    let limit = QuotaLimit {
        octets: None,
        messages: Some(2),
    };
    house.quota("alice", limit).await;
    let mut imap = house.imap("alice").await;
    imap.ask_all("s SELECT INBOX", "s OK").await;

    assert!(mail(&house).await.starts_with("250"));
    assert!(append(&mut imap, 1).await.starts_with("a OK"));
    let reply = mail(&house).await;
    assert!(reply.starts_with("552 5.2.2"), "{reply}");
    let reply = append(&mut imap, 1).await;
    assert!(reply.starts_with("a NO [OVERQUOTA]"), "{reply}");
    imap.ask_all("c CREATE Else", "c OK").await;
    imap.ask_all("m MOVE 1 Else", "m OK").await;

    tidy(&mut imap).await;
    assert!(mail(&house).await.starts_with("250"));
    let reply = mail(&house).await;
    assert!(reply.starts_with("552 5.2.2"), "{reply}");
    house.quota("alice", QuotaLimit::NONE).await;
    assert!(mail(&house).await.starts_with("250"));
    house.shutdown().await;
}
