//! Waiting for mail: what comes with it, and what a failure tells.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::plan::{Finding, Plan, Stage};
use mailcore::seams::{Filter, FilterSession, IncomingMail, Verdict};
use mailcore::status::Status;
use mailcore::testing::matchers::{
    anything, attachment, from, header, matching, subject, text, to,
};
use mailcore::testing::{MemoryServer, RefusedWhat};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_tests::Dialogue;

use crate::server;

const REPORT: &str = "From: Shop <shop@app.test>\r\n\
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=b\r\n\
\r\n\
--b\r\n\
Content-Type: multipart/alternative; boundary=c\r\n\
\r\n\
--c\r\n\
Content-Type: text/plain; charset=iso-8859-1\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
f=FCr dich\r\n\
--c\r\n\
Content-Type: text/html\r\n\
\r\n\
<b>you</b>\r\n\
--c--\r\n\
--b\r\n\
Content-Type: application/pdf; name=\"report.pdf\"\r\n\
Content-Disposition: attachment; filename=\"report.pdf\"\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
JVBERg==\r\n\
--b--\r\n";

#[tokio::test]
async fn mail_comes_with_its_parts_decoded() {
    let server = server().start().await.unwrap();
    server
        .send("shop@app.test", "ann@app.test", REPORT)
        .await
        .unwrap();
    let wanted = to("Ann@app.test")
        .and(from("shop@app.test"))
        .and(subject("grüße"))
        .and(text("für dich"))
        .and(header("content-type", "multipart/mixed"))
        .and(attachment("report.pdf").or(attachment("report.txt")))
        .and(matching("is small", |mail| mail.octets.len() < 2_000))
        .and(!subject("draft"));
    let mail = server.expect_mail(wanted).await;
    assert_eq!(mail.subject, "Grüße");
    assert_eq!(mail.text.trim_end(), "für dich");
    assert_eq!(mail.html.trim_end(), "<b>you</b>");
    assert_eq!(mail.attachments.len(), 1);
    assert_eq!(mail.attachments[0].octets, b"%PDF");
    assert_eq!(mail.attachments[0].media_type, "application/pdf");
    assert_eq!(mail.reverse_path.to_string(), "shop@app.test");
    assert_eq!(mail.recipients[0].to_string(), "ann@app.test");
    assert!(mail.octets.ends_with(REPORT.as_bytes()));
    server.shutdown().await;
}

#[tokio::test]
async fn the_transcript_has_both_sides_and_no_password() {
    let server = server().start().await.unwrap();
    let mut smtp = Dialogue::new(server.connect_submission().unwrap());
    smtp.expect("220").await;
    smtp.ask("EHLO client.test", "250").await;
    let secret = mailcore_tests::base64(b"\0ann@app.test\0geheim");
    smtp.ask(&format!("AUTH PLAIN {secret}"), "235").await;
    let sent = b"From: <ann@app.test>\r\nSubject: x\r\n\r\nsecret body\r\n";
    smtp.send_mail("ann@app.test", &["bob@app.test"], sent)
        .await;
    let mail = server.expect_mail(to("bob@app.test")).await;
    let said = &mail.transcript;
    for line in [
        "S: 220 ",
        "C: EHLO client.test",
        "C: AUTH PLAIN\n",
        "S: 235 ",
        "C: MAIL FROM:<ann@app.test>",
        "C: RCPT TO:<bob@app.test>",
        "S: 354 ",
    ] {
        assert!(said.contains(line), "{line:?} in\n{said}");
    }
    assert!(
        !said.contains(&secret) && !said.contains("secret body"),
        "{said}"
    );
    server.shutdown().await;
}

#[derive(Debug)]
struct Opinions;

#[async_trait]
impl Filter for Opinions {
    fn name(&self) -> &str {
        "opinions"
    }

    async fn rcpt(&self, _: &FilterSession, _: &ReversePath, recipient: &Address) -> Verdict {
        match recipient.local_part() {
            "nobody" => Verdict::Reject(Status::permanent(1, 1, "no such user")),
            _ => Verdict::Continue,
        }
    }

    async fn message(&self, _: &FilterSession, _: &IncomingMail<'_>, plan: &mut Plan) {
        let finding = Finding::new(Stage::Content, "words", "cheap");
        plan.findings.push(finding.on("body").score(1.5));
    }
}

