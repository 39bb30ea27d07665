use mail_parser::{HeaderName, MessageParser, MimeHeaders};
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::message::{MAX_LINE_LENGTH, Summary};
use mailcore::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::engine::{Importance, Notify, Vacation};

const HEADER: &[u8] = b"From: Boss <boss@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Message-ID: <1@example.com>\r\n\r\n";

fn at() -> Timestamp {
    Timestamp::from_secs(1_795_000_000)
}

fn ann() -> Address {
    Address::parse("ann@example.org").unwrap()
}

fn with<T>(write: impl FnOnce(&Letterhead<'_>, &Trigger<'_>) -> T) -> T {
    let hostname = Domain::parse("mx.example.org").unwrap();
    let head = Letterhead {
        hostname: &hostname,
        at: at(),
        id: 7,
    };
    let sender = ReversePath::parse("<boss@example.com>").unwrap();
    let owner = ann();
    write(
        &head,
        &Trigger {
            header: HEADER,
            reverse_path: &sender,
            recipient: &owner,
        },
    )
}

fn answer() -> Vacation {
    Vacation {
        to: "boss@example.com".into(),
        from: String::new(),
        subject: "Auto: Grüße".into(),
        reason: "I'm away.\nBack on Monday.".into(),
        mime: false,
        in_reply_to: Some("<1@example.com>".into()),
        references: vec!["<0@example.com>".into(), "<1@example.com>".into()],
        handle: String::new(),
        seconds: 0,
        fcc: None,
    }
}

fn notice(method: &str) -> Notify {
    Notify {
        method: method.into(),
        from: None,
        importance: Importance::Normal,
        options: Vec::new(),
        message: None,
        fcc: None,
    }
}

/// Every letter is well-formed, by our reading and by another's.
fn sound(message: &[u8]) -> mail_parser::Message<'_> {
    assert!(message.is_ascii() && message.ends_with(b"\r\n"));
    let text = String::from_utf8(message.to_vec()).unwrap();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
    assert!(text.lines().all(|line| line.len() <= MAX_LINE_LENGTH));
    assert_eq!(
        Summary::scan(message).header_len() as usize,
        text.find("\r\n\r\n").unwrap() + 4
    );
    let parsed = MessageParser::default().parse(message).unwrap();
    for name in [
        HeaderName::From,
        HeaderName::To,
        HeaderName::Date,
        HeaderName::MessageId,
    ] {
        assert_eq!(
            parsed
                .headers()
                .iter()
                .filter(|field| field.name == name)
                .count(),
            1
        );
    }
    assert_eq!(parsed.date().unwrap().to_timestamp(), at().secs());
    parsed
}

#[test]
fn an_answer_names_what_it_answers_and_that_nobody_wrote_it() {
    let letter = with(|head, on| vacation(head, &answer(), on.recipient)).unwrap();
    assert_eq!(letter.reverse_path, ReversePath::Null);
    let message = sound(&letter.message);
    assert_eq!(message.subject(), Some("Auto: Grüße"));
    assert_eq!(message.in_reply_to().as_text(), Some("1@example.com"));
    assert_eq!(message.references().as_text_list().unwrap().len(), 2);
    let auto = message.header("Auto-Submitted").unwrap().as_text();
    assert_eq!(auto, Some("auto-replied (vacation)"));
    assert_eq!(
        message.body_text(0).unwrap(),
        "I'm away.\r\nBack on Monday.\r\n"
    );
    let from = message.from().unwrap().first().unwrap();
    assert_eq!(from.address(), Some("ann@example.org"));
}

#[test]
fn an_answer_is_from_whom_the_script_says() {
    let mut answer = answer();
    answer.from = "Ann Müller <ann@sub.example.org>".into();
    let letter = with(|head, on| vacation(head, &answer, on.recipient)).unwrap();
    let message = sound(&letter.message);
    let from = message.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("Ann Müller"));
    assert_eq!(from.address(), Some("ann@sub.example.org"));
    answer.from = "nobody".into();
    assert!(with(|head, on| vacation(head, &answer, on.recipient)).is_err());
}

#[test]
fn a_mime_part_brings_its_own_fields_and_no_others() {
    let mut answer = answer();
    answer.mime = true;
    answer.reason = "Content-Type: multipart/alternative; boundary=foo\nBcc: eve@example.net\n\n\
                     --foo\n\nplain\n--foo\nContent-Type: text/html\n\n<p>ü</p>\n--foo--\n"
        .into();
    let letter = with(|head, on| vacation(head, &answer, on.recipient)).unwrap();
    let message = MessageParser::default().parse(&letter.message[..]).unwrap();
    assert!(message.bcc().is_none());
    assert_eq!(
        message.content_type().unwrap().subtype(),
        Some("alternative")
    );
    assert!(message.body_html(0).unwrap().contains("ü"));
    for bad in [
        "Content-Description: ü\n\nx".to_owned(),
        "x".repeat(999),
        "\n\0".to_owned(),
    ] {
        answer.reason = bad;
        let error = with(|head, on| vacation(head, &answer, on.recipient)).unwrap_err();
        assert!(matches!(error, LetterError::Mime(_)));
    }
}

