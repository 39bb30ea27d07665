//! Events that send mail, and readers that go on where they stopped.

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Secret};
use mailcore::event::send_mail::{Condition, MailRule, MailTo, RuleError, Sense, Test};
use mailcore::event::{
    EventFilter, EventName, EventNameError, HostEvent, RaiseError, StartAt, SubscribeError,
};
use mailcore::seams::{Clock, DirectoryWrite, DomainKind, OsEntropy, SystemClock};
use mailcore::server::{Builder, RunningServer, Server, StartError, Stores};
use mailcore::testing::VirtualClock;
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use mailcore_tests::{Dialogue, PASSWORD};

/// One account, `ops@a.test`, and a store that outlives servers.
struct Site {
    clock: VirtualClock,
    stores: Stores,
    directory: MemoryDirectory,
}

impl Site {
    async fn new() -> Self {
        let clock = VirtualClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = MemoryStore::with(Arc::clone(&shared), Arc::new(OsEntropy));
        Self::with(Arc::new(store).into(), clock).await
    }

    async fn with(stores: Stores, clock: VirtualClock) -> Self {
        let hashing = PasswordHashing::fast_for_tests();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let directory = MemoryDirectory::with(hashing, shared, Arc::new(OsEntropy)).unwrap();
        let domain = "a.test".parse().unwrap();
        directory
            .add_domain(&domain, DomainKind::Local)
            .await
            .unwrap();
        let ops = "ops@a.test".parse().unwrap();
        directory
            .add_account(&ops, &Secret::new(PASSWORD))
            .await
            .unwrap();
        Self {
            clock,
            stores,
            directory,
        }
    }

    fn builder(&self) -> Builder {
        Server::builder("mx.a.test")
            .stores(self.stores.clone())
            .directory(Arc::new(self.directory.clone()))
            .authenticator(Arc::new(self.directory.clone()))
            .clock(Arc::new(self.clock.clone()))
            .serve(Smtp::mx())
            .serve(Imap::new())
    }

    async fn start(&self, rule: MailRule) -> RunningServer {
        self.builder().send_mail(rule).start().await.unwrap()
    }

    async fn pass(&self, seconds: u64) {
        self.clock.run_for(Duration::from_secs(seconds)).await;
    }

    /// The messages in the mailbox, whole.
    async fn mail(&self, server: &RunningServer) -> Vec<String> {
        let mut imap = Dialogue::new(server.connect("imap").unwrap());
        imap.expect("* OK").await;
        let login = format!("1 LOGIN ops@a.test \"{PASSWORD}\"");
        imap.ask_all(&login, "1 OK").await;
        imap.ask_all("2 SELECT INBOX", "2 OK").await;
        let lines = imap.ask_all("3 UID FETCH 1:* BODY.PEEK[]", "3 OK").await;
        let mut mail: Vec<String> = Vec::new();
        for line in lines {
            match line.contains("BODY[] {") {
                true => mail.push(String::new()),
                false => {
                    if let Some(last) = mail.last_mut() {
                        last.push_str(&line);
                        last.push('\n');
                    }
                }
            }
        }
        mail
    }
}

fn to_ops() -> MailTo {
    MailTo::Address("ops@a.test".parse().unwrap())
}

fn shipped(order: u32) -> HostEvent {
    HostEvent::new("OrderShipped").unwrap().with("order", order)
}

fn on_shipped() -> MailRule {
    MailRule::new("shipped", [EventName::host("OrderShipped").unwrap()])
        .to(to_ops())
        .subject("Order {order} left")
        .text("Order {order} for {customer}.")
}

fn subjects(mail: &[String]) -> Vec<&str> {
    let lines = mail.iter().flat_map(|mail| mail.lines());
    lines
        .filter_map(|line| line.strip_prefix("Subject: "))
        .collect()
}

