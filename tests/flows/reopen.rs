//! The embedded store keeps mail, mailboxes, flags and the queue over a restart
//! without a goodbye.

use mailcore_tests::{StoreKind, World};

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["bob"], StoreKind::Embedded)
        .await;
    let mut smtp = house.smtp("smtp").await;
    for n in 1..=5 {
        let message = format!("Subject: {n}\r\n\r\nbody {n}\r\n");
        smtp.send_mail("x@else.test", &["bob@a.test"], message.as_bytes())
            .await;
    }
    let mut imap = house.imap("bob").await;
    imap.ask_all("2 CREATE Work/2026", "2 OK").await;
    let before = imap.ask_all("3 SELECT INBOX", "3 OK").await;
    imap.ask_all("4 STORE 2 +FLAGS (\\Seen $Later)", "4 OK")
        .await;
    imap.ask_all("5 COPY 3 Work/2026", "5 OK").await;
    imap.ask_all("6 STORE 1 +FLAGS (\\Deleted)", "6 OK").await;
    imap.ask_all("7 EXPUNGE", "7 OK").await;
    drop((imap, smtp));

    let house = world.reopen(house).await;
    let mut imap = house.imap("bob").await;
    let after = imap.ask_all("3 SELECT INBOX", "3 OK").await;
    let validity = |lines: &[String]| {
        lines
            .iter()
            .find(|line| line.contains("UIDVALIDITY"))
            .cloned()
    };
    assert_eq!(validity(&before), validity(&after));
    assert!(after.contains(&"* 4 EXISTS".to_owned()), "{after:?}");
    let lines = imap
        .ask_all("4 FETCH 1:* (UID FLAGS BODY.PEEK[TEXT]<0.6>)", "4 OK")
        .await;
    let joined = lines.join("\n");
    assert!(
        joined.contains("UID 2") && joined.contains("$Later") && joined.contains("\\Seen"),
        "{joined}"
    );
    assert!(!joined.contains("UID 1 "), "{joined}");
    let lines = imap
        .ask_all("5 STATUS Work/2026 (MESSAGES UIDNEXT)", "5 OK")
        .await;
    assert_eq!(lines[0], "* STATUS Work/2026 (MESSAGES 1 UIDNEXT 2)");
    let mut smtp = house.smtp("smtp").await;
    smtp.send_mail("x@else.test", &["bob@a.test"], b"Subject: 6\r\n\r\n6\r\n")
        .await;
    imap.ask_all("6 NOOP", "6 OK").await;
    let lines = imap.ask_all("7 FETCH * (UID)", "7 OK").await;
    assert!(
        lines.iter().any(|line| line.contains("(UID 6)")),
        "a UID was used again: {lines:?}"
    );
}