#[tokio::test]
async fn each_message_has_the_verdicts_of_its_own_filters() {
    let server = server().filter(Arc::new(Opinions)).start().await.unwrap();
    let mut smtp = Dialogue::new(server.connect_smtp().unwrap());
    smtp.expect("220").await;
    smtp.ask("EHLO client.test", "250").await;
    for name in ["one", "two"] {
        let message = format!("Subject: {name}\r\n\r\nx\r\n");
        let to = [&*format!("{name}@app.test")];
        smtp.send_mail("", &to, message.as_bytes()).await;
    }
    for name in ["one", "two"] {
        let mail = server.expect_mail(subject(name)).await;
        let said: Vec<String> = mail.verdicts.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "connect opinions: Continue",
                "helo opinions: Continue",
                "mail opinions: Continue",
                "rcpt opinions: Continue",
                "data opinions: Continue",
                "message opinions: words +1.5 (cheap on body)",
            ]
        );
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_failure_lists_what_came_nearest_first_and_what_was_refused() {
    let server = server()
        .filter(Arc::new(Opinions))
        .virtual_time()
        .start()
        .await
        .unwrap();
    let send = async |to: &str, subject: &str| {
        let message = format!("Subject: {subject}\n\nhello");
        server.send("shop@app.test", to, &message).await
    };
    send("zoe@app.test", "newsletter").await.unwrap();
    send("ann@app.test", "Your invoice 17").await.unwrap();
    send("nobody@app.test", "lost").await.unwrap_err();
    let wanted = to("ann@app.test").and(subject("invoice 18"));
    let unmet = server
        .expect_mail(wanted)
        .within(Duration::from_secs(3600))
        .result()
        .await
        .unwrap_err();
    assert_eq!(
        unmet.to_string(),
        "expected mail: to ann@app.test and subject contains \"invoice 18\", within 3600s\
         \n  2 came, the nearest first:\
         \n    from <shop@app.test> to ann@app.test, subject \"Your invoice 17\"\
         \n      not: subject contains \"invoice 18\": it is \"Your invoice 17\"\
         \n    from <shop@app.test> to zoe@app.test, subject \"newsletter\"\
         \n      not: to ann@app.test: it is zoe@app.test\
         \n      not: subject contains \"invoice 18\": it is \"newsletter\"\
         \n  1 refused:\
         \n    recipient refused: from <shop@app.test> to <nobody@app.test>: 5.1.1 no such user"
    );
    assert_eq!(unmet.refused[0].what, RefusedWhat::Recipient);
    assert!(
        unmet.refused[0]
            .transcript
            .contains("RCPT TO:<nobody@app.test>")
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_message_answers_one_expectation() {
    let server = server().virtual_time().start().await.unwrap();
    for _ in 0..3 {
        server
            .send("", "ann@app.test", "Subject: again\n\nx")
            .await
            .unwrap();
    }
    server.expect_mail(to("ann@app.test")).await;
    let rest = server.expect_count(subject("again"), 2).await;
    assert_eq!(rest.len(), 2);
    server.expect_none(anything()).await;
    let unmet = server.expect_mail(anything()).result().await.unwrap_err();
    assert!(
        unmet
            .to_string()
            .contains("an expectation before has had it")
    );
    assert_eq!(server.mail().len(), 3);
    let too_many = server.expect_count(subject("again"), 1).result().await;
    assert!(too_many.is_err());
    server.shutdown().await;
}

#[tokio::test]
async fn in_real_time_mail_is_waited_for_until_it_comes() {
    let server = server().start().await.unwrap();
    let sent = server.send("", "ann@app.test", "Subject: later\n\nx");
    let (mail, sent) = tokio::join!(server.expect_mail(subject("later")), sent);
    assert!(sent.unwrap().starts_with("250"));
    assert_eq!(mail.text, "x\r\n");
    let none = server
        .expect_mail(subject("never"))
        .within(Duration::from_millis(1));
    assert!(none.result().await.is_err());
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_to_do() {
    let server = MemoryServer::builder("app.test")
        .stores(MemoryStore::with)
        .serve(Smtp::mx())
        .start()
        .await
        .unwrap();
    assert_eq!(
        server.connect_imap().unwrap_err().to_string(),
        "no imap service; give the builder one: .serve(Imap::new())"
    );
    server.running().service("smtp").unwrap().stop().await;
    assert_eq!(
        server.connect_smtp().unwrap_err().to_string(),
        "the smtp service is stopped; start it: .service(\"smtp\")"
    );
    let nothing = MemoryServer::builder("app.test").start().await.unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "no store; give the builder one: .stores(MemoryStore::with)"
    );
}
