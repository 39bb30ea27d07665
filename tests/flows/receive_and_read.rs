//! A message sent by SMTP is read by IMAP and POP3; who may send what to whom.

use mailcore_tests::{House, StoreKind, World, base64};

const MESSAGE: &str = "From: alice@a.test\r\nTo: bob@a.test\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\n\r\n.dot\r\nline two\r\n";

#[tokio::test]
async fn sent_by_smtp_read_by_imap_and_pop3() {
    for kind in [StoreKind::Memory, StoreKind::Embedded] {
        let world = World::new();
        let house = world
            .house("mx.a.test", "a.test", &["alice", "bob"], kind)
            .await;
        let mut smtp = house.smtp("smtp").await;
        let reply = smtp
            .send_mail("someone@else.test", &["bob@a.test"], MESSAGE.as_bytes())
            .await;
        assert!(reply.starts_with("250 2."), "{reply}");
        smtp.ask("QUIT", "221").await;

        let mut imap = house.imap("bob").await;
        let greeting = imap.ask_all("2 SELECT INBOX", "2 OK").await;
        assert!(
            greeting.iter().any(|line| line == "* 1 EXISTS"),
            "{greeting:?}"
        );
        imap.send("3 FETCH 1 (FLAGS ENVELOPE BODY.PEEK[])").await;
        let line = imap.expect("* 1 FETCH (").await;
        assert!(line.contains("\"hello\""), "{line}");
        let message = imap.literal(&line).await;
        assert!(message.ends_with(MESSAGE.as_bytes()));
        let text = String::from_utf8(message.clone()).unwrap();
        assert!(text.starts_with(
            "Return-Path: <someone@else.test>\r\nDelivered-To: bob@a.test\r\nReceived: "
        ));
        imap.until("3 OK").await;

        let mut pop3 = house.pop3("bob").await;
        pop3.ask("RETR 1", "+OK").await;
        assert_eq!(
            pop3.multiline().await,
            message,
            "IMAP and POP3 give the same octets"
        );
        house.shutdown().await;
    }
}

#[tokio::test]
async fn strangers_do_not_relay_and_users_do_not_forge() {
    let world = World::new();
    let house: House = world
        .house("mx.a.test", "a.test", &["alice", "bob"], StoreKind::Memory)
        .await;
    let mut smtp = house.smtp("smtp").await;
    smtp.ask("MAIL FROM:<x@else.test>", "250").await;
    smtp.ask("RCPT TO:<nobody@a.test>", "550 5.1.1").await;
    for relayed in [
        "y@else.test",
        "y%else.test@other.test",
        "@a.test:y@else.test",
        "\"y@else.test\"@other.test",
    ] {
        smtp.ask(&format!("RCPT TO:<{relayed}>"), "550 5.7.1").await;
    }
    smtp.ask("DATA", "554").await;

    let mut submission = house.smtp("submission").await;
    submission
        .ask("MAIL FROM:<alice@a.test>", "530 5.7.0")
        .await;
    let login = base64(format!("\0alice@a.test\0{}", mailcore_tests::PASSWORD).as_bytes());
    submission
        .ask(&format!("AUTH PLAIN {login}"), "235 2.7.0")
        .await;
    submission.ask("MAIL FROM:<bob@a.test>", "550 5.7.1").await;
    submission.ask("MAIL FROM:<alice@a.test>", "250").await;
    submission.ask("RCPT TO:<y@else.test>", "250").await;
}

#[tokio::test]
async fn postmaster_is_always_reached_and_plus_addresses_lead_home() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["alice", "bob"], StoreKind::Memory)
        .await;
    let mut smtp = house.smtp("smtp").await;
    let to = ["postmaster@a.test", "Bob+lists@A.test"];
    let reply = smtp.send_mail("", &to, MESSAGE.as_bytes()).await;
    assert!(reply.starts_with("250 2."), "{reply}");
    for user in ["alice", "bob"] {
        let mut imap = house.imap(user).await;
        let lines = imap.ask_all("2 STATUS INBOX (MESSAGES)", "2 OK").await;
        assert_eq!(lines[0], "* STATUS INBOX (MESSAGES 1)", "{user}");
    }
}

#[tokio::test]
async fn a_bare_line_feed_never_ends_a_message() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["bob"], StoreKind::Memory)
        .await;
    for end in [
        "\n.\n",
        "\r.\r",
        "\n.\r\n",
        "\r\n.\n",
        "\r\n.\r",
        "\r\r\n.\r\r\n",
        "\r\n\0.\r\n",
    ] {
        let mut smtp = house.smtp("smtp").await;
        smtp.ask("MAIL FROM:<x@else.test>", "250").await;
        smtp.ask("RCPT TO:<bob@a.test>", "250").await;
        smtp.ask("DATA", "354").await;
        let smuggled =
            "MAIL FROM:<ceo@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nSubject: forged\r\n\r\nx";
        smtp.send_raw(format!("Subject: x\r\n\r\nbody{end}{smuggled}\r\n.\r\n"))
            .await;
        let reply = smtp.line().await;
        assert!(reply.starts_with('5'), "{end:?} was answered {reply:?}");
    }
    let mut imap = house.imap("bob").await;
    let lines = imap.ask_all("2 STATUS INBOX (MESSAGES)", "2 OK").await;
    assert_eq!(lines[0], "* STATUS INBOX (MESSAGES 0)");
}
