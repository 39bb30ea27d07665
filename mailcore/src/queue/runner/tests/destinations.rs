//! Destinations that are away, slow or limited, and what that does to others.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Bench, HOUR};
use crate::event::EventName;
use crate::queue::{DestinationLimits, QueueId, Rate, RunnerConfig};
use crate::seams::Spool;

const MINUTE: Duration = Duration::from_secs(60);

async fn attempts(bench: &Bench, id: u128) -> u32 {
    let entry = bench.queue.entry(QueueId(id)).await.unwrap();
    entry.map_or(0, |entry| entry.progress.attempts)
}

#[tokio::test]
async fn a_destination_that_is_away_is_tried_by_one_entry_at_a_time_ever_more_rarely() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for id in 0..10 {
        bench
            .queue
            .put(bench.entry(id, "s@ok.test", &["a@away.test"]));
        bench.clock.run_for(Duration::from_secs(1)).await;
    }
    let jobs = || bench.agent.jobs.lock().unwrap().len();
    assert_eq!(jobs(), 1);
    bench.clock.run_for(MINUTE).await;
    assert_eq!(jobs(), 2, "a minute later");
    bench.clock.run_for(MINUTE * 2).await;
    assert_eq!(jobs(), 3, "two minutes later");
    bench.clock.run_for(HOUR).await;
    assert!((5..=8).contains(&jobs()), "{} trials", jobs());
    let mut counted = 0;
    for id in 0..10 {
        counted += attempts(&bench, id).await;
    }
    assert_eq!(
        usize::try_from(counted).unwrap(),
        jobs(),
        "no attempt is counted that was none"
    );

    bench.agent.back.lock().unwrap().insert("away.test".into());
    bench.clock.run_for(HOUR * 2).await;
    assert!(
        bench.queue.ids().is_empty(),
        "all is delivered when it is back"
    );
}

#[tokio::test]
async fn an_operator_has_a_destination_tried_at_once() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for id in 0..3 {
        bench.send(id, "s@ok.test", &["a@away.test"]).await;
    }
    let [state] = &bench.runner.destinations()[..] else {
        panic!("one destination")
    };
    assert!(state.failures == 1 && state.away_until.is_some() && state.last_failure.is_some());
    bench.agent.back.lock().unwrap().insert("away.test".into());
    bench.runner.retry_now(QueueId(2)).await.unwrap();
    bench.clock.run_for(Duration::from_secs(1)).await;
    let name = "away.test".parse().unwrap();
    assert_eq!(bench.runner.forget_destination(&name), 0, "nothing is left");
    assert_eq!(bench.queue.ids(), [QueueId(0), QueueId(1)]);
}

#[tokio::test]
async fn what_is_put_off_is_told_of_and_given_up_in_time() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for id in 0..5 {
        bench
            .queue
            .put(bench.entry(id, "s@ok.test", &["a@away.test"]));
    }
    let mut told = HashMap::new();
    for hour in 0..170u32 {
        bench.clock.run_for(HOUR).await;
        for (kind, action) in [("delay", "Action: delayed"), ("failure", "Action: failed")] {
            let texts = bench.notices().await;
            let count = texts.iter().filter(|text| text.contains(action)).count();
            told.entry((kind, count)).or_insert(hour);
        }
    }
    assert!(bench.queue.ids().is_empty());
    assert!(told[&("delay", 5)] < 9, "{told:?}");
    assert_eq!(told[&("failure", 5)], 167, "{told:?}");
    let texts = bench.notices().await;
    let failed = texts.iter().filter(|text| text.contains("Action: failed"));
    assert!(
        failed
            .clone()
            .all(|text| text.contains("4.4.1 nobody there"))
    );
    assert_eq!(bench.events(EventName::RecipientFailed), 5);
}

