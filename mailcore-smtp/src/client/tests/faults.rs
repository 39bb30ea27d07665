//! Hosts that stall, cut and talk without end, at each step: nobody is lost,
//! and everybody has an outcome.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::envelope::Recipient;
use mailcore::seams::{DeliveryAgent, DeliveryJob, DnsError, Lookup, Mx, NextHop, Resolver, Tlsa};
use mailcore::status::Outcome;
use mailcore::testing::VirtualClock;

use super::agent::Bench;
use super::host::Script;
use crate::client::{LoopbackHosts, RemoteAgent, RemoteConfig, RemoteSeams};

/// Two hosts, the first of which fails at `step` with `fault`; what becomes of
/// one recipient within so many seconds.
async fn outcome(step: &'static str, fault: &'static str, seconds: u64) -> String {
    let bench = Bench::pair(Script::default().answer(step, &[fault]), Script::default());
    let clock = bench.clock.clone();
    let (outcomes, ()) = tokio::join!(
        bench.send(&["a@x.test"]),
        clock.run_for(Duration::from_secs(seconds))
    );
    outcomes.concat()
}

#[tokio::test]
async fn a_host_that_stalls_before_the_data_is_passed_over() {
    for step in ["greeting", "EHLO", "MAIL", "RCPT", "DATA"] {
        assert_eq!(
            outcome(step, "stall", 400).await,
            "relayed two.x.test",
            "{step}"
        );
    }
}

#[tokio::test]
async fn a_host_that_stalls_after_the_data_may_have_taken_it() {
    assert_eq!(
        outcome("message", "stall", 700).await,
        "deferred 4.4.1 one.x.test"
    );
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off() {
    for step in ["greeting", "EHLO", "MAIL", "RCPT", "DATA"] {
        assert_eq!(
            outcome(step, "flood", 1).await,
            "relayed two.x.test",
            "{step}"
        );
    }
    assert_eq!(
        outcome("message", "flood", 1).await,
        "deferred 4.5.0 one.x.test"
    );
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for step in ["greeting", "EHLO", "MAIL", "RCPT", "DATA"] {
        for garbage in ["\u{1}\u{2}\u{3}", "hello", "2", "999 x", "250_x"] {
            let outcome = outcome(step, garbage, 1).await;
            assert_eq!(outcome, "relayed two.x.test", "{step} {garbage:?}");
        }
    }
}

#[tokio::test]
async fn a_cut_within_the_content_defers_without_asking_another_host() {
    assert_eq!(
        outcome("DATA", "354 cut within", 1).await,
        "deferred 4.4.2 one.x.test"
    );
}

#[tokio::test]
async fn a_421_in_the_middle_keeps_what_was_said_of_each() {
    let one = Script::default()
        .answer("RCPT TO:<no@", &["550 5.1.1 who?"])
        .answer("RCPT TO:<b@", &["421 4.3.2 going down"]);
    let bench = Bench::pair(one, Script::default());
    let outcomes = bench.send(&["a@x.test", "no@x.test", "b@x.test"]).await;
    assert_eq!(
        outcomes,
        [
            "relayed two.x.test",
            "failed 5.1.1 one.x.test",
            "relayed two.x.test"
        ]
    );
    assert_eq!(bench.hosts.heard("message"), 1);
}

#[tokio::test]
async fn a_reply_before_the_end_of_the_data_never_ends_the_message() {
    let one = Script::default().answer("DATA", &["354 go\r\n250 2.0.0 thanks"]);
    let bench = Bench::pair(one, Script::default());
    let content = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(50_000));
    let outcomes = bench.send_content(&["a@x.test"], &content).await;
    assert_eq!(outcomes, ["deferred 4.5.0 one.x.test"]);
    assert_eq!(bench.hosts.heard("message"), 0);
}

