//! Notices as they are written.

use bytes::Bytes;

use super::*;
use crate::address::ReversePath;
use crate::envelope::OriginalRecipient;
use crate::event::TraceId;
use crate::queue::{Origin, QueueId, QueueProgress};
use crate::status::EnhancedStatusCode;

fn entry(params: MailParams, message: impl Into<Bytes>) -> QueueEntry {
    QueueEntry {
        id: QueueId(1),
        trace: TraceId(1),
        reverse_path: ReversePath::Address("s@there.test".parse().unwrap()),
        params,
        origin: Origin::Received,
        received_at: Timestamp::from_secs(1_767_225_600),
        message: Message::from_bytes(message)
            .with_prefix("Received: from host.there.test ([192.0.2.1])\r\n\tby mx.here.test\r\n"),
        findings: std::sync::Arc::default(),
        progress: QueueProgress::new([], Timestamp::EPOCH, Timestamp::EPOCH),
    }
}

fn failed(address: &str) -> ReportedRecipient {
    let status = Status::permanent(
        1,
        1,
        "User unknown: нет такого; please check the spelling of the address and send it again",
    );
    let failure = Failure {
        remote: Some("mx.bad.test".parse().unwrap()),
        reply_code: Some(550),
        at: Some(Timestamp::from_secs(1_767_229_140)),
        ..Failure::local(status)
    };
    let recipient = Recipient::new(address.parse().unwrap());
    ReportedRecipient::new(recipient, ReportedAction::Failed, failure)
}

async fn notice(entry: &QueueEntry, recipients: Vec<ReportedRecipient>) -> (String, MailParams) {
    let report = Report {
        entry,
        hostname: &"mx.here.test".parse().unwrap(),
        at: Timestamp::from_secs(1_767_229_200),
        id: 0xabc,
        recipients,
        from: None,
        returned_in_full: 48 * 1_024,
    };
    let sender = entry.reverse_path.address().unwrap();
    let notice = write(&report, sender).await;
    let octets = notice.message.read_all(1 << 20).await.unwrap();
    let text = String::from_utf8(octets.to_vec()).unwrap();
    assert!(
        text.split("\r\n")
            .all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
    );
    (text, notice.params)
}

/// The golden text with CRLF for LF.
fn golden(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[tokio::test]
async fn a_failure_and_a_delay_in_one_notice() {
    let params = MailParams {
        envelope_id: Some("QQ+314159".into()),
        ..MailParams::default()
    };
    let entry = entry(params, "Subject: hi\r\nFrom: s@there.test\r\n\r\nbody\r\n");
    let mut gone = failed("bob@bad.test");
    gone.recipient.original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "Bob@Old.test".into(),
    });
    gone.status = Status::permanent(1, 1, "User unknown");
    let retry_until = Timestamp::from_secs(1_767_830_400);
    let waits = ReportedRecipient {
        action: ReportedAction::Delayed { retry_until },
        status: Status::transient(
            4,
            1,
            "no answer from the host; it may be down or it may not take mail any more",
        ),
        remote: None,
        reply_code: None,
        last_attempt: None,
        ..failed("carol@slow.test")
    };
    let (text, params) = notice(&entry, vec![gone, waits]).await;
    assert_eq!(text, golden(include_str!("tests/failure_and_delay.txt")));
    assert_eq!(params, MailParams::default());
}

#[tokio::test]
async fn the_whole_message_is_returned_when_small_and_fit() {
    let params = MailParams {
        ret: Some(Ret::Full),
        ..MailParams::default()
    };
    let small = "Subject: hi\r\n\r\nпривет\r\n";
    let (text, params) = notice(&entry(params.clone(), small), vec![failed("b@bad.test")]).await;
    assert!(text.contains(
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReceived: "
    ));
    assert!(text.contains("\r\nSubject: hi\r\n\r\nпривет\r\n\r\n--="));
    assert_eq!(params.body, BodyType::EightBitMime);
    assert!(!params.smtputf8);

    let params = MailParams {
        ret: Some(Ret::Full),
        ..MailParams::default()
    };
    let large = format!("Subject: hi\r\n\r\n{}", "x\r\n".repeat(50_000));
    let (text, _) = notice(&entry(params.clone(), large), vec![failed("b@bad.test")]).await;
    assert!(text.contains("text/rfc822-headers") && text.len() < 10_000);
    // Nothing another host could take for the end of the data is passed on.
    let stray = "Subject: hi\r\n\r\na\n.\nb\r\n";
    let (text, _) = notice(&entry(params, stray), vec![failed("b@bad.test")]).await;
    assert!(text.contains("text/rfc822-headers"));
}

