//! Mail in quarantine: who sees it, who has it out again, and when it goes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::event::{EventCursor, EventName};
use mailcore::intake::IntakePolicy;
use mailcore::mailbox::{Flags, MailboxName};
use mailcore::plan::{
    Action, Disposition, Finding, Form, Plan, Quarantine, QuarantinePlace, Stage,
};
use mailcore::quarantine::{
    Actor, Chosen, QuarantineError, QuarantineLimits, QuarantineQuery, QuarantineSeams,
    QuarantineStore, QuarantinedMail, Section,
};
use mailcore::queue::QueueId;
use mailcore::seams::{
    AccountChange, Administration, Clock, Filter, FilterSession, IncomingMail, Outbox, Quota,
    Rules, RulesInput, Ruling, Spool, SpoolQuery,
};
use mailcore::time::Timestamp;
use mailcore_tests::Desk;

const MESSAGE: &[u8] = b"From: x@b.test\r\nSubject: =?utf-8?q?win_=E2=82=AC?=\r\n\r\nbuy\r\n";

/// Does to each copy what the sender's local part says.
#[derive(Debug)]
struct BySender;

#[async_trait]
impl Filter for BySender {
    fn name(&self) -> &str {
        "by-sender"
    }

    async fn message(&self, _: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        let from = mail.envelope.reverse_path.to_string();
        let apart = Quarantine::new("looks like spam");
        let apart = match from.split('@').next().unwrap() {
            "spam" => apart,
            "junk" => apart.kept_in(QuarantinePlace::Folder),
            "hidden" => apart.kept_in(QuarantinePlace::Admin),
            "virus" => Quarantine::new("virus: eicar").harmful(),
            _ => return,
        };
        plan.findings
            .push(Finding::new(Stage::Content, "words", "spam").score(6.5));
        for copy in &mut plan.recipients {
            copy.disposition = Disposition::Quarantine(apart.clone());
        }
    }
}

/// Files everything into one folder.
#[derive(Debug)]
struct IntoFolder;

#[async_trait]
impl Rules for IntoFolder {
    async fn evaluate(&self, _: &RulesInput<'_>) -> Ruling {
        Ruling::actions([Action::File {
            mailbox: MailboxName::parse("Sorted").unwrap(),
            flags: Flags::NONE,
            create: true,
            form: Form::Unchanged,
        }])
    }
}

/// A server that keeps spam in the quarantine of its users.
async fn desk(users: &[&str]) -> Desk {
    let mut policy = IntakePolicy::default();
    policy.quarantine = QuarantinePlace::User;
    Desk::new(users, |it| {
        it.filter(Arc::new(BySender)).intake_policy(policy)
    })
    .await
}

fn quarantine(desk: &Desk) -> QuarantineStore {
    let stores = desk.shared_store().into();
    let clock: Arc<dyn Clock> = Arc::new(desk.clock.clone());
    let entropy = Arc::new(mailcore::seams::OsEntropy);
    let seams = QuarantineSeams::of(&stores, clock, entropy);
    QuarantineStore::new(seams, "mx.a.test".parse().unwrap())
}

async fn send(desk: &Desk, from: &str, to: &[&str]) {
    let reply = desk.smtp().await.send_mail(from, to, MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
}

async fn listed(desk: &Desk, section: Section) -> Vec<QuarantinedMail> {
    let query = QuarantineQuery::of(section);
    quarantine(desk).list(&query).await.unwrap()
}

async fn only(desk: &Desk) -> QueueId {
    let all = listed(desk, Section::Everything).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].id
}

async fn owner(desk: &Desk, user: &str) -> AccountId {
    desk.account(user).await
}

fn to(mail: &QuarantinedMail) -> Vec<String> {
    let recipients = mail.recipients.iter();
    recipients.map(|it| it.address.to_string()).collect()
}

async fn events(desk: &Desk, name: EventName) -> Vec<mailcore::event::Event> {
    let all = Outbox::read(desk.store(), EventCursor::default(), 1_000)
        .await
        .unwrap();
    let all = all.into_iter().map(|stored| stored.event);
    all.filter(|event| event.name == name).collect()
}

