//! What recipients' own rules make of their mail, and what comes of it: before the
//! reply and from the queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::batch::StateChange;
use mailcore::deliver::MailboxAgent;
use mailcore::envelope::{Notify, Recipient, Ret};
use mailcore::event::{Event, EventCursor, EventName, TraceId};
use mailcore::mailbox::{Flags, Keyword, MailboxName, SystemFlag, UidSet};
use mailcore::message::Message;
use mailcore::plan::{Action, Finding, Form, Plan, RedirectNotices, Stage};
use mailcore::queue::{EntryState, Origin, QueueEntry, RetrySchedule};
use mailcore::route::DirectoryRouter;
use mailcore::seams::{
    Commit, DeliveryAgent, DeliveryJob, Filter, FilterSession, IncomingMail, Letter, LetterCopy,
    NextHop, OsEntropy, Outbox, Rules, RulesInput, Ruling, Spool, SpoolQuery, State, StateKey,
    Storage,
};
use mailcore::status::Outcome;
use mailcore::testing::ScriptedRules;
use mailcore::testing::faults::{FaultPlan, StoreFault};
use mailcore::time::Timestamp;
use mailcore::transcript::Transcript;
use mailcore_tests::{Desk, Dialogue};

const MESSAGE: &[u8] = b"From: x@b.test\r\nSubject: hi\r\n\r\nhi\r\n";
const DAY: u64 = 24 * 3_600;

/// A desk with these rules for everybody.
async fn desk(
    users: &[&str],
    rule: impl Fn(&RulesInput<'_>) -> Ruling + Send + Sync + 'static,
) -> (Desk, Arc<ScriptedRules>) {
    let rules = Arc::new(ScriptedRules::new(rule));
    let desk = Desk::new(users, |it| it.rules(Arc::clone(&rules) as Arc<dyn Rules>)).await;
    (desk, rules)
}

async fn send(desk: &Desk, to: &[&str]) -> String {
    send_from(desk, "x@b.test", to).await
}

async fn send_from(desk: &Desk, from: &str, to: &[&str]) -> String {
    desk.smtp().await.send_mail(from, to, MESSAGE).await
}

fn is(input: &RulesInput<'_>, user: &str) -> bool {
    input.recipient.local_part() == user
}

async fn events(desk: &Desk, name: EventName) -> Vec<Event> {
    let read = Outbox::read(desk.store(), EventCursor::default(), 1_000).await;
    let events = read.unwrap().into_iter().map(|stored| stored.event);
    events.filter(|event| event.name == name).collect()
}

async fn queued(desk: &Desk) -> Vec<Arc<QueueEntry>> {
    let listed = Spool::list(desk.store(), &SpoolQuery::default())
        .await
        .unwrap();
    listed.into_iter().map(|summary| summary.entry).collect()
}

fn seen_and_work() -> Flags {
    let mut flags = Flags::NONE;
    flags.insert(SystemFlag::Seen);
    flags.insert_keyword(Keyword::new("$Work").unwrap());
    flags
}

/// An answer to whom the message is from.
fn answer(input: &RulesInput<'_>) -> Letter {
    let to = input.reverse_path.address().cloned();
    let text = "From: ann@a.test\r\nSubject: away\r\nAuto-Submitted: auto-replied\r\n\r\nAway.\r\n";
    Letter::new(ReversePath::Null, Vec::from_iter(to), text)
}

#[tokio::test]
async fn rules_file_with_flags_into_a_mailbox_that_they_make() {
    let (desk, _) = desk(&["ann"], |_| {
        Ruling::actions([
            Action::File {
                mailbox: MailboxName::parse("Lists/Rust").unwrap(),
                flags: seen_and_work(),
                create: true,
                form: Form::Unchanged,
            },
            Action::file(MailboxName::parse("Missing").unwrap()),
        ])
    })
    .await;
    assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    let inbox = desk.messages("ann", "INBOX").await;
    assert_eq!(inbox.len(), 1, "what is missing and not made is INBOX");
    let name = MailboxName::parse("Lists/Rust").unwrap();
    let account = desk.account("ann").await;
    let folder = desk.store().open(&account, &name).await.unwrap();
    let rows = folder.messages(&UidSet::all()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].flags, seen_and_work());
    let text = &desk.messages("ann", "Lists/Rust").await[0];
    assert!(text.starts_with("Return-Path: <x@b.test>\r\nDelivered-To: ann@a.test\r\n"));
}