#[test]
fn a_notice_goes_where_its_uri_says() {
    // RFC 5436 section 3, and fields of RFC 6068 section 2.
    let mut notice = notice(
        "mailto:0123456789@sms.example.net?to=backup@example.com&cc=c%40example.com\
         &subject=from%20the%20URI&body=B%C3%BCro&from=eve@example.net&X-A=1&received=x",
    );
    notice.message = Some("From Knitting list: A new sweater".into());
    notice.importance = Importance::High;
    let letter = with(|head, on| notification(head, &notice, on)).unwrap();
    let to: Vec<String> = letter.recipients.iter().map(ToString::to_string).collect();
    assert_eq!(
        to,
        [
            "0123456789@sms.example.net",
            "backup@example.com",
            "c@example.com"
        ]
    );
    assert_eq!(letter.reverse_path, ReversePath::Address(ann()));
    let message = sound(&letter.message);
    assert_eq!(message.subject(), Some("From Knitting list: A new sweater"));
    assert_eq!(
        message.from().unwrap().first().unwrap().address(),
        Some("ann@example.org")
    );
    let auto = message.header("Auto-Submitted").unwrap().as_text();
    assert_eq!(auto, Some("auto-notified; owner-email=\"ann@example.org\""));
    assert_eq!(message.header("X-A").unwrap().as_text(), Some("1"));
    assert_eq!(message.body_text(0).unwrap(), "Büro\r\n");
    assert!(message.header("Received").is_none());
}

#[test]
fn a_notice_about_a_bounce_can_not_bounce() {
    let letter = with(|head, on| {
        let on = Trigger {
            reverse_path: &ReversePath::Null,
            ..*on
        };
        notification(head, &notice("mailto:ann@example.net"), &on)
    });
    let letter = letter.unwrap();
    assert_eq!(letter.reverse_path, ReversePath::Null);
    let message = sound(&letter.message);
    assert_eq!(message.subject(), Some("Grüße"));
    assert!(
        message
            .body_text(0)
            .unwrap()
            .contains("From: Boss <boss@example.com>")
    );
}

#[test]
fn a_refusal_is_a_notice_of_disposition() {
    let letter = with(|head, on| refusal(head, "No birdseed, weiß Gott!", on)).unwrap();
    assert_eq!(letter.reverse_path, ReversePath::Null);
    assert_eq!(letter.recipients[0].to_string(), "boss@example.com");
    let message = sound(&letter.message);
    let content = message.content_type().unwrap();
    assert_eq!(content.subtype(), Some("report"));
    assert_eq!(
        content.attribute("report-type"),
        Some("disposition-notification")
    );
    assert_eq!(message.parts.len(), 4);
    assert!(message.body_text(0).unwrap().contains("weiß Gott"));
    let text = String::from_utf8(letter.message.to_vec()).unwrap();
    assert!(text.contains("\r\nDisposition: automatic-action/MDN-sent-automatically; deleted\r\n"));
    assert!(text.contains("\r\nFinal-Recipient: rfc822; ann@example.org\r\n"));
    assert!(text.contains("\r\nOriginal-Message-ID: <1@example.com>\r\n"));
    let nobody = with(|head, on| {
        let on = Trigger {
            reverse_path: &ReversePath::Null,
            ..*on
        };
        refusal(head, "no", &on)
    });
    assert_eq!(nobody, None);
}

proptest! {
    #[test]
    fn any_words_make_sound_letters(
        subject in "\\PC{0,200}|[ -~\\r\\n\\t\\x00]{0,1200}",
        reason in "(\\PC{0,120}[\\r\\n]{0,2}){0,6}|[a-z.=]{0,3000}",
        header in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut answer = answer();
        answer.subject.clone_from(&subject);
        answer.reason.clone_from(&reason);
        let letter = with(|head, on| vacation(head, &answer, on.recipient)).unwrap();
        let read = sound(&letter.message).body_text(0).unwrap_or_default().into_owned();
        prop_assert_eq!(read, body::lines(&reason));

        let sound_about = |letter: Option<Written>| letter.map(|letter| { sound(&letter.message); });
        let mut header = header;
        header.splice(0..0, HEADER[..HEADER.len() - 2].iter().copied());
        with(|head, on| {
            let on = Trigger { header: &header, ..*on };
            sound_about(refusal(head, &reason, &on));
            sound_about(notification(head, &notice("mailto:a@example.org"), &on).ok());
        });
    }
}