#[tokio::test]
async fn each_recipient_sees_what_is_kept_from_it_and_releases_its_own_copy_alone() {
    let desk = desk(&["ann", "bob"]).await;
    send(&desk, "spam@b.test", &["ann@a.test", "bob@a.test"]).await;
    desk.wait(10).await;
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 0);
    assert_eq!(desk.messages("ann", "Junk").await.len(), 0);
    let (ann, bob) = (owner(&desk, "ann").await, owner(&desk, "bob").await);
    let usage = desk.store().usage(&ann).await.unwrap();
    assert_eq!(usage.messages, 0, "what is kept apart fills no quota");

    let seen = listed(&desk, Section::Account(ann.clone())).await;
    assert_eq!(seen.len(), 1);
    let mail = &seen[0];
    assert_eq!(to(mail), ["ann@a.test", "bob@a.test"]);
    assert_eq!(mail.subject.as_deref(), Some("win \u{20ac}"));
    assert_eq!(mail.reason, "looks like spam");
    assert_eq!(mail.from.to_string(), "spam@b.test");
    assert!((mail.score - 6.5).abs() < 0.01, "{}", mail.score);
    assert_eq!(mail.findings[0].test, "words");
    assert_eq!(listed(&desk, Section::Admin).await.len(), 0);
    let domain = Section::Domain("a.test".parse().unwrap());
    assert_eq!(listed(&desk, domain.clone()).await.len(), 1);

    let (store, actor) = (quarantine(&desk), Actor::Account(ann.clone()));
    let other = Chosen::Address("bob@a.test".parse().unwrap());
    let refused = store.release(mail.id, &other, &actor).await;
    assert!(
        matches!(refused, Err(QuarantineError::NotFor { .. })),
        "{refused:?}"
    );
    store
        .release(mail.id, &Chosen::Everybody, &actor)
        .await
        .unwrap();
    desk.wait(10).await;
    let inbox = desk.messages("ann", "INBOX").await;
    assert_eq!(inbox.len(), 1);
    assert!(
        inbox[0].contains("released from quarantine"),
        "{}",
        inbox[0]
    );
    assert!(inbox[0].ends_with("\r\n\r\nbuy\r\n"), "{}", inbox[0]);
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 0);
    assert_eq!(listed(&desk, Section::Account(ann)).await.len(), 0);
    let left = listed(&desk, Section::Account(bob)).await;
    assert_eq!(to(&left[0]), ["bob@a.test"]);

    store
        .release(left[0].id, &Chosen::Everybody, &Actor::Admin)
        .await
        .unwrap();
    desk.wait(10).await;
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
    assert_eq!(listed(&desk, domain).await.len(), 0);
    assert_eq!(store.octets().await.unwrap(), 0);
    let told = events(&desk, EventName::MessageQuarantined).await;
    assert_eq!(told.len(), 1, "one message, however many it is for");
    let told = events(&desk, EventName::QuarantineReleased).await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].field("by"), Some("recipient"));
    assert_eq!(told[0].trace, Some(left[0].trace));
}

#[tokio::test]
async fn the_operators_word_sends_it_to_the_junk_folder_instead() {
    let desk = desk(&["ann"]).await;
    send(&desk, "junk@b.test", &["ann@a.test"]).await;
    assert_eq!(desk.messages("ann", "Junk").await.len(), 1);
    assert_eq!(listed(&desk, Section::Everything).await.len(), 0);
}

#[tokio::test]
async fn an_account_that_wants_no_junk_folder_finds_it_in_its_quarantine() {
    let desk = desk(&["ann", "bob"]).await;
    let change = AccountChange {
        spam_to_folder: Some(false),
        ..AccountChange::default()
    };
    let ann = Desk::address("ann");
    let changed = desk.directory.change_account(&ann, &change).await;
    changed.unwrap();
    send(&desk, "junk@b.test", &["ann@a.test", "bob@a.test"]).await;
    assert_eq!(desk.messages("ann", "Junk").await.len(), 0);
    assert_eq!(desk.messages("bob", "Junk").await.len(), 1);
    let ann = owner(&desk, "ann").await;
    assert_eq!(listed(&desk, Section::Account(ann)).await.len(), 1);
    assert_eq!(listed(&desk, Section::Everything).await.len(), 1);
}

