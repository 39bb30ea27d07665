//! One message for several recipients: what each gets, and that nobody is
//! forgotten when one of them can't be served.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::intake::HookError;
use mailcore::limits::Limits;
use mailcore::mailbox::MailboxName;
use mailcore::plan::{Action, Disposition, Edit, Plan};
use mailcore::seams::{
    DeliveryAgent, DeliveryJob, DirectoryWrite, DomainKind, Filter, FilterSession, IncomingMail,
    Rules, RulesInput, Ruling,
};
use mailcore::server::{Server, SubmitError};
use mailcore::status::{Outcome, Status};
use mailcore_smtp::server::Smtp;
use mailcore_tests::{Desk, Dialogue};

const MESSAGE: &[u8] = b"From: x@b.test\r\nSubject: hi\r\n\r\nhi\r\n";

/// Does to each recipient's copy what its local part says.
#[derive(Debug)]
struct ByName;

#[async_trait]
impl Filter for ByName {
    fn name(&self) -> &str {
        "by-name"
    }

    async fn message(&self, _: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        for (copy, to) in plan.recipients.iter_mut().zip(&mail.envelope.recipients) {
            copy.disposition = match to.address.local_part() {
                "refuse" | "refuse2" => Disposition::Reject(Status::permanent(7, 1, "unwanted")),
                "discard" => Disposition::Discard,
                "never" => std::future::pending().await,
                _ => Disposition::Accept,
            };
            copy.edits.push(Edit::AddHeader {
                name: "X-Seen".to_owned(),
                value: to.address.to_string(),
            });
        }
    }
}

async fn failed_notices(desk: &Desk, user: &str) -> Vec<String> {
    let mut all = desk.messages(user, "INBOX").await;
    all.retain(|text| text.contains("Action: failed"));
    all
}

#[tokio::test]
async fn a_message_that_all_filters_refuse_is_refused_and_the_session_goes_on() {
    let desk = Desk::new(&["refuse", "refuse2", "bob"], |it| {
        it.filter(Arc::new(ByName))
    })
    .await;
    let mut smtp = desk.smtp().await;
    let to = ["refuse@a.test", "refuse2@a.test"];
    let reply = smtp.send_mail("x@b.test", &to, MESSAGE).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let reply = smtp.send_mail("x@b.test", &["bob@a.test"], MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(desk.messages("refuse", "Junk").await.len(), 0);
    let kept = desk.messages("bob", "INBOX").await;
    assert!(kept[0].contains("X-Seen: bob@a.test\r\n"), "{kept:?}");
}

#[tokio::test]
async fn a_copy_refused_beside_an_accepted_one_is_kept_apart_without_a_notice() {
    let desk = Desk::new(&["refuse", "bob", "x"], |it| it.filter(Arc::new(ByName))).await;
    let to = ["refuse@a.test", "bob@a.test"];
    let reply = desk.smtp().await.send_mail("x@a.test", &to, MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(10).await;
    assert_eq!(desk.messages("refuse", "Junk").await.len(), 1);
    assert_eq!(desk.messages("refuse", "INBOX").await.len(), 0);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("x", "INBOX").await.len(), 0);
}

#[tokio::test]
async fn by_lmtp_each_recipient_hears_its_own() {
    let desk = Desk::new(&["refuse", "bob", "full"], |it| it.filter(Arc::new(ByName))).await;
    desk.quota("full", 10).await;
    let mut lmtp = Dialogue::new(desk.server.connect("lmtp").unwrap());
    lmtp.expect("220").await;
    lmtp.ask("LHLO client.test", "250").await;
    let to = ["refuse@a.test", "bob@a.test", "full@a.test"];
    let first = lmtp.send_mail("x@b.test", &to, MESSAGE).await;
    assert!(first.starts_with("550 5.7.1"), "{first}");
    lmtp.expect("250").await;
    lmtp.expect("552 5.2.2").await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("refuse", "Junk").await.len(), 0);
}

#[tokio::test]
async fn a_discarded_copy_is_accepted_and_goes_nowhere() {
    let desk = Desk::new(&["discard"], |it| it.filter(Arc::new(ByName))).await;
    let reply = desk
        .smtp()
        .await
        .send_mail("x@b.test", &["discard@a.test"], MESSAGE)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(desk.messages("discard", "INBOX").await.len(), 0);
}