#[tokio::test]
async fn what_rules_send_on_goes_once_and_says_what_notices_are_wanted() {
    let (desk, rules) = desk(&["ann"], |_| {
        Ruling::actions([Action::Redirect {
            to: "far@else.test".parse().unwrap(),
            form: Form::Unchanged,
            notices: RedirectNotices {
                notify: Some(Notify::NEVER),
                ret: Some(Ret::Headers),
            },
        }])
    })
    .await;
    desk.alias("both", &["ann@a.test"]).await;
    let reply = send(&desk, &["ann@a.test", "both@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 0);
    assert!(rules.asked().iter().all(|to| to.local_part() == "ann"));
    let queued = queued(&desk).await;
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].params.ret, Some(Ret::Headers));
    let recipients = &queued[0].progress.recipients;
    assert_eq!(recipients.len(), 1);
    assert_eq!(recipients[0].recipient.notify, Notify::NEVER);
}

#[tokio::test]
async fn a_refusal_of_the_only_recipient_is_said_in_the_reply() {
    let (desk, _) = desk(&["ann", "bob"], |input| {
        let reason = format!(
            "No, thanks.\r\n\r\nI am\t{} {}",
            input.recipient,
            "so ".repeat(400)
        );
        Ruling::actions([Action::Reject { reason }])
            .or_letter(answer(input))
            .with_letter(answer(input))
    })
    .await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<ann@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send_raw([MESSAGE, b".\r\n"].concat()).await;
    let lines = smtp.until("550 ").await;
    let said = lines.join(" ");
    assert!(said.contains("5.7.1"), "{said}");
    assert!(said.contains("No, thanks. I am ann@a.test so"), "{said}");
    assert!(said.len() < 700, "{said}");
    let reply = send(&desk, &["ann@a.test", "bob@a.test"]).await;
    assert!(reply.starts_with("550"), "all refuse: {reply}");
    assert_eq!(queued(&desk).await.len(), 0);
}

#[tokio::test]
async fn a_refusal_of_one_of_two_goes_back_as_a_notice_or_as_the_letter_of_rules() {
    for with_letter in [false, true] {
        let (desk, _) = desk(&["ann", "bob", "sender"], move |input| {
            if !is(input, "ann") {
                return Ruling::keep();
            }
            let reason = "not for me".to_owned();
            let ruling = Ruling::actions([Action::Reject { reason }]);
            match with_letter {
                true => ruling.or_letter(answer(input)),
                false => ruling,
            }
        })
        .await;
        let reply = send_from(&desk, "sender@a.test", &["ann@a.test", "bob@a.test"]).await;
        assert!(reply.starts_with("250"), "{reply}");
        desk.wait(600).await;
        assert_eq!(desk.messages("ann", "INBOX").await.len(), 0);
        assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
        let told = desk.messages("sender", "INBOX").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].contains("Subject: away"), with_letter, "{told:?}");
        assert_eq!(told[0].contains("not for me"), !with_letter, "{told:?}");
    }
}

#[tokio::test]
async fn by_lmtp_each_recipients_refusal_is_its_own_reply() {
    let (desk, _) = desk(&["ann", "bob"], |input| match is(input, "ann") {
        true => Ruling::actions([Action::Reject {
            reason: "not for me".to_owned(),
        }])
        .or_letter(answer(input)),
        false => Ruling::keep(),
    })
    .await;
    let mut lmtp = Dialogue::new(desk.server.connect("lmtp").unwrap());
    lmtp.expect("220").await;
    lmtp.ask("LHLO client.test", "250").await;
    let to = ["ann@a.test", "bob@a.test"];
    let first = lmtp.send_mail("x@b.test", &to, MESSAGE).await;
    assert!(first.starts_with("550 5.7.1 "), "{first}");
    lmtp.expect("250").await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(queued(&desk).await.len(), 0);
}