#[tokio::test]
async fn an_event_sends_the_mail_of_each_rule_it_fits_and_nothing_in_it_adds_a_field() {
    let site = Site::new().await;
    let rule = on_shipped().when(Condition::new("order", Test::Greater(6), Sense::Holds));
    let other = MailRule::new("other", [EventName::host("OrderShipped").unwrap()])
        .to(MailTo::Field("who".to_owned()))
        .when(Condition::new(
            "customer",
            Test::Matches("*zoë*".into()),
            Sense::Holds,
        ));
    let server = site
        .builder()
        .send_mail(rule)
        .send_mail(other)
        .start()
        .await
        .unwrap();
    server.raise(shipped(6)).await.unwrap();
    let evil = shipped(7)
        .with("customer", "Zoë\r\nBcc: x@y.test\r\n\r\nbody")
        .with("who", "nobody-we-know ops@a.test");
    server.raise(evil).await.unwrap();
    site.pass(5).await;
    let mail = site.mail(&server).await;
    assert_eq!(
        subjects(&mail),
        ["Order 7 left", "OrderShipped on mx.a.test"]
    );
    let head = |mail: &str| mail.split("\n\n").next().unwrap().to_owned();
    for mail in &mail {
        let head = head(mail);
        assert!(head.contains("Return-Path: <>\n"), "{mail}");
        assert!(head.contains("Auto-Submitted: auto-generated\n"), "{mail}");
        assert!(head.contains("From: postmaster@mx.a.test\n"), "{mail}");
        assert!(!head.contains("Bcc"), "{mail}");
    }
    assert!(
        head(&mail[0]).contains("Content-Transfer-Encoding: base64"),
        "{}",
        mail[0]
    );
}

#[tokio::test]
async fn events_within_the_interval_are_counted_and_told_when_it_is_over() {
    let site = Site::new().await;
    let rule = on_shipped()
        .at_most_every(Duration::from_secs(600))
        .per("customer");
    let server = site.start(rule).await;
    for order in 1..=18 {
        server
            .raise(shipped(order).with("customer", "ann"))
            .await
            .unwrap();
    }
    server
        .raise(shipped(99).with("customer", "bob"))
        .await
        .unwrap();
    site.pass(300).await;
    let mail = site.mail(&server).await;
    assert_eq!(subjects(&mail), ["Order 1 left", "Order 99 left"]);
    // What was collected is not lost with the server.
    drop(server);
    let rule = on_shipped()
        .at_most_every(Duration::from_secs(600))
        .per("customer");
    let server = site.start(rule).await;
    site.pass(400).await;
    let mail = site.mail(&server).await;
    assert_eq!(subjects(&mail)[2..], ["Order 18 left"]);
    assert!(mail[2].contains("And 16 more like it."), "{}", mail[2]);
    site.pass(2_000).await;
    assert_eq!(site.mail(&server).await.len(), 3);
}

