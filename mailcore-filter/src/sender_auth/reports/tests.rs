use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::message::{Message, Readable, Summary};
use mailcore::plan::{Disposition, Plan};
use mailcore::seams::{Clock, Filter, FilterSession, IncomingMail, Resolver};
use mailcore::status::Status;
use mailcore::testing::{FixedResolver, VirtualClock};
use mailcore::time::Timestamp;

use super::aggregate::{AggregateReport, Proof, PublishedPolicy, Row};
use super::collect::Collector;
use super::compose::{Draft, Part};
use super::fake::FakeState;
use super::received::Sums;
use super::tally::{Counted, Until};
use super::*;
use crate::sender_auth::dmarc::{Dmarc, DmarcPolicy, DmarcQuery};
use crate::sender_auth::outcome::{DmarcOutcome, SpfOutcome};
use crate::sender_auth::spf::{Spf, SpfQuery};

#[derive(Debug, Default)]
struct Outbox(Mutex<Vec<Vec<u8>>>);

#[async_trait]
impl Post for Outbox {
    async fn post(&self, _: Envelope, message: Vec<u8>) -> Result<(), String> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }
}

struct House {
    dns: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    tally: Arc<Tally>,
    outbox: Arc<Outbox>,
    observer: Observer,
}

const FORGED: &str = "From: Ann <ann@a.test>\r\nTo: Bob <bob@b.test>, eve@c.test\r\n\
                      Subject: hello\r\nReceived: from x for <bob@b.test>\r\n\r\nsecret\r\n";

impl House {
    fn new(record: &str) -> Self {
        let dns = FixedResolver::new();
        dns.add_txt("_dmarc.a.test", record);
        dns.add_txt("a.test", "v=spf1 ip4:192.0.2.1 -all");
        let dns: Arc<dyn Resolver> = Arc::new(dns);
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new());
        let tally = Tally::new(Arc::<FakeState>::default(), Arc::clone(&clock));
        let outbox = Arc::<Outbox>::default();
        let dmarc = Dmarc::new(Arc::clone(&dns), Arc::clone(&clock));
        let failures = FailureReports::new(
            (Arc::clone(&dns), Destinations::new(Arc::clone(&dns), dmarc)),
            Submitter::new("dmarc@b.test".parse().unwrap()),
            Arc::clone(&outbox) as _,
            Arc::clone(&clock),
        );
        let observer = Observer::new()
            .tally(Arc::clone(&tally))
            .failures(failures)
            .pass_over(["reports@b.test".parse().unwrap()]);
        Self {
            dns,
            clock,
            tally,
            outbox,
            observer,
        }
    }

    /// What the tests leave of mail from a host.
    async fn session(&self, host: &str) -> FilterSession {
        let peer: std::net::SocketAddr = format!("{host}:1").parse().unwrap();
        let session = FilterSession::new(Some(peer));
        let reverse_path = ReversePath::parse("<ann@a.test>").unwrap();
        let spf = Spf::new(
            Arc::clone(&self.dns),
            Arc::clone(&self.clock),
            "b.test".parse().unwrap(),
        );
        let spf = spf
            .check(&SpfQuery::mail_from(peer.ip(), "a.test", &reverse_path))
            .await;
        let from: Domain = "a.test".parse().unwrap();
        let passed = (spf.result.as_str() == "pass").then_some(&from);
        let query = DmarcQuery {
            from: std::slice::from_ref(&from),
            spf: passed,
            dkim: &[],
            unanswered: &[],
        };
        let dmarc = Dmarc::new(Arc::clone(&self.dns), Arc::clone(&self.clock));
        let report = dmarc.check(&query).await;
        session.memory.keep_for_message(SpfOutcome {
            client: peer.ip(),
            helo: "a.test".into(),
            reverse_path,
            report: spf,
        });
        session.memory.keep_for_message(DmarcOutcome {
            from: vec![from],
            report,
            overridden: None,
        });
        session
    }

    async fn receive(&self, host: &str, to: &str, done: Disposition) {
        let session = self.session(host).await;
        let sender = ReversePath::parse("<ann@a.test>").unwrap();
        let envelope = Envelope::new(sender, [to.parse().unwrap()]);
        let (message, summary) = (
            Message::from_bytes(FORGED),
            Summary::scan(FORGED.as_bytes()),
        );
        let mut plan = Plan::accept(1);
        plan.recipients[0].disposition = done;
        let mail = IncomingMail::new(&envelope, &message, &summary);
        self.observer.message(&session, &mail, &mut plan).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn counted(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (day, domain) in self.tally.domains(Until::Now).await.unwrap() {
            let counted: Option<Counted> = self.tally.read(day, &domain).await.unwrap();
            rows.extend(counted.into_iter().flat_map(|it| it.rows));
        }
        rows
    }
}

fn refused() -> Disposition {
    Disposition::Reject(Status::permanent(7, 1, "no"))
}

