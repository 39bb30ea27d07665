//! The runner on a virtual clock, with a queue and agents made up.

mod aliases;
mod chaos;
mod deadline;
mod destinations;
mod fake_queue;
mod operators;
mod pulse;
mod shutdown;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{DestinationLimits, OperateError, Operation, QueueRunner, RunnerConfig, RunnerSeams};
use crate::account::AccountId;
use crate::address::ReversePath;
use crate::envelope::{ByMode, DeliverBy, MailParams, Notify, Priority, Recipient};
use crate::event::{EventName, TraceId};
use crate::mailbox::MailboxName;
use crate::message::Message;
use crate::queue::{EntryState, Origin, QueueEntry, QueueId, QueueProgress, RetrySchedule};
use crate::seams::{
    Clock, DeliveryAgent, DeliveryJob, LeaseLimit, NextHop, QuotaLimit, Route, RouteError,
    RouteQuery, Router, Spool,
};
use crate::status::{Failure, Outcome, Status};
use crate::testing::{SeededEntropy, VirtualClock};
use crate::time::Timestamp;
use fake_queue::FakeQueue;

const HOUR: Duration = Duration::from_secs(3_600);

/// Routes by domain: `local.test` here, `alias.test` and `loop.test` expand,
/// `unknown.test` is nobody, `bug.test` panics, the rest is remote.
#[derive(Debug)]
struct ByDomain;

#[async_trait]
impl Router for ByDomain {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        let expand = |to: &[&str]| Route::Expand {
            to: to.iter().map(|to| to.parse().unwrap()).collect(),
        };
        Ok(match (address.domain().as_str(), address.local_part()) {
            ("local.test", _) => Route::Mailbox {
                account: AccountId::new("a"),
                mailbox: MailboxName::inbox(),
                quota: QuotaLimit::NONE,
            },
            ("alias.test", "both") => expand(&["a@local.test", "b@slow.test", "a@local.test"]),
            ("army.test", _) => Route::Expand {
                to: (0..25_000)
                    .map(|n| format!("{n}@local.test").parse().unwrap())
                    .collect(),
            },
            ("crowd.test", _) => Route::Expand {
                to: (0..30_001)
                    .map(|n| format!("{n}@local.test").parse().unwrap())
                    .collect(),
            },
            ("alias.test", "far") => expand(&["a@slow.test", "b@local.test", "c@fine.test"]),
            ("alias.test", "lame") => expand(&["a@fine.test", "b@directory.test"]),
            ("alias.test", _) => expand(&["both@alias.test"]),
            ("loop.test", "x") => expand(&["y@loop.test"]),
            ("loop.test", _) => expand(&["x@loop.test"]),
            ("unknown.test", _) => Route::Unknown,
            ("bug.test", _) => panic!("a router with a bug"),
            ("directory.test", _) => return Err(RouteError("down".into())),
            _ => Route::Remote {
                agent: "smtp".into(),
                next_hop: NextHop::Mx(address.domain().clone()),
            },
        })
    }

    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        Ok(match sender {
            ReversePath::Address(sender) if sender.domain().as_str() == "far.test" => {
                ReversePath::Address("srs@here.test".parse().unwrap())
            }
            sender => sender.clone(),
        })
    }
}

/// Answers by domain: `bad.test` fails, `slow.test` defers, `panic.test`
/// panics, domains that begin with `stuck` never end, those that begin with `away` can't be
/// reached, the rest is delivered.
#[derive(Debug, Default)]
struct Agent {
    /// Domains that can be reached again.
    back: Mutex<HashSet<String>>,
    jobs: Mutex<Vec<DeliveryJob>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl DeliveryAgent for Agent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.jobs.lock().unwrap().push(job.clone());
        tokio::task::yield_now().await;
        let mut outcomes = Vec::new();
        for recipient in &job.recipients {
            outcomes.push(match recipient.address.domain().as_str() {
                "bad.test" => Outcome::Failed(Failure {
                    remote: Some("mx.bad.test".parse().unwrap()),
                    reply_code: Some(550),
                    ..Failure::local(Status::permanent(1, 1, "no such user"))
                }),
                "slow.test" => {
                    Outcome::Deferred(Failure::local(Status::transient(4, 1, "no answer")))
                }
                "panic.test" => panic!("an agent with a bug"),
                stuck if stuck.starts_with("stuck") => std::future::pending().await,
                away if away.starts_with("away") && !self.back.lock().unwrap().contains(away) => {
                    Outcome::Unreachable(Failure::local(Status::transient(4, 1, "nobody there")))
                }
                _ => Outcome::Delivered,
            });
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        outcomes
    }
}

