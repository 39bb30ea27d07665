//! The form in which content and parameters go to hosts that take less or more
//! of them, LMTP among them.

use std::time::Duration;

use mailcore::envelope::{ByMode, DeliverBy, Priority, Ret};
use mailcore::seams::{Clock, NextHop};
use mailcore::time::Timestamp;

use super::agent::Bench;
use super::host::Script;
use crate::client::{HostSettings, Protocol, RemoteConfig, RouteSettings, SourceAddress};

fn offering(offers: &'static str) -> Script {
    Script::default().answer("EHLO", &[offers])
}

fn sent(bench: &Bench) -> Vec<String> {
    bench.hosts.heard.lock().unwrap().clone()
}

#[tokio::test]
async fn eight_bit_content_is_converted_for_a_host_without_8bitmime() {
    let bench = Bench::pair(offering("250-host\r\n250 SIZE"), Script::default());
    let content = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\né\r\n";
    let outcomes = bench.send_content(&["a@x.test"], content).await;
    assert_eq!(outcomes, ["relayed one.x.test"]);
    let heard = sent(&bench);
    // The length of what is sent is not known before, and not told.
    assert_eq!(heard[1], "MAIL FROM:<s@me.test>");
    assert!(heard[4].ends_with("Content-Transfer-Encoding: quoted-printable||=C3=A9|."));
    assert!(
        bench
            .job
            .transcript
            .text()
            .contains("-- the content is converted\n")
    );
}

#[tokio::test]
async fn eight_bit_content_goes_as_it_is_where_it_is_taken() {
    let bench = Bench::pair(offering("250-host\r\n250 8BITMIME"), Script::default());
    bench
        .send_content(&["a@x.test"], "Subject: x\r\n\r\né\r\n")
        .await;
    assert_eq!(bench.hosts.heard("MAIL FROM:<s@me.test> BODY=8BITMIME"), 1);
    assert_eq!(bench.hosts.heard("message Subject: x||é|."), 1);
}

#[tokio::test]
async fn what_can_not_be_converted_fails_with_its_reason() {
    for (content, status) in [
        ("Subject: é\r\n\r\nx\r\n", "5.6.7"),
        ("Subject: x\r\n\r\na\nb\r\n", "5.6.0"),
        (
            "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n",
            "5.6.3",
        ),
    ] {
        let bench = Bench::pair(Script::default(), Script::default());
        let outcomes = bench.send_content(&["a@x.test"], content).await;
        assert_eq!(
            outcomes,
            [format!("failed {status} one.x.test")],
            "{content}"
        );
        assert_eq!(bench.hosts.heard("MAIL"), 0);
    }
}

#[tokio::test]
async fn stray_line_ends_go_by_binarymime_or_encoded_and_never_as_lines() {
    let content = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\na\n.\nb\0\r\n";
    let offers = "250-host\r\n250-CHUNKING\r\n250 BINARYMIME";
    let bench = Bench::pair(offering(offers), Script::default());
    let outcomes = bench.send_content(&["a@x.test"], content).await;
    assert_eq!(outcomes, ["relayed one.x.test"]);
    assert_eq!(
        bench.hosts.heard("MAIL FROM:<s@me.test> BODY=BINARYMIME"),
        1
    );
    let chunk = format!(
        "BDAT {} LAST {}",
        content.len(),
        content.replace("\r\n", "|")
    );
    assert_eq!(bench.hosts.heard(&chunk), 1);

    let bench = Bench::pair(Script::default(), Script::default());
    bench.send_content(&["a@x.test"], content).await;
    let heard = sent(&bench);
    assert!(heard[4].ends_with("base64||YQouCmIADQo=|."), "{heard:?}");
}

