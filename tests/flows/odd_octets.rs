//! Odd messages come out octet for octet as they went in.

use mailcore_tests::{StoreKind, World};

/// Messages that parsers trip over: no header, no body, broken MIME, octets
/// outside ASCII, dots, long lines, sizes around the limits of staging.
fn odd_messages() -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = vec![
        b"\r\n".to_vec(),
        b"no header at all\r\n".to_vec(),
        b"Subject: no body\r\n".to_vec(),
        b"Subject: =?utf-8?q?broken\r\n\tfolded: \r\n\r\n.\r\n..\r\n.x\r\n".to_vec(),
        b"Content-Type: multipart/mixed; boundary=\"\r\n\r\n--\r\n----\r\n".to_vec(),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n--b\r\n--b--\r\n--b--\r\n".to_vec(),
        b"Subject: \xff\xfe\xe2\x82\xac\r\nX: \x01\x7f\r\n\r\n\x80\x81\r\n".to_vec(),
        [b"Subject: long\r\n\r\n".as_slice(), &[b'x'; 20_000], b"\r\n"].concat(),
    ];
    for size in [65_000usize, 65_536, 70_000, 200_000, 1_000_000] {
        let line: Vec<u8> = (0..70u8).map(|i| b'!' + i).chain(*b"\r\n").collect();
        let mut message = b"Subject: size\r\n\r\n".to_vec();
        while message.len() < size {
            message.extend_from_slice(&line);
        }
        messages.push(message);
    }
    messages
}

#[tokio::test]
async fn octet_for_octet_by_append_and_by_smtp() {
    for kind in [StoreKind::Memory, StoreKind::Embedded] {
        let world = World::new();
        let house = world.house("mx.a.test", "a.test", &["bob"], kind).await;
        let messages = odd_messages();
        let mut imap = house.imap("bob").await;
        let mut smtp = house.smtp("smtp").await;
        imap.ask_all("c CREATE Odd", "c OK").await;
        for (n, message) in messages.iter().enumerate() {
            imap.send(&format!("a{n} APPEND Odd {{{}+}}", message.len()))
                .await;
            imap.send_raw(message).await;
            imap.send_raw("\r\n").await;
            imap.until(&format!("a{n} OK")).await;
            let reply = smtp
                .send_mail("x@else.test", &["bob@a.test"], message)
                .await;
            assert!(reply.starts_with("250"), "message {n}: {reply}");
        }
        for (mailbox, exact) in [("Odd", true), ("INBOX", false)] {
            imap.ask_all(&format!("s SELECT {mailbox}"), "s OK").await;
            for (n, message) in messages.iter().enumerate() {
                imap.send(&format!("f FETCH {} BODY.PEEK[]", n + 1)).await;
                let line = imap.line().await;
                let got = imap.literal(&line).await;
                imap.until("f OK").await;
                assert!(
                    if exact {
                        got == *message
                    } else {
                        got.ends_with(message)
                    },
                    "{mailbox} message {n} changed"
                );
            }
        }
        let mut pop3 = house.pop3("bob").await;
        for (n, message) in messages.iter().enumerate() {
            pop3.ask(&format!("RETR {}", n + 1), "+OK").await;
            assert!(
                pop3.multiline().await.ends_with(message),
                "POP3 message {n} changed"
            );
        }
    }
}
