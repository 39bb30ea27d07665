//! What is made of the header of mail on its way in: forged and doubled fields
//! are refused, private and foreign ones taken out (RFC 6409 sections 6 and 8).

use mailcore_tests::{Dialogue, House, StoreKind, World, base64};

async fn house() -> (World, House) {
    let world = World::new();
    let house = world
        .house(
            "mx.a.test",
            "a.test",
            &["alice", "bob"],
            StoreKind::Embedded,
        )
        .await;
    (world, house)
}

async fn alice(house: &House) -> Dialogue {
    let mut submission = house.smtp("submission").await;
    let login = base64(format!("\0alice@a.test\0{}", mailcore_tests::PASSWORD).as_bytes());
    submission
        .ask(&format!("AUTH PLAIN {login}"), "235 2.7.0")
        .await;
    submission
}

/// The message that bob has as number `number`.
async fn bobs(house: &House, number: u32) -> String {
    let mut pop3 = house.pop3("bob").await;
    pop3.ask(&format!("RETR {number}"), "+OK").await;
    String::from_utf8(pop3.multiline().await).unwrap()
}

#[tokio::test]
async fn submitted_mail_names_its_author_once_and_truly() {
    let (_world, house) = house().await;
    let mut submission = alice(&house).await;
    for (header, want) in [
        ("From: bob@a.test\r\n", "550 5.7.1"),
        ("From: alice@a.test, bob@a.test\r\n", "550 5.7.1"),
        ("From: alice@a.test\r\nSender: bob@a.test\r\n", "550 5.7.1"),
        ("From: alice@a.test\r\nFrom: bob@a.test\r\n", "550 5.6.0"),
        (
            "From: alice@a.test\r\nTo: x@y.test\r\nTo: z@y.test\r\n",
            "550 5.6.0",
        ),
        ("From: alice@a.test, alice+x@a.test\r\n", "550 5."),
        ("From: alice@a.test\r\nSubject: a\x1bb\r\n", "550 5.6.0"),
        ("From: nobody in particular:;\r\n", "550 5.6.0"),
    ] {
        let message = format!("{header}\r\nbody\r\n");
        let reply = submission
            .send_mail("alice@a.test", &["bob@a.test"], message.as_bytes())
            .await;
        assert!(reply.starts_with(want), "{header:?}: {reply}");
    }
    let message = b"From: Alice <alice@a.test>\r\nSubject: mine\r\n\r\nbody\r\n";
    let reply = submission
        .send_mail("alice@a.test", &["bob@a.test"], message)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    let text = bobs(&house, 1).await;
    assert!(
        text.ends_with("From: Alice <alice@a.test>\r\nSubject: mine\r\n\r\nbody\r\n"),
        "{text}"
    );
    house.shutdown().await;
}

#[tokio::test]
async fn nobody_reads_who_had_a_blind_copy_and_a_missing_author_is_added() {
    let (_world, house) = house().await;
    let mut submission = alice(&house).await;
    let body = "0123456789\r\n".repeat(20_000);
    let message = format!(
        "From: alice@a.test\r\nBcc: bob@a.test,\r\n hidden@a.test\r\nReturn-Path: <x@y.test>\r\nSubject: long\r\n\r\n{body}"
    );
    let reply = submission
        .send_mail("alice@a.test", &["bob@a.test"], message.as_bytes())
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    let text = bobs(&house, 1).await;
    assert!(
        text.contains("From: alice@a.test\r\nSubject: long\r\n\r\n0123"),
        "{:.400}",
        text
    );
    assert!(!text.contains("hidden") && !text.contains("x@y.test"));
    assert!(text.ends_with(&body));

    let reply = submission
        .send_mail(
            "alice@a.test",
            &["bob@a.test"],
            b"Subject: bare\r\n\r\nbody\r\n",
        )
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    let text = bobs(&house, 2).await;
    assert!(text.contains("From: <alice@a.test>\r\n"), "{text}");
    house.shutdown().await;
}

