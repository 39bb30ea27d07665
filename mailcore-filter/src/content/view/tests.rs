use super::*;

async fn view_of(mail: &str) -> View {
    let mail = Message::from_bytes(mail.as_bytes().to_vec());
    let summary = mail.summarize().await.unwrap();
    View::read(&mail, &summary, &ViewLimits::default())
        .await
        .unwrap()
}

const MAIL: &str = "Subject: =?koi8-r?Q?=F2=D5=D3?=\r\n fold\r\nX: a\r\nx: b\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Sch=F6n http://plain.example.com/=41\r\n\
    --b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    PGEgaHJlZj0naHR0cDovL2h0bWwuZXhhbXBsZS5uZXQnPng8L2E+\r\n\
    --b\r\nContent-Type: application/pdf\r\n\r\nhttp://pdf.example.org\r\n\
    --b\r\nContent-Type: text/html; name=a.html\r\n\r\n<form action='http://file.example.org'>\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhttp://inner.example.com\r\n\
    --b\r\n\r\nlast\r\n--b--\r\n";

#[tokio::test]
async fn texts_are_decoded_and_placed() {
    let view = view_of(MAIL).await;
    assert_eq!(view.field("SUBJECT"), Some("Рус fold"));
    assert_eq!(view.fields("X").count(), 2);
    let texts: Vec<_> = view
        .texts
        .iter()
        .map(|it| (it.part, it.placement, it.seen().trim()))
        .collect();
    assert_eq!(
        texts,
        [
            (1, Placement::Inline, "Schön http://plain.example.com/A"),
            (2, Placement::Inline, "x"),
            (4, Placement::Attached, ""),
            (6, Placement::Nested, "http://inner.example.com"),
            (7, Placement::Inline, "last"),
        ]
    );
    let urls: Vec<_> = view.urls.iter().map(ToString::to_string).collect();
    assert_eq!(
        urls,
        [
            "http://plain.example.com/A",
            "http://html.example.net/",
            "http://file.example.org/"
        ]
    );
    assert!(!view.is_cut);
}

#[tokio::test]
async fn text_beyond_the_limit_is_left_out() {
    let part = "--b\r\n\r\n".to_owned() + &"x".repeat(400_000) + "\r\n";
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let view = view_of(&(head.to_owned() + &part.repeat(5) + "--b--")).await;
    let lengths: Vec<_> = view.texts.iter().map(|it| it.seen().len()).collect();
    assert_eq!(lengths, [400_000, 400_000, 248_576]);
    assert!(view.is_cut);

    let view = view_of(&(head.to_owned() + &"--b\r\n\r\nx\r\n".repeat(1000))).await;
    assert_eq!(view.texts.len(), 200);
    assert!(view.is_cut);
}

#[tokio::test]
async fn a_summary_of_another_message_reads_nothing_beyond() {
    let other = Message::from_bytes(MAIL.as_bytes().to_vec());
    let summary = other.summarize().await.unwrap();
    let mail = Message::from_bytes("Subject: x\r\n\r\nshort");
    let view = View::read(&mail, &summary, &ViewLimits::default())
        .await
        .unwrap();
    assert!(view.texts.iter().all(|it| it.seen().is_empty()));
}
