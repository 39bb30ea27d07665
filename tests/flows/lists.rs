//! Distribution lists and groups, from the one who writes to those who read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::address::{Address, ReversePath};
use mailcore::batch::{Batch, Receipt};
use mailcore::deliver::list::{ListAgent, ListSeams, ListSettings, upkeep};
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::{Origin, RetrySchedule};
use mailcore::seams::{
    Clock, Commit, CommitError, DeliveryAgent, DeliveryJob, GroupKind, GroupName, Groups, ListMode,
    ListRecord, Lists, NextHop, OsEntropy, Posting, Scope, Settings, Spool, SpoolQuery, Stage,
    StoreError,
};
use mailcore::status::{Failure, Outcome, Status};
use mailcore::transcript::Transcript;
use mailcore_smtp::server::Smtp;
use mailcore_tests::{Desk, Dialogue};

const DAY: u64 = 24 * 3_600;

/// Another host: remembers what it was given, knows nobody called `gone`.
#[derive(Debug, Default)]
struct Gateway(Mutex<Vec<(String, String, String)>>);

#[async_trait]
impl DeliveryAgent for Gateway {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let text = job.message.read_all(u64::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut taken = self.0.lock().unwrap();
        let each = job.recipients.iter().map(|to| {
            let to = &to.address;
            taken.push((job.reverse_path.to_string(), to.to_string(), text.clone()));
            match to.local_part() {
                "gone" => Outcome::Failed(Failure::local(Status::permanent(1, 1, "nobody"))),
                _ => Outcome::Delivered,
            }
        });
        each.collect()
    }
}

impl Gateway {
    fn taken(&self) -> Vec<(String, String, String)> {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap());
        taken.sort();
        taken
    }

    fn is_asked(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }

    /// Who was written to since it was last asked.
    fn to(&self) -> Vec<String> {
        self.taken().into_iter().map(|(_, to, _)| to).collect()
    }
}

async fn desk(users: &[&str]) -> (Desk, Arc<Gateway>) {
    let gateway = Arc::new(Gateway::default());
    let agent = gateway.clone();
    let furnish =
        |builder: mailcore::server::Builder| builder.agent("smtp", agent).serve(Smtp::submission());
    (Desk::new(users, furnish).await, gateway)
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().map(|text| address(text)).collect()
}

async fn list(desk: &Desk, name: &str, members: &[&str], change: impl FnOnce(&mut ListRecord)) {
    let mut record = ListRecord::new(Desk::address(name));
    change(&mut record);
    desk.directory.add_list(&record).await.unwrap();
    let members = addresses(members);
    let added = desk.directory.add_members(&record.address, &members);
    added.await.unwrap();
}

async fn set(desk: &Desk, list: &str, name: &str, value: &str) {
    let list = Desk::address(list);
    let scope = Scope::Domain(list.domain().clone());
    let key = ListSettings::key(name, Some(&list));
    desk.directory.set(&scope, &key, Some(value)).await.unwrap();
}

fn mail(from: &str) -> Vec<u8> {
    format!("From: {from}\r\nTo: news@a.test\r\nSubject: hi\r\n\r\nhello\r\n").into_bytes()
}

async fn send(smtp: &mut Dialogue, from: &str, to: &str) -> String {
    smtp.send_mail(from, &[to], &mail(from)).await
}

/// A stranger's session sends.
async fn stranger(desk: &Desk, from: &str, to: &str) -> String {
    let reply = send(&mut desk.smtp().await, from, to).await;
    desk.wait(30).await;
    reply
}

async fn count(desk: &Desk, user: &str) -> usize {
    desk.messages(user, "INBOX").await.len()
}

/// Waits for what is done on threads of its own, which virtual time does not know
/// of: files are read there, and the directory is changed.
async fn until(desk: &Desk, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if done().await {
            return;
        }
        desk.wait(1).await;
        std::thread::yield_now();
    }
    panic!("it is not done");
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let header = text.split("\r\n\r\n").next().unwrap();
    let mut lines = header.split("\r\n");
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// An account's session sends.
async fn member(desk: &Desk, user: &str, to: &str) -> String {
    let mut smtp = Dialogue::new(desk.server.connect("submission").unwrap());
    smtp.expect("220 ").await;
    smtp.ask("EHLO client.test", "250").await;
    let login = format!("\0{user}@a.test\0{}", mailcore_tests::PASSWORD);
    let login = mailcore_tests::base64(login.as_bytes());
    smtp.ask(&format!("AUTH PLAIN {login}"), "235").await;
    let from = format!("{user}@a.test");
    let reply = send(&mut smtp, &from, to).await;
    desk.wait(30).await;
    reply
}