#[tokio::test]
async fn a_destination_that_never_answers_holds_its_share_of_the_leases_and_no_more() {
    let config = RunnerConfig {
        max_leased: 40,
        ..RunnerConfig::default()
    };
    let bench = Bench::new(config).start();
    for id in 0..200 {
        bench.queue.put(bench.entry(id, "", &["a@stuck.test"]));
    }
    bench.clock.run_for(MINUTE).await;
    for id in 0..30 {
        bench
            .queue
            .put(bench.entry(1_000 + id, "", &["b@fine.test"]));
    }
    bench.clock.run_for(MINUTE).await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 30);
    assert_eq!(
        bench.agent.running.load(Ordering::SeqCst),
        5,
        "it begins with few"
    );
}

#[tokio::test]
async fn more_jobs_go_where_they_succeed_and_fewer_where_they_do_not() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let width = |name: &str| {
        let states = bench.runner.destinations();
        let of = states
            .iter()
            .find(|it| format!("{:?}", it.next_hop).contains(name));
        of.map(|it| it.width)
    };
    for id in 0..8 {
        bench.send(id, "", &["a@away.test"]).await;
    }
    assert_eq!(width("away.test"), Some(2));
    bench.agent.back.lock().unwrap().insert("away.test".into());
    bench.clock.run_for(HOUR).await;
    assert!(width("away.test") > Some(5), "one more after each success");
}

#[tokio::test]
async fn a_rate_spreads_messages_and_loses_none() {
    let minutely = Rate {
        messages: 6,
        per: MINUTE,
    };
    let mut config = RunnerConfig::default();
    config.destinations.rates = HashMap::from([("fine.test".parse().unwrap(), minutely)]);
    let bench = Bench::new(config).start();
    for id in 0..60 {
        bench.queue.put(bench.entry(id, "", &["b@fine.test"]));
        bench
            .queue
            .put(bench.entry(100 + id, "", &["b@other.test"]));
    }
    bench.clock.run_for(Duration::from_secs(1)).await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 61);
    bench.clock.run_for(MINUTE * 5).await;
    let sent = bench.events(EventName::RecipientDelivered) - 60;
    assert!((20..=32).contains(&sent), "{sent} in five minutes");
    bench.clock.run_for(MINUTE * 20).await;
    assert!(bench.queue.ids().is_empty());
}

#[tokio::test]
async fn no_more_destinations_are_remembered_than_wanted() {
    let config = RunnerConfig {
        destinations: DestinationLimits {
            remembered: 50,
            ..DestinationLimits::default()
        },
        ..RunnerConfig::default()
    };
    let bench = Bench::new(config).start();
    for id in 0..300u32 {
        let to = format!("a@away{id}.test");
        bench.queue.put(bench.entry(id.into(), "", &[&to]));
        bench.clock.run_for(Duration::from_secs(1)).await;
        assert!(bench.runner.destinations().len() <= 50);
    }
}

#[tokio::test]
async fn of_a_thousand_destinations_half_come_back_and_the_others_end_in_notices() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for id in 0..1_000u32 {
        let to = format!("a@away{id}.test");
        bench
            .queue
            .put(bench.entry(id.into(), "s@local.test", &[&to]));
    }
    bench.clock.run_for(HOUR * 12).await;
    assert_eq!(bench.queue.ids().len(), 1_000);
    let back = (0..1_000).step_by(2).map(|id| format!("away{id}.test"));
    bench.agent.back.lock().unwrap().extend(back);
    bench.clock.run_for(HOUR * 5).await;
    assert_eq!(bench.queue.ids().len(), 500, "one wait of four hours later");
    bench.clock.run_for(HOUR * 151).await;
    // All notices fall into one moment, and each needs its turn.
    for _ in 0..200 {
        bench.clock.run_for(Duration::from_secs(1)).await;
    }
    assert!(bench.queue.ids().is_empty());

    let mut jobs: HashMap<String, usize> = HashMap::new();
    for job in bench.agent.jobs.lock().unwrap().iter() {
        let domain = job.recipients[0].address.domain().to_string();
        *jobs.entry(domain).or_default() += 1;
    }
    for id in 0..1_000 {
        let tried = jobs[&format!("away{id}.test")];
        match id % 2 {
            0 => assert!((6..=8).contains(&tried), "away{id}.test: {tried}"),
            _ => assert!((44..=47).contains(&tried), "away{id}.test: {tried}"),
        }
    }
    let failed = bench.notices().await;
    let failed = failed.iter().filter(|text| text.contains("Action: failed"));
    assert_eq!(failed.count(), 500);
}