struct Bench {
    clock: VirtualClock,
    queue: Arc<FakeQueue>,
    agent: Arc<Agent>,
    runner: Arc<QueueRunner>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Bench {
    fn new(config: RunnerConfig) -> Self {
        let agent = Arc::new(Agent::default());
        Self {
            agent: agent.clone(),
            ..Self::with_agent(config, agent)
        }
    }

    fn with_agent(config: RunnerConfig, delivers: Arc<dyn DeliveryAgent>) -> Self {
        Self::on(config, delivers, |clock| Arc::new(clock))
    }

    /// On what `seam` makes of a clock.
    fn on(
        config: RunnerConfig,
        delivers: Arc<dyn DeliveryAgent>,
        seam: impl FnOnce(VirtualClock) -> Arc<dyn Clock>,
    ) -> Self {
        let clock = VirtualClock::new();
        let queue = FakeQueue::new(clock.clone());
        let names = ["smtp", "mailbox"];
        let seams = RunnerSeams {
            spool: queue.clone(),
            commit: queue.clone(),
            router: Arc::new(ByDomain),
            clock: seam(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            agents: HashMap::from(names.map(|name| (name.into(), delivers.clone()))),
        };
        let runner = QueueRunner::new("here.test".parse().unwrap(), seams, config);
        Self {
            clock,
            queue,
            agent: Arc::default(),
            runner,
            stop: None,
            task: None,
        }
    }

    fn start(mut self) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let run = self.runner.clone().run(async move {
            let _ = stopped.await;
        });
        self.stop = Some(stop);
        self.task = Some(tokio::spawn(run));
        self
    }

    /// Ends the runner at once, as a crash does, and has another one go on.
    async fn crash(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        self.queue.end_leases();
        let (seams, config) = (self.runner.seams.clone(), self.runner.config.clone());
        self.runner = QueueRunner::new(self.runner.hostname.clone(), seams, config);
        let run = self.runner.clone().run(std::future::pending());
        self.task = Some(tokio::spawn(run));
    }

    async fn send(&self, id: u128, from: &str, to: &[&str]) {
        self.queue.put(self.entry(id, from, to));
        self.clock.run_for(Duration::from_secs(1)).await;
    }

    fn entry(&self, id: u128, from: &str, to: &[&str]) -> QueueEntry {
        let now = self.clock.now();
        let recipients = to.iter().map(|to| Recipient::new(to.parse().unwrap()));
        QueueEntry {
            id: QueueId(id),
            trace: TraceId(id),
            reverse_path: match from {
                "" => ReversePath::Null,
                from => ReversePath::Address(from.parse().unwrap()),
            },
            params: MailParams::default(),
            origin: Origin::Received,
            received_at: now,
            message: Message::from_bytes("Subject: hello\r\n\r\nbody\r\n"),
            findings: Arc::default(),
            progress: QueueProgress::new(recipients, now, RetrySchedule::default().expires_at(now)),
        }
    }

    fn events(&self, name: EventName) -> usize {
        let events = self.queue.events.lock().unwrap();
        events.iter().filter(|event| event.name == name).count()
    }

    /// The notices made so far, as text.
    async fn notices(&self) -> Vec<String> {
        let entries = self.queue.enqueued.lock().unwrap().clone();
        let mut texts = Vec::new();
        for entry in entries {
            assert!(entry.reverse_path.is_null());
            let octets = entry.message.read_all(1 << 20).await.unwrap();
            texts.push(String::from_utf8(octets.to_vec()).unwrap());
        }
        texts
    }

    fn recipients_of_jobs(&self) -> Vec<String> {
        let jobs = self.agent.jobs.lock().unwrap();
        let mut all: Vec<String> = jobs
            .iter()
            .flat_map(|job| &job.recipients)
            .map(|recipient| recipient.address.to_string())
            .collect();
        all.sort();
        all
    }
}

#[tokio::test]
async fn recipients_go_by_next_hop_and_the_entry_is_settled_at_once() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let to = ["a@one.test", "b@one.test", "c@local.test", "d@bad.test"];
    bench.send(1, "s@local.test", &to).await;
    let jobs: Vec<usize> = {
        let jobs = bench.agent.jobs.lock().unwrap();
        jobs.iter().map(|job| job.recipients.len()).collect()
    };
    // Two for one.test together, one each for the others, and the notice.
    assert_eq!(jobs.iter().sum::<usize>(), 5);
    assert_eq!(jobs.len(), 4);
    assert!(bench.queue.ids().is_empty());
    let [notice] = &bench.notices().await[..] else {
        panic!("one notice")
    };
    assert!(notice.contains("Final-Recipient: rfc822; d@bad.test\r\n"));
    assert!(notice.contains("Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert!(!notice.contains("one.test"));
    assert_eq!(bench.events(EventName::RecipientDelivered), 4);
    assert_eq!(bench.events(EventName::RecipientFailed), 1);
    assert_eq!(bench.events(EventName::NoticeSent), 1);
}

#[tokio::test]
async fn a_week_of_retries_ends_in_one_notice_of_delay_and_one_of_failure() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench
        .send(1, "s@ok.test", &["a@slow.test", "b@slow.test"])
        .await;
    bench.clock.run_for(HOUR * 167).await;
    assert_eq!(bench.notices().await.len(), 1, "told of the delay once");
    assert_eq!(bench.queue.ids(), [QueueId(1)]);
    bench.clock.run_for(HOUR * 2).await;
    let notices = bench.notices().await;
    let [delayed, failed] = &notices[..] else {
        panic!("{} notices", notices.len())
    };
    assert!(delayed.contains("Action: delayed\r\n") && delayed.contains("Will-Retry-Until: "));
    assert!(failed.contains("Action: failed\r\nStatus: 4.4.1\r\n"));
    assert_eq!(failed.matches("Final-Recipient:").count(), 2);
    assert!(bench.queue.ids().is_empty());
    // 45 attempts by the schedule, one more at the end; two recipients each.
    assert_eq!(bench.events(EventName::RecipientDeferred), 45 * 2);
    assert_eq!(bench.events(EventName::RecipientFailed), 2);
}

#[tokio::test]
async fn nobody_is_told_about_mail_from_nobody() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "", &["a@bad.test"]).await;
    let mut entry = bench.entry(2, "s@ok.test", &["a@bad.test"]);
    entry.progress.recipients[0].recipient.notify = Notify::NEVER;
    bench.queue.put(entry);
    bench.clock.run_for(HOUR).await;
    assert!(bench.notices().await.is_empty());
    assert_eq!(bench.events(EventName::RecipientFailed), 2);
    // What nobody was told of waits for an operator; NOTIFY=NEVER is a wish.
    assert_eq!(bench.queue.ids(), [QueueId(1)]);
    let entry = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
    assert!(matches!(entry.progress.state, EntryState::Bad { .. }));
    let failure = entry.progress.recipients[0].last_failure.as_ref().unwrap();
    assert_eq!(failure.status.to_string(), "5.1.1 no such user");
}

