//! What an alias leads to: who gets a copy, under which sender, and where it ends.

use super::*;

#[tokio::test]
async fn aliases_are_followed_once_and_loops_are_cut() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench
        .send(
            1,
            "s@ok.test",
            &["all@alias.test", "x@loop.test", "n@unknown.test"],
        )
        .await;
    assert_eq!(
        bench.recipients_of_jobs(),
        ["a@local.test", "b@slow.test", "s@ok.test"]
    );
    let notices = bench.notices().await;
    assert!(notices[0].contains("Status: 5.4.6\r\n") && notices[0].contains("Status: 5.1.1\r\n"));
    // Only the address that waits is left, not the alias it came from.
    bench.clock.run_for(HOUR / 2).await;
    assert_eq!(
        bench.recipients_of_jobs(),
        ["a@local.test", "b@slow.test", "b@slow.test", "s@ok.test"]
    );
}

#[tokio::test]
async fn an_alias_of_twenty_five_thousand_is_served_and_each_gets_one_copy() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["all@army.test"]).await;
    assert!(bench.queue.ids().is_empty());
    let mut served = bench.recipients_of_jobs();
    served.dedup();
    assert_eq!(served.len(), 25_000);
}

#[tokio::test]
async fn what_an_alias_sends_on_keeps_its_sender_however_often_it_is_tried() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@far.test", &["far@alias.test"]).await;
    bench.clock.run_for(HOUR).await;
    let senders = |to: &str| {
        let jobs = bench.agent.jobs.lock().unwrap();
        let jobs = jobs
            .iter()
            .filter(|job| job.recipients[0].address.to_string() == to);
        jobs.map(|job| job.reverse_path.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(senders("a@slow.test"), ["srs@here.test", "srs@here.test"]);
    assert_eq!(senders("c@fine.test"), ["srs@here.test"]);
    assert_eq!(senders("b@local.test"), ["s@far.test"], "not sent on");
    assert_eq!(bench.queue.ids().len(), 1);
}

#[tokio::test]
async fn an_alias_that_leads_where_nobody_knows_yet_is_tried_again_whole() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@far.test", &["lame@alias.test"]).await;
    let entry = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
    let [left] = &entry.progress.recipients[..] else {
        panic!("{entry:?}")
    };
    assert_eq!(left.recipient.address.to_string(), "lame@alias.test");
    assert!(bench.recipients_of_jobs().is_empty());
}

#[tokio::test]
async fn an_alias_of_too_many_fails_as_one_and_others_are_served() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let to = ["a@fine.test", "all@crowd.test", "b@fine.test"];
    bench.send(1, "s@local.test", &to).await;
    let notices = bench.notices().await;
    assert!(notices[0].contains("Final-Recipient: rfc822; all@crowd.test\r\n"));
    assert_eq!(notices[0].matches("Final-Recipient:").count(), 1);
    assert_eq!(
        bench.recipients_of_jobs(),
        ["a@fine.test", "b@fine.test", "s@local.test"]
    );
}