#[tokio::test]
async fn mail_is_counted_with_what_became_of_it() {
    let house = House::new("v=DMARC1; p=reject; rua=mailto:r@a.test");
    house.receive("192.0.2.1", "bob@b.test", refused()).await;
    house.receive("192.0.2.9", "bob@b.test", refused()).await;
    house
        .receive("192.0.2.8", "bob@b.test", Disposition::Accept)
        .await;
    let defer = Disposition::Defer(Status::transient(7, 1, "later"));
    house.receive("192.0.2.7", "bob@b.test", defer).await;
    house
        .receive("192.0.2.6", "reports@b.test", Disposition::Accept)
        .await;
    let rows = house.counted().await;
    let told: Vec<_> = (rows.iter())
        .map(|row| {
            let reason = row.reasons.first().map_or("", |it| it.kind.as_str());
            (row.source.to_string(), row.spf, row.disposition, reason)
        })
        .collect();
    assert_eq!(
        told,
        [
            // It passed; what else was wrong with it is not the domain's business.
            ("192.0.2.1".into(), Proof::Pass, DmarcPolicy::None, ""),
            (
                "192.0.2.8".into(),
                Proof::Fail,
                DmarcPolicy::None,
                "local_policy"
            ),
            ("192.0.2.9".into(), Proof::Fail, DmarcPolicy::Reject, ""),
        ]
    );
    assert_eq!(rows[0].hosts[0].scope, "mfrom");
    assert!(house.outbox.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_counted_for_who_did_not_ask() {
    let house = House::new("v=DMARC1; p=reject");
    house.receive("192.0.2.9", "bob@b.test", refused()).await;
    assert_eq!(house.counted().await, []);
}

#[tokio::test]
async fn a_failure_is_told_of_without_what_was_written_and_to_whom() {
    let house = House::new("v=DMARC1; p=reject; ruf=mailto:f@a.test,mailto:x@victim.test");
    for _ in 0..20 {
        house.receive("192.0.2.9", "bob@b.test", refused()).await;
    }
    house
        .receive("192.0.2.1", "bob@b.test", Disposition::Accept)
        .await;
    let mails = house.outbox.0.lock().unwrap();
    assert_eq!(mails.len(), 10);
    let mail = String::from_utf8_lossy(&mails[0]).replace("\r\n ", " ");
    for told in [
        "To: f@a.test\r\n",
        "Content-Type: multipart/report; report-type=feedback-report; boundary=",
        "Feedback-Type: auth-failure\r\n",
        "Auth-Failure: dmarc\r\n",
        "Identity-Alignment: none\r\n",
        "Delivery-Result: reject\r\n",
        "Source-IP: 192.0.2.9\r\n",
        "SPF-DNS: txt : a.test : \"v=spf1 ip4:192.0.2.1 -all\"\r\n",
        "Subject: hello\r\n",
        "To: redacted@b.test, redacted@c.test\r\n",
    ] {
        assert!(mail.contains(told), "{told} in {mail}");
    }
    for hidden in ["bob", "eve", "secret", "victim"] {
        assert!(!mail.contains(hidden), "{hidden} in {mail}");
    }
}

/// Mail of a.test with a report on b.test, and with an archive that is none.
fn mail_with_a_report(to: &Address, at: Timestamp) -> Vec<u8> {
    let policy = PublishedPolicy {
        domain: "b.test".into(),
        ..PublishedPolicy::default()
    };
    let mut report = AggregateReport::new("a.test", "1", policy);
    report.rows = vec![Row::new("192.0.2.5".parse().unwrap(), "b.test")];
    let xml = report.to_xml();
    let submitter = Submitter::new("dmarc@a.test".parse().unwrap());
    Draft {
        submitter: &submitter,
        to,
        subject: "Report Domain: b.test",
        id: "1@a.test",
        at,
        kind: "multipart/mixed",
        text: "A report.",
        parts: &[
            Part {
                media_type: "text/xml",
                name: "a.xml",
                octets: xml.as_bytes(),
            },
            Part {
                media_type: "application/gzip",
                name: "b.gz",
                octets: &[0x1f, 0x8b, 1],
            },
        ],
    }
    .finish()
}

#[tokio::test]
async fn reports_of_others_are_taken_out_of_mail_that_passes() {
    let house = House::new("v=DMARC1; p=none");
    let to = "reports@b.test".parse().unwrap();
    let mail = mail_with_a_report(&to, house.clock.now());
    assert_eq!(
        Readable::new(&mail, &Summary::scan(&mail))
            .attachments
            .len(),
        2
    );
    let received = Received::new(Arc::<FakeState>::default(), Arc::clone(&house.clock));
    let collector =
        Collector::new(received.clone(), [to.clone()]).domains(["b.test".parse().unwrap()]);
    let (message, summary) = (Message::from_bytes(mail.clone()), Summary::scan(&mail));
    let sender = ReversePath::parse("<dmarc@a.test>").unwrap();
    let counts = |host: &'static str, to: &'static str| {
        let (collector, received, house) = (&collector, &received, &house);
        let envelope = Envelope::new(sender.clone(), [to.parse().unwrap()]);
        let (message, summary) = (&message, &summary);
        async move {
            let session = house.session(host).await;
            let mail = IncomingMail::new(&envelope, message, summary);
            collector
                .message(&session, &mail, &mut Plan::accept(1))
                .await;
            let mut sums = Sums::default();
            received
                .each(None, None, |report| sums.add(&report))
                .await
                .unwrap();
            sums.finish().iter().map(|sum| sum.messages).sum::<u64>()
        }
    };
    assert_eq!(counts("192.0.2.1", "bob@b.test").await, 0);
    assert_eq!(counts("192.0.2.9", "reports@b.test").await, 0);
    assert_eq!(counts("192.0.2.1", "Reports@b.test").await, 1);
    assert_eq!(counts("192.0.2.1", "reports@b.test").await, 1);
}
