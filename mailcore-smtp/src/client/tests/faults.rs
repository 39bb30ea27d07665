//! Hosts that stall, cut and talk without end, at each step: nobody is lost,
//! and everybody has an outcome.

use std::time::Duration;

use super::agent::Bench;
use super::host::Script;

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
