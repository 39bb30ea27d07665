//! What much deferred mail costs: an embedded store's queue full of messages to
//! dead destinations, and fresh mail that has to get past them.
//!
//! ```sh
//! cargo run --release -p mailcore-store --example deferred -- [DIRECTORY [ENTRIES [DESTINATIONS [SECONDS]]]]
//! ```
//! A measurement, not a test: nothing is asserted. Said are the time to open the
//! store and to the first delivery, memory, and the rate at which fresh mail is
//! accepted and delivered: with the queue empty, with all of it waiting, with all
//! of it falling due at once. Each of them is a process of its own, so that none
//! has the memory of another, and processor time for each fresh message is said
//! beside the rate: on a busy machine it is the better figure.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mailcore::address::ReversePath;
use mailcore::batch::{Batch, SpoolChange};
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::{
    Origin, QueueEntry, QueueId, QueueProgress, QueueRunner, RunnerConfig, RunnerSeams,
};
use mailcore::seams::{
    Clock, Commit, DeliveryAgent, DeliveryJob, NextHop, OsEntropy, Route, RouteError, RouteQuery,
    Router, SystemClock,
};
use mailcore::status::{Failure, Outcome, Status};
use mailcore::time::{Monotonic, Timestamp};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use tokio::sync::{Semaphore, oneshot};

type Fault = Box<dyn Error + Send + Sync>;

/// Octets of each message.
const SIZE: usize = 2_000;
/// Fresh messages that may be under way at once.
const UNDER_WAY: usize = 200;
const HOUR: Duration = Duration::from_secs(3_600);

/// The computer's clock, set ahead.
#[derive(Debug)]
struct Ahead(SystemClock, Duration);

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().after(self.1)
    }

    fn monotonic(&self) -> Monotonic {
        self.0.monotonic()
    }

    async fn sleep_until(&self, until: Monotonic) {
        self.0.sleep_until(until).await;
    }
}

/// Everything goes to the recipient's domain.
#[derive(Debug)]
struct Out;

#[async_trait]
impl Router for Out {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        Ok(Route::Remote {
            agent: "smtp".into(),
            next_hop: NextHop::Mx(query.address.domain().clone()),
        })
    }
}

/// `dead…` can't be reached, the rest is delivered at once.
#[derive(Debug)]
struct Agent {
    under_way: Arc<Semaphore>,
    delivered: AtomicU64,
    tried: AtomicU64,
}

#[async_trait]
impl DeliveryAgent for Agent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let dead = matches!(&job.next_hop, NextHop::Mx(host) if host.as_str().starts_with("dead"));
        let each = job.recipients.iter();
        if dead {
            self.tried.fetch_add(1, Ordering::Relaxed);
            let failure = Failure::local(Status::transient(4, 1, "no answer from the host"));
            return each
                .map(|_| Outcome::Unreachable(failure.clone()))
                .collect();
        }
        self.delivered.fetch_add(1, Ordering::Relaxed);
        self.under_way.add_permits(1);
        each.map(|_| Outcome::Delivered).collect()
    }
}

/// What one span of fresh mail took.
struct Span {
    /// Messages delivered a second.
    rate: f64,
    /// Microseconds of processor time for each, with all that was done beside.
    cost: f64,
}

fn entry(number: u128, to: &str, now: Timestamp) -> Result<QueueEntry, Fault> {
    let mut text = format!("Subject: message {number}\r\nMessage-ID: <{number}@x.test>\r\n\r\n");
    while text.len() < SIZE {
        text.push_str("The quick brown fox jumps over the lazy dog, and the dog sleeps on.\r\n");
    }
    let recipient = Recipient::new(to.parse()?);
    Ok(QueueEntry {
        id: QueueId(number),
        trace: TraceId(number),
        reverse_path: ReversePath::Address("sender@x.test".parse()?),
        params: MailParams::default(),
        origin: Origin::Received,
        received_at: now,
        message: Message::from_bytes(text.into_bytes()),
        findings: Arc::default(),
        progress: QueueProgress::new([recipient], now, now.after(HOUR * 168)),
    })
}