#[tokio::test]
async fn a_reply_is_quoted_as_it_came_and_a_silent_host_is_not_quoted() {
    let entry = entry(MailParams::default(), "Subject: hi\r\n\r\nbody\r\n");
    let mut said = failed("b@bad.test");
    said.status = Status::permanent(0, 0, "no mailbox moved away");
    said.said = Some("550-no mailbox 550 moved away".into());
    let silent = ReportedRecipient {
        status: Status::transient(4, 1, "192.0.2.9:25: no answer in time"),
        reply_code: None,
        ..failed("c@bad.test")
    };
    let mut taken = failed("d@bad.test");
    (taken.action, taken.reply_code) = (ReportedAction::Relayed, Some(250));
    taken.status = Status::new(EnhancedStatusCode::success(0, 0), "queued as 7");
    let (text, _) = notice(&entry, vec![said, silent, taken]).await;
    let groups: Vec<&str> = text.split("\r\n\r\nFinal-Recipient: ").collect();
    assert!(groups[1].contains("Diagnostic-Code: smtp; 550-no mailbox 550 moved away\r\n"));
    assert!(groups[1].contains("Remote-MTA: dns; mx.bad.test\r\n"));
    assert!(groups[2].contains("x-mailcore; 4.4.1 192.0.2.9:25: no answer"));
    assert!(!groups[2].contains("Remote-MTA"));
    assert!(text.contains("    mx.bad.test: 4.4.1 192.0.2.9:25"));
    assert!(groups[3].contains("Diagnostic-Code: smtp; 250 2.0.0 queued as 7\r\n"));
}

#[tokio::test]
async fn a_sender_finds_its_words_as_it_wrote_them() {
    let params = MailParams {
        envelope_id: Some("a  B".into()),
        ret: Some(Ret::Headers),
        ..MailParams::default()
    };
    let mut gone = failed("b@bad.test");
    gone.recipient.original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "\"x  y\"@Old.test".into(),
    });
    let long = "x".repeat(3_000);
    gone.said = Some(format!("550-{long} 550 end"));
    let (text, _) = notice(&entry(params, "Subject: hi\r\n\r\nbody\r\n"), vec![gone]).await;
    assert!(text.contains("\r\nOriginal-Envelope-Id: a  B\r\n"));
    assert!(text.contains("\r\nOriginal-Recipient: rfc822; \"x  y\"@Old.test\r\n"));
    assert!(text.contains(" 550 end\r\n"), "the whole reply, in lines");
    assert!(text.contains("text/rfc822-headers") && !text.contains("body"));
}

#[tokio::test]
async fn a_notice_about_mail_for_tls_alone_asks_for_tls_and_gives_no_body_back() {
    let params = MailParams {
        ret: Some(Ret::Full),
        require_tls: true,
        ..MailParams::default()
    };
    let entry = entry(params, "Subject: hi\r\n\r\nsecret\r\n");
    let (text, params) = notice(&entry, vec![failed("b@bad.test")]).await;
    assert!(params.require_tls);
    assert!(text.contains("text/rfc822-headers") && !text.contains("secret"));
}

#[tokio::test]
async fn a_server_named_beyond_ascii_signs_in_ascii() {
    let entry = entry(MailParams::default(), "Subject: hi\r\n\r\nbody\r\n");
    let report = Report {
        entry: &entry,
        hostname: &"mx.b\u{fc}cher.test".parse().unwrap(),
        at: Timestamp::from_secs(1_767_229_200),
        id: 0xabc,
        recipients: vec![failed("b@bad.test")],
        from: None,
        returned_in_full: 0,
    };
    let notice = write(&report, entry.reverse_path.address().unwrap()).await;
    let octets = notice.message.read_all(1 << 20).await.unwrap();
    let header = octets.split(|octet| *octet == b'\r').take(7);
    assert!(header.flatten().all(u8::is_ascii));
    assert!(!notice.params.smtputf8);
}

#[tokio::test]
async fn utf8_stays_where_the_sender_takes_it_and_is_encoded_elsewhere() {
    let message = "Subject: привет \r\nX: a\tb\r\n\r\n";
    let plain = entry(MailParams::default(), message);
    let (text, params) = notice(&plain, vec![failed("юзер@bad.test")]).await;
    assert!(text.contains("Final-Recipient: utf-8; \\x{44E}\\x{437}\\x{435}\\x{440}@bad.test\r\n"));
    assert!(text.contains("Diagnostic-Code: smtp; 550 5.1.1 User unknown: ??? ??????; please"));
    assert!(text.contains("Subject: =D0=BF=D1=80=D0=B8=D0=B2=D0=B5=D1=82=20\r\nX: a\tb\r\n"));
    assert!(!params.smtputf8);

    let params = MailParams {
        smtputf8: true,
        ret: Some(Ret::Headers),
        ..MailParams::default()
    };
    let (text, params) = notice(&entry(params, message), vec![failed("юзер@bad.test")]).await;
    assert!(text.contains("Content-Type: message/global-delivery-status\r\n"));
    assert!(text.contains("Final-Recipient: utf-8; юзер@bad.test\r\n"));
    assert!(text.contains(
        "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReceived: "
    ));
    assert!(text.contains("\r\nSubject: привет"));
    assert!(params.smtputf8 && params.body == BodyType::EightBitMime);
}

#[tokio::test]
async fn a_header_that_never_ends_is_cut_at_a_line() {
    let endless = "X-Long: 0123456789\r\n".repeat(10_000);
    let (text, _) = notice(
        &entry(MailParams::default(), endless),
        vec![failed("b@bad.test")],
    )
    .await;
    assert!(text.len() < 40_000);
    assert!(text.contains("X-Long: 0123456789\r\n\r\n--="));
}
