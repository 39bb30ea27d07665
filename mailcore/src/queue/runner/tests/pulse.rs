//! Whether the queue is seen to be worked on.

use super::*;
use crate::seams::QueueStart;

#[tokio::test]
async fn a_queue_that_is_idle_is_at_work_and_one_that_stands_still_is_not() {
    let mut bench = Bench::new(RunnerConfig::default()).start();
    let minutes = |count: u64| Duration::from_secs(60 * count);
    bench.clock.run_for(minutes(30)).await;
    assert!(bench.runner.is_at_work(), "nothing was to be done");
    bench.queue.is_unreadable.store(true, Ordering::SeqCst);
    bench.clock.run_for(minutes(5)).await;
    assert!(!bench.runner.is_at_work(), "the spool can't be read");
    bench.queue.is_unreadable.store(false, Ordering::SeqCst);
    bench.clock.run_for(minutes(2)).await;
    assert!(bench.runner.is_at_work(), "it can again");
    bench.task.take().unwrap().abort();
    bench.clock.advance(minutes(5));
    assert!(!bench.runner.is_at_work(), "its task is gone");
}