#[tokio::test]
async fn success_is_told_when_asked_for() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let mut entry = bench.entry(1, "s@ok.test", &["both@alias.test", "c@local.test"]);
    for queued in &mut entry.progress.recipients {
        queued.recipient.notify.success = true;
    }
    bench.queue.put(entry);
    bench.clock.run_for(Duration::from_secs(1)).await;
    let notices = bench.notices().await;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("both@alias.test\r\nAction: expanded\r\n"));
    assert!(notices[0].contains("c@local.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n"));
}

#[tokio::test]
async fn what_an_agent_breaks_is_tried_again_and_the_rest_stays_done() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench
        .send(
            1,
            "s@ok.test",
            &["a@panic.test", "b@fine.test", "c@directory.test"],
        )
        .await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 1);
    assert_eq!(bench.events(EventName::RecipientDeferred), 2);
    bench.clock.run_for(HOUR / 2).await;
    assert_eq!(
        bench.recipients_of_jobs(),
        ["a@panic.test", "a@panic.test", "b@fine.test"]
    );
}

#[tokio::test]
async fn what_breaks_every_attempt_waits_for_an_operator_and_then_goes() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@panic.test"]).await;
    bench.send(2, "s@ok.test", &["a@bug.test"]).await;
    bench.clock.run_for(HOUR * 160).await;
    let to = bench.recipients_of_jobs();
    assert_eq!(to.iter().filter(|to| *to == "a@panic.test").count(), 5);
    for id in [1, 2] {
        let entry = bench.queue.entry(QueueId(id)).await.unwrap().unwrap();
        let EntryState::Bad { until, .. } = entry.progress.state else {
            panic!("{:?}", entry.progress)
        };
        assert_eq!(entry.progress.recipients.len(), 1);
        assert_eq!(entry.progress.attempts, 5);
        assert!(until > bench.clock.now().after(HOUR * 24 * 20));
    }
}