fn enqueue(entry: QueueEntry) -> Batch {
    Batch {
        spool: vec![SpoolChange::Enqueue(Arc::new(entry))],
        ..Batch::default()
    }
}

fn open(at: &Path) -> Result<Arc<EmbeddedStore>, Fault> {
    Ok(Arc::new(EmbeddedStore::open(
        at,
        EmbeddedOptions::default(),
    )?))
}

/// Entries tried once that fall due in an hour.
async fn fill(store: &EmbeddedStore, entries: u128, destinations: u128) -> Result<(), Fault> {
    let now = SystemClock::new().now();
    for first in (0..entries).step_by(500) {
        let mut batch = Batch::default();
        for number in first..entries.min(first + 500) {
            let to = format!("user{number}@dead{}.test", number % destinations);
            let mut entry = entry(number, &to, now)?;
            entry.progress.attempts = 1;
            entry.progress.next_attempt = now.after(HOUR);
            batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
        }
        store.commit(batch).await?;
    }
    Ok(())
}

/// A runner at work, and what it does.
struct Running {
    store: Arc<EmbeddedStore>,
    agent: Arc<Agent>,
    clock: Arc<dyn Clock>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(store: Arc<EmbeddedStore>, ahead: Duration) -> Result<Self, Fault> {
        let agent = Arc::new(Agent {
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            delivered: AtomicU64::new(0),
            tried: AtomicU64::new(0),
        });
        let clock: Arc<dyn Clock> = Arc::new(Ahead(SystemClock::new(), ahead));
        let delivers: Arc<dyn DeliveryAgent> = agent.clone();
        let seams = RunnerSeams {
            spool: store.clone(),
            commit: store.clone(),
            router: Arc::new(Out),
            clock: clock.clone(),
            entropy: Arc::new(OsEntropy),
            agents: HashMap::from([("smtp".into(), delivers)]),
        };
        let runner = QueueRunner::new("here.test".parse()?, seams, RunnerConfig::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(runner.run(async move {
            let _ = stopped.await;
        }));
        Ok(Self {
            store,
            agent,
            clock,
            stop,
            task,
        })
    }

    /// Accepts fresh mail for so long.
    async fn rate(&self, lasts: Duration) -> Result<Span, Fault> {
        let spent = processor_time()?;
        let begun = Instant::now();
        let before = self.agent.delivered.load(Ordering::Relaxed);
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..50u128 {
            let (store, agent, clock) =
                (self.store.clone(), self.agent.clone(), self.clock.clone());
            tasks.spawn(async move {
                let mut number = 0;
                while begun.elapsed() < lasts {
                    agent.under_way.acquire().await?.forget();
                    number += 1;
                    let now = clock.now();
                    let id = (u128::try_from(now.millis())? << 80) | (number << 8) | lane;
                    let to = format!("user@alive{}.test", number % 100);
                    let entry = entry(id, &to, now)?;
                    store.commit(enqueue(entry)).await?;
                }
                Ok::<_, Fault>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        let delivered = (self.agent.delivered.load(Ordering::Relaxed) - before) as f64;
        Ok(Span {
            rate: delivered / begun.elapsed().as_secs_f64(),
            cost: (processor_time()? - spent).as_secs_f64() * 1e6 / delivered,
        })
    }

    async fn stop(self) -> Result<(), Fault> {
        let _ = self.stop.send(());
        Ok(self.task.await?)
    }
}

/// What is measured, each in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing waits.
    Empty,
    /// The queue is filled; nothing is measured.
    Fill,
    /// All waits.
    Waiting,
    /// All is due at once.
    Due,
}

impl Phase {
    const ALL: [(Self, &str); 4] = [
        (Self::Empty, "empty"),
        (Self::Fill, "fill"),
        (Self::Waiting, "waiting"),
        (Self::Due, "due"),
    ];

    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(phase, its)| (its == name).then_some(phase))
    }

    fn directory(self, root: &Path) -> PathBuf {
        root.join(if self == Self::Empty { "empty" } else { "full" })
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    entries: u128,
    destinations: u128,
    seconds: u64,
}

async fn measure(phase: Phase, root: &Path, sizes: Sizes) -> Result<(), Fault> {
    let at = phase.directory(root);
    let begun = Instant::now();
    let store = open(&at)?;
    let opened = begun.elapsed();
    if phase == Phase::Fill {
        return fill(&store, sizes.entries, sizes.destinations).await;
    }
    let ahead = match phase {
        Phase::Due => HOUR * 2,
        _ => Duration::ZERO,
    };
    let running = Running::start(store, ahead)?;
    let probe = entry(1 << 100, "user@alive.test", running.clock.now())?;
    running.store.commit(enqueue(probe)).await?;
    while running.agent.delivered.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!(
        "  open {:.3} s, first delivery {:.3} s after the start; {} KiB",
        opened.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        memory("VmRSS:")?,
    );
    let spans = if phase == Phase::Due { 4 } else { 1 };
    for _ in 0..spans {
        let span = running.rate(Duration::from_secs(sizes.seconds)).await?;
        println!(
            "  {:.0} messages/s, {:.1} us of processor time for each; {} trials so far",
            span.rate,
            span.cost,
            running.agent.tried.load(Ordering::Relaxed),
        );
    }
    running.stop().await?;
    // For the parent.
    println!("{}", memory("VmHWM:")?);
    Ok(())
}

/// A field of this process's status, in KiB.
fn memory(field: &str) -> Result<u64, Fault> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|it| it.split_whitespace().next());
    Ok(number.ok_or("no such field")?.parse()?)
}

