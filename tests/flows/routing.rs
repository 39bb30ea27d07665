//! What domains, accounts and single addresses say about their mail: where it
//! goes, who gets a copy, and what is not taken.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::route::{handler_key, keys};
use mailcore::seams::{
    AccountChange, Administration, DeliveryAgent, DeliveryJob, DirectoryWrite, DomainKind,
    KeepCopy, Redirect, Scope, Sending, Settings,
};
use mailcore::server::Builder;
use mailcore::status::Outcome;
use mailcore_smtp::server::Smtp;
use mailcore_tests::Desk;

const MESSAGE: &[u8] = b"From: x@b.test\r\nSubject: hi\r\n\r\nhi\r\n";
const ATTACHED: &[u8] = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\n\
    Content-Disposition: attachment; filename=a.pdf\r\n\r\nx\r\n--b--\r\n";
/// AUTH PLAIN of ann@a.test.
const ANN: &str = "AUTH PLAIN AGFubkBhLnRlc3QAY29ycmVjdCBob3JzZQ==";

/// Takes everything, and remembers from whom, to whom and where it went.
#[derive(Debug, Default)]
struct Gateway(tokio::sync::Mutex<Vec<(String, String, String)>>);

#[async_trait]
impl DeliveryAgent for Gateway {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let mut taken = self.0.lock().await;
        for to in &job.recipients {
            let hop = format!("{:?}", job.next_hop);
            taken.push((job.reverse_path.to_string(), to.address.to_string(), hop));
        }
        vec![Outcome::Delivered; job.recipients.len()]
    }
}

impl Gateway {
    /// Who got mail, and from whom it was.
    async fn sent(&self) -> Vec<String> {
        let taken = self.0.lock().await;
        let mut sent: Vec<String> = (taken.iter())
            .map(|(from, to, _)| format!("{from} > {to}"))
            .collect();
        sent.sort();
        sent
    }
}

async fn desk(users: &[&str], furnish: impl FnOnce(Builder) -> Builder) -> (Desk, Arc<Gateway>) {
    let gateway = Arc::new(Gateway::default());
    let agent = gateway.clone();
    let desk = Desk::new(users, |it| furnish(it.agent("smtp", agent))).await;
    (desk, gateway)
}

async fn set(desk: &Desk, domain: &str, key: &str, value: &str) {
    let scope = Scope::Domain(domain.parse().unwrap());
    desk.directory.set(&scope, key, Some(value)).await.unwrap();
}

async fn handle(desk: &Desk, user: &str, handler: &str) {
    let key = handler_key(&Desk::address(user)).unwrap();
    set(desk, "a.test", &key, handler).await;
}

async fn change(desk: &Desk, user: &str, change: AccountChange) {
    let address = Desk::address(user);
    desk.directory
        .change_account(&address, &change)
        .await
        .unwrap();
}

fn redirect(to: &str, copy: KeepCopy) -> AccountChange {
    let to = to.parse().unwrap();
    AccountChange {
        redirect: Some(Some(Redirect { to, copy })),
        ..AccountChange::default()
    }
}

async fn send(desk: &Desk, to: &[&str]) -> String {
    desk.smtp().await.send_mail("x@b.test", to, MESSAGE).await
}

#[tokio::test]
async fn an_account_passes_its_mail_on_with_and_without_a_copy() {
    let (desk, gateway) = desk(&["ann", "bob", "cat"], |it| it).await;
    change(&desk, "ann", redirect("bob@a.test", KeepCopy::No)).await;
    change(&desk, "cat", redirect("far@c.test", KeepCopy::Yes)).await;
    assert!(
        send(&desk, &["ann@a.test", "cat@a.test"])
            .await
            .starts_with("250")
    );
    desk.wait(10).await;
    for (user, count) in [("ann", 0), ("bob", 1), ("cat", 1)] {
        assert_eq!(desk.messages(user, "INBOX").await.len(), count, "{user}");
    }
    assert_eq!(gateway.sent().await, ["x@b.test > far@c.test"]);
}

