//! Going down: what is done is written down, the rest is given back.

use super::*;

#[tokio::test]
async fn going_down_gives_back_what_is_not_done() {
    let mut bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@stuck.test"]).await;
    drop(bench.stop.take());
    bench.clock.run_for(Duration::from_secs(31)).await;
    bench.task.take().unwrap().await.unwrap();
    let free = bench.clock.now();
    let leased =
        crate::seams::Spool::lease(bench.queue.as_ref(), free, LeaseLimit::all(10), HOUR).await;
    assert_eq!(leased.unwrap().len(), 1);
}

#[tokio::test]
async fn going_down_begins_nothing_and_gives_nothing_back_that_is_being_written() {
    let mut bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@stuck.test"]).await;
    drop(bench.stop.take());
    bench.clock.run_for(Duration::from_secs(29)).await;
    bench.send(2, "s@ok.test", &["a@fine.test"]).await;
    assert_eq!(
        bench.recipients_of_jobs(),
        ["a@stuck.test"],
        "none is begun"
    );

    let mut bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@stuck.test"]).await;
    bench.queue.failures.store(usize::MAX, Ordering::SeqCst);
    bench.send(2, "s@ok.test", &["a@fine.test"]).await;
    drop(bench.stop.take());
    bench.clock.run_for(Duration::from_secs(60)).await;
    bench.task.take().unwrap().await.unwrap();
    let free = bench.clock.now();
    let leased = Spool::lease(bench.queue.as_ref(), free, LeaseLimit::all(10), HOUR).await;
    assert!(
        leased.unwrap().is_empty(),
        "what became of them is not known"
    );
}