#[tokio::test]
async fn of_two_messages_at_once_one_is_answered_and_again_when_its_time_is_over() {
    let (desk, _) = desk(&["ann"], |input| {
        let until = input.received_at.after(Duration::from_secs(7 * DAY));
        let key = StateKey::new("vacation", "ann x@b.test");
        let copy = LetterCopy::new(MailboxName::parse("Missing").unwrap());
        Ruling::keep().with_letter(answer(input).once(key, until).copied_to(copy))
    })
    .await;
    let to = ["ann@a.test"];
    let (one, two) = tokio::join!(send(&desk, &to), send(&desk, &to));
    assert!(one.starts_with("250") && two.starts_with("250"));
    let answers = queued(&desk).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].origin, Origin::Host);
    assert_eq!(answers[0].reverse_path, ReversePath::Null);
    assert_eq!(
        desk.messages("ann", "INBOX").await.len(),
        3,
        "two and the copy"
    );
    let sent = events(&desk, EventName::LetterSent).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].field("to"), Some("x@b.test"));
    assert_eq!(sent[0].account, Some(desk.account("ann").await));
    desk.wait(8 * DAY).await;
    assert!(send(&desk, &to).await.starts_with("250"));
    assert_eq!(events(&desk, EventName::LetterSent).await.len(), 2);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_dropped() {
    let (desk, _) = desk(&["ann"], |input| match is(input, "ann") {
        true => Ruling::keep().with_letter(answer(input)),
        false => Ruling::keep(),
    })
    .await;
    let reply = send_from(&desk, "nobody@a.test", &["ann@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(600).await;
    assert_eq!(events(&desk, EventName::LetterSent).await.len(), 1);
    assert_eq!(events(&desk, EventName::RecipientFailed).await.len(), 1);
    assert_eq!(queued(&desk).await.len(), 0);
}

#[tokio::test]
async fn rules_that_fail_keep_the_mail_and_their_owner_is_told_once_a_day() {
    let (desk, _) = desk(&["ann"], |_| Ruling::failed("line 3: too many steps")).await;
    for _ in 0..3 {
        assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    }
    let told = |texts: Vec<String>| {
        let told = texts.iter().filter(|text| text.contains("too many steps"));
        (texts.len(), told.count())
    };
    assert_eq!(told(desk.messages("ann", "INBOX").await), (4, 1));
    assert_eq!(events(&desk, EventName::RulesFailed).await.len(), 3);
    desk.wait(DAY + 1).await;
    assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    assert_eq!(told(desk.messages("ann", "INBOX").await), (6, 2));
}

#[tokio::test]
async fn a_copy_takes_the_form_that_rules_give_it_but_keeps_its_trace() {
    let (desk, _) = desk(&["ann", "bob"], |input| {
        if !is(input, "ann") {
            return Ruling::keep();
        }
        let file = |mailbox: &str, form: Form| Action::File {
            mailbox: MailboxName::parse(mailbox).unwrap(),
            flags: Flags::NONE,
            create: true,
            form,
        };
        let header = Form::Header("Subject: other\r\nFrom: x@b.test\r\n\r\n".into());
        let written = "Received: forged\r\nSubject: new\r\n\r\nnew body\r\n";
        Ruling::actions([
            file("Top", Form::OnTop("Subject: first\r\nX-A: 1\r\n".into())),
            file("Broken", Form::OnTop("X-A: 1\r\n\r\nbody".into())),
            file("Header", header.clone()),
            file("Written", Form::Written(written.into())),
            Action::Redirect {
                to: Desk::address("bob"),
                form: header,
                notices: RedirectNotices::default(),
            },
        ])
    })
    .await;
    assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    desk.wait(10).await;
    let own = "Return-Path: <x@b.test>\r\nDelivered-To: ann@a.test\r\n";
    let text = async |user: &str, mailbox: &str| desk.messages(user, mailbox).await.remove(0);
    let top = text("ann", "Top").await;
    assert!(top.starts_with(&format!("{own}Subject: first\r\nX-A: 1\r\nReceived:")));
    assert!(!text("ann", "Broken").await.contains("X-A"));
    let header = text("ann", "Header").await;
    assert!(
        header.starts_with(&format!("{own}Received: by")),
        "{header}"
    );
    assert!(header.ends_with("Subject: other\r\nFrom: x@b.test\r\n\r\nhi\r\n"));
    let written = text("ann", "Written").await;
    assert!(
        written.starts_with(&format!("{own}Received: by")),
        "{written}"
    );
    assert!(!written.contains("forged"), "{written}");
    assert!(written.ends_with("Subject: new\r\n\r\nnew body\r\n"));
    let on = text("bob", "INBOX").await;
    assert!(on.contains("Delivered-To: bob@a.test\r\nDelivered-To: ann@a.test\r\nReceived:"));
    assert!(on.ends_with("Subject: other\r\nFrom: x@b.test\r\n\r\nhi\r\n"));
    // What lists of messages show is what the copy says.
    let account = desk.account("ann").await;
    for (mailbox, subject) in [("Top", "first"), ("Header", "other"), ("Written", "new")] {
        let name = MailboxName::parse(mailbox).unwrap();
        let folder = desk.store().open(&account, &name).await.unwrap();
        let (uid, summary) = folder.summaries(&UidSet::all()).await.unwrap().remove(0);
        let message = folder.message(uid).await.unwrap();
        assert_eq!(*summary, message.summarize().await.unwrap(), "{mailbox}");
        assert_eq!(
            summary.envelope.subject.as_deref(),
            Some(subject.as_bytes())
        );
    }
}

#[tokio::test]
async fn rules_that_send_to_themselves_end_in_one_notice_or_one_bad_message() {
    let (desk, rules) = desk(&["ann", "bob", "sender"], |input| {
        let to = match input.recipient.local_part() {
            "ann" => "bob",
            "bob" => "ann",
            _ => return Ruling::keep(),
        };
        Ruling::actions([Action::redirect(Desk::address(to)), Action::Discard])
    })
    .await;
    let reply = send_from(&desk, "sender@a.test", &["ann@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(7 * DAY).await;
    assert_eq!(
        rules.asked().len(),
        3,
        "ann, bob, and the sender of the notice"
    );
    let told = desk.messages("sender", "INBOX").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("loop of forwards"), "{told:?}");
    assert_eq!(queued(&desk).await.len(), 0);
    assert!(
        send_from(&desk, "", &["ann@a.test"])
            .await
            .starts_with("250")
    );
    desk.wait(7 * DAY).await;
    let left = queued(&desk).await;
    assert_eq!(left.len(), 1);
    assert!(matches!(left[0].progress.state, EntryState::Bad { .. }));
}

#[tokio::test]
async fn a_full_mailbox_is_answered_and_sent_on_from_only_once_it_has_the_message() {
    let (desk, _) = desk(&["ann", "bob", "cat"], |input| {
        if !is(input, "ann") {
            return Ruling::keep();
        }
        let seen = StateChange::Put {
            key: StateKey::new("duplicate", "ann"),
            value: Vec::new(),
            expires: None,
        };
        Ruling::actions([
            Action::file(MailboxName::inbox()),
            Action::redirect(Desk::address("bob")),
        ])
        .with_letter(answer(input))
        .with_state(seen)
    })
    .await;
    desk.quota("ann", 10).await;
    let seen = async || {
        let key = StateKey::new("duplicate", "ann");
        State::read(desk.store(), &key).await.unwrap().is_some()
    };
    let reply = send_from(&desk, "cat@a.test", &["ann@a.test", "cat@a.test"]).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(DAY).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 0);
    assert_eq!(events(&desk, EventName::LetterSent).await.len(), 0);
    assert!(!seen().await);
    desk.quota("ann", 1_000_000).await;
    desk.wait(DAY).await;
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 1);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(events(&desk, EventName::LetterSent).await.len(), 1);
    assert!(seen().await);
}

/// Finds one thing in each message.
#[derive(Debug)]
struct Finder;

#[async_trait]
impl Filter for Finder {
    fn name(&self) -> &str {
        "finder"
    }

    async fn message(&self, _: &FilterSession, _: &IncomingMail<'_>, plan: &mut Plan) {
        let found = Finding::new(Stage::Content, "words", "spam").score(4.5);
        plan.findings.push(found);
    }
}

#[tokio::test]
async fn rules_know_what_filters_found_whether_or_not_the_mail_was_queued() {
    let rules = ScriptedRules::new(|input| {
        let scores = input.findings.iter().map(|it| it.score).sum::<f32>();
        let known = match input.session {
            Some(_) => "Direct",
            None => "Queued",
        };
        match scores > 4.0 && input.named.is_some() {
            true => Ruling::actions([Action::File {
                mailbox: MailboxName::parse(known).unwrap(),
                flags: Flags::NONE,
                create: true,
                form: Form::Unchanged,
            }]),
            false => Ruling::keep(),
        }
    });
    let rules: Arc<dyn Rules> = Arc::new(rules);
    let desk = Desk::new(&["ann"], |it| it.rules(rules).filter(Arc::new(Finder))).await;
    assert!(send(&desk, &["ann@a.test"]).await.starts_with("250"));
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<ann@a.test> NOTIFY=SUCCESS", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send_raw([MESSAGE, b".\r\n"].concat()).await;
    smtp.expect("250").await;
    desk.wait(10).await;
    assert_eq!(desk.messages("ann", "Direct").await.len(), 1);
    assert_eq!(desk.messages("ann", "Queued").await.len(), 1);
}

fn agent(desk: &Desk, rules: ScriptedRules, commit: Arc<dyn Commit>) -> MailboxAgent {
    let hostname = "mx.a.test".parse::<mailcore::address::Domain>().unwrap();
    let directory = Arc::new(desk.directory.clone());
    MailboxAgent {
        router: Arc::new(DirectoryRouter::new(directory, hostname.clone())),
        commit,
        rules: Some(Arc::new(rules)),
        hostname,
        schedule: RetrySchedule::default(),
        clock: Arc::new(desk.clock.clone()),
        entropy: Arc::new(OsEntropy),
    }
}

fn job(to: &[&str]) -> DeliveryJob {
    let to = to.iter().map(|to| Recipient::new(Desk::address(to)));
    DeliveryJob {
        trace: TraceId(7),
        reverse_path: ReversePath::Address("x@b.test".parse().unwrap()),
        params: Default::default(),
        origin: Origin::Received,
        recipients: to.collect(),
        next_hop: NextHop::Local,
        message: Message::from_bytes(MESSAGE),
        findings: Arc::default(),
        received_at: Timestamp::from_secs(1_795_312_800),
        agent: "mailbox".into(),
        transcript: Transcript::default(),
    }
}

#[tokio::test]
async fn an_attempt_that_is_made_again_sends_nothing_again() {
    let (desk, _) = desk(&["ann", "bob"], |_| Ruling::keep()).await;
    let rules = ScriptedRules::new(|input| {
        let actions = [
            Action::file(MailboxName::inbox()),
            Action::redirect("far@else.test".parse().unwrap()),
        ];
        Ruling::actions(actions).with_letter(answer(input))
    });
    let agent = agent(&desk, rules, desk.shared_store());
    let job = job(&["ann", "bob"]);
    for _ in 0..2 {
        let outcomes = agent.deliver(job.clone()).await;
        assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
    }
    for user in ["ann", "bob"] {
        assert_eq!(desk.messages(user, "INBOX").await.len(), 1);
    }
    assert_eq!(
        queued(&desk).await.len(),
        4,
        "for each a copy and an answer"
    );
}

#[tokio::test]
async fn a_refusal_whose_letter_is_not_kept_is_tried_again() {
    let (desk, _) = desk(&["ann"], |_| Ruling::keep()).await;
    let rules = ScriptedRules::new(|input| {
        let reason = "not for me".to_owned();
        Ruling::actions([Action::Reject { reason }]).or_letter(answer(input))
    });
    let commit = FaultPlan::seeded(1).commit(desk.shared_store());
    commit.at(1, StoreFault::Unavailable);
    let agent = agent(&desk, rules, commit);
    let outcomes = agent.deliver(job(&["ann"])).await;
    let failure = outcomes[0].failure().expect("nobody would hear of it");
    assert!(failure.status.is_transient());
    assert_eq!(queued(&desk).await.len(), 0);
    let outcomes = agent.deliver(job(&["ann"])).await;
    assert_eq!(outcomes, [Outcome::Delivered]);
    assert_eq!(queued(&desk).await.len(), 1);
}