/// The answer to a recipient of mail from `from`.
async fn rcpt(desk: &Desk, from: &str, to: &str) -> String {
    let mut smtp = desk.smtp().await;
    smtp.ask(&format!("MAIL FROM:<{from}>"), "250").await;
    smtp.send(&format!("RCPT TO:<{to}>")).await;
    smtp.line().await
}

#[tokio::test]
async fn a_lists_mail_reaches_each_member_once_under_the_lists_header() {
    let (desk, gateway) = desk(&["ann", "bob", "cat"]).await;
    let group = GroupName::parse("board@a.test").unwrap();
    desk.directory
        .add_group(&group, GroupKind::Open)
        .await
        .unwrap();
    let accounts = [desk.account("cat").await, desk.account("bob").await];
    desk.directory
        .add_accounts(&group, &accounts)
        .await
        .unwrap();
    list(
        &desk,
        "inner",
        &["bob@a.test", "far@c.test", "news@a.test"],
        |_| {},
    )
    .await;
    let members = [
        "ann@a.test",
        "Ann+x@a.test",
        "board@a.test",
        "inner@a.test",
        "far@c.test",
        "other@d.test",
    ];
    list(&desk, "news", &members, |_| {}).await;
    let reply = stranger(&desk, "x@b.test", "news@a.test").await;
    assert!(reply.starts_with("250"), "{reply}");
    for user in ["ann", "bob", "cat"] {
        assert_eq!(count(&desk, user).await, 1, "{user}");
    }
    let text = desk.messages("bob", "INBOX").await.remove(0);
    assert_eq!(field(&text, "List-Id"), Some("<news.a.test>"));
    assert_eq!(field(&text, "From"), Some("x@b.test"));
    let bounces = field(&text, "Return-Path").unwrap().to_owned();
    assert!(bounces.starts_with("<news-bounces+"), "{bounces}");
    let taken = gateway.taken();
    let to: Vec<&str> = taken.iter().map(|(_, to, _)| to.as_str()).collect();
    assert_eq!(to, ["far@c.test", "other@d.test"]);
    for (from, _, text) in &taken {
        assert_eq!(format!("<{from}>"), bounces);
        assert_eq!(field(text, "Return-Path"), None);
    }
    // What comes back to the list goes round no more.
    let (_, _, came_back) = &taken[0];
    let mut smtp = desk.smtp().await;
    let reply = smtp.send_mail("x@b.test", &["news@a.test"], came_back.as_bytes());
    assert!(reply.await.starts_with("250"));
    desk.wait(30).await;
    let taken = gateway.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert!(
        taken[0].2.contains("5.4.6") && taken[0].1 == "x@b.test",
        "{taken:?}"
    );
    assert_eq!(count(&desk, "ann").await, 1);
}