#[tokio::test]
async fn a_redirect_waits_for_its_copy_and_is_sent_once() {
    let (desk, gateway) = desk(&["cat", "dog"], |it| it).await;
    change(&desk, "cat", redirect("far@c.test", KeepCopy::Yes)).await;
    desk.quota("cat", 10).await;
    assert!(
        send(&desk, &["cat@a.test", "dog@a.test"])
            .await
            .starts_with("250")
    );
    desk.wait(3_600).await;
    assert!(gateway.sent().await.is_empty());
    desk.quota("cat", 1_000_000).await;
    desk.wait(24 * 3_600).await;
    assert_eq!(desk.messages("cat", "INBOX").await.len(), 1);
    assert_eq!(gateway.sent().await, ["x@b.test > far@c.test"]);
}

#[tokio::test]
async fn two_accounts_that_pass_mail_on_to_each_other_refuse_it() {
    let (desk, _) = desk(&["ann", "bob"], |it| it).await;
    change(&desk, "ann", redirect("bob@a.test", KeepCopy::No)).await;
    change(&desk, "bob", redirect("ann@a.test", KeepCopy::No)).await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<ann@a.test>", "554 5.4.6").await;
    // Kept copies end it: each has it once.
    change(&desk, "ann", redirect("bob@a.test", KeepCopy::Yes)).await;
    change(&desk, "bob", redirect("ann@a.test", KeepCopy::Yes)).await;
    assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    desk.wait(24 * 3_600).await;
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn an_account_for_mail_within_the_server_writes_to_nobody_else() {
    let (desk, gateway) = desk(&["ann", "bob"], |it| it.serve(Smtp::submission())).await;
    let sending = Some(Sending::LocalOnly);
    let local = AccountChange {
        sending,
        ..AccountChange::default()
    };
    change(&desk, "ann", local).await;
    let stream = desk.server.connect("submission").unwrap();
    let mut smtp = mailcore_tests::Dialogue::new(stream);
    smtp.expect("220 ").await;
    smtp.ask("EHLO client.test", "250").await;
    smtp.ask(ANN, "235").await;
    smtp.ask("MAIL FROM:<ann@a.test>", "250").await;
    smtp.ask("RCPT TO:<far@c.test>", "550 5.7.1 your account")
        .await;
    smtp.ask("RCPT TO:<bob@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send_raw(b"From: ann@a.test\r\nSubject: hi\r\n\r\nhi\r\n")
        .await;
    smtp.ask(".", "250").await;
    desk.wait(10).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert!(gateway.sent().await.is_empty());
}

#[tokio::test]
async fn a_handler_comes_before_what_an_address_stands_for() {
    let (desk, gateway) = desk(&["ann", "bob", "eve"], |it| it).await;
    let alias = DomainKind::Alias {
        of: "a.test".parse().unwrap(),
    };
    let other = "other.test".parse().unwrap();
    desk.directory.add_domain(&other, alias).await.unwrap();
    handle(&desk, "ann", "to bob@a.test\ncopy far@c.test").await;
    handle(&desk, "bob", "mailbox Lists\ncopy eve@a.test").await;
    handle(&desk, "gone", "discard").await;
    handle(&desk, "no", "refuse nobody reads this").await;
    handle(&desk, "inner", "host inner.test:2525").await;
    // By the alias domain, with a detail and in another case, too.
    assert!(
        send(&desk, &["Ann+detail@other.test", "gone@a.test"])
            .await
            .starts_with("250")
    );
    assert!(send(&desk, &["inner@a.test"]).await.starts_with("250"));
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<no@a.test>", "550 5.7.1 nobody reads this")
        .await;
    desk.wait(10).await;
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 0);
    assert_eq!(
        desk.messages("bob", "INBOX").await.len() + desk.messages("bob", "Lists").await.len(),
        1
    );
    assert_eq!(desk.messages("eve", "INBOX").await.len(), 1);
    assert_eq!(
        gateway.sent().await,
        ["x@b.test > far@c.test", "x@b.test > inner@a.test"]
    );
}

#[tokio::test]
async fn what_an_address_does_not_take_is_refused_at_rcpt_or_at_the_end() {
    let (desk, _) = desk(&["ann", "bob"], |it| it).await;
    handle(&desk, "ann", "max-size 100\nno-attachments").await;
    desk.alias("info", &["ann@a.test"]).await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test> SIZE=101", "250").await;
    smtp.ask("RCPT TO:<info@a.test>", "552 5.3.4").await;
    smtp.ask("RCPT TO:<bob@a.test>", "250").await;
    smtp.ask("RSET", "250").await;
    assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    let reply = smtp.send_mail("x@b.test", &["ann@a.test"], ATTACHED).await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    handle(&desk, "ann", "no-attachments").await;
    let reply = smtp.send_mail("x@b.test", &["ann@a.test"], ATTACHED).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    // Beside one who takes it, the copy is kept apart.
    let both = ["ann@a.test", "bob@a.test"];
    assert!(
        smtp.send_mail("x@b.test", &both, ATTACHED)
            .await
            .starts_with("250")
    );
    assert_eq!(desk.messages("ann", "Junk").await.len(), 1);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    set(&desk, "a.test", keys::MAX_SIZE, "50").await;
    smtp.ask("MAIL FROM:<x@b.test> SIZE=51", "250").await;
    smtp.ask("RCPT TO:<bob@a.test>", "552 5.3.4").await;
}

#[tokio::test]
async fn a_split_domain_hands_on_what_it_does_not_have() {
    let (desk, gateway) = desk(&["ann"], |it| it).await;
    set(&desk, "a.test", keys::UNKNOWN_TO, "old.test:2525").await;
    set(&desk, "a.test", keys::OUTBOUND, "out.test").await;
    assert!(
        send(&desk, &["ann@a.test", "zoe@a.test"])
            .await
            .starts_with("250")
    );
    desk.alias("far", &["far@c.test"]).await;
    let mut smtp = desk.smtp().await;
    let sent = smtp.send_mail("ann@a.test", &["far@a.test"], MESSAGE).await;
    assert!(sent.starts_with("250"), "{sent}");
    desk.wait(10).await;
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 1);
    let taken = gateway.0.lock().await;
    let hops: Vec<&str> = taken.iter().map(|(.., hop)| hop.as_str()).collect();
    assert!(
        hops[0].contains("old.test") && hops[0].contains("2525"),
        "{hops:?}"
    );
    assert!(hops[1].contains("out.test"), "{hops:?}");
}