#[tokio::test]
async fn a_domain_whose_records_lead_to_this_machine_loops_back() {
    for ip in ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.2"] {
        let ip: IpAddr = ip.parse().unwrap();
        let bench = Bench::new(RemoteConfig::default());
        bench.resolver.add_mx("x.test", 10, "one.x.test");
        bench.resolver.add_address("one.x.test", ip);
        assert_eq!(bench.send(&["a@x.test"]).await, ["failed 5.4.6"], "{ip}");
        assert!(bench.dialled().is_empty());
    }
    let mut bench = Bench::new(RemoteConfig::default());
    bench.hosts.add("127.0.0.1", Script::default());
    bench.job.next_hop = NextHop::Mx("[127.0.0.1]".parse().unwrap());
    assert_eq!(bench.send(&["a@[127.0.0.1]"]).await, ["failed 5.4.6"]);
    bench.job.next_hop = NextHop::Host {
        host: "[127.0.0.1]".parse().unwrap(),
        port: 24,
    };
    assert_eq!(bench.send(&["a@x.test"]).await, ["relayed [127.0.0.1]"]);
    let config = RemoteConfig {
        loopback: LoopbackHosts::Allowed,
        ..RemoteConfig::default()
    };
    let bench = Bench::new(config);
    bench.hosts.add("127.0.0.1", Script::default());
    bench.resolver.add_mx("x.test", 10, "one.x.test");
    let ip = "127.0.0.1".parse().unwrap();
    bench.resolver.add_address("one.x.test", ip);
    assert_eq!(bench.send(&["a@x.test"]).await, ["relayed one.x.test"]);
}

/// Answers nothing at all.
#[derive(Debug)]
struct SilentResolver;

#[async_trait]
impl Resolver for SilentResolver {
    async fn mx(&self, _: &Domain) -> Result<Lookup<Mx>, DnsError> {
        std::future::pending().await
    }

    async fn addresses(&self, _: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        std::future::pending().await
    }

    async fn txt(&self, _: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        std::future::pending().await
    }

    async fn ptr(&self, _: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        std::future::pending().await
    }

    async fn tlsa(&self, _: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn name_servers_that_never_answer_defer_the_mail() {
    let bench = Bench::new(RemoteConfig::default());
    let clock = VirtualClock::new();
    let mut seams = RemoteSeams::system(Arc::new(SilentResolver));
    seams.clock = Arc::new(clock.clone());
    let agent = RemoteAgent::builder("me.test".parse().unwrap(), seams).build();
    let job = DeliveryJob {
        recipients: vec![Recipient::new("a@x.test".parse().unwrap())],
        ..bench.job.clone()
    };
    let (outcomes, ()) = tokio::join!(agent.deliver(job), clock.run_for(Duration::from_secs(61)));
    let [Outcome::Unreachable(failure)] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!(failure.status.code.to_string(), "4.4.3");
}

#[tokio::test]
async fn what_the_first_host_does_not_offer_the_second_may() {
    let able = || Script::default().answer("EHLO", &["250-host\r\n250-8BITMIME\r\n250 SMTPUTF8"]);
    let content = "Subject: я\r\n\r\nbody\r\n";
    let bench = Bench::pair(Script::default(), able());
    let outcomes = bench.send_content(&["a@x.test"], content).await;
    assert_eq!(outcomes, ["relayed two.x.test"]);
    // A host that is only busy keeps the mail in the queue.
    let busy = able().answer("RCPT", &["451 4.7.1 later"]);
    let bench = Bench::pair(busy, Script::default());
    let outcomes = bench.send_content(&["a@x.test"], content).await;
    assert_eq!(outcomes, ["deferred 4.7.1 one.x.test"]);
}

#[tokio::test]
async fn a_full_envelope_is_no_refusal_though_it_is_told_by_552() {
    let one = Script::default().answer("RCPT", &["250 ok", "552 too many", "250 ok"]);
    let bench = Bench::pair(one, Script::default());
    let outcomes = bench.send(&["a@x.test", "b@x.test"]).await;
    assert_eq!(outcomes, ["relayed one.x.test"; 2]);
    let one = Script::default().answer("RCPT", &["250 ok", "552 5.2.2 full"]);
    let bench = Bench::pair(one, Script::default());
    let outcomes = bench.send(&["a@x.test", "b@x.test"]).await;
    assert_eq!(outcomes, ["relayed one.x.test", "failed 5.2.2 one.x.test"]);
}

#[tokio::test]
async fn after_a_refused_last_chunk_the_next_message_starts_afresh() {
    let one = Script::default()
        .answer("EHLO", &["250-host\r\n250-PIPELINING\r\n250 CHUNKING"])
        .answer("BDAT", &["554 5.6.0 no", "250 ok"]);
    let bench = Bench::pair(one, Script::default());
    assert_eq!(bench.send(&["a@x.test"]).await, ["failed 5.6.0 one.x.test"]);
    assert_eq!(bench.hosts.heard("RSET"), 1);
    assert_eq!(bench.send(&["a@x.test"]).await, ["relayed one.x.test"]);
    assert_eq!(bench.dialled().len(), 1);
}