#[tokio::test]
async fn members_alone_write_to_a_members_list_and_nobody_can_pretend_to_be_one() {
    let (desk, gateway) = desk(&["ann", "bob", "owner"]).await;
    let members = ["ann@a.test", "far@c.test"];
    list(&desk, "news", &members, |it| {
        it.mode = ListMode::Membership;
        it.owner = Some(address("owner@a.test"));
    })
    .await;
    let no = "550 5.7.1 you may not write to this list";
    assert_eq!(rcpt(&desk, "x@b.test", "news@a.test").await, no);
    // Anybody can write this into MAIL.
    assert_eq!(rcpt(&desk, "ann@a.test", "news@a.test").await, no);
    assert_eq!(rcpt(&desk, "owner@a.test", "news@a.test").await, no);
    assert!(
        rcpt(&desk, "", "news@a.test")
            .await
            .starts_with("550 5.7.1")
    );
    for user in ["ann", "owner"] {
        assert!(member(&desk, user, "news@a.test").await.starts_with("250"));
    }
    assert_eq!(count(&desk, "ann").await, 2);
    assert!(
        stranger(&desk, "far@c.test", "news@a.test")
            .await
            .starts_with("250")
    );
    assert_eq!(count(&desk, "ann").await, 3);
    assert_eq!(gateway.to(), ["far@c.test"; 3]);
    // An outside member's envelope does not let somebody else's words in.
    let mut smtp = desk.smtp().await;
    let forged = mail("ann@a.test");
    let reply = smtp.send_mail("far@c.test", &["news@a.test"], &forged);
    assert!(reply.await.starts_with("250"));
    desk.wait(30).await;
    assert_eq!(count(&desk, "ann").await, 3);
    let told = gateway.taken();
    assert!(
        told[0].2.contains("you may not write to this list"),
        "{told:?}"
    );
    // Where moderators alone write, members do not.
    let mut record = desk
        .directory
        .list(&Desk::address("news"))
        .await
        .unwrap()
        .unwrap();
    record.posting = Posting::Moderators;
    desk.directory.change_list(&record).await.unwrap();
    assert_eq!(rcpt(&desk, "far@c.test", "news@a.test").await, no);
    assert!(
        member(&desk, "owner", "news@a.test")
            .await
            .starts_with("250")
    );
    assert_eq!(count(&desk, "ann").await, 4);
}

#[tokio::test]
async fn a_closed_group_is_for_those_who_logged_in() {
    let (desk, _) = desk(&["ann", "bob"]).await;
    let group = GroupName::parse("board@a.test").unwrap();
    desk.directory
        .add_group(&group, GroupKind::Closed)
        .await
        .unwrap();
    let bob = desk.account("bob").await;
    desk.alias("all", &["board@a.test", "ann@a.test"]).await;
    let reply = rcpt(&desk, "x@b.test", "board@a.test").await;
    assert!(
        reply.starts_with("550 5.7.1 only senders who logged in"),
        "{reply}"
    );
    assert!(
        rcpt(&desk, "ann@a.test", "board@a.test")
            .await
            .starts_with("550 5.7.1")
    );
    desk.directory.add_accounts(&group, &[bob]).await.unwrap();
    // No more so by an alias that leads to others, too.
    let reply = stranger(&desk, "x@b.test", "all@a.test").await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(
        (count(&desk, "ann").await, count(&desk, "bob").await),
        (1, 0)
    );
    assert!(
        member(&desk, "ann", "board@a.test")
            .await
            .starts_with("250")
    );
    assert_eq!(count(&desk, "bob").await, 1);
    desk.directory
        .change_group(&group, GroupKind::Open)
        .await
        .unwrap();
    assert!(
        stranger(&desk, "x@b.test", "board@a.test")
            .await
            .starts_with("250")
    );
    assert_eq!(count(&desk, "bob").await, 2);
}

#[tokio::test]
async fn a_moderated_lists_mail_waits_for_a_moderators_answer() {
    let (desk, gateway) = desk(&["ann", "mod"]).await;
    list(&desk, "news", &["ann@a.test"], |it| {
        it.posting = Posting::Moderated;
        it.moderators = addresses(&["mod@a.test"]);
    })
    .await;
    for _ in 0..3 {
        assert!(
            stranger(&desk, "x@b.test", "news@a.test")
                .await
                .starts_with("250")
        );
    }
    assert_eq!(count(&desk, "ann").await, 0);
    let notices = desk.messages("mod", "INBOX").await;
    assert_eq!(notices.len(), 3);
    let approve = field(&notices[0], "Reply-To").unwrap().to_owned();
    let reject = field(&notices[1], "Reply-To").unwrap();
    let reject = reject.replace("-approve+", "-reject+");
    // Neither a stranger nor one who calls himself the moderator.
    stranger(&desk, "x@b.test", &approve).await;
    stranger(&desk, "mod@a.test", &approve).await;
    assert_eq!(count(&desk, "ann").await, 0);
    let told = gateway.to();
    assert_eq!(told, ["x@b.test"], "{told:?}");
    assert!(member(&desk, "mod", &approve).await.starts_with("250"));
    assert_eq!(count(&desk, "ann").await, 1);
    assert!(member(&desk, "mod", &reject).await.starts_with("250"));
    // Said twice, done once.
    assert!(member(&desk, "mod", &approve).await.starts_with("250"));
    assert_eq!(count(&desk, "ann").await, 1);
    let id = desk.messages("ann", "INBOX").await.remove(0);
    assert_eq!(field(&id, "List-Id"), Some("<news.a.test>"));
    // A moderator's own mail waits for nobody.
    assert!(member(&desk, "mod", "news@a.test").await.starts_with("250"));
    assert_eq!(count(&desk, "ann").await, 2);
    // Nobody gets in by the address that lets out.
    let forged = rcpt(&desk, "x@b.test", "news-approved+aaaaaaaaaaaaaaaa@a.test").await;
    assert!(forged.starts_with("550 5.1.1"), "{forged}");
}

