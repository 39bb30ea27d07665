//! Notices as they are written.

use bytes::Bytes;

use super::*;
use crate::address::ReversePath;
use crate::envelope::OriginalRecipient;
use crate::event::TraceId;
use crate::queue::{Origin, QueueId, QueueProgress};

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
        progress: QueueProgress::new([], Timestamp::EPOCH, Timestamp::EPOCH),
    }
}

fn failed(address: &str) -> ReportedRecipient {
    let failure = Failure {
        status: Status::permanent(
            1,
            1,
            "User unknown: нет такого; please check the spelling of the address and send it again",
        ),
        remote: Some("mx.bad.test".parse().unwrap()),
        reply_code: Some(550),
    };
    let recipient = Recipient::new(address.parse().unwrap());
    ReportedRecipient::unreached(recipient, ReportedAction::Failed, failure)
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
        ..failed("carol@slow.test")
    };
    let (text, params) = notice(&entry, vec![gone, waits]).await;
    assert_eq!(text, golden(include_str!("tests/failure_and_delay.txt")));
    assert_eq!(params, MailParams::default());
}

#[tokio::test]
async fn the_whole_message_is_returned_when_asked_for_and_small() {
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
