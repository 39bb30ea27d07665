//! What operators do, and what is told of it.

use super::*;
use crate::queue::{Ended, Whose};

/// What the events of a name say: the field, by event.
fn told(bench: &Bench, name: &EventName, field: &str) -> Vec<String> {
    let events = bench.queue.events.lock().unwrap();
    let named = events.iter().filter(|event| event.name == *name);
    named
        .map(|event| event.field(field).unwrap_or_default().to_owned())
        .collect()
}

async fn waiting(bench: &Bench) -> Vec<String> {
    let entry = bench.queue.entry(QueueId(1)).await.unwrap();
    let entry = entry.expect("the entry is there");
    let left = entry.progress.recipients.iter();
    left.map(|it| it.recipient.address.to_string()).collect()
}

#[tokio::test]
async fn recipients_who_are_meant_are_given_up_and_the_others_wait_on() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let to = ["a@slow.test", "b@slow.test", "c@away.test", "d@away.test"];
    bench.send(1, "s@ok.test", &to).await;
    let ids = [QueueId(1)];
    let before = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
    let operate = async |whose: Whose, operation: Operation| {
        let operated = bench.runner.operate_for(&ids, &whose, &operation).await;
        operated.unwrap().changed
    };
    let domain = Whose::Domain("slow.test".parse().unwrap());
    let reason = "slow.test is closed".to_owned();
    assert_eq!(
        operate(domain.clone(), Operation::Return { reason }).await,
        1
    );
    assert_eq!(waiting(&bench).await, ["c@away.test", "d@away.test"]);
    let notice = bench.notices().await.pop().unwrap();
    assert!(notice.contains("a@slow.test") && notice.contains("b@slow.test"));
    assert!(!notice.contains("away.test"), "{notice}");
    // Nobody is meant: nothing happens.
    assert_eq!(operate(domain, Operation::Bounce).await, 0);

    let one = Whose::Address("d@away.test".parse().unwrap());
    assert_eq!(operate(one.clone(), Operation::Delete).await, 1);
    assert_eq!(operate(one, Operation::Hold).await, 0);
    assert_eq!(waiting(&bench).await, ["c@away.test"]);
    let after = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
    assert_eq!(after.progress.next_attempt, before.progress.next_attempt);
    let ended: Vec<Ended> = after.progress.done.iter().map(|it| it.ended).collect();
    assert_eq!(ended, [Ended::Failed; 3]);
    assert_eq!(bench.notices().await.len(), 1);

    let last = Whose::Address("c@away.test".parse().unwrap());
    assert_eq!(operate(last, Operation::Bounce).await, 1);
    assert!(!bench.queue.ids().contains(&QueueId(1)));
}

#[tokio::test]
async fn what_an_operator_does_is_told_by_an_event() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench
        .send(1, "s@ok.test", &["a@slow.test", "b@away.test"])
        .await;
    for operation in [
        Operation::Hold,
        Operation::Retry,
        Operation::Release,
        Operation::Hold,
    ] {
        bench.runner.operate(QueueId(1), operation).await.unwrap();
        bench.clock.run_for(Duration::from_secs(1)).await;
    }
    let to = "a@ok.test".parse().unwrap();
    let whose = Whose::Address("a@slow.test".parse().unwrap());
    let reroute = Operation::Reroute { to };
    let rerouted = bench.runner.operate_for(&[QueueId(1)], &whose, &reroute);
    rerouted.await.unwrap();
    bench.clock.run_for(Duration::from_secs(1)).await;
    bench
        .runner
        .operate(QueueId(1), Operation::Delete)
        .await
        .unwrap();
    assert_eq!(
        told(&bench, &EventName::QueueChange, "operation"),
        ["held", "retried", "released", "held", "rerouted", "deleted"]
    );
    let both = "a@slow.test b@away.test";
    assert_eq!(
        told(&bench, &EventName::QueueChange, "to"),
        [both, both, both, both, "a@slow.test", "b@away.test"]
    );
    assert_eq!(
        told(&bench, &EventName::RecipientExpanded, "into"),
        ["a@ok.test"]
    );
    assert!(told(&bench, &EventName::RecipientDelivered, "to").contains(&"a@ok.test".to_owned()));
}