#[tokio::test]
async fn a_member_whose_mail_fails_for_days_gets_none_until_he_is_resumed() {
    let (desk, gateway) = desk(&["ann", "owner"]).await;
    list(&desk, "news", &["gone@c.test", "far@c.test"], |it| {
        it.owner = Some(address("owner@a.test"));
    })
    .await;
    set(&desk, "news", "bounce-limit", "2").await;
    for day in 0..3 {
        assert!(
            stranger(&desk, "x@b.test", "news@a.test")
                .await
                .starts_with("250")
        );
        assert!(
            stranger(&desk, "x@b.test", "news@a.test")
                .await
                .starts_with("250")
        );
        let tried = gateway
            .to()
            .iter()
            .filter(|to| *to == "gone@c.test")
            .count();
        assert_eq!(tried, [2, 1, 0][day], "day {day}");
        desk.wait(DAY).await;
    }
    let told = desk.messages("owner", "INBOX").await;
    assert_eq!(told.len(), 1);
    let subject = field(&told[0], "Subject").unwrap();
    assert_eq!(subject, "gone@c.test gets no mail of news@a.test any more");
    // Whoever is on the list knows where notices go: theirs are for a person.
    stranger(&desk, "x@b.test", "news@a.test").await;
    let from = gateway.taken().remove(0).0;
    let notice = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
        Final-Recipient: rfc822; far@c.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n";
    for _ in 0..3 {
        let reply = desk
            .smtp()
            .await
            .send_mail("", &[from.as_str()], notice)
            .await;
        assert!(reply.starts_with("250"), "{reply}");
        desk.wait(DAY).await;
    }
    assert_eq!(desk.messages("owner", "INBOX").await.len(), 4);
    stranger(&desk, "x@b.test", "news@a.test").await;
    assert_eq!(gateway.to(), ["far@c.test"]);
    let bounces = mailcore::deliver::list::Bounces::new(desk.shared_store());
    let (news, gone) = (Desk::address("news"), address("gone@c.test"));
    bounces.forget(&news, &gone).await.unwrap();
    stranger(&desk, "x@b.test", "news@a.test").await;
    assert_eq!(gateway.to(), ["far@c.test", "gone@c.test"]);
}

#[tokio::test]
async fn joining_and_leaving_by_mail_takes_an_answer() {
    let (desk, gateway) = desk(&["ann"]).await;
    list(&desk, "news", &[], |_| {}).await;
    set(&desk, "news", "subscribe", "confirm").await;
    assert!(
        member(&desk, "ann", "news-subscribe@a.test")
            .await
            .starts_with("250")
    );
    let news = Desk::address("news");
    let on = || async {
        desk.directory
            .is_member(&news, &Desk::address("ann"))
            .await
            .unwrap()
    };
    assert!(!on().await);
    let question = desk.messages("ann", "INBOX").await.remove(0);
    let answer = field(&question, "Reply-To").unwrap();
    assert!(member(&desk, "ann", answer).await.starts_with("250"));
    until(&desk, async || on().await).await;
    until(&desk, async || count(&desk, "ann").await == 2).await;
    // A question a day: nobody is flooded by one who writes in his name.
    for _ in 0..3 {
        stranger(&desk, "victim@c.test", "news-request@a.test").await;
        stranger(&desk, "victim@c.test", "news-subscribe@a.test").await;
    }
    assert_eq!(gateway.to(), ["victim@c.test"]);
    assert!(
        member(&desk, "ann", "news-unsubscribe@a.test")
            .await
            .starts_with("250")
    );
    let question = desk.messages("ann", "INBOX").await.pop().unwrap();
    let answer = field(&question, "Reply-To").unwrap();
    assert!(member(&desk, "ann", answer).await.starts_with("250"));
    until(&desk, async || !on().await).await;
    assert!(
        rcpt(&desk, "", "news-subscribe@a.test")
            .await
            .starts_with("550 5.7.1")
    );
}