#[tokio::test]
async fn what_administrators_alone_see_is_not_there_for_its_recipient() {
    let desk = desk(&["ann"]).await;
    send(&desk, "hidden@b.test", &["ann@a.test"]).await;
    let ann = owner(&desk, "ann").await;
    assert_eq!(listed(&desk, Section::Account(ann.clone())).await.len(), 0);
    assert_eq!(listed(&desk, Section::Admin).await.len(), 1);
    let (id, store) = (only(&desk).await, quarantine(&desk));
    let actor = Actor::Account(ann);
    for tried in [
        store.delete(id, &Chosen::Everybody, &actor).await,
        store
            .release(id, &Chosen::Everybody, &actor)
            .await
            .map(drop),
    ] {
        assert!(
            matches!(tried, Err(QuarantineError::NotFound(_))),
            "{tried:?}"
        );
    }
}

#[tokio::test]
async fn nobody_has_a_virus_out_again_and_whoever_may_deletes_it() {
    let desk = desk(&["ann"]).await;
    send(&desk, "virus@b.test", &["ann@a.test"]).await;
    let (id, store) = (only(&desk).await, quarantine(&desk));
    let released = store.release(id, &Chosen::Everybody, &Actor::Admin).await;
    let words = released.unwrap_err().to_string();
    assert!(
        words.contains("virus: eicar") && words.contains("deleted"),
        "{words}"
    );
    let copied = store.send_copy(id, &["ann@a.test".parse().unwrap()]).await;
    assert!(matches!(copied, Err(QuarantineError::Harmful { .. })));
    store
        .delete(id, &Chosen::Everybody, &Actor::Admin)
        .await
        .unwrap();
    assert_eq!(listed(&desk, Section::Everything).await.len(), 0);
    assert!(desk.store().entry(id).await.unwrap().is_none());
    let told = events(&desk, EventName::QuarantineDeleted).await;
    assert_eq!(told[0].field("to"), Some("ann@a.test"));
}

#[tokio::test]
async fn released_mail_goes_where_its_recipients_rules_say() {
    let mut policy = IntakePolicy::default();
    policy.quarantine = QuarantinePlace::User;
    let desk = Desk::new(&["ann"], |it| {
        it.filter(Arc::new(BySender))
            .rules(Arc::new(IntoFolder))
            .intake_policy(policy)
    })
    .await;
    send(&desk, "spam@b.test", &["ann@a.test"]).await;
    let (id, store) = (only(&desk).await, quarantine(&desk));
    store
        .release(id, &Chosen::Everybody, &Actor::Admin)
        .await
        .unwrap();
    desk.wait(10).await;
    assert_eq!(desk.messages("ann", "Sorted").await.len(), 1);
}

#[tokio::test]
async fn a_copy_goes_to_another_address_and_the_message_stays() {
    let desk = desk(&["ann", "boss"]).await;
    send(&desk, "spam@b.test", &["ann@a.test"]).await;
    let (id, store) = (only(&desk).await, quarantine(&desk));
    let boss = ["boss@a.test".parse().unwrap()];
    for _ in 0..2 {
        store.send_copy(id, &boss).await.unwrap();
    }
    desk.wait(10).await;
    assert_eq!(desk.messages("boss", "INBOX").await.len(), 2);
    assert_eq!(only(&desk).await, id);
}