#[tokio::test]
async fn mail_from_others_claims_nothing_that_this_server_says() {
    let (_world, house) = house().await;
    let mut smtp = house.smtp("smtp").await;
    let message = b"Return-Path: <forged@else.test>\r\nAuthentication-Results: MX.a.test; spf=pass\r\n\
        Authentication-Results: other.test; spf=pass\r\nFrom: x@else.test\r\nBcc: kept@else.test\r\n\r\nbody\r\n";
    let reply = smtp
        .send_mail("x@else.test", &["bob@a.test"], message)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    let text = bobs(&house, 1).await;
    assert!(
        !text.contains("forged@") && !text.contains("MX.a.test; spf"),
        "{text}"
    );
    assert!(
        text.contains("other.test; spf=pass") && text.contains("kept@"),
        "{text}"
    );
    let reply = smtp
        .send_mail(
            "x@else.test",
            &["bob@a.test"],
            b"From: x@else.test\r\nFrom: boss@a.test\r\n\r\nbody\r\n",
        )
        .await;
    assert!(reply.starts_with("550 5.6.0"), "{reply}");
    // A header without end is no header.
    let endless = "X-Long: 0123456789\r\n".repeat(60_000);
    let reply = smtp
        .send_mail("x@else.test", &["bob@a.test"], endless.as_bytes())
        .await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    house.shutdown().await;
}

#[tokio::test]
async fn the_header_of_binary_content_has_lines_that_all_read_alike() {
    let (_world, house) = house().await;
    for forged in [
        &b"From: alice@a.test\rFrom: bob@a.test\r\n\r\nbody\r\n"[..],
        b"From: alice@a.test\nFrom: bob@a.test\r\n\r\nbody\r\n",
        b"From: alice@a.test\r\nX: a\r\rFrom: bob@a.test\r\n\r\nbody\r\n",
        b"From: alice@a.test\r\nX: a\n\nFrom: bob@a.test\r\n\r\nbody\r\n",
        b"From: alice@a.test\r\nX: \0\r\n\r\nbody\r\n",
    ] {
        let mut submission = alice(&house).await;
        let mut smtp = house.smtp("smtp").await;
        for dialogue in [&mut submission, &mut smtp] {
            dialogue
                .ask("MAIL FROM:<alice@a.test> BODY=BINARYMIME", "250")
                .await;
            dialogue.ask("RCPT TO:<bob@a.test>", "250").await;
            dialogue.send(&format!("BDAT {} LAST", forged.len())).await;
            dialogue.send_raw(forged).await;
            let reply = dialogue.line().await;
            assert!(reply.starts_with("550 5.6.0"), "{forged:?}: {reply}");
        }
    }
    let mut submission = alice(&house).await;
    let binary = b"From: alice@a.test\r\nResent-Bcc: hidden@a.test\r\n\r\na\rb\nc\0";
    submission
        .ask("MAIL FROM:<alice@a.test> BODY=BINARYMIME", "250")
        .await;
    submission.ask("RCPT TO:<bob@a.test>", "250").await;
    submission.send("BDAT 10").await;
    submission.send_raw(&binary[..10]).await;
    assert!(submission.line().await.starts_with("250"));
    submission
        .send(&format!("BDAT {} LAST", binary.len() - 10))
        .await;
    submission.send_raw(&binary[10..]).await;
    assert!(submission.line().await.starts_with("250"));
    let mut pop3 = house.pop3("bob").await;
    pop3.ask("STAT", "+OK 1 ").await;
    house.shutdown().await;
}

#[tokio::test]
async fn a_message_without_a_header_gets_one_and_keeps_its_body() {
    let (_world, house) = house().await;
    let mut submission = alice(&house).await;
    let cases: [(&[u8], &str); 4] = [
        (b"", "From: <alice@a.test>\r\n"),
        (b"\r\n", "From: <alice@a.test>\r\n\r\n"),
        (
            b"\r\nFrom: bob@a.test\r\n",
            "From: <alice@a.test>\r\n\r\nFrom: bob@a.test\r\n",
        ),
        (
            b"From: alice@a.test\r\nBcc: x@y.test\r\n",
            "From: alice@a.test\r\n",
        ),
    ];
    for (number, (message, end)) in (1..).zip(cases) {
        let reply = submission
            .send_mail("alice@a.test", &["bob@a.test"], message)
            .await;
        assert!(reply.starts_with("250"), "{message:?}: {reply}");
        let text = bobs(&house, number).await;
        assert!(
            text.trim_end().ends_with(end.trim_end()),
            "{message:?}: {text}"
        );
        assert!(!text.contains("Bcc"), "{text}");
    }
    house.shutdown().await;
}