#[tokio::test]
async fn members_of_a_file_are_read_when_mail_comes_and_answers_of_machines_are_for_nobody() {
    let (desk, gateway) = desk(&["ann"]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "# us\nann@a.test\nnot an address\nfar@c.test # too\n",
    )
    .unwrap();
    list(&desk, "news", &[], |it| {
        it.members_file = Some(file.path().to_owned())
    })
    .await;
    set(&desk, "news", "from", "always").await;
    set(&desk, "news", "subject-tag", "[news]").await;
    assert!(
        stranger(&desk, "x@b.test", "news@a.test")
            .await
            .starts_with("250")
    );
    until(&desk, async || gateway.is_asked()).await;
    until(&desk, async || count(&desk, "ann").await == 1).await;
    let text = desk.messages("ann", "INBOX").await.remove(0);
    assert_eq!(field(&text, "From"), Some("x via news <news@a.test>"));
    assert_eq!(field(&text, "Reply-To"), Some("x@b.test"));
    assert_eq!(field(&text, "Subject"), Some("[news] hi"));
    assert_eq!(gateway.to(), ["far@c.test"]);
    std::fs::write(file.path(), "far@c.test\n").unwrap();
    assert!(
        stranger(&desk, "x@b.test", "news@a.test")
            .await
            .starts_with("250")
    );
    until(&desk, async || gateway.is_asked()).await;
    assert_eq!(count(&desk, "ann").await, 1);
    assert_eq!(gateway.to(), ["far@c.test"]);
    let answer = b"From: y@b.test\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n";
    let reply = desk
        .smtp()
        .await
        .send_mail("y@b.test", &["news@a.test"], answer)
        .await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(30).await;
    assert_eq!(gateway.to(), Vec::<String>::new());
}

fn seams(desk: &Desk) -> ListSeams {
    ListSeams {
        hostname: "mx.a.test".parse().unwrap(),
        directory: Arc::new(desk.directory.clone()),
        state: desk.shared_store(),
        spool: desk.shared_store(),
        commit: desk.shared_store(),
        schedule: RetrySchedule::default(),
        clock: Arc::new(desk.clock.clone()),
        entropy: Arc::new(OsEntropy),
        policies: None,
    }
}

#[tokio::test]
async fn what_no_moderator_looks_at_is_given_up_and_a_member_is_told() {
    let (desk, gateway) = desk(&["ann", "mod"]).await;
    list(&desk, "news", &["ann@a.test"], |it| {
        it.posting = Posting::Moderated;
        it.moderators = addresses(&["mod@a.test"]);
    })
    .await;
    set(&desk, "news", "hold-days", "2").await;
    assert!(member(&desk, "ann", "news@a.test").await.starts_with("250"));
    let reply = stranger(&desk, "x@b.test", "news@a.test").await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(DAY).await;
    assert_eq!(upkeep(seams(&desk)).await, Ok(0));
    desk.wait(DAY).await;
    assert_eq!(upkeep(seams(&desk)).await, Ok(2));
    assert_eq!(upkeep(seams(&desk)).await, Ok(0));
    desk.wait(30).await;
    let told = desk.messages("ann", "INBOX").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        field(&told[0], "Subject"),
        Some("Not sent to news@a.test: hi")
    );
    // A stranger's sender may be anybody's address.
    assert_eq!(gateway.to(), Vec::<String>::new());
}

/// A store that fails at the second of the commits that it is given.
#[derive(Debug)]
struct Faulty(Arc<mailcore_store::MemoryStore>, AtomicUsize);

#[async_trait]
impl Commit for Faulty {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        match self.1.fetch_add(1, Ordering::Relaxed) {
            1 => Err(StoreError::DiskFull.into()),
            _ => self.0.commit(batch).await,
        }
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        self.0.stage().await
    }
}