#[tokio::test]
async fn no_word_on_the_queue_moves_what_is_in_quarantine() {
    let desk = desk(&["ann"]).await;
    send(&desk, "virus@b.test", &["ann@a.test"]).await;
    let id = only(&desk).await;
    let queue = desk.server.queue().unwrap();
    use mailcore::queue::Operation;
    for word in [Operation::Release, Operation::Retry, Operation::Delete] {
        assert!(queue.operate(id, word).await.is_err());
    }
    assert!(queue.resend(id, &[]).await.is_err());
    let queued = desk.store().list(&SpoolQuery::default()).await.unwrap();
    assert!(queued.is_empty());
    assert_eq!(only(&desk).await, id);
}

#[tokio::test]
async fn two_who_release_at_once_deliver_one_copy() {
    let desk = desk(&["ann"]).await;
    send(&desk, "spam@b.test", &["ann@a.test"]).await;
    let (id, store) = (only(&desk).await, quarantine(&desk));
    let release = || store.release(id, &Chosen::Everybody, &Actor::Admin);
    let (one, two) = tokio::join!(release(), release());
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    desk.wait(10).await;
    assert_eq!(desk.messages("ann", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn lists_go_page_by_page_from_the_newest_and_what_is_old_goes() {
    let desk = desk(&["ann", "bob"]).await;
    for _ in 0..5 {
        send(&desk, "spam@b.test", &["ann@a.test"]).await;
        desk.wait(60).await;
    }
    send(&desk, "spam@b.test", &["ann@a.test", "bob@a.test"]).await;
    let store = quarantine(&desk);
    let ann = owner(&desk, "ann").await;
    for section in [Section::Everything, Section::Account(ann.clone())] {
        let mut query = QuarantineQuery::of(section);
        query.limit = 4;
        let first = store.list(&query).await.unwrap();
        query.after = first.last().map(|mail| mail.id);
        let second = store.list(&query).await.unwrap();
        let ids: Vec<_> = first.iter().chain(&second).map(|mail| mail.at).collect();
        assert_eq!((first.len(), second.len()), (4, 2));
        assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
    }
    let mut query = QuarantineQuery::default();
    let now = desk.clock.now();
    query.before = Some(Timestamp::from_millis(now.millis() - 90_000));
    assert_eq!(store.list(&query).await.unwrap().len(), 4);
    let before = query.before.unwrap();
    let purged = store
        .purge(&Section::Everything, before, &Actor::Age)
        .await
        .unwrap();
    assert_eq!(purged.messages, 4);
    let told = events(&desk, EventName::QuarantineDeleted).await;
    assert_eq!((told.len(), told[0].field("by")), (4, Some("age")));
    // One account's part goes, the other's stays.
    let later = now.after(Duration::from_secs(1));
    let part = Section::Account(ann);
    let purged = store.purge(&part, later, &Actor::Admin);
    assert_eq!(purged.await.unwrap().messages, 2);
    let left = listed(&desk, Section::Everything).await;
    assert_eq!(
        (left.len(), to(&left[0])),
        (1, vec!["bob@a.test".to_owned()])
    );
}

#[tokio::test]
async fn what_is_over_the_limits_goes_the_oldest_first() {
    let desk = desk(&["ann", "bob"]).await;
    for _ in 0..4 {
        send(&desk, "spam@b.test", &["ann@a.test"]).await;
        desk.wait(60).await;
    }
    send(&desk, "hidden@b.test", &["bob@a.test"]).await;
    let store = quarantine(&desk);
    let newest = listed(&desk, Section::Everything).await;
    let mut limits = QuarantineLimits::default();
    assert_eq!(store.trim(&limits).await.unwrap().messages, 0);
    limits.account_messages = 2;
    assert_eq!(store.trim(&limits).await.unwrap().messages, 2);
    let left = listed(&desk, Section::Everything).await;
    assert_eq!(left, newest[..3]);
    limits.messages = 1;
    assert_eq!(store.trim(&limits).await.unwrap().messages, 2);
    assert_eq!(listed(&desk, Section::Everything).await, newest[..1]);
    limits.octets = 10;
    assert_eq!(store.trim(&limits).await.unwrap().messages, 1);
    assert_eq!(store.octets().await.unwrap(), 0);
}
