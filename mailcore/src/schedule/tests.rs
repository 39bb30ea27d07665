//! Jobs in virtual time: over a year, over restarts, over jumps of the clock.

mod fake_memory;

use std::future::pending;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::net::ShutdownSwitch;
use crate::seams::Clock;
use crate::testing::{SeededEntropy, VirtualClock};
use crate::time::Timestamp;
use fake_memory::FakeMemory;

/// 2026-01-01 00:00 UTC, where virtual time begins.
const START: i64 = 1_767_225_600;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A computer: its clock, its disk, and what ran when.
struct Host {
    clock: VirtualClock,
    memory: Arc<FakeMemory>,
    ran: Arc<Mutex<Vec<(String, i64)>>>,
}

/// A scheduler that runs. Dropping it is a crash.
struct Up {
    scheduler: Arc<Scheduler>,
    switch: ShutdownSwitch,
    task: JoinHandle<()>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    fn new() -> Self {
        Self {
            clock: VirtualClock::new(),
            memory: Arc::default(),
            ran: Arc::default(),
        }
    }

    /// A job that notes when it began, and takes `takes`.
    fn job(&self, name: &str, crontab: &str, takes: u64) -> Job {
        let (clock, ran, noted) = (self.clock.clone(), Arc::clone(&self.ran), name.to_owned());
        Job::new(name, crontab.parse().unwrap(), move |_| {
            let at = clock.now().secs() - START;
            ran.lock().unwrap().push((noted.clone(), at));
            let clock = clock.clone();
            async move {
                let until = clock.monotonic().after(Duration::from_secs(takes));
                clock.sleep_until(until).await;
                Ok("done".to_owned())
            }
        })
    }

    async fn start(&self, jobs: impl IntoIterator<Item = Job>) -> Up {
        self.start_with(SchedulerConfig::default(), jobs).await
    }

    async fn start_with(&self, config: SchedulerConfig, jobs: impl IntoIterator<Item = Job>) -> Up {
        let seams = SchedulerSeams {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            memory: Some(self.memory.seams()),
        };
        let scheduler = Scheduler::new(seams, config);
        for job in jobs {
            scheduler.add(job).unwrap();
        }
        let (switch, shutdown) = ShutdownSwitch::new();
        let task = tokio::spawn(Arc::clone(&scheduler).run(shutdown));
        self.pass(0).await;
        Up {
            scheduler,
            switch,
            task,
        }
    }

    async fn pass(&self, secs: u64) {
        self.clock.run_for(Duration::from_secs(secs)).await;
    }

    /// The server is down for a while.
    async fn off(&self, up: Up, secs: u64) {
        drop(up);
        self.pass(0).await;
        self.clock.advance(Duration::from_secs(secs));
    }

    /// Sets the wall clock on, or back.
    fn jump(&self, secs: i64) {
        let now = self.clock.now().secs();
        self.clock.set_wall(Timestamp::from_secs(now + secs));
    }

    /// The runs since last asked, in seconds since the start.
    fn ran(&self) -> Vec<i64> {
        let ran = std::mem::take(&mut *self.ran.lock().unwrap());
        ran.into_iter().map(|(_, at)| at).collect()
    }
}

fn next(up: &Up) -> i64 {
    up.scheduler.list()[0].next.unwrap().secs() - START
}

const fn at(day: u64, hour: u64, minute: u64) -> i64 {
    (day * DAY + hour * HOUR + minute * MINUTE).cast_signed()
}

#[tokio::test]
async fn a_year_of_jobs_runs_exactly_when_it_should() {
    let host = Host::new();
    let up = host
        .start([
            host.job("daily", "30 3 * * *", 600),
            host.job("weekly", "0 4 * * sun", 7_200),
            host.job("monthly", "@monthly", 0),
        ])
        .await;
    host.pass(365 * DAY).await;
    let ran = host.ran.lock().unwrap().clone();
    let of = |name: &str| {
        let those = ran.iter().filter(|(job, _)| job == name);
        those.map(|(_, at)| *at).collect::<Vec<_>>()
    };
    let daily: Vec<_> = (0..365).map(|day| at(day, 3, 30)).collect();
    assert_eq!(of("daily"), daily);
    // 2026-01-04 was a Sunday.
    let weekly: Vec<_> = (0..52).map(|week| at(3 + 7 * week, 4, 0)).collect();
    assert_eq!(of("weekly"), weekly);
    let begins = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let monthly = begins.iter().scan(0, |day, days| {
        *day += days;
        Some(at(*day, 0, 0))
    });
    assert_eq!(of("monthly"), monthly.collect::<Vec<_>>());
    assert_eq!(host.memory.told().len(), 365 + 52 + 12);
    let last = up.scheduler.list()[1].last.clone().unwrap();
    assert_eq!(last.took, Duration::from_secs(7_200));
    assert_eq!(last.outcome, Ok("done".to_owned()));
}

