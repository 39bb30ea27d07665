//! Hosts that say more than is worth keeping: an entry stays one that a store
//! takes.

use super::*;

/// Octets of what it says in one job.
const LONG: usize = 24_000_000;

/// Defers at `slow.test`, takes the rest, and has much to say of either.
#[derive(Debug)]
struct Wordy;

#[async_trait]
impl DeliveryAgent for Wordy {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let each = (LONG / job.recipients.len()).min(400_000);
        let words = "\u{e9}".repeat(each / 2);
        let answer = |recipient: &Recipient| match recipient.address.domain().as_str() {
            "slow.test" => Outcome::Deferred(Failure {
                reply_code: Some(451),
                said: Some(words.clone()),
                ..Failure::local(Status::transient(2, 0, words.clone()))
            }),
            "away.test" => {
                Outcome::Unreachable(Failure::local(Status::transient(4, 1, words.clone())))
            }
            _ => Outcome::Relayed {
                remote: "mx.fine.test".parse().unwrap(),
                reply: Status::new("2.0.0".parse().unwrap(), words.clone()),
                reply_code: 250,
                tls: None,
                notifies: false,
            },
        };
        job.recipients.iter().map(answer).collect()
    }
}

async fn written_after(to: &[String], attempts: u32) -> QueueProgress {
    let bench = Bench::with_agent(RunnerConfig::default(), Arc::new(Wordy)).start();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    bench.send(1, "s@ok.test", &to).await;
    loop {
        bench.clock.run_for(Duration::from_secs(60)).await;
        let entry = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
        if entry.progress.attempts >= attempts {
            return entry.progress.clone();
        }
    }
}

#[tokio::test]
async fn what_hosts_say_never_makes_an_entry_too_large_for_a_store() {
    for (count, domain, most, least) in [
        (1, "slow.test", 30_000, 8_000),
        (300, "slow.test", 2 << 20, 1_500),
        (300, "away.test", 2 << 20, 1_500),
        (25_000, "slow.test", 6 << 20, 16),
    ] {
        let to = (0..count).map(|n| format!("{n}@{domain}"));
        let to: Vec<String> = to.chain(["one@fine.test".to_owned()]).collect();
        let progress = written_after(&to, 1).await;
        assert_eq!(progress.recipients.len(), count, "{domain}");
        let octets = progress.encode().len();
        assert!(octets < most, "{octets} octets for {count} at {domain}");
        assert!(progress.octets() >= octets, "counted for less than it is");
        assert!(progress.octets() < 8 << 20);
        let said = progress.recipients[0].last_failure.as_ref().unwrap();
        let kept = said.status.text.len();
        assert!(
            kept >= least,
            "{kept} octets of what {domain} says to {count}"
        );
    }
}

#[tokio::test]
async fn one_hosts_words_are_not_kept_whole_for_every_recipient_that_is_put_off() {
    let bench = Bench::with_agent(RunnerConfig::default(), Arc::new(Wordy)).start();
    bench.send(1, "s@ok.test", &["a@away.test"]).await;
    bench.clock.run_for(Duration::from_secs(1)).await;
    let to: Vec<String> = (0..1_000).map(|n| format!("{n}@away.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    bench.send(2, "s@ok.test", &to).await;
    bench.clock.run_for(Duration::from_secs(1)).await;
    let entry = bench.queue.entry(QueueId(2)).await.unwrap().unwrap();
    assert_eq!(entry.progress.attempts, 0);
    assert!(entry.progress.recipients[0].last_failure.is_some());
    let octets = entry.progress.encode().len();
    assert!(octets < 2 << 20, "{octets} octets");
}
