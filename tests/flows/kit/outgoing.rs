//! Mail to other hosts: captured, put off, refused.

use std::time::Duration;

use mailcore::envelope::Envelope;
use mailcore::status::Status;
use mailcore::testing::matchers::{anything, from, subject, text, to};
use mailcore::testing::{Answer, MemoryServer, Place};

use crate::server;

async fn submit(server: &MemoryServer, from: &str, to: &str, subject: &str) {
    let from = format!("<{from}>");
    let envelope = Envelope::new(
        mailcore::address::ReversePath::parse(&from).unwrap(),
        [to.parse().unwrap()],
    );
    let message = format!("From: {from}\r\nSubject: {subject}\r\n\r\nhello\r\n");
    let sent = server.running().submit(envelope, message).await;
    drop(sent.unwrap());
}

#[tokio::test]
async fn mail_to_other_hosts_is_captured_and_goes_nowhere() {
    let server = server().virtual_time().start().await.unwrap();
    submit(&server, "shop@app.test", "x@else.test", "order").await;
    let mail = server.expect_outgoing(to("x@else.test")).await;
    assert_eq!(mail.subject, "order");
    assert_eq!(mail.place, Place::Elsewhere);
    assert_eq!(mail.reverse_path.to_string(), "shop@app.test");
    server.expect_none(anything()).await;
    server.expect_no_outgoing(anything()).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_host_that_puts_mail_off_gets_it_when_it_is_ready() {
    let server = server().virtual_time().start().await.unwrap();
    let later = Status::transient(4, 1, "come back later");
    server.answer_outgoing("else.test", Answer::Defers(later));
    submit(&server, "shop@app.test", "x@else.test", "order").await;
    server
        .expect_no_outgoing(anything())
        .within(Duration::from_secs(6 * 3600))
        .await;
    server.answer_outgoing("else.test", Answer::Takes);
    let day = Duration::from_secs(24 * 3600);
    server.expect_outgoing(subject("order")).within(day).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_host_that_refuses_makes_a_notice_to_the_sender() {
    let server = server().virtual_time().start().await.unwrap();
    let never = Status::permanent(1, 1, "no such user here");
    server.answer_outgoing("else.test", Answer::Refuses(never));
    submit(&server, "shop@app.test", "x@else.test", "order").await;
    let notice = server.expect_mail(to("shop@app.test").and(from(""))).await;
    assert!(notice.text.contains("no such user here"), "{}", notice.text);
    assert!(
        notice
            .attachments
            .iter()
            .any(|it| it.media_type == "message/rfc822"),
        "{:?}",
        notice.attachments
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_week_of_retries_ends_in_a_notice_at_once() {
    let server = server().virtual_time().start().await.unwrap();
    let scope = server.scope();
    let later = Status::transient(4, 1, "come back later");
    server.answer_outgoing("else.test", Answer::Defers(later));
    let sender = scope.address("shop").to_string();
    submit(&server, &sender, "x@else.test", "order").await;
    let week = Duration::from_secs(8 * 24 * 3600);
    let notice = text("come back later").and(subject("not")).and(from(""));
    scope.expect_mail(notice).within(week).await;
    // What another scope sends is not this one's.
    submit(&server, "shop@app.test", "x@free.test", "other").await;
    server.expect_outgoing(subject("other")).await;
    assert!(scope.outgoing().is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn a_purge_takes_what_waits_in_the_queue_of_its_scope_alone() {
    let server = server().virtual_time().start().await.unwrap();
    let (one, two) = (server.scope(), server.scope());
    let later = Status::transient(4, 1, "come back later");
    server.answer_outgoing("else.test", Answer::Defers(later));
    for scope in [&one, &two] {
        let sender = scope.address("shop").to_string();
        submit(&server, &sender, "x@else.test", "order").await;
    }
    server.run_for(Duration::from_secs(60)).await;
    one.purge().await.unwrap();
    server.answer_outgoing("else.test", Answer::Takes);
    let day = Duration::from_secs(24 * 3600);
    two.expect_outgoing(subject("order")).within(day).await;
    one.expect_no_outgoing(anything()).within(day).await;
    server.shutdown().await;
}