#[tokio::test]
async fn a_run_missed_while_the_server_was_down_is_made_up_for_once_or_left_out() {
    let host = Host::new();
    let jobs = || {
        [
            host.job("made-up", "0 3 * * *", 0),
            host.job("left-out", "0 3 * * *", 0).missed(MissedRun::Skip),
        ]
    };
    let up = host.start(jobs()).await;
    host.pass(DAY).await;
    assert_eq!(host.ran(), [at(0, 3, 0); 2]);
    host.off(up, 5 * DAY).await;
    let up = host.start(jobs()).await;
    host.pass(HOUR).await;
    let made_up = std::mem::take(&mut *host.ran.lock().unwrap());
    assert_eq!(made_up, [("made-up".to_owned(), at(6, 0, 1))]);
    host.pass(DAY).await;
    assert_eq!(host.ran(), [at(6, 3, 0); 2], "and then as ever");
    host.off(up, HOUR / 2).await;
    let _up = host.start(jobs()).await;
    host.pass(HOUR).await;
    assert_eq!(host.ran(), [0_i64; 0], "nothing was missed");
}

#[tokio::test]
async fn a_server_that_is_never_up_at_night_makes_up_by_day() {
    let host = Host::new();
    for day in 0..4 {
        let up = host.start([host.job("nightly", "0 3 * * *", 0)]).await;
        host.pass(10 * MINUTE).await;
        let ran = host.ran();
        assert_eq!(ran.len(), usize::from(day > 0), "day {day}: {ran:?}");
        host.off(up, DAY - 10 * MINUTE).await;
    }
}

#[tokio::test]
async fn a_changed_schedule_counts_from_now() {
    let host = Host::new();
    let up = host.start([host.job("job", "@monthly", 0)]).await;
    host.pass(40 * DAY + 12 * HOUR).await;
    assert_eq!(host.ran().len(), 1);
    host.off(up, HOUR).await;
    let up = host.start([host.job("job", "0 9 * * *", 0)]).await;
    host.pass(HOUR).await;
    assert_eq!(host.ran(), [0_i64; 0], "09:00 was before it was wanted");
    assert_eq!(next(&up), at(41, 9, 0));
    assert!(up.scheduler.list()[0].last.is_some());
}

#[tokio::test]
async fn a_run_that_the_process_dies_in_is_begun_once_more_and_then_counts_as_failed() {
    let host = Host::new();
    let job = || [host.job("deadly", "0 3 * * *", HOUR)];
    let up = host.start(job()).await;
    host.pass(3 * HOUR + 10 * MINUTE).await;
    host.off(up, MINUTE).await;
    let up = host.start(job()).await;
    host.pass(10 * MINUTE).await;
    assert_eq!(host.ran(), [at(0, 3, 0), at(0, 3, 12)]);
    host.off(up, MINUTE).await;
    let up = host.start(job()).await;
    host.pass(10 * MINUTE).await;
    assert_eq!(host.ran(), [0_i64; 0], "it took the server down twice");
    let told = ["JobFailed deadly: the server ended in the middle of it"];
    assert_eq!(host.memory.told(), told);
    assert_eq!(next(&up), at(1, 3, 0));
}

#[tokio::test]
async fn a_shutdown_lets_a_run_finish_for_a_while_and_one_that_it_ends_counts_as_not_run() {
    let host = Host::new();
    let mut up = host.start([host.job("job", "0 3 * * *", 20)]).await;
    host.pass(3 * HOUR + 15).await;
    up.switch.begin();
    host.pass(6).await;
    (&mut up.task).await.unwrap();
    assert_eq!(host.memory.told(), ["JobDone job: done"]);
    assert_eq!(host.ran(), [at(0, 3, 0)]);

    let gives_up = Job::new(
        "gives-up",
        "0 3 * * *".parse().unwrap(),
        |mut run| async move {
            run.shutdown.begun().await;
            Err(JobError::new("not now"))
        },
    );
    let mut up = host.start([gives_up]).await;
    host.pass(DAY).await;
    up.switch.begin();
    host.pass(0).await;
    (&mut up.task).await.unwrap();
    assert_eq!(host.memory.told().len(), 1, "that is no failure");

    // However often: it was no fault of the job's.
    for _ in 0..4 {
        let mut up = host.start([host.job("job", "0 3 * * *", HOUR)]).await;
        host.clock.advance(Duration::from_secs(DAY));
        host.pass(2 * MINUTE).await;
        assert_eq!(host.ran().len(), 1);
        up.switch.begin();
        host.pass(11).await;
        (&mut up.task).await.unwrap();
        assert!(up.scheduler.list()[0].running_since.is_none());
        let asked = up.scheduler.run_now("job").await;
        assert_eq!(asked, Err(RunNowError::GoingDown));
    }
    assert_eq!(host.memory.told().len(), 1, "no run ended");
}