#[tokio::test]
async fn long_content_goes_in_chunks_and_a_refused_chunk_ends_the_transaction() {
    let content = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(50_000));
    for (replies, expected) in [
        (vec!["250 ok"], "relayed one.x.test"),
        (
            vec!["250 ok", "552 5.3.4 too much", "503 5.5.1 no"],
            "failed 5.3.4 one.x.test",
        ),
    ] {
        let bench = Bench::new(RemoteConfig::default());
        bench.resolver.add_mx("x.test", 10, "one.x.test");
        bench
            .resolver
            .add_address("one.x.test", "192.0.2.1".parse().unwrap());
        let script =
            offering("250-host\r\n250-PIPELINING\r\n250 CHUNKING").answer("BDAT", &replies);
        bench.hosts.add("192.0.2.1", script);
        let outcomes = bench.send_content(&["a@x.test"], &content).await;
        assert_eq!(outcomes, [expected]);
        assert_eq!(bench.hosts.heard("DATA"), 0);
        let ended = usize::from(expected.starts_with("failed"));
        assert_eq!(bench.hosts.heard("RSET"), ended);
        // The connection is good for the next one.
        bench
            .hosts
            .add("192.0.2.1", offering("250-host\r\n250 CHUNKING"));
        let outcomes = bench.send(&["a@x.test"]).await;
        assert_eq!(outcomes, ["relayed one.x.test"]);
        assert_eq!(bench.dialled().len(), 1);
    }
}

#[tokio::test]
async fn a_host_that_does_not_know_what_it_offers_is_told_less() {
    let one = Script::default()
        .answer("MAIL FROM:<s@me.test> RET", &["555 5.5.4 RET?"])
        .answer("RCPT", &["503 mail first", "503 mail first", "250 ok"])
        .answer("DATA", &["503 mail first", "354 go"]);
    let mut bench = Bench::pair(one, Script::default());
    bench.job.params.ret = Some(Ret::Headers);
    let outcomes = bench.send(&["a@x.test", "b@x.test"]).await;
    assert_eq!(outcomes, ["relayed one.x.test"; 2]);
    assert_eq!(bench.hosts.heard("MAIL"), 2);
}

#[tokio::test]
async fn a_deadline_and_an_urgency_go_on_with_the_message() {
    let deadline = |seconds, mode| DeliverBy {
        deadline: Timestamp::EPOCH.after(Duration::from_secs(seconds)),
        mode,
        trace: false,
    };
    let offers = "250-host\r\n250-DSN\r\n250-MT-PRIORITY\r\n250 DELIVERBY 60";
    for (by, offers, expected) in [
        (deadline(90, ByMode::Return), offers, "relayed one.x.test"),
        (
            deadline(30, ByMode::Return),
            offers,
            "failed 5.4.7 one.x.test",
        ),
        (
            deadline(90, ByMode::Return),
            "250-host\r\n250 DSN",
            "failed 5.3.3 one.x.test",
        ),
        (
            deadline(90, ByMode::Notify),
            "250-host\r\n250 DSN",
            "relayed one.x.test",
        ),
    ] {
        let mut bench = Bench::pair(offering(offers), Script::default());
        let now = bench.clock.now();
        let passed = now.secs() - Timestamp::EPOCH.secs();
        let since = Duration::from_secs(u64::try_from(passed).unwrap());
        bench.job.params.deliver_by = Some(DeliverBy {
            deadline: by.deadline.after(since),
            ..by
        });
        bench.job.params.priority = Priority::new(3).unwrap();
        assert_eq!(bench.send(&["a@x.test"]).await, [expected]);
        let with = bench
            .hosts
            .heard("MAIL FROM:<s@me.test> MT-PRIORITY=3 BY=90;R");
        let passed_on = expected.starts_with("relayed") && offers.contains("DELIVERBY");
        assert_eq!(with, usize::from(passed_on), "{:?}", sent(&bench));
    }
}

#[tokio::test]
async fn the_limits_that_a_host_tells_are_kept() {
    let one = offering("250-host\r\n250 LIMITS RCPTMAX=3 MAILMAX=2 RCPTDOMAINMAX=1");
    let bench = Bench::pair(one, Script::default());
    let to = [
        "a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@y.test", "f@y.test",
    ];
    assert_eq!(bench.send(&to).await, ["relayed one.x.test"; 6]);
    assert_eq!(bench.hosts.heard("message"), 3);
    assert_eq!(bench.dialled(), ["192.0.2.1", "192.0.2.1"]);
}