#[tokio::test]
async fn a_filter_that_never_answers_defers_the_message() {
    let desk = Desk::new(&["never"], |it| it.filter(Arc::new(ByName))).await;
    let mut smtp = desk.smtp().await;
    let sent =
        tokio::spawn(async move { smtp.send_mail("x@b.test", &["never@a.test"], MESSAGE).await });
    desk.wait(61).await;
    let reply = sent.await.unwrap();
    assert!(reply.starts_with("451 4.3.2"), "{reply}");
    assert_eq!(desk.messages("never", "INBOX").await.len(), 0);
}

#[tokio::test]
async fn a_full_mailbox_among_others_is_tried_again_and_told_once_in_the_end() {
    let desk = Desk::new(&["full", "bob", "sender"], |it| it).await;
    desk.quota("full", 10).await;
    let to = ["full@a.test", "bob@a.test"];
    let reply = desk
        .smtp()
        .await
        .send_mail("sender@a.test", &to, MESSAGE)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    desk.wait(8 * 24 * 3_600).await;
    let notices = failed_notices(&desk, "sender").await;
    assert_eq!(notices.len(), 1);
    assert!(
        notices[0].contains("Final-Recipient: rfc822; full@a.test"),
        "{}",
        notices[0]
    );
    assert!(notices[0].contains("Status: 4.2.2"), "{}", notices[0]);
    assert_eq!(
        desk.messages("bob", "INBOX").await.len(),
        1,
        "bob got one copy"
    );
}

#[tokio::test]
async fn a_full_mailbox_that_is_emptied_gets_its_copy() {
    let desk = Desk::new(&["full", "bob", "sender"], |it| it).await;
    desk.quota("full", 10).await;
    // An alias must not send its other members a second copy.
    desk.alias("team", &["full@a.test", "bob@a.test"]).await;
    let reply = desk
        .smtp()
        .await
        .send_mail("sender@a.test", &["team@a.test"], MESSAGE)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.quota("full", 1_000_000).await;
    desk.wait(3_600).await;
    assert_eq!(desk.messages("full", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("sender", "INBOX").await.len(), 0);
}

#[tokio::test]
async fn a_full_mailbox_alone_is_told_to_the_sender_at_once() {
    let desk = Desk::new(&["full"], |it| it).await;
    desk.quota("full", 10).await;
    let reply = desk
        .smtp()
        .await
        .send_mail("x@b.test", &["full@a.test"], MESSAGE)
        .await;
    assert!(reply.starts_with("552 5.2.2"), "{reply}");
}

#[tokio::test]
async fn a_message_with_too_many_hops_is_refused_whatever_its_size() {
    let desk = Desk::new(&["bob"], |it| it).await;
    let mut smtp = desk.smtp().await;
    for size in [10, 300_000] {
        let mut message = b"Received: from a by b; Sun, 22 Nov 2026 02:00:00 +0000\r\n".repeat(100);
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&b"0123456789\r\n".repeat(size / 12 + 1));
        let reply = smtp.send_mail("x@b.test", &["bob@a.test"], &message).await;
        assert!(reply.starts_with("554 5.4.6"), "{size}: {reply}");
    }
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 0);
}

#[tokio::test]
async fn a_copy_that_comes_back_is_refused_and_the_others_are_served() {
    let desk = Desk::new(&["alice", "bob", "sender"], |it| it).await;
    let mut message = b"Delivered-To: Alice@a.test\r\nSubject: again\r\n\r\n".to_vec();
    message.extend_from_slice(&b"0123456789\r\n".repeat(10_000));
    let mut smtp = desk.smtp().await;
    let reply = smtp
        .send_mail("sender@a.test", &["alice@a.test"], &message)
        .await;
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    let to = ["alice@a.test", "bob@a.test"];
    let reply = smtp.send_mail("sender@a.test", &to, &message).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(10).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("alice", "INBOX").await.len(), 0);
    let notices = failed_notices(&desk, "sender").await;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("Status: 5.4.6"), "{}", notices[0]);
}