#[tokio::test]
async fn a_run_that_takes_long_is_not_overlapped_and_those_due_meanwhile_are_left_out() {
    let host = Host::new();
    let _up = host
        .start([host.job("slow", "*/10 * * * *", 25 * MINUTE)])
        .await;
    host.pass(2 * HOUR).await;
    assert_eq!(host.ran(), [10, 40, 70, 100].map(|minute| at(0, 0, minute)));
}

#[tokio::test]
async fn runs_share_the_places_that_there_are() {
    let host = Host::new();
    let config = SchedulerConfig {
        at_once: 2,
        ..SchedulerConfig::default()
    };
    let jobs = ["a", "b", "c"].map(|name| host.job(name, "0 1 * * *", HOUR));
    let _up = host.start_with(config, jobs).await;
    host.pass(4 * HOUR).await;
    assert_eq!(host.ran(), [at(0, 1, 0), at(0, 1, 0), at(0, 2, 0)]);
}

#[tokio::test]
async fn a_job_that_fails_is_told_of_and_tried_at_its_next_time() {
    let host = Host::new();
    let hourly = || "@hourly".parse().unwrap();
    let fails = Job::new("fails", hourly(), |_| async {
        let port: u16 = "x".parse()?;
        Ok(port.to_string())
    });
    let panics = Job::new("panics", hourly(), |_| async { panic!("on purpose") });
    let hangs = Job::new("hangs", hourly(), |_| pending()).time_limit(Duration::from_secs(60));
    let up = host.start([fails, panics, hangs]).await;
    host.pass(2 * HOUR + 10 * MINUTE).await;
    let mut told = host.memory.told();
    told.sort();
    let twice = |text: &str| [text.to_owned(), text.to_owned()];
    assert_eq!(
        told,
        [
            twice("JobFailed fails: invalid digit found in string"),
            twice("JobFailed hangs: it took longer than 60s and was ended"),
            twice("JobFailed panics: it ended by a panic"),
        ]
        .concat()
    );
    assert!(
        up.scheduler
            .list()
            .iter()
            .all(|job| job.last.as_ref().unwrap().outcome.is_err())
    );
}

#[tokio::test]
async fn a_clock_set_forward_makes_one_run_and_set_back_repeats_none_of_the_last_hours() {
    let host = Host::new();
    let up = host
        .start([
            host.job("hourly", "@hourly", 0),
            host.job("skips", "30 * * * *", 0).missed(MissedRun::Skip),
        ])
        .await;
    host.pass(2 * HOUR + 10 * MINUTE).await;
    assert_eq!(
        host.ran(),
        [at(0, 0, 30), at(0, 1, 0), at(0, 1, 30), at(0, 2, 0)]
    );
    host.jump(at(1, 0, 0));
    host.pass(5 * MINUTE).await;
    assert_eq!(host.ran(), [at(1, 2, 10)], "one for 24");
    host.jump(-at(0, 2, 0));
    host.pass(HOUR).await;
    assert_eq!(host.ran(), [0_i64; 0], "these hours had their runs");
    host.pass(2 * HOUR).await;
    assert_eq!(host.ran(), [at(1, 2, 30), at(1, 3, 0)]);
    drop(up);
}

#[tokio::test]
async fn a_clock_that_was_wrong_by_a_day_or_years_keeps_no_job_waiting() {
    for wrong in [at(1, 0, 0), at(3_650, 0, 0)] {
        let host = Host::new();
        host.jump(wrong);
        let up = host.start([host.job("job", "@hourly", 0)]).await;
        host.pass(90 * MINUTE).await;
        assert_eq!(host.ran(), [wrong + at(0, 1, 0)]);
        host.jump(-wrong);
        host.pass(7 * HOUR).await;
        // Noticed six hours after the start.
        assert_eq!(host.ran(), [at(0, 7, 0), at(0, 8, 0)], "{wrong}");
        // Or at the next start.
        host.jump(wrong);
        host.pass(5 * MINUTE).await;
        host.off(up, 0).await;
        drop(host.ran());
        host.jump(-wrong);
        let _up = host.start([host.job("job", "@hourly", 0)]).await;
        host.pass(HOUR).await;
        assert_eq!(host.ran(), [at(0, 9, 0)], "{wrong}");
    }
}

