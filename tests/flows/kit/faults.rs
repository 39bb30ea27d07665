//! A plan of faults over every seam of a server in a test.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::envelope::Envelope;
use mailcore::seams::{Filter, JournalQuery};
use mailcore::testing::faults::{
    AgentFault, DialFault, DirectoryFault, FaultPlan, FilterFault, JournalFault, LoginFault,
    StoreFault,
};
use mailcore::testing::matchers::{anything, subject, to};
use mailcore::testing::{MemoryServer, MemoryServerBuilder};
use mailcore_store::journal::SqliteJournal;
use mailcore_tests::Dialogue;

use crate::server;

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
struct Content;

#[async_trait]
impl Filter for Content {
    fn name(&self) -> &str {
        "content"
    }
}

fn by(plan: &FaultPlan) -> MemoryServerBuilder {
    server().faults(plan).filter(Arc::new(Content))
}

async fn reply(server: &MemoryServer, to: &str) -> String {
    match server.send("", to, "Subject: x\n\nhello").await {
        Ok(reply) => reply,
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn what_cannot_be_asked_puts_mail_off_and_loses_none() {
    let plan = FaultPlan::seeded(1);
    let server = by(&plan).start().await.unwrap();
    let faults = server.faults();
    faults
        .directory
        .on("ann@app.test", DirectoryFault::Unavailable);
    assert!(reply(&server, "ann@app.test").await.contains("451 4."));
    faults.directory.heal("ann@app.test");
    faults.directory.on("bob@app.test", DirectoryFault::Forgets);
    assert!(reply(&server, "bob@app.test").await.contains("550 5.1.1"));
    faults.commit.fill();
    assert!(reply(&server, "ann@app.test").await.contains("452 4.3.1"));
    faults.commit.free();
    faults.filters[0].on("message", FilterFault::Defers);
    assert!(reply(&server, "ann@app.test").await.contains(" 4."));
    faults.filters[0].on("message", FilterFault::Rejects);
    assert!(reply(&server, "ann@app.test").await.contains("550 5.7.1"));
    faults.filters[0].heal("message");
    server.expect_none(anything()).await;
    assert!(reply(&server, "ann@app.test").await.starts_with("250"));
    server.expect_mail(to("ann@app.test")).await;
    assert_eq!(plan.record().len(), 6, "{}", plan.transcript());
    server.shutdown().await;
}

#[tokio::test]
async fn a_filter_that_hangs_is_ended_by_its_deadline() {
    let plan = FaultPlan::seeded(1);
    let server = by(&plan).start().await.unwrap();
    server.faults().filters[0].on("message", FilterFault::Hangs);
    let reply = reply(&server, "ann@app.test").await;
    assert!(reply.contains("4.3.2"), "{reply}");
    server.shutdown().await;
}

#[tokio::test]
async fn logins_that_cannot_be_checked_are_not_wrong_ones() {
    let plan = FaultPlan::seeded(1);
    let server = by(&plan).start().await.unwrap();
    let logins = &server.faults().authenticator;
    logins.on("ann@app.test", LoginFault::Unavailable);
    let mut imap = Dialogue::new(server.connect_imap().unwrap());
    imap.expect("* OK").await;
    let refused = imap.ask_all("1 LOGIN ann@app.test x", "1 NO [UNAVAILABLE]");
    server.while_time_passes(refused).await;
    logins.heal("ann@app.test");
    imap.ask_all("2 LOGIN ann@app.test x", "2 OK").await;
    server.shutdown().await;
}

async fn submit(server: &MemoryServer, to: &[&str], subject: &str) {
    let to = to.iter().map(|to| to.parse().unwrap());
    let from = ReversePath::parse("<shop@app.test>").unwrap();
    let message = format!("From: <shop@app.test>\r\nSubject: {subject}\r\n\r\nhello\r\n");
    let sent = server.running().submit(Envelope::new(from, to), message);
    drop(sent.await.unwrap());
}

#[tokio::test]
async fn those_a_host_puts_off_are_tried_again_and_the_others_are_not() {
    let plan = FaultPlan::seeded(1);
    let server = by(&plan).start().await.unwrap();
    server.faults().agent.at(1, AgentFault::DefersSome);
    let all = ["a@else.test", "b@else.test", "c@else.test", "d@else.test"];
    submit(&server, &all, "order").await;
    for _ in 0..2 {
        let mail = server.expect_outgoing(anything()).within(24 * HOUR).await;
        assert_eq!(mail.recipients.len(), 2, "{mail}");
    }
    server
        .expect_no_outgoing(anything())
        .within(24 * HOUR)
        .await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_after_the_data_has_its_mail_once_or_not() {
    let plan = FaultPlan::seeded(1);
    let server = by(&plan).start().await.unwrap();
    let (one, two) = tokio::io::duplex(4_096);
    // A line that breaks: what the client sends goes through the plan.
    let mut broken = plan.stream(
        server.connect_smtp().unwrap(),
        DialFault::CutAfterDataReplies(0),
    );
    let mut two = two;
    let carry = tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut two, &mut broken).await;
    });
    let mut smtp = Dialogue::new(one);
    smtp.expect("220").await;
    smtp.ask("EHLO client.test", "250").await;
    smtp.ask("MAIL FROM:<>", "250").await;
    smtp.ask("RCPT TO:<ann@app.test>", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send("Subject: x\r\n\r\nhello\r\n.").await;
    server.run_for(HOUR).await;
    carry.await.unwrap();
    assert!(server.mail().len() <= 1);
    server.shutdown().await;
}

#[tokio::test]
async fn a_journal_that_fails_catches_up() {
    let plan = FaultPlan::seeded(1);
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(SqliteJournal::open(&folder.path().join("journal.db")).unwrap());
    let faulty = plan.journal(Arc::clone(&journal) as _);
    faulty.at(1, JournalFault::Unavailable);
    faulty.at(3, JournalFault::LosesAnswer);
    let given = Arc::clone(&faulty);
    let server = by(&plan)
        .with(move |builder| builder.journal(given))
        .start()
        .await
        .unwrap();
    for n in 0..5 {
        let message = format!("Subject: {n}\n\nhello");
        server.send("", "ann@app.test", &message).await.unwrap();
    }
    use mailcore::event::EventName;
    use mailcore::seams::Journal;
    let mut query = JournalQuery::default();
    query.name = Some(EventName::MessageReceived);
    let told = async || journal.query(&query).await.unwrap().events.len();
    // The journal is on a disk, whose time is not the test's.
    for _ in 0..1_000 {
        if told().await == 5 {
            break;
        }
        server.run_for(HOUR).await;
    }
    server.shutdown().await;
    assert_eq!(told().await, 5);
}

/// Everything that a server lived through by a seed.
async fn life(seed: u64) -> (String, Vec<Vec<u8>>, Vec<String>) {
    let plan = FaultPlan::seeded(seed);
    let server = by(&plan).start().await.unwrap();
    let faults = server.faults();
    let put_off = [DirectoryFault::Unavailable, DirectoryFault::Forgets];
    faults.directory.sometimes(9, &put_off);
    faults.state.sometimes(5, &[StoreFault::Io]);
    faults
        .commit
        .sometimes(7, &[StoreFault::DiskFull, StoreFault::Io]);
    let judged = [
        FilterFault::Defers,
        FilterFault::Slow(Duration::from_secs(3)),
    ];
    faults.filters[0].sometimes(9, &judged);
    let sent = [
        AgentFault::DefersSome,
        AgentFault::LosesAnswer,
        AgentFault::Defers,
    ];
    faults.agent.sometimes(3, &sent);
    let mut replies = Vec::new();
    for n in 0..30 {
        let to = format!("ann{n}@app.test");
        replies.push(reply(&server, &to).await);
        let from = ReversePath::parse("<shop@app.test>").unwrap();
        let all = (0..3).map(|k| format!("x{n}@d{k}.test").parse().unwrap());
        let message = format!("From: <shop@app.test>\r\nSubject: {n}\r\n\r\nhello\r\n");
        let sent = server.running().submit(Envelope::new(from, all), message);
        let sent = server.while_time_passes(sent).await;
        server.run_for(HOUR / 6).await;
        replies.push(sent.map_or_else(|it| it.to_string(), |_| "sent".to_owned()));
    }
    server.run_for(48 * HOUR).await;
    replies.extend(
        server
            .outgoing()
            .iter()
            .map(|it| format!("{it} {}", it.at.millis())),
    );
    let mut events = server.running().events(Default::default()).unwrap();
    let mut log = Vec::new();
    let end = server.running().event_cursor();
    while let Some(Ok(stored)) = events.next().await {
        log.push(stored.event.encode());
        if stored.cursor >= end {
            break;
        }
    }
    (plan.transcript(), log, replies)
}

#[tokio::test]
async fn one_seed_is_one_life_over_every_seam() {
    let (first, second) = (life(7).await, life(7).await);
    for seam in ["directory", "commit", "filter", "agent"] {
        let struck = first.0.lines().filter(|line| line.contains(seam)).count();
        assert!(struck > 1, "{seam}: {struck}");
    }
    assert!(first.1.len() > 100);
    assert!(first.0 == second.0, "other faults");
    assert!(first.1 == second.1, "other events");
    assert!(first.2 == second.2, "other replies");
    assert!(life(8).await.0 != first.0);
}

#[tokio::test]
async fn a_lost_answer_delivers_twice_and_never_not_at_all() {
    let plan = FaultPlan::seeded(1);
    let server = by(&plan).start().await.unwrap();
    server.faults().agent.at(1, AgentFault::LosesAnswer);
    submit(&server, &["a@else.test"], "order").await;
    for _ in 0..2 {
        server
            .expect_outgoing(subject("order"))
            .within(24 * HOUR)
            .await;
    }
    server.shutdown().await;
}