#[tokio::test]
async fn what_a_destination_puts_off_is_written_down_together() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for id in 0..1_000 {
        let mut entry = bench.entry(id, "s@ok.test", &["a@away.test"]);
        entry.progress.attempts = 1;
        bench.queue.put(entry);
    }
    bench.clock.run_for(Duration::from_secs(20)).await;
    assert_eq!(bench.agent.jobs.lock().unwrap().len(), 5);
    let commits = bench.queue.commits.load(Ordering::SeqCst);
    assert!(commits <= 15, "{commits} commits for 1,000 entries");
    let leases = bench.queue.leases.load(Ordering::SeqCst);
    assert_eq!(leases, 1_000, "each is looked at once");
}

#[tokio::test]
async fn a_store_that_fails_to_put_off_together_is_asked_again() {
    let bench = Bench::new(RunnerConfig::default()).start();
    for id in 0..20 {
        let entry = bench.entry(id, "s@ok.test", &["a@away.test"]);
        bench.queue.put(entry);
    }
    bench.queue.failures.store(10, Ordering::SeqCst);
    bench.clock.run_for(Duration::from_secs(50)).await;
    assert_eq!(bench.agent.jobs.lock().unwrap().len(), 5);
    let leases = bench.queue.leases.load(Ordering::SeqCst);
    assert_eq!(leases, 20, "none is given out anew");
    bench.agent.back.lock().unwrap().insert("away.test".into());
    bench.clock.run_for(HOUR).await;
    assert!(bench.queue.ids().is_empty());
}

#[tokio::test]
async fn retries_that_nobody_answers_leave_room_for_fresh_mail() {
    let config = RunnerConfig {
        max_leased: 40,
        ..RunnerConfig::default()
    };
    let bench = Bench::new(config).start();
    let hosts: Vec<String> = (0..200).map(|id| format!("a@stuck{id}.test")).collect();
    for (id, to) in (0..).zip(&hosts) {
        let mut entry = bench.entry(id, "", &[to.as_str()]);
        entry.progress.attempts = 1;
        bench.queue.put(entry);
    }
    bench.clock.run_for(MINUTE).await;
    assert_eq!(bench.agent.running.load(Ordering::SeqCst), 10);
    for id in 0..30 {
        let to = format!("b@fine{id}.test");
        bench.queue.put(bench.entry(1_000 + id, "", &[&to]));
    }
    bench.clock.run_for(Duration::from_secs(1)).await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 30);
    assert_eq!(
        bench.queue.leases.load(Ordering::SeqCst),
        40,
        "the other retries are not even looked at"
    );
}

#[tokio::test]
async fn mail_whose_turn_never_comes_is_told_of_and_given_up() {
    let rarely = Rate {
        messages: 1,
        per: HOUR * 24 * 30,
    };
    let mut config = RunnerConfig::default();
    config.destinations.rates = HashMap::from([("fine.test".parse().unwrap(), rarely)]);
    let bench = Bench::new(config).start();
    for id in 1..4 {
        bench.send(id, "s@ok.test", &["a@fine.test"]).await;
    }
    bench.clock.run_for(HOUR * 5).await;
    let notices = bench.notices().await;
    assert_eq!(notices.len(), 2, "two are delayed, and nobody was told");
    assert!(notices.iter().all(|it| it.contains("Action: delayed")));
    bench.clock.run_for(HOUR * 24 * 7).await;
    assert_eq!(bench.queue.ids().len(), 2, "a turn may come yet");
    bench.clock.run_for(HOUR * 24).await;
    assert!(bench.queue.ids().is_empty());
    let notices = bench.notices().await;
    assert_eq!(notices.len(), 4);
    assert!(notices[3].contains("Status: 4.4.5"), "{}", notices[3]);
}