#[tokio::test]
async fn a_relayed_domain_takes_listed_addresses_only_where_it_is_told_so() {
    let (desk, _) = desk(&[], |it| it).await;
    let inner = DomainKind::Relay {
        host: "inner.test".parse().unwrap(),
        port: 25,
    };
    let domain = "relay.test".parse().unwrap();
    desk.directory.add_domain(&domain, inner).await.unwrap();
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<any@relay.test>", "250").await;
    set(&desk, "relay.test", keys::LISTED_ONLY, "yes").await;
    smtp.ask("RCPT TO:<any@relay.test>", "550 5.1.1").await;
    set(&desk, "relay.test", "handler.listed", "").await;
    smtp.ask("RCPT TO:<listed@relay.test>", "250").await;
}

#[tokio::test]
async fn a_copy_is_made_where_the_queue_is_to_tell_of_success_too() {
    let (desk, gateway) = desk(&["ann", "eve"], |it| it).await;
    handle(&desk, "inner", "host inner.test:2525\ncopy eve@a.test").await;
    let inner = Desk::address("inner");
    desk.directory
        .add_alias(&Desk::address("way"), &[inner])
        .await
        .unwrap();
    for (count, to) in [(1, "inner@a.test"), (2, "way@a.test")] {
        let mut smtp = desk.smtp().await;
        smtp.ask("MAIL FROM:<x@b.test>", "250").await;
        smtp.ask(&format!("RCPT TO:<{to}> NOTIFY=SUCCESS"), "250")
            .await;
        smtp.ask("DATA", "354").await;
        smtp.ask("From: x@b.test\r\n\r\nhi\r\n.", "250").await;
        desk.wait(10).await;
        assert_eq!(desk.messages("eve", "INBOX").await.len(), count, "{to}");
    }
    let sent = gateway.sent().await;
    let inner = |line: &&String| line.ends_with("> inner@a.test");
    assert_eq!(sent.iter().filter(inner).count(), 2, "{sent:?}");
}