#[tokio::test]
async fn a_job_is_run_when_asked_for_and_keeps_its_times() {
    let host = Host::new();
    let up = host.start([host.job("job", "0 3 * * *", 60)]).await;
    let by_hand = host.job("by-hand", "@yearly", 0);
    let by_hand = Job {
        crontab: None,
        ..by_hand
    };
    up.scheduler.add(by_hand).unwrap();
    host.pass(HOUR).await;
    let scheduler = Arc::clone(&up.scheduler);
    let asked = tokio::spawn(async move { scheduler.run_now("job").await });
    host.pass(10).await;
    assert!(up.scheduler.list()[0].running_since.is_some());
    assert_eq!(up.scheduler.run_now("job").await, Err(RunNowError::Running));
    host.pass(60).await;
    let last = asked.await.unwrap().unwrap();
    assert_eq!(last.began, Timestamp::from_secs(START + at(0, 1, 0)));
    assert_eq!(last.outcome, Ok("done".to_owned()));
    assert_eq!(next(&up), at(0, 3, 0));
    let none = up.scheduler.run_now("none").await;
    assert_eq!(none, Err(RunNowError::NoSuchJob));
    assert!(up.scheduler.run_now("by-hand").await.is_ok());
    assert_eq!(up.scheduler.list()[1].next, None);
    drop(host.ran());
    host.pass(5 * HOUR).await;
    assert_eq!(host.ran(), [at(0, 3, 0)]);
}

#[tokio::test]
async fn an_idle_scheduler_runs_what_is_asked_for_alone_and_knows_the_last_runs() {
    let host = Host::new();
    let up = host.start([host.job("job", "@hourly", 0)]).await;
    host.pass(HOUR).await;
    assert_eq!(host.ran(), [at(0, 1, 0)]);
    host.off(up, DAY).await;
    let config = SchedulerConfig {
        idle: true,
        ..SchedulerConfig::default()
    };
    let up = host
        .start_with(config, [host.job("job", "@hourly", 0)])
        .await;
    up.scheduler.recall().await.unwrap();
    let last = up.scheduler.list()[0].last.clone().unwrap();
    assert_eq!(last.began, Timestamp::from_secs(START + at(0, 1, 0)));
    host.pass(DAY).await;
    assert_eq!(host.ran(), [0_i64; 0]);
    assert!(up.scheduler.run_now("job").await.is_ok());
}

#[tokio::test]
async fn jitter_delays_each_run_by_its_own_time_below_the_limit() {
    let host = Host::new();
    let job = host.job("job", "0 3 * * *", 0);
    let _up = host.start([job.jitter(Duration::from_secs(HOUR))]).await;
    host.pass(10 * DAY).await;
    let delays: Vec<i64> = host
        .ran()
        .into_iter()
        .map(|ran| ran % at(1, 0, 0))
        .collect();
    assert_eq!(delays.len(), 10);
    assert!(
        delays
            .iter()
            .all(|ran| (at(0, 3, 0)..at(0, 4, 0)).contains(ran))
    );
    let distinct: std::collections::HashSet<_> = delays.into_iter().collect();
    assert!(distinct.len() > 5);
}

#[tokio::test]
async fn a_full_disk_keeps_no_job_from_running() {
    let host = Host::new();
    host.memory.full.store(true, Ordering::Relaxed);
    let up = host.start([host.job("purge", "@hourly", 0)]).await;
    host.pass(3 * HOUR).await;
    assert_eq!(host.ran(), [1, 2, 3].map(|hour| at(0, hour, 0)));
    assert!(up.scheduler.list()[0].last.is_some());
}

#[tokio::test]
async fn names_numbers_and_results_are_bounded() {
    let host = Host::new();
    let config = SchedulerConfig {
        max_jobs: 2,
        result_len: 20,
        ..SchedulerConfig::default()
    };
    let long = Job::on_demand("long", |_| async { Ok("я".repeat(100)) });
    let up = host.start_with(config, [long]).await;
    let add = |name: &str| up.scheduler.add(host.job(name, "@daily", 0));
    for name in ["", "two words", "naïve", &"x".repeat(65)] {
        assert_eq!(add(name), Err(AddJobError::Name(name.into())));
    }
    assert_eq!(add("long"), Err(AddJobError::Duplicate("long".into())));
    add("other").unwrap();
    assert_eq!(add("third"), Err(AddJobError::TooMany(2)));
    let last = up.scheduler.run_now("long").await.unwrap();
    assert_eq!(last.outcome, Ok(format!("{}…", "я".repeat(8))));
}
