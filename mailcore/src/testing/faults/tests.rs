use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{DialFault, DnsFault, FaultPlan, StoreFault};
use crate::batch::{Batch, Receipt, SpoolChange};
use crate::queue::QueueId;
use crate::seams::{
    BoxStream, Clock, Commit, CommitError, DialError, Dialer, Resolver, Stage, StoreError,
};
use crate::testing::FixedResolver;

/// A host that sends back what it gets.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl Dialer for Echo {
    async fn connect(&self, _: std::net::SocketAddr) -> Result<BoxStream, DialError> {
        let (ours, theirs) = tokio::io::duplex(1_024);
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(theirs);
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
        Ok(Box::new(ours))
    }
}

async fn through(plan: &FaultPlan, fault: Option<DialFault>, text: &str) -> (String, bool) {
    let dialer = plan.dialer(Arc::new(Echo));
    if let Some(fault) = fault {
        dialer.at(1, fault);
    }
    let mut stream = dialer
        .connect("192.0.2.1:25".parse().unwrap())
        .await
        .unwrap();
    let sent = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
    let (mut back, mut octets) = (Vec::new(), [0; 16]);
    while let Ok(count @ 1..) = stream.read(&mut octets).await {
        back.extend_from_slice(&octets[..count]);
    }
    (String::from_utf8(back).unwrap(), sent.is_ok())
}

#[tokio::test]
async fn a_connection_breaks_where_the_plan_says() {
    let plan = FaultPlan::seeded(1);
    let text = "EHLO x\r\nmail FROM:<>\r\n";
    assert_eq!(through(&plan, None, text).await, (text.to_owned(), true));
    let cut = DialFault::CutAfterReceived(6);
    assert_eq!(
        through(&plan, Some(cut), text).await,
        ("EHLO x".to_owned(), true)
    );
    // What was sent before the cut is not read any more.
    let cut = DialFault::CutAfterSent(9);
    assert_eq!(
        through(&plan, Some(cut), text).await,
        (String::new(), false)
    );
    let cut = DialFault::ClosesAt("MAIL".to_owned());
    assert_eq!(
        through(&plan, Some(cut), text).await,
        (String::new(), false)
    );
    assert_eq!(plan.record().len(), 3);
}

#[tokio::test]
async fn tls_is_cut_within_the_handshake_and_clear_text_never() {
    let plan = FaultPlan::seeded(1);
    let (client, server) = tokio::io::duplex(1_024);
    let mut client = plan.stream(client, DialFault::CutWithinTls(3));
    client.write_all(b"STARTTLS\r\n").await.unwrap();
    let hello = b"\x16\x03\x01\x00\x05hello";
    assert!(client.write_all(hello).await.is_err());
    let mut heard = Vec::new();
    let mut server = server;
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"STARTTLS\r\n\x16\x03\x01");
}

#[tokio::test]
async fn of_the_replies_after_the_data_a_part_comes_in() {
    let plan = FaultPlan::seeded(1);
    let (client, mut server) = tokio::io::duplex(1_024);
    let mut client = plan.stream(client, DialFault::CutAfterDataReplies(2));
    server.write_all(b"220 x\r\n354 go\r\n").await.unwrap();
    let mut octets = [0; 64];
    assert_eq!(client.read(&mut octets).await.unwrap(), 15);
    client.write_all(b"..\r\nx\r\n.\r\n").await.unwrap();
    server
        .write_all(b"250 a\r\n450 b\r\n250 c\r\n")
        .await
        .unwrap();
    assert_eq!(client.read(&mut octets).await.unwrap(), 14);
    assert_eq!(&octets[..14], b"250 a\r\n450 b\r\n");
    assert!(client.read(&mut octets).await.is_err());
}

#[tokio::test]
async fn a_line_that_crawls_takes_virtual_time_alone() {
    let plan = FaultPlan::seeded(1);
    let begun = plan.clock().now();
    let sending = plan.clone();
    let sent = tokio::spawn(async move {
        let crawl = DialFault::Trickle(Duration::from_secs(60));
        through(&sending, Some(crawl), "0123456789").await
    });
    plan.run_for(Duration::from_secs(599)).await;
    assert!(!sent.is_finished());
    plan.run_for(Duration::from_secs(1)).await;
    assert_eq!(sent.await.unwrap(), ("0123456789".to_owned(), true));
    assert_eq!(plan.clock().now().since(begun), Duration::from_secs(600));
}

#[tokio::test]
async fn chance_hangs_on_the_seed_and_the_subject_and_not_on_the_order() {
    let faults = [DnsFault::ServFail, DnsFault::NullMx, DnsFault::NoAddresses];
    let ask = async |seed, names: [&str; 2]| {
        let plan = FaultPlan::seeded(seed);
        let zone = FixedResolver::new();
        let dns = plan.resolver(Arc::new(zone));
        dns.sometimes(3, &faults);
        for _ in 0..40 {
            for name in names {
                let _ = dns.mx(&name.parse().unwrap()).await;
            }
        }
        let mut lines: Vec<String> = plan.transcript().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let lines = ask(7, ["a.test", "b.test"]).await;
    assert!((15..40).contains(&lines.len()), "{}", lines.len());
    assert!(lines.iter().all(|line| !line.contains("NoAddresses")));
    assert_eq!(lines, ask(7, ["b.test", "a.test"]).await);
    assert_ne!(lines, ask(8, ["a.test", "b.test"]).await);
}

#[tokio::test]
async fn a_name_is_struck_until_it_is_healed_and_a_calm_plan_strikes_nobody() {
    let zone = Arc::new(FixedResolver::new());
    zone.add_mx("b.test", 10, "mx.b.test");
    let plan = FaultPlan::seeded(1);
    let dns = plan.resolver(zone);
    let b = "b.test".parse().unwrap();
    dns.on("b.test", DnsFault::ManyMx(50));
    assert_eq!(dns.mx(&b).await.unwrap().records.len(), 50);
    plan.calm();
    assert_eq!(dns.mx(&b).await.unwrap().records.len(), 1);
    plan.resume();
    dns.on("b.test", DnsFault::NullMx);
    assert_eq!(dns.mx(&b).await.unwrap().records[0].host, None);
    dns.heal("b.test");
    assert!(dns.mx(&b).await.unwrap().records[0].host.is_some());
}

/// A store that takes everything.
#[derive(Debug)]
struct Taker;

#[async_trait]
impl Commit for Taker {
    async fn commit(&self, _: Batch) -> Result<Receipt, CommitError> {
        Ok(Receipt::default())
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Err(StoreError::Unsupported("staging"))
    }
}

#[tokio::test]
async fn batches_of_mail_fail_by_number_and_a_full_disk_takes_nothing() {
    let plan = FaultPlan::seeded(1);
    let commit = plan.commit(Arc::new(Taker));
    commit.at(2, StoreFault::DiskFull);
    let mail = || Batch {
        spool: vec![SpoolChange::Remove { id: QueueId(1) }],
        ..Batch::default()
    };
    assert!(commit.commit(mail()).await.is_ok());
    assert!(commit.commit(Batch::default()).await.is_ok());
    let full = commit.commit(mail()).await;
    assert!(matches!(
        full,
        Err(CommitError::Store(StoreError::DiskFull))
    ));
    assert!(commit.commit(mail()).await.is_ok());
    commit.fill();
    assert!(!commit.has_room(1) && commit.commit(mail()).await.is_err());
    commit.free();
    assert!(commit.has_room(1) && commit.commit(mail()).await.is_ok());
}
