//! A waiting IMAP client learns of new mail at once.

use mailcore_tests::{StoreKind, World};

#[tokio::test]
async fn idle_tells_of_new_mail() {
    for kind in [StoreKind::Memory, StoreKind::Embedded] {
        let world = World::new();
        let house = world.house("mx.a.test", "a.test", &["bob"], kind).await;
        let mut imap = house.imap("bob").await;
        imap.ask_all("2 SELECT INBOX", "2 OK").await;
        imap.ask("3 IDLE", "+").await;
        let mut smtp = house.smtp("smtp").await;
        let reply = smtp
            .send_mail("x@else.test", &["bob@a.test"], b"Subject: x\r\n\r\ny\r\n")
            .await;
        assert!(reply.starts_with("250"), "{reply}");
        imap.expect("* 1 EXISTS").await;
        imap.send("DONE").await;
        imap.until("3 OK").await;
    }
}

#[tokio::test]
async fn two_sessions_keep_their_sequence_numbers() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["bob"], StoreKind::Memory)
        .await;
    let mut smtp = house.smtp("smtp").await;
    for n in 1..=3 {
        let message = format!("Subject: {n}\r\n\r\n{n}\r\n");
        smtp.send_mail("x@else.test", &["bob@a.test"], message.as_bytes())
            .await;
    }
    let mut one = house.imap("bob").await;
    let mut two = house.imap("bob").await;
    one.ask_all("2 SELECT INBOX", "2 OK").await;
    two.ask_all("2 SELECT INBOX", "2 OK").await;
    one.ask_all("3 STORE 1 +FLAGS.SILENT (\\Deleted)", "3 OK")
        .await;
    let gone = one.ask_all("4 EXPUNGE", "4 OK").await;
    assert!(gone.iter().any(|line| line == "* 1 EXPUNGE"), "{gone:?}");
    // The other session may not be told of the expunge during FETCH: its
    // numbers stand (RFC 3501 section 7.4.1).
    let lines = two.ask_all("3 FETCH 2 (UID)", "3 OK").await;
    assert!(lines.contains(&"* 2 FETCH (UID 2)".to_owned()), "{lines:?}");
    let lines = two.ask_all("4 NOOP", "4 OK").await;
    assert!(lines.contains(&"* 1 EXPUNGE".to_owned()), "{lines:?}");
    let lines = two.ask_all("5 FETCH 1 (UID)", "5 OK").await;
    assert!(lines.contains(&"* 1 FETCH (UID 2)".to_owned()), "{lines:?}");
}