#[tokio::test]
async fn a_clock_set_back_leaves_nothing_waiting_for_the_old_time() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@slow.test"]).await;
    let jobs = || bench.agent.jobs.lock().unwrap().len();
    assert_eq!(jobs(), 1);
    let mut held = bench.entry(2, "s@ok.test", &["a@ok.test"]);
    let tomorrow = bench.clock.now().after(HOUR * 24);
    held.params.hold_until = Some(tomorrow);
    held.progress.next_attempt = tomorrow;
    bench.queue.put(held);
    let yesterday = Timestamp::from_millis(bench.clock.now().millis() - 24 * 3_600_000);
    bench.clock.set_wall(yesterday);
    bench.clock.run_for(HOUR / 30).await;
    assert_eq!(jobs(), 2, "tried within two minutes");
    bench.clock.run_for(HOUR).await;
    assert_eq!(jobs(), 3, "and then by the schedule");
    assert_eq!(bench.queue.ids().len(), 2, "what its sender holds is held");
}

#[tokio::test]
async fn a_stuck_agent_is_given_up_before_the_lease_ends_and_holds_up_no_outcome() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench
        .send(1, "s@ok.test", &["a@stuck.test", "b@fine.test"])
        .await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 1);
    let entry = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
    assert_eq!(
        entry.progress.recipients.len(),
        1,
        "who has it is written down"
    );
    bench.clock.run_for(HOUR * 3 / 4).await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 1);
    assert_eq!(bench.events(EventName::RecipientDeferred), 1);
}

#[tokio::test]
async fn five_hundred_hosts_are_written_down_in_parts_not_one_by_one() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let to: Vec<String> = (0..500).map(|n| format!("u@h{n}.test")).collect();
    let mut to: Vec<&str> = to.iter().map(String::as_str).collect();
    to.push("a@stuck.test");
    let entry = bench.entry(1, "s@ok.test", &to);
    let once = entry.progress.encode().len();
    bench.queue.put(entry);
    bench.clock.run_for(Duration::from_secs(2)).await;
    let left = bench.queue.entry(QueueId(1)).await.unwrap().unwrap();
    assert_eq!(left.progress.recipients.len(), 1, "all but the stuck one");
    let written = bench.queue.written.load(Ordering::SeqCst);
    assert!(
        (once..once * 40).contains(&written),
        "{written} octets for an entry of {once}"
    );
}

#[tokio::test]
async fn a_store_that_fails_to_settle_is_asked_again_before_mail_is_doubled() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.queue.failures.store(5, Ordering::SeqCst);
    bench.send(1, "s@ok.test", &["a@fine.test"]).await;
    assert_eq!(bench.queue.ids(), [QueueId(1)]);
    bench.clock.run_for(HOUR / 4).await;
    assert!(bench.queue.ids().is_empty());
    assert_eq!(bench.recipients_of_jobs(), ["a@fine.test"]);
}

