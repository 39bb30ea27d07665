//! Whether the queue is seen to be worked on.

use super::*;
use crate::seams::QueueStart;
use crate::time::Monotonic;

/// A clock that does not tell when it is set, as the computer's.
#[derive(Debug)]
struct Plain(VirtualClock);

#[async_trait]
impl Clock for Plain {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Monotonic {
        self.0.monotonic()
    }

    async fn sleep_until(&self, until: Monotonic) {
        self.0.sleep_until(until).await;
    }
}

#[tokio::test]
async fn a_queue_that_is_idle_is_at_work_and_one_that_stands_still_is_not() {
    let mut bench = Bench::on(
        RunnerConfig::default(),
        Arc::new(Agent::default()),
        |clock| Arc::new(Plain(clock)),
    )
    .start();
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

#[tokio::test]
async fn on_a_tests_clock_an_idle_queue_is_at_work_until_its_task_is_gone() {
    let mut bench = Bench::new(RunnerConfig::default()).start();
    bench.clock.run_for(HOUR).await;
    assert!(bench.runner.is_at_work());
    bench.task.take().unwrap().abort();
    tokio::task::yield_now().await;
    bench.clock.advance(HOUR);
    assert!(!bench.runner.is_at_work());
}