/// Processor time of this process.
fn processor_time() -> Result<Duration, Fault> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    // 100 a second on every Linux that people use.
    Ok(Duration::from_millis(ticks * 10))
}

/// Runs a phase in a process of its own; the most memory that it had, in KiB.
fn run(phase: &str, root: &Path, sizes: Sizes) -> Result<u64, Fault> {
    let Sizes {
        entries,
        destinations,
        seconds,
    } = sizes;
    let numbers = [entries, destinations, seconds.into()].map(|it| it.to_string());
    let output = Command::new(std::env::current_exe()?)
        .args(["--phase", phase])
        .arg(root)
        .args(numbers)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("{phase}: {text}{}", String::from_utf8(output.stderr)?).into());
    }
    let (lines, most) = text.trim_end().rsplit_once('\n').unwrap_or((&text, "0"));
    println!("{phase}:\n{lines}");
    Ok(most.parse().unwrap_or(0))
}

fn all(root: &Path, sizes: Sizes) -> Result<(), Fault> {
    let empty = run("empty", root, sizes)?;
    run("fill", root, sizes)?;
    for phase in ["waiting", "due"] {
        let full = run(phase, root, sizes)?;
        println!(
            "  at most {full} KiB, {:.0} octets more for each entry than with an empty queue",
            (full.saturating_sub(empty) * 1024) as f64 / sizes.entries as f64
        );
    }
    Ok(())
}

fn main() -> Result<(), Fault> {
    let mut words = std::env::args().skip(1).peekable();
    let phase = match words.next_if(|word| word == "--phase") {
        Some(_) => Some(
            words
                .next()
                .as_deref()
                .and_then(Phase::named)
                .ok_or("phase")?,
        ),
        None => None,
    };
    let root = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let sizes = Sizes {
        entries: words.next().map_or(Ok(100_000), |it| it.parse())?,
        destinations: words.next().map_or(Ok(10_000), |it| it.parse())?,
        seconds: words.next().map_or(Ok(20), |it| it.parse())?,
    };
    if let Some(phase) = phase {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        return runtime.block_on(measure(phase, &root, sizes));
    }
    let at = root.join(format!("deferred-{}", std::process::id()));
    fs::create_dir_all(&at)?;
    let outcome = all(&at, sizes);
    fs::remove_dir_all(&at)?;
    outcome
}