#[tokio::test]
async fn an_alias_of_itself_leads_nowhere_and_a_dead_member_is_told() {
    let desk = Desk::new(&["bob", "sender"], |it| it).await;
    desk.alias("round", &["about@a.test"]).await;
    desk.alias("about", &["round@a.test"]).await;
    desk.alias("team", &["bob@a.test", "gone@a.test", "team@a.test"])
        .await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<sender@a.test>", "250").await;
    smtp.ask("RCPT TO:<round@a.test>", "554 5.4.6").await;
    smtp.ask("RSET", "250").await;
    let reply = smtp
        .send_mail("sender@a.test", &["team@a.test"], MESSAGE)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(10).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    let notices = failed_notices(&desk, "sender").await;
    assert_eq!(notices.len(), 1);
    assert!(
        notices[0].contains("Final-Recipient: rfc822; gone@a.test"),
        "{}",
        notices[0]
    );
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_session_goes_on() {
    let limits = {
        let mut limits = Limits::default();
        limits.message_size = 100_000;
        limits
    };
    let desk = Desk::new(&["bob"], |it| it.limits(limits)).await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test> SIZE=100001", "552 5.3.4")
        .await;
    let long = b"0123456789\r\n".repeat(10_000);
    let reply = smtp.send_mail("x@b.test", &["bob@a.test"], &long).await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    let reply = smtp.send_mail("x@b.test", &["bob@a.test"], MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn what_a_closure_refuses_after_others_took_it_is_told_in_a_notice() {
    let desk = Desk::new(&["bob", "sender"], |it| {
        it.deliver_to("orders@a.test", |_| async {
            Err(HookError::Refuse("closed on Sundays".to_owned()))
        })
    })
    .await;
    let mut smtp = desk.smtp().await;
    let reply = smtp
        .send_mail("sender@a.test", &["orders@a.test"], MESSAGE)
        .await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let to = ["orders@a.test", "bob@a.test"];
    let reply = smtp.send_mail("sender@a.test", &to, MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(10).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    let notices = failed_notices(&desk, "sender").await;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("closed on Sundays"), "{}", notices[0]);
}

#[tokio::test]
async fn a_closure_that_does_not_return_is_left_to_the_queue() {
    let desk = Desk::new(&[], |it| {
        it.deliver_to("orders@a.test", |_| std::future::pending())
    })
    .await;
    let mut smtp = desk.smtp().await;
    let sent = tokio::spawn(async move {
        smtp.send_mail("x@b.test", &["orders@a.test"], MESSAGE)
            .await
    });
    desk.wait(121).await;
    let reply = sent.await.unwrap();
    assert!(reply.starts_with("250"), "{reply}");
}

#[tokio::test]
async fn without_a_store_no_mail_is_taken_that_nobody_keeps() {
    let directory = Desk::new(&["bob"], |it| it).await.directory;
    let server = Server::builder("mx.a.test")
        .directory(Arc::new(directory))
        .deliver_to("orders@a.test", |_| async { Ok(()) })
        .deliver_to("later@a.test", |_| async {
            Err(HookError::TryLater("busy".to_owned()))
        })
        .serve(Smtp::mx())
        .start()
        .await
        .unwrap();
    let mut smtp = Dialogue::new(server.connect("smtp").unwrap());
    smtp.expect("220").await;
    smtp.ask("EHLO client.test", "250").await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<bob@a.test>", "451 4.3.5").await;
    smtp.ask("RSET", "250").await;
    let to = ["orders@a.test", "later@a.test"];
    let reply = smtp.send_mail("x@b.test", &to, MESSAGE).await;
    assert!(reply.starts_with("451"), "told at once: {reply}");
    let reply = smtp.send_mail("x@b.test", &to[..1], MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
}

/// Keeps mail and sends it on to the next in the ring.
#[derive(Debug)]
struct Ring(Address, Address);

#[async_trait]
impl Rules for Ring {
    async fn evaluate(&self, input: &RulesInput<'_>) -> Ruling {
        let to = match input.recipient {
            one if *one == self.0 => self.1.clone(),
            one if *one == self.1 => self.0.clone(),
            _ => return Ruling::keep(),
        };
        Ruling::actions([Action::file(MailboxName::inbox()), Action::redirect(to)])
    }
}

#[tokio::test]
async fn rules_that_send_mail_round_in_a_ring_stop_after_one_turn() {
    let desk = Desk::new(&["alice", "bob", "sender"], |it| {
        it.rules(Arc::new(Ring(Desk::address("alice"), Desk::address("bob"))))
    })
    .await;
    let mut smtp = desk.smtp().await;
    smtp.send_mail("sender@a.test", &["alice@a.test"], MESSAGE)
        .await;
    desk.wait(600).await;
    assert_eq!(desk.messages("alice", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(failed_notices(&desk, "sender").await.len(), 1);
}

#[tokio::test]
async fn a_full_mailbox_that_sends_on_does_not_do_so_at_each_attempt() {
    let desk = Desk::new(&["alice", "bob", "carol"], |it| {
        it.rules(Arc::new(Ring(Desk::address("alice"), Desk::address("bob"))))
    })
    .await;
    desk.quota("alice", 10).await;
    let to = ["alice@a.test", "carol@a.test"];
    let reply = desk.smtp().await.send_mail("x@b.test", &to, MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(24 * 3_600).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 0);
    desk.quota("alice", 1_000_000).await;
    desk.wait(24 * 3_600).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("alice", "INBOX").await.len(), 1);
}

/// Takes everything and remembers it.
#[derive(Debug, Default)]
struct Gateway(tokio::sync::Mutex<Vec<(String, String)>>);

#[async_trait]
impl DeliveryAgent for Gateway {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let octets = job.message.read_all(u64::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&octets).into_owned();
        let mut taken = self.0.lock().await;
        let to = job.recipients.iter().map(|to| to.address.to_string());
        taken.extend(to.map(|to| (to, text.clone())));
        vec![Outcome::Delivered; job.recipients.len()]
    }
}

#[tokio::test]
async fn what_filters_say_counts_for_relayed_mail_too() {
    let gateway = Arc::new(Gateway::default());
    let desk = Desk::new(&[], |it| {
        it.filter(Arc::new(ByName)).agent("smtp", gateway.clone())
    })
    .await;
    let inner = DomainKind::Relay {
        host: "inner.test".parse().unwrap(),
        port: 25,
    };
    let domain = "relay.test".parse().unwrap();
    desk.directory.add_domain(&domain, inner).await.unwrap();
    let mut smtp = desk.smtp().await;
    let to = ["bob@relay.test", "refuse@relay.test", "discard@relay.test"];
    let reply = smtp.send_mail("x@b.test", &to, MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(10).await;
    let taken = gateway.0.lock().await;
    let [(to, text)] = taken.as_slice() else {
        panic!("one copy goes on: {taken:?}")
    };
    assert_eq!(to, "bob@relay.test");
    assert!(text.contains("X-Seen: bob@relay.test\r\n"), "{text}");
    drop(taken);
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    for hole in [
        "victim%c.test@relay.test",
        "c.test!victim@relay.test",
        "\"victim@c.test\"@relay.test",
        "victim@c.test",
        "victim@[192.0.2.99]",
        "victim%c.test@a.test",
        "@relay.test:victim@c.test",
    ] {
        smtp.ask(&format!("RCPT TO:<{hole}>"), "55").await;
    }
}

#[tokio::test]
async fn the_sender_of_a_submission_hears_of_each_recipient_once_and_soon() {
    let desk = Desk::new(&["alice", "bob", "discard", "full"], |it| {
        it.filter(Arc::new(ByName))
            .deliver_to("orders@a.test", |_| async { Ok(()) })
    })
    .await;
    desk.alias("team", &["alice@a.test", "bob@a.test", "gone@a.test"])
        .await;
    desk.quota("full", 10).await;
    let to = ["alice", "alice", "team", "orders", "discard", "full"].map(Desk::address);
    let envelope = Envelope::new(ReversePath::Null, to);
    let sent = desk.server.submit(envelope, MESSAGE).await.unwrap();
    let outcome = tokio::spawn(sent.outcome());
    desk.wait(8 * 24 * 3_600).await;
    let told: Vec<(String, bool)> = outcome
        .await
        .unwrap()
        .unwrap()
        .into_iter()
        .map(|one| (one.recipient, one.success))
        .collect();
    let want = [
        ("alice", true),
        ("alice", true),
        ("team", false),
        ("orders", true),
        ("discard", true),
        ("full", false),
    ];
    let want = want.map(|(user, success)| (Desk::address(user).to_string(), success));
    assert_eq!(told, want);
    assert_eq!(desk.messages("alice", "INBOX").await.len(), 1);

    let nobody = Envelope::new(ReversePath::Null, [Desk::address("nobody")]);
    let refused = desk.server.submit(nobody, MESSAGE).await;
    assert!(
        matches!(refused, Err(SubmitError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_copy_held_back_is_waited_for_no_longer_than_the_queue_keeps_mail() {
    let desk = Desk::new(&["bob"], |it| {
        it.filter(Arc::new(ByName))
            .agent("smtp", Arc::new(Gateway::default()))
    })
    .await;
    let to = ["refuse@c.test", "bob@a.test"].map(|to| to.parse().unwrap());
    let sent = desk
        .server
        .submit(Envelope::new(ReversePath::Null, to), MESSAGE)
        .await
        .unwrap();
    let outcome = tokio::spawn(sent.outcome());
    desk.clock.run_for(Duration::from_secs(170 * 3_600)).await;
    let told = outcome.await.unwrap().unwrap();
    assert_eq!(
        (told[0].success, told[1].success),
        (false, true),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_sender_who_asks_is_told_of_success() {
    let desk = Desk::new(&["bob", "sender"], |it| it).await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<sender@a.test>", "250").await;
    smtp.ask("RCPT TO:<bob@a.test> NOTIFY=SUCCESS", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send("Subject: hi\r\n\r\nhi\r\n.").await;
    smtp.expect("250").await;
    desk.wait(10).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    let notices = desk.messages("sender", "INBOX").await;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("Action: delivered"), "{}", notices[0]);
}

#[tokio::test]
async fn a_long_list_is_served_through_the_queue_with_what_filters_added() {
    let users: Vec<String> = (0..600).map(|n| format!("user{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let desk = Desk::new(&users, |it| it.filter(Arc::new(ByName))).await;
    let members: Vec<String> = users.iter().map(|user| format!("{user}@a.test")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    desk.alias("all", &members).await;
    let reply = desk
        .smtp()
        .await
        .send_mail("x@b.test", &["all@a.test"], MESSAGE)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(10).await;
    for user in users {
        let kept = desk.messages(user, "INBOX").await;
        assert_eq!(kept.len(), 1, "{user}");
        assert!(kept[0].contains("X-Seen: all@a.test\r\n"), "{}", kept[0]);
    }
}

/// Tags the subject of who wants it tagged, and takes a field out for others.
#[derive(Debug)]
struct ByWish;

#[async_trait]
impl Filter for ByWish {
    fn name(&self) -> &str {
        "by-wish"
    }

    async fn message(&self, _: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        for (copy, to) in plan.recipients.iter_mut().zip(&mail.envelope.recipients) {
            let local = to.address.local_part();
            copy.edits.extend(match local {
                "tag" | "tag2" => Some(Edit::TagSubject {
                    text: "[SPAM]".to_owned(),
                }),
                "less" => Some(Edit::RemoveHeader {
                    name: "subject".to_owned(),
                }),
                _ => None,
            });
            copy.edits.push(Edit::AddHeader {
                name: "X-Seen".to_owned(),
                value: to.address.to_string(),
            });
        }
    }
}

#[tokio::test]
async fn a_header_is_changed_for_those_who_want_it_and_for_nobody_else() {
    let desk = Desk::new(&["tag", "tag2", "less", "bob"], |it| {
        it.filter(Arc::new(ByWish))
            .agent("smtp", Arc::new(Gateway::default()))
    })
    .await;
    let to = ["tag@a.test", "bob@a.test", "tag2@a.test", "less@a.test"];
    // Small enough to be held, and large enough to be staged.
    for lines in [1, 20_000] {
        let body = "0123456789\r\n".repeat(lines);
        let message = format!("From: x@b.test\r\nSubject: hi\r\nX-Last: 1\r\n\r\n{body}");
        let mut smtp = desk.smtp().await;
        let reply = smtp.send_mail("x@b.test", &to, message.as_bytes()).await;
        assert!(reply.starts_with("250"), "{reply}");
        for (user, subject) in [
            ("tag", Some("[SPAM] hi")),
            ("tag2", Some("[SPAM] hi")),
            ("less", None),
            ("bob", Some("hi")),
        ] {
            let all = desk.messages(user, "INBOX").await;
            let last = all.last().unwrap();
            let subject = subject.map_or(String::new(), |it| format!("Subject: {it}\r\n"));
            let end = format!("From: x@b.test\r\n{subject}X-Last: 1\r\n\r\n{body}");
            assert!(last.ends_with(&end), "{user}: {}", &last[..200]);
            assert!(
                last.contains(&format!("X-Seen: {user}@a.test\r\n")),
                "{user}"
            );
        }
    }
}