#[tokio::test]
async fn a_hop_has_its_limit_and_does_not_hold_up_others() {
    let config = RunnerConfig {
        max_jobs: 3,
        destinations: DestinationLimits {
            max_jobs: 2,
            ..DestinationLimits::default()
        },
        ..RunnerConfig::default()
    };
    let bench = Bench::new(config).start();
    for id in 0..20 {
        bench.queue.put(bench.entry(id, "", &["a@stuck.test"]));
    }
    bench.clock.run_for(Duration::from_secs(1)).await;
    assert_eq!(bench.agent.running.load(Ordering::SeqCst), 2);
    bench.send(100, "", &["b@fine.test"]).await;
    assert_eq!(bench.events(EventName::RecipientDelivered), 1);
    assert_eq!(bench.agent.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn operators_retry_hold_and_return() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@slow.test"]).await;
    assert_eq!(bench.events(EventName::RecipientDeferred), 1);
    bench.runner.retry_now(QueueId(1)).await.unwrap();
    bench.clock.run_for(Duration::from_secs(1)).await;
    assert_eq!(bench.events(EventName::RecipientDeferred), 2);
    bench
        .runner
        .operate(QueueId(1), Operation::Hold)
        .await
        .unwrap();
    bench.clock.run_for(HOUR * 24).await;
    assert_eq!(bench.events(EventName::RecipientDeferred), 2);
    bench
        .runner
        .operate(QueueId(1), Operation::Bounce)
        .await
        .unwrap();
    bench.clock.run_for(Duration::from_secs(1)).await;
    assert!(bench.queue.ids().is_empty());
    assert!(bench.notices().await[0].contains("Status: 5.7.0\r\n"));
    let again = bench.runner.retry_now(QueueId(1)).await;
    assert!(matches!(again, Err(OperateError::NotFound)));
    bench.send(2, "s@ok.test", &["a@stuck.test"]).await;
    let running = bench.runner.retry_now(QueueId(2)).await;
    assert!(matches!(running, Err(OperateError::Running)));
}

#[tokio::test]
async fn what_is_due_again_as_its_attempt_ends_is_tried_again_at_once() {
    let config = RunnerConfig {
        max_jobs: 1,
        ..RunnerConfig::default()
    };
    let bench = Bench::new(config).start();
    bench.send(1, "", &["a@stuck.test"]).await;
    let others: Vec<String> = (2..30).map(|id| format!("a@{id}.test")).collect();
    for (id, to) in (2..).zip(&others) {
        bench.send(id, "", &[to.as_str()]).await;
    }
    bench.clock.run_for(HOUR / 2).await;
    // Takes the slot before the others, whose attempts end without one.
    let mut urgent = bench.entry(100, "", &["a@stuck.test"]);
    urgent.params.priority = Priority::new(9).unwrap();
    bench.queue.put(urgent);
    bench.clock.run_for(HOUR * 3 / 4 + HOUR / 60).await;
    assert_eq!(bench.queue.ids(), [QueueId(1), QueueId(100)]);
}

#[tokio::test]
async fn an_operator_changes_large_entries_in_batches_that_a_store_takes() {
    let bench = Bench::new(RunnerConfig::default());
    let to: Vec<String> = (0..500).map(|n| format!("{n}@slow.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    for id in 0..20 {
        bench.queue.put(bench.entry(id, "s@ok.test", &to));
    }
    let ids: Vec<QueueId> = (0..25).map(QueueId).collect();
    let operated = bench.runner.operate_all(&ids, &Operation::Hold).await;
    let operated = operated.unwrap();
    assert_eq!((operated.changed, operated.gone), (20, 5));
    assert!(bench.queue.largest.load(Ordering::SeqCst) <= 4_000);
}

#[tokio::test]
async fn a_clock_that_jumps_ends_no_attempt_and_begins_no_second_one() {
    let bench = Bench::new(RunnerConfig::default()).start();
    bench.send(1, "s@ok.test", &["a@stuck.test"]).await;
    bench.send(2, "s@ok.test", &["a@slow.test"]).await;
    let tomorrow = bench.clock.now().after(HOUR * 24);
    bench.clock.set_wall(tomorrow);
    bench.queue.end_leases();
    bench.clock.run_for(HOUR / 4).await;
    let to = bench.recipients_of_jobs();
    assert_eq!(to.iter().filter(|to| *to == "a@stuck.test").count(), 1);
    bench.clock.run_for(HOUR).await;
    assert_eq!(
        bench.queue.ids().len(),
        2,
        "settled under the lease taken anew"
    );
}

#[tokio::test]
async fn each_job_is_told_of_with_what_came_of_it() {
    let bench = Bench::new(RunnerConfig::default()).start();
    let to = ["a@one.test", "b@one.test", "d@bad.test", "e@slow.test"];
    bench.send(7, "s@local.test", &to).await;
    let events = bench.queue.events.lock().unwrap();
    let told = |hop: &str| {
        let mut named = events
            .iter()
            .filter(|it| it.name == EventName::DeliveryAttempt);
        named.find(|it| it.field("hop") == Some(hop)).unwrap()
    };
    assert_eq!(told("one.test").field("delivered"), Some("2"));
    assert_eq!(told("bad.test").field("failed"), Some("1"));
    assert_eq!(told("slow.test").field("deferred"), Some("1"));
    assert_eq!(told("slow.test").field("agent"), Some("smtp"));
    assert_eq!(
        told("slow.test").field("queue"),
        Some(&QueueId(7).to_string()[..])
    );
    let mut deferred = events
        .iter()
        .filter(|it| it.name == EventName::RecipientDeferred);
    assert!(deferred.all(|it| it.field("next").is_some() && it.field("queue").is_some()));
}