#[tokio::test]
async fn mail_of_a_rule_raises_no_rule() {
    let site = Site::new().await;
    let names = [
        EventName::MessageReceived,
        EventName::MessageNew,
        EventName::RecipientDelivered,
    ];
    let server = site.start(MailRule::new("all", names).to(to_ops())).await;
    let mut smtp = Dialogue::new(server.connect("smtp").unwrap());
    smtp.expect("220 ").await;
    smtp.ask("EHLO client.test", "250").await;
    smtp.send_mail("x@b.test", &["ops@a.test"], b"Subject: hello\r\n\r\nx\r\n")
        .await;
    site.pass(60).await;
    let mail = site.mail(&server).await;
    // The message itself, and one mail for each of its two events.
    assert_eq!(mail.len(), 3, "{:?}", subjects(&mail));
    // One of them comes back from elsewhere, under another track.
    let own = mail[1]
        .split_once("\n")
        .map(|(_, rest)| rest.replace('\n', "\r\n"))
        .unwrap();
    let id = mail[1]
        .lines()
        .find(|line| line.starts_with("Message-ID:"))
        .unwrap();
    assert!(own.contains(id));
    let again = format!("{id}\r\nSubject: back\r\n\r\nx\r\n");
    smtp.send_mail("x@b.test", &["ops@a.test"], again.as_bytes())
        .await;
    site.pass(60).await;
    assert_eq!(site.mail(&server).await.len(), 4);
    // Who only looks like it is told of.
    let forged = "Message-ID: <00.all.event@mx.a.test>\r\nSubject: forged\r\n\r\nx\r\n";
    smtp.send_mail("x@b.test", &["ops@a.test"], forged.as_bytes())
        .await;
    site.pass(60).await;
    assert_eq!(site.mail(&server).await.len(), 7);
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_not_started_with() {
    let site = Site::new().await;
    let start = |rule: MailRule| {
        let builder = site.builder().send_mail(rule);
        async move { builder.start().await.map(drop) }
    };
    let rule = MailRule::new("disk", [EventName::DiskLow]);
    let error = start(rule.clone().text("{availible}")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule disk: its events have no field {availible}; did you mean {available}?"
    );
    let error = start(rule.clone().subject("{")).await.unwrap_err();
    assert!(matches!(
        error,
        StartError::MailRule(RuleError::Brace {
            place: "subject",
            ..
        })
    ));
    let error = start(MailRule::new("disk", [])).await.unwrap_err();
    assert!(matches!(
        error,
        StartError::MailRule(RuleError::NoEvents(_))
    ));
    let twice = site
        .builder()
        .send_mail(rule.clone())
        .send_mail(rule.clone());
    let error = twice.start().await.unwrap_err();
    assert!(matches!(error, StartError::MailRule(RuleError::Twice(_))));
    let nowhere = Server::builder("mx.a.test").send_mail(rule).start().await;
    assert!(matches!(
        nowhere,
        Err(StartError::Missing {
            method: "stores",
            ..
        })
    ));
}

#[tokio::test]
async fn a_reload_changes_the_rules_and_no_event_is_told_twice_or_missed() {
    let site = Site::new().await;
    let server = site.start(on_shipped()).await;
    server.raise(shipped(1)).await.unwrap();
    site.pass(5).await;
    let other = on_shipped().subject("Now {order}");
    server
        .reload(site.builder().send_mail(other))
        .await
        .unwrap();
    server.raise(shipped(2)).await.unwrap();
    site.pass(5).await;
    assert_eq!(
        subjects(&site.mail(&server).await),
        ["Order 1 left", "Now 2"]
    );
    let wrong = on_shipped().subject("}");
    assert!(
        server
            .reload(site.builder().send_mail(wrong))
            .await
            .is_err()
    );
    server.raise(shipped(3)).await.unwrap();
    site.pass(5).await;
    assert_eq!(site.mail(&server).await.len(), 3);
    // Without rules nothing is kept for later ones.
    server.reload(site.builder()).await.unwrap();
    site.pass(5).await;
    server.raise(shipped(4)).await.unwrap();
    server
        .reload(site.builder().send_mail(on_shipped()))
        .await
        .unwrap();
    server.raise(shipped(5)).await.unwrap();
    site.pass(5).await;
    let mail = site.mail(&server).await;
    assert_eq!(subjects(&mail)[3..], ["Order 5 left"]);
}

/// Opens the store of a server that ended without a goodbye.
async fn reopen(folder: &std::path::Path, options: &EmbeddedOptions) -> Stores {
    for _ in 0..500 {
        if let Ok(store) = EmbeddedStore::open(folder, options.clone()) {
            return Arc::new(store).into();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store does not open");
}

#[tokio::test]
async fn ends_without_a_goodbye_neither_lose_nor_repeat_an_event_or_a_mail() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::default();
    let (mut ids, mut seen) = (Vec::new(), Vec::new());
    let clock = VirtualClock::new();
    for round in 0..8 {
        let stores = reopen(folder.path(), &options).await;
        let site = Site::with(stores, clock.clone()).await;
        let server = site.start(on_shipped()).await;
        let filter = EventFilter::all().names([EventName::host("OrderShipped").unwrap()]);
        let mut reader = server
            .subscribe("shop", filter, StartAt::Oldest)
            .await
            .unwrap();
        for order in 0..5 {
            ids.push(server.raise(shipped(round * 5 + order)).await.unwrap());
        }
        // Some rounds end before anything was read, others in the midst.
        for _ in 0..round * 3 {
            clock.run_for(Duration::from_millis(200)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..round {
            let event = reader.next().await.unwrap().unwrap();
            if !seen.contains(&event.event.id) {
                seen.push(event.event.id);
            }
            if round % 2 == 0 {
                reader.done(event.cursor).await.unwrap();
            }
        }
    }
    let stores = reopen(folder.path(), &options).await;
    let site = Site::with(stores, clock.clone()).await;
    let server = site.start(on_shipped()).await;
    let mut reader = server
        .subscribe("shop", EventFilter::all(), StartAt::Oldest)
        .await
        .unwrap();
    while seen.len() < ids.len() {
        let event = reader.next().await.unwrap().unwrap().event;
        if event.name.as_str() == "OrderShipped" && !seen.contains(&event.id) {
            seen.push(event.id);
        }
    }
    assert_eq!(seen, ids, "each event once and in order, under its id");
    let mut mail = Vec::new();
    for _ in 0..500 {
        clock.run_for(Duration::from_millis(200)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        mail = site.mail(&server).await;
        if mail.len() >= ids.len() {
            break;
        }
    }
    let want: Vec<String> = (0..ids.len())
        .map(|order| format!("Order {order} left"))
        .collect();
    assert_eq!(subjects(&mail), want);
}

#[tokio::test]
async fn a_full_disk_does_not_keep_its_own_mail_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::default();
    options.low_space = u64::MAX / 4;
    let clock = VirtualClock::new();
    let site = Site::with(reopen(folder.path(), &options).await, clock).await;
    let low = MailRule::new("disk", [EventName::DiskLow])
        .to(to_ops())
        .subject("{hostname}: {available} octets left");
    let server = site.start(low).await;
    let mut smtp = Dialogue::new(server.connect("smtp").unwrap());
    smtp.expect("220 ").await;
    smtp.ask("EHLO client.test", "250").await;
    smtp.ask("MAIL FROM:<x@b.test>", "452").await;
    let mut mail = Vec::new();
    for _ in 0..200 {
        site.clock.run_for(Duration::from_millis(500)).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        mail = site.mail(&server).await;
        if !mail.is_empty() {
            break;
        }
    }
    assert_eq!(mail.len(), 1);
    assert!(subjects(&mail)[0].starts_with("mx.a.test: "), "{mail:?}");
}

#[tokio::test]
async fn a_hosts_events_are_its_own_and_its_readers_have_their_names_alone() {
    let site = Site::new().await;
    let server = site.builder().start().await.unwrap();
    assert_eq!(
        HostEvent::new("MessageNew").unwrap_err(),
        EventNameError::Taken("MessageNew".to_owned())
    );
    let large = shipped(1).with("note", "x".repeat(70_000));
    assert!(matches!(
        server.raise(large).await,
        Err(RaiseError::TooLarge)
    ));
    let about = shipped(1).account(AccountId::new("ann@b.test"));
    let mut reader = server
        .subscribe("shop", EventFilter::all(), StartAt::Now)
        .await
        .unwrap();
    let second = server
        .subscribe("shop", EventFilter::all(), StartAt::Now)
        .await;
    assert!(matches!(second, Err(SubscribeError::Open(_))));
    let id = server.raise(about).await.unwrap();
    let event = reader.next().await.unwrap().unwrap().event;
    assert_eq!((event.id, event.at), (id, site.clock.now()));
    drop(reader);
    let filter = EventFilter::all().accounts([AccountId::new("bob@b.test")]);
    let mut reader = server
        .subscribe("shop", filter, StartAt::Now)
        .await
        .unwrap();
    let soon = shipped(2).account(AccountId::new("bob@b.test"));
    let id = server.raise_soon(soon).unwrap();
    site.pass(1).await;
    assert_eq!(reader.next().await.unwrap().unwrap().event.id, id);
    let nothing = Server::builder("mx.a.test").start().await.unwrap();
    assert!(matches!(
        nothing.raise(shipped(1)).await,
        Err(RaiseError::NoStore)
    ));
}

#[tokio::test]
async fn a_reader_that_was_away_too_long_is_told_of_the_gap() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::default();
    options.retention.events = 10;
    let store = Arc::new(EmbeddedStore::open(folder.path(), options).unwrap());
    // The store goes by the computer's clock: the events must not be old to it.
    let clock = VirtualClock::at(SystemClock::new().now());
    let site = Site::with(Arc::clone(&store).into(), clock).await;
    let server = site.builder().start().await.unwrap();
    let subscribe = || server.subscribe("shop", EventFilter::all(), StartAt::Now);
    drop(subscribe().await.unwrap());
    for order in 0..50 {
        server.raise(shipped(order)).await.unwrap();
    }
    store.tidy().await.unwrap();
    let mut gaps = Vec::new();
    for _ in 0..2 {
        let mut reader = subscribe().await.unwrap();
        let gap = reader.next().await.unwrap().unwrap();
        assert_eq!(gap.event.name, EventName::Gap);
        gaps.push(gap.event.id);
        let next = reader.next().await.unwrap().unwrap();
        assert_eq!(next.event.field("order"), Some("40"));
    }
    assert_eq!(
        gaps[0], gaps[1],
        "the same gap read twice is the same event"
    );
}
