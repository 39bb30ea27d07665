//! The agent against hosts that take, refuse, cut and talk nonsense.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mailcore::address::ReversePath;
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::Origin;
use mailcore::seams::{DeliveryAgent, DeliveryJob, NextHop};
use mailcore::status::Outcome;
use mailcore::testing::{FixedResolver, SeededEntropy, VirtualClock};
use mailcore::time::Timestamp;

use super::host::{Hosts, Network, Script};
use crate::client::{RemoteAgent, RemoteAgentBuilder, RemoteConfig, RemoteSeams};

pub(super) struct Bench {
    pub(super) hosts: Arc<Hosts>,
    pub(super) resolver: Arc<FixedResolver>,
    pub(super) clock: VirtualClock,
    pub(super) agent: Arc<RemoteAgent>,
    trace: AtomicU64,
    pub(super) job: DeliveryJob,
}

impl Bench {
    pub(super) fn new(config: RemoteConfig) -> Self {
        Self::with(|builder| builder.config(config))
    }

    /// An agent that is set up by `build`.
    pub(super) fn with(build: impl FnOnce(RemoteAgentBuilder) -> RemoteAgentBuilder) -> Self {
        let hosts = Arc::new(Hosts::default());
        let resolver = Arc::new(FixedResolver::new());
        let clock = VirtualClock::new();
        let seams = RemoteSeams {
            resolver: resolver.clone(),
            dialer: Arc::new(Network(hosts.clone())),
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        let builder = RemoteAgent::builder("me.test".parse().unwrap(), seams);
        Self {
            hosts,
            resolver,
            clock,
            agent: build(builder).build(),
            trace: AtomicU64::new(0),
            job: job(),
        }
    }

    /// `x.test` with two mail hosts, of which `one` and `two` say what they do.
    pub(super) fn pair(one: Script, two: Script) -> Self {
        let bench = Self::new(RemoteConfig::default());
        bench.resolver.add_mx("x.test", 10, "one.x.test");
        bench.resolver.add_mx("x.test", 20, "two.x.test");
        for (name, ip, script) in [
            ("one.x.test", "192.0.2.1", one),
            ("two.x.test", "192.0.2.2", two),
        ] {
            bench.resolver.add_address(name, ip.parse().unwrap());
            bench.hosts.add(ip, script);
        }
        bench
    }

    pub(super) async fn send(&self, to: &[&str]) -> Vec<String> {
        self.send_content(to, "Subject: x\r\n\r\nbody\r\n").await
    }

    pub(super) async fn send_content(&self, to: &[&str], content: &str) -> Vec<String> {
        let recipients = to.iter().map(|to| Recipient::new(to.parse().unwrap()));
        let job = DeliveryJob {
            trace: TraceId(self.trace.fetch_add(1, Ordering::Relaxed).into()),
            recipients: recipients.collect(),
            message: Message::from_bytes(content.to_owned()),
            ..self.job.clone()
        };
        let outcomes = self.agent.deliver(job).await;
        outcomes.iter().map(short).collect()
    }

    pub(super) fn dialled(&self) -> Vec<String> {
        let mut dialled = self.hosts.dialled.lock().unwrap();
        dialled.drain(..).map(|ip| ip.to_string()).collect()
    }
}

fn job() -> DeliveryJob {
    DeliveryJob {
        trace: TraceId(0),
        reverse_path: ReversePath::Address("s@me.test".parse().unwrap()),
        params: MailParams::default(),
        origin: Origin::Received,
        recipients: Vec::new(),
        next_hop: NextHop::Mx("x.test".parse().unwrap()),
        message: Message::from_bytes(""),
        findings: Arc::default(),
        received_at: Timestamp::EPOCH,
        agent: "smtp".into(),
        transcript: Default::default(),
    }
}

fn short(outcome: &Outcome) -> String {
    let failure = |word, failure: &mailcore::status::Failure| {
        let remote = failure.remote.as_ref().map(|host| format!(" {host}"));
        let status = &failure.status.code;
        format!("{word} {status}{}", remote.unwrap_or_default())
    };
    match outcome {
        Outcome::Relayed { remote, .. } => format!("relayed {remote}"),
        Outcome::Deferred(deferred) => failure("deferred", deferred),
        Outcome::Unreachable(hop) => failure("unreachable", hop),
        Outcome::Failed(failed) => failure("failed", failed),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn each_recipient_has_its_own_outcome() {
    let one = Script::default()
        .answer("RCPT TO:<no@", &["550 5.1.1 who?"])
        .answer("RCPT TO:<later@", &["451 4.7.1 greylisted"]);
    let two = Script::default().answer("RCPT TO:<later@", &["451 4.7.1 here too"]);
    let bench = Bench::pair(one, two);
    let outcomes = bench.send(&["a@x.test", "no@x.test", "later@x.test"]).await;
    assert_eq!(
        outcomes,
        [
            "relayed one.x.test",
            "failed 5.1.1 one.x.test",
            "deferred 4.7.1 two.x.test"
        ]
    );
    // The second host was asked for nobody but whom the first one put off.
    assert_eq!(bench.hosts.heard("RCPT TO:<a@"), 1);
    assert_eq!(bench.hosts.heard("message Subject: x||body|."), 1);
}

#[tokio::test]
async fn a_host_that_does_not_serve_is_passed_over() {
    for one in [
        Script::default().answer("greeting", &["554 no mail here"]),
        Script::default().answer("greeting", &["421 4.3.2 too busy"]),
        Script::default().answer("greeting", &["SSH-2.0-OpenSSH"]),
        Script::default().answer("greeting", &["cut"]),
        Script::default().answer("MAIL", &["421 4.3.2 going down"]),
        Script::default().answer("RCPT", &["cut"]),
        Script::default().answer("DATA", &["451 not now"]),
    ] {
        let bench = Bench::pair(one.clone(), Script::default());
        let outcomes = bench.send(&["a@x.test", "b@x.test"]).await;
        assert_eq!(outcomes, ["relayed two.x.test"; 2], "{one:?}");
    }
}

#[tokio::test]
async fn when_no_host_serves_the_mail_waits_unless_all_said_never() {
    let no = || Script::default().answer("greeting", &["554 5.3.2 no mail here"]);
    let busy = || Script::default().answer("greeting", &["421 4.3.2 busy"]);
    let never = Bench::pair(no(), no()).send(&["a@x.test"]).await;
    assert_eq!(never, ["failed 5.3.2 two.x.test"]);
    let wait = Bench::pair(busy(), no()).send(&["a@x.test"]).await;
    assert_eq!(wait, ["unreachable 4.3.2 one.x.test"]);

    let bench = Bench::new(RemoteConfig::default());
    bench.resolver.add_mx("x.test", 10, "one.x.test");
    assert_eq!(bench.send(&["a@x.test"]).await, ["failed 5.4.4"]);
    bench
        .resolver
        .add_address("one.x.test", "192.0.2.1".parse().unwrap());
    let refused = bench.send(&["a@x.test"]).await;
    assert_eq!(refused, ["unreachable 4.4.1 one.x.test"]);
    // It is not called again for a while, then it is.
    assert_eq!(bench.dialled().len(), 1);
    bench.send(&["b@x.test"]).await;
    assert_eq!(bench.dialled().len(), 0);
    bench.clock.advance(Duration::from_secs(61));
    bench.hosts.add("192.0.2.1", Script::default());
    assert_eq!(bench.send(&["b@x.test"]).await, ["relayed one.x.test"]);
}

#[tokio::test]
async fn a_cut_after_the_end_of_the_data_is_not_sent_twice_at_once() {
    for (answer, status) in [("cut", "4.4.2"), ("452 4.3.1 disk full", "4.3.1")] {
        let one = Script::default().answer("message", &[answer]);
        let bench = Bench::pair(one, Script::default());
        let outcomes = bench.send(&["a@x.test"]).await;
        assert_eq!(outcomes, [format!("deferred {status} one.x.test")]);
        assert_eq!(bench.hosts.heard("message"), 1);
    }
}

#[tokio::test]
async fn a_cut_within_the_data_defers() {
    let bench = Bench::new(RemoteConfig::default());
    bench.resolver.add_mx("x.test", 10, "one.x.test");
    bench
        .resolver
        .add_address("one.x.test", "192.0.2.1".parse().unwrap());
    // 354 and then gone: the host's end is dropped while content is under way.
    let one = Script::default().answer("DATA", &["354 go\r\n421 4.3.2 going down"]);
    bench.hosts.add("192.0.2.1", one);
    let content = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(50_000));
    let outcomes = bench.send_content(&["a@x.test"], &content).await;
    assert_eq!(outcomes, ["deferred 4.3.2 one.x.test"]);
}

#[tokio::test]
async fn more_recipients_than_fit_go_in_further_transactions() {
    let one = Script::default().answer("RCPT TO:<late", &["452 4.5.3 too many", "250 ok"]);
    let bench = Bench::pair(one, Script::default());
    let many: Vec<String> = (0..250).map(|n| format!("u{n}@x.test")).collect();
    let mut to: Vec<&str> = many.iter().map(String::as_str).collect();
    to.push("late@x.test");
    let outcomes = bench.send(&to).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome == "relayed one.x.test")
    );
    assert_eq!(bench.hosts.heard("message"), 4);
    assert_eq!(bench.dialled().len(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_until_it_is_too_old() {
    let bench = Bench::pair(Script::default(), Script::default());
    for _ in 0..3 {
        assert_eq!(bench.send(&["a@x.test"]).await, ["relayed one.x.test"]);
    }
    assert_eq!(bench.dialled(), ["192.0.2.1"]);
    bench.clock.run_for(Duration::from_secs(20)).await;
    assert_eq!(bench.hosts.heard("QUIT"), 1);
    bench.send(&["a@x.test"]).await;
    assert_eq!(bench.dialled(), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_busy_host_is_not_taken_for_a_dead_one() {
    let mut config = RemoteConfig::default();
    config.pool.max_idle_per_hop = 0;
    let bench = Bench::new(config);
    bench.resolver.add_mx("x.test", 10, "one.x.test");
    let ip = "192.0.2.1";
    bench
        .resolver
        .add_address("one.x.test", ip.parse().unwrap());
    let greetings = ["220 host", "421 4.3.2 too many connections", "220 host"];
    let script = Script::default().answer("greeting", &greetings);
    bench.hosts.add(ip, script);
    assert_eq!(bench.send(&["a@x.test"]).await, ["relayed one.x.test"]);
    let busy = bench.send(&["a@x.test"]).await;
    assert_eq!(busy, ["unreachable 4.3.2 one.x.test"]);
    assert_eq!(bench.send(&["a@x.test"]).await, ["relayed one.x.test"]);
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_nothing() {
    let one = Script::default().answer("MAIL", &["250 ok", "cut", "250 ok"]);
    let bench = Bench::pair(one, Script::default());
    bench.send(&["a@x.test"]).await;
    assert_eq!(bench.send(&["b@x.test"]).await, ["relayed one.x.test"]);
    assert_eq!(bench.dialled(), ["192.0.2.1", "192.0.2.1"]);
}

#[tokio::test]
async fn mail_does_not_come_back_to_this_server() {
    let mut config = RemoteConfig::default();
    config.own.addresses = vec!["192.0.2.9".parse().unwrap()];
    let bench = Bench::new(config);
    bench.resolver.add_mx("x.test", 10, "other-name.test");
    bench
        .resolver
        .add_address("other-name.test", "192.0.2.9".parse().unwrap());
    assert_eq!(bench.send(&["a@x.test"]).await, ["failed 5.4.6"]);
    assert!(bench.dialled().is_empty());
}

#[tokio::test]
async fn a_silent_host_is_left_after_the_time_it_has() {
    let bench = Bench::pair(
        Script::default()
            .answer("EHLO", &["250 host"])
            .answer("MAIL", &["250-and then nothing"]),
        Script::default(),
    );
    let clock = bench.clock.clone();
    let (outcomes, ()) = tokio::join!(
        bench.send(&["a@x.test"]),
        clock.run_for(Duration::from_secs(301))
    );
    assert_eq!(outcomes, ["relayed two.x.test"]);
}