#[tokio::test]
async fn a_long_list_goes_on_where_it_was_broken_off() {
    const MEMBERS: usize = 20_000;
    let (desk, _) = desk(&[]).await;
    list(&desk, "news", &[], |_| {}).await;
    let members: Vec<Address> = (0..MEMBERS)
        .map(|number| address(&format!("u{number}@c.test")))
        .collect();
    let news = Desk::address("news");
    desk.directory.add_members(&news, &members).await.unwrap();
    let mut seams = seams(&desk);
    seams.commit = Arc::new(Faulty(desk.shared_store(), AtomicUsize::new(0)));
    let store = desk.shared_store();
    // Nobody works on what is queued.
    desk.server.shutdown().await;
    let agent = ListAgent::new(seams);
    let job = DeliveryJob {
        trace: TraceId(7),
        reverse_path: ReversePath::parse("<x@b.test>").unwrap(),
        params: MailParams::default(),
        origin: Origin::Received,
        recipients: vec![Recipient::new(news)],
        next_hop: NextHop::Local,
        message: Message::from_bytes(mail("x@b.test")),
        received_at: desk.clock.now(),
        agent: "list".into(),
        transcript: Transcript::default(),
        findings: Arc::default(),
    };
    let outcome = agent.deliver(job.clone()).await.remove(0);
    assert!(matches!(outcome, Outcome::Deferred(_)), "{outcome:?}");
    for _ in 0..2 {
        let outcome = agent.deliver(job.clone()).await.remove(0);
        assert_eq!(outcome, Outcome::Delivered);
    }
    let mut query = SpoolQuery::default();
    query.limit = 1_000;
    let entries = store.list(&query).await.unwrap();
    let mut to: Vec<Address> = (entries.iter())
        .flat_map(|line| &line.entry.progress.recipients)
        .map(|it| it.recipient.address.clone())
        .collect();
    assert_eq!(to.len(), MEMBERS);
    to.sort();
    to.dedup();
    assert_eq!(to.len(), MEMBERS);
}

#[tokio::test]
async fn nobody_has_a_member_left_out_by_notices_about_mail_of_his_own() {
    let (desk, gateway) = desk(&["ann", "owner"]).await;
    list(&desk, "news", &["far@c.test"], |it| {
        it.owner = Some(address("owner@a.test"));
    })
    .await;
    set(&desk, "news", "bounce-limit", "1").await;
    desk.alias("way", &["gone@c.test"]).await;
    stranger(&desk, "x@b.test", "news@a.test").await;
    let bounces = gateway.taken().remove(0).0;
    let bounces = bounces.trim_matches(['<', '>']);
    let mut smtp = desk.smtp().await;
    smtp.ask(&format!("MAIL FROM:<{bounces}>"), "250").await;
    let forged = "RCPT TO:<way@a.test> ORCPT=rfc822;far@c.test";
    smtp.ask(forged, "250").await;
    smtp.ask("RCPT TO:<news@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send("From: x@b.test").await;
    smtp.send("").await;
    smtp.ask(".", "250").await;
    desk.wait(60).await;
    assert_eq!(gateway.to(), ["gone@c.test"]);
    assert_eq!(count(&desk, "owner").await, 1);
    stranger(&desk, "x@b.test", "news@a.test").await;
    assert_eq!(gateway.to(), ["far@c.test"]);
}

#[tokio::test]
async fn what_is_for_a_lists_owner_goes_there_once_though_the_owner_is_a_list() {
    let (desk, _) = desk(&["ann"]).await;
    for (name, other) in [("news", "team"), ("team", "news")] {
        list(&desk, name, &["ann@a.test"], |it| {
            it.errors_to = Some(Desk::address(other));
        })
        .await;
    }
    let answer = b"From: y@b.test\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n";
    let mut smtp = desk.smtp().await;
    let reply = smtp.send_mail("y@b.test", &["news@a.test"], answer).await;
    assert!(reply.starts_with("250"), "{reply}");
    desk.wait(600).await;
    let mut query = SpoolQuery::default();
    query.limit = 10;
    let waiting = Spool::list(&*desk.shared_store(), &query).await.unwrap();
    assert_eq!(waiting.len(), 0);
    assert_eq!(count(&desk, "ann").await, 0);
}