fn lmtp() -> Bench {
    let mut settings = HostSettings::new("store.test".parse().unwrap(), 24);
    settings.protocol = Protocol::Lmtp;
    let mut bench = Bench::with(|builder| builder.host(settings));
    bench.job.next_hop = NextHop::Host {
        host: "store.test".parse().unwrap(),
        port: 24,
    };
    let ip = "192.0.2.7".parse().unwrap();
    bench.resolver.add_address("store.test", ip);
    bench
}

#[tokio::test]
async fn lmtp_answers_each_recipient_after_the_data() {
    for offers in [
        "250-store\r\n250 PIPELINING",
        "250-store\r\n250-CHUNKING\r\n250 PIPELINING",
    ] {
        let bench = lmtp();
        let replies = "250 2.0.0 filed\r\n452 4.2.2 full\r\n550 5.7.1 unwanted";
        let script = Script::default()
            .answer("LHLO", &[offers])
            .answer("RCPT TO:<no@", &["550 5.1.1 who?"])
            .answer("BDAT", &[replies])
            .answer("message", &[replies]);
        bench.hosts.add("192.0.2.7", script);
        let to = ["a@x.test", "no@x.test", "full@x.test", "c@x.test"];
        assert_eq!(
            bench.send(&to).await,
            [
                "relayed store.test",
                "failed 5.1.1 store.test",
                "deferred 4.2.2 store.test",
                "failed 5.7.1 store.test"
            ]
        );
        assert_eq!(bench.hosts.heard("EHLO") + bench.hosts.heard("HELO"), 0);
    }
}

#[tokio::test]
async fn a_route_has_hosts_and_source_addresses_of_its_own() {
    let mut route = RouteSettings::default();
    for host in ["first.test", "second.test"] {
        route
            .hosts
            .push(HostSettings::new(host.parse().unwrap(), 587));
    }
    route.sources.push(SourceAddress {
        ip: "198.51.100.5".parse().unwrap(),
        name: Some("out5.me.test".parse().unwrap()),
    });
    let mut bench = Bench::with(|builder| builder.route("smtp:x", route));
    bench.job.agent = "smtp:x".into();
    for (host, ip) in [("first.test", "192.0.2.1"), ("second.test", "192.0.2.2")] {
        bench.resolver.add_address(host, ip.parse().unwrap());
    }
    let dead = Script::default().answer("greeting", &["421 4.3.2 down"]);
    bench.hosts.add("192.0.2.1", dead);
    bench.hosts.add("192.0.2.2", Script::default());
    assert_eq!(bench.send(&["a@x.test"]).await, ["relayed second.test"]);
    assert_eq!(bench.hosts.heard("EHLO out5.me.test"), 1);
    let sources = bench.hosts.sources.lock().unwrap().clone();
    assert_eq!(
        sources,
        ["198.51.100.5".parse::<std::net::IpAddr>().unwrap(); 2]
    );
}

#[tokio::test]
async fn a_dead_address_is_left_soon_when_there_is_another() {
    let bench = Bench::pair(Script::default(), Script::default());
    let dead = "2001:db8::1".parse().unwrap();
    bench.resolver.add_address("one.x.test", dead);
    bench.hosts.silent.lock().unwrap().push(dead);
    bench
        .hosts
        .silent
        .lock()
        .unwrap()
        .push("192.0.2.1".parse().unwrap());
    let clock = bench.clock.clone();
    let (outcomes, ()) = tokio::join!(
        bench.send(&["a@x.test"]),
        clock.run_for(Duration::from_secs(11))
    );
    assert_eq!(outcomes, ["relayed two.x.test"]);
}

#[tokio::test]
async fn the_dialogue_is_kept_without_content() {
    let bench = Bench::pair(Script::default(), Script::default());
    bench.send(&["a@x.test"]).await;
    assert_eq!(
        bench.job.transcript.text(),
        "-- connecting to one.x.test [192.0.2.1]:25\nS: 220 host\nC: EHLO me.test\n\
         S: 250-host\nS: 250-PIPELINING\nS: 250 DSN\nC: MAIL FROM:<s@me.test>\n\
         C: RCPT TO:<a@x.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n\
         -- 20 octets sent\nS: 250 ok\n"
    );
}
