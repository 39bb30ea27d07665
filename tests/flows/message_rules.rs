//! Message rules and autoreplies of a server: those for everybody, for a domain and
//! of an account at once, and answers over days.

use std::sync::Arc;

use mailcore::seams::{Directory, OsEntropy, Rules, Scope, ScriptKind};
use mailcore_sieve::autoreply::{AutoReply, SETTING};
use mailcore_sieve::host::{SieveRules, SieveSeams, SieveSettings};
use mailcore_sieve::rules::{KEPT_AS, Reply, RuleSet};
use mailcore_tests::Desk;

const DAY: u64 = 24 * 3_600;

/// A desk whose mail goes by what its directory keeps.
async fn desk(users: &[&str]) -> Desk {
    Desk::over(users, |builder, behind| {
        let seams = SieveSeams::new(
            Arc::new(behind.directory),
            behind.store.clone(),
            behind.store,
            Arc::new(behind.clock),
            Arc::new(OsEntropy),
        );
        let hostname = "mx.a.test".parse().unwrap();
        let rules = SieveRules::new(hostname, seams, SieveSettings::default());
        builder.rules(Arc::new(rules) as Arc<dyn Rules>)
    })
    .await
}

async fn keep_rules(desk: &Desk, scope: &Scope, text: &str) {
    RuleSet::parse(text).unwrap();
    let scripts = desk.directory.scripts().unwrap();
    let kind = ScriptKind::Rules;
    let put = scripts.put_script(scope, kind, KEPT_AS, text).await;
    put.unwrap();
    let active = scripts.set_active(scope, kind, Some(KEPT_AS)).await;
    active.unwrap();
}

async fn away(desk: &Desk, user: &str, autoreply: &AutoReply) {
    let scope = Scope::Account(desk.account(user).await);
    let text = autoreply.to_string();
    let settings = desk.directory.settings().unwrap();
    settings.set(&scope, SETTING, Some(&text)).await.unwrap();
}

async fn send(desk: &Desk, from: &str, subject: &str) {
    let more = "Message-ID: <1@b.test>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n";
    let text = format!("From: {from}\r\nTo: ann@a.test\r\nSubject: {subject}\r\n{more}\r\nhi\r\n");
    let mut smtp = desk.smtp().await;
    let reply = smtp.send_mail(from, &["ann@a.test"], text.as_bytes()).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(60).await;
}

async fn count(desk: &Desk, user: &str, mailbox: &str) -> usize {
    desk.messages(user, mailbox).await.len()
}

#[tokio::test]
async fn rules_for_everybody_a_domain_and_an_account_are_asked_in_this_order() {
    let desk = desk(&["ann"]).await;
    let rule = |name: &str, subject: &str, then: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nif = [{{ subject.contains = \"{subject}\" }}]\n{then}\n"
        )
    };
    let everybody = [
        rule(
            "tag",
            "invoice",
            "then = [{ tag-subject = \"[M]\" }, { copy = \"Audit\" }]",
        ),
        rule(
            "virus",
            "eicar",
            "then = [{ delete = true }]\nnext = \"stop\"",
        ),
    ];
    keep_rules(&desk, &Scope::Global, &everybody.concat()).await;
    let domain = Scope::Domain("a.test".parse().unwrap());
    let copy = rule("copy", "invoice", "then = [{ copy = \"Books\" }]");
    keep_rules(&desk, &domain, &copy).await;
    let own = Scope::Account(desk.account("ann").await);
    let own_rules = [
        rule(
            "move",
            "invoice",
            "then = [{ move = \"Money\" }, { mark = \"\\\\Seen\" }]",
        ),
        rule("virus", "eicar", "then = [{ copy = \"Odd\" }]"),
    ];
    keep_rules(&desk, &own, &own_rules.concat()).await;

    send(&desk, "x@b.test", "An invoice").await;
    for folder in ["Audit", "Books", "Money"] {
        assert_eq!(count(&desk, "ann", folder).await, 1, "{folder}");
    }
    let audit = desk.messages("ann", "Audit").await;
    assert!(audit[0].contains("Subject: [M] An invoice"), "{audit:?}");
    assert_eq!(count(&desk, "ann", "INBOX").await, 0);
    send(&desk, "x@b.test", "eicar").await;
    assert_eq!(
        count(&desk, "ann", "Odd").await,
        0,
        "the first word was the last"
    );
    assert_eq!(count(&desk, "ann", "INBOX").await, 0);
    send(&desk, "x@b.test", "else").await;
    assert_eq!(count(&desk, "ann", "INBOX").await, 1);
    // A change counts for the next message.
    keep_rules(
        &desk,
        &own,
        &rule("all", "else", "then = [{ move = \"Else\" }]"),
    )
    .await;
    send(&desk, "x@b.test", "else").await;
    assert_eq!(count(&desk, "ann", "Else").await, 1);
}

#[tokio::test]
async fn an_autoreply_answers_each_sender_once_in_its_days() {
    let desk = desk(&["ann", "bob", "eve"]).await;
    let mut reply = Reply::new("Back soon.");
    reply.subject = Some("Away: ${subject}".to_owned());
    reply.days = Some(3);
    let mut autoreply = AutoReply::new(reply);
    away(&desk, "ann", &autoreply).await;

    send(&desk, "bob@a.test", "one").await;
    send(&desk, "bob@a.test", "two").await;
    let answers = desk.messages("bob", "INBOX").await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    for text in [
        "Subject: Away: one",
        "Auto-Submitted: auto-replied",
        "Back soon.",
    ] {
        assert!(answers[0].contains(text), "{text}: {answers:?}");
    }
    send(&desk, "eve@a.test", "one").await;
    assert_eq!(count(&desk, "eve", "INBOX").await, 1, "another sender");
    desk.wait(3 * DAY).await;
    send(&desk, "bob@a.test", "three").await;
    assert_eq!(count(&desk, "bob", "INBOX").await, 2, "days later");
    assert_eq!(count(&desk, "ann", "INBOX").await, 4, "all mail is kept");
    autoreply.enabled = false;
    away(&desk, "ann", &autoreply).await;
    desk.wait(30 * DAY).await;
    send(&desk, "bob@a.test", "four").await;
    assert_eq!(count(&desk, "bob", "INBOX").await, 2, "turned off");
}

#[tokio::test]
async fn two_accounts_that_are_away_and_rules_that_send_in_a_circle_come_to_an_end() {
    let desk = desk(&["ann", "bob"]).await;
    let autoreply = AutoReply::new(Reply::new("Away."));
    away(&desk, "ann", &autoreply).await;
    away(&desk, "bob", &autoreply).await;
    send(&desk, "bob@a.test", "one").await;
    desk.wait(DAY).await;
    assert_eq!(count(&desk, "bob", "INBOX").await, 1, "ann's answer");
    assert_eq!(count(&desk, "ann", "INBOX").await, 1, "and none to it");

    for (user, to) in [("ann", "bob"), ("bob", "ann")] {
        let scope = Scope::Account(desk.account(user).await);
        let text = format!("[[rule]]\nname = \"on\"\nthen = [{{ forward = \"{to}@a.test\" }}]\n");
        keep_rules(&desk, &scope, &text).await;
    }
    send(&desk, "x@b.test", "round").await;
    desk.wait(7 * DAY).await;
    let kept = [
        count(&desk, "ann", "INBOX").await,
        count(&desk, "bob", "INBOX").await,
    ];
    assert!(kept.iter().sum::<usize>() <= 3, "{kept:?}");
}
