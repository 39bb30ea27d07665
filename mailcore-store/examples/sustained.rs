//! What the embedded store sustains: messages committed by 1, 10 and 100
//! committers into one mailbox and into many, for long enough that the index
//! has to keep up, beside what the same disk does for a bare group commit of
//! the same octets.
//!
//! ```sh
//! cargo run --release -p mailcore-store --example sustained -- [DIRECTORY [SECONDS [SIZE]]]
//! ```
//! A measurement, not a test: nothing is asserted. Each line gives the rate, the
//! share of the bare rate, latencies, syncs and CPU time per message, memory,
//! the largest write-ahead log of the index, and the rate of the slowest fifth.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mailcore::account::AccountId;
use mailcore::batch::{Append, Batch, DeliveryId, IfMissing};
use mailcore::event::TraceId;
use mailcore::files::{DiskFileSystem, FileSystem, StoreFile};
use mailcore::mailbox::{Flags, MailboxName};
use mailcore::message::{Message, Summary};
use mailcore::seams::{Commit, NewMessage};
use mailcore::time::Timestamp;
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};

type Failure = Box<dyn Error + Send + Sync>;

/// Mailboxes of the runs into many.
const MANY: u64 = 1_000;
/// The kernel's clock ticks a second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// The operating system's files, with syncs counted.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn file(&self, file: Arc<dyn StoreFile>) -> Arc<dyn StoreFile> {
        Arc::new(CountedFile(file, Arc::clone(&self.0)))
    }
}

impl FileSystem for Counted {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        Ok(self.file(DiskFileSystem.create_new(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        Ok(self.file(DiskFileSystem.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        DiskFileSystem.open_read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        DiskFileSystem.list(directory)
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        DiskFileSystem.create_dir_all(directory)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        DiskFileSystem.sync_dir(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskFileSystem.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        DiskFileSystem.unlink(path)
    }
}

#[derive(Debug)]
struct CountedFile(Arc<dyn StoreFile>, Arc<AtomicU64>);

impl StoreFile for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

/// What one run is to do.
#[derive(Debug, Clone, Copy)]
struct Plan {
    committers: usize,
    mailboxes: u64,
    lasts: Duration,
    size: usize,
}

/// What it came to.
#[derive(Debug, Default)]
struct Outcome {
    /// When each message was acknowledged since the start, and what it took.
    taken: Vec<(Duration, Duration)>,
    syncs: u64,
    cpu: f64,
    rss_kb: u64,
    wal: u64,
}

impl Outcome {
    fn rate(&self, lasts: Duration) -> f64 {
        self.taken.len() as f64 / lasts.as_secs_f64()
    }

    /// The rate of the slowest fifth of the time.
    fn slowest(&self, lasts: Duration) -> f64 {
        let fifth = lasts / 5;
        let count = |n: u32| {
            let span = fifth * n..fifth * (n + 1);
            self.taken.iter().filter(|it| span.contains(&it.0)).count()
        };
        (0..5).map(count).min().unwrap_or(0) as f64 / fifth.as_secs_f64()
    }

    fn latency(&self, share: f64) -> f64 {
        let mut all: Vec<Duration> = self.taken.iter().map(|it| it.1).collect();
        all.sort_unstable();
        let at = (all.len() as f64 * share) as usize;
        all.get(at.min(all.len().saturating_sub(1)))
            .map_or(0.0, |it| it.as_secs_f64() * 1e3)
    }
}

fn octets(number: u64, size: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Ann <ann@else.test>\r\nTo: bob@x.test\r\nSubject: message {number}\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@else.test>\r\n\r\n"
    );
    while text.len() < size {
        text.push_str("The quick brown fox jumps over the lazy dog, and the dog sleeps on.\r\n");
    }
    text.truncate(size);
    text.into_bytes()
}

fn delivery(number: u64, plan: Plan) -> Batch {
    let octets = octets(number, plan.size);
    let message = NewMessage {
        summary: Arc::new(Summary::scan(&octets)),
        message: Message::from_bytes(octets),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(1_790_000_000),
    };
    let id = u128::from(number);
    Batch {
        appends: vec![Append {
            account: AccountId::new(&format!("u{}@x.test", number % plan.mailboxes)),
            mailbox: MailboxName::inbox(),
            if_missing: IfMissing::FileToInbox,
            message,
            delivery_id: Some(DeliveryId(id)),
            quota: Default::default(),
            trace: TraceId(id),
            recipient: None,
        }],
        ..Batch::default()
    }
}

fn store_run(at: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let counted = Counted::default();
    let mut options = EmbeddedOptions::default();
    options.file_system = Arc::new(counted.clone());
    let store = Arc::new(EmbeddedStore::open(at, options)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let (syncs, cpu, begun) = (
        counted.0.load(Ordering::Relaxed),
        cpu_time()?,
        Instant::now(),
    );
    let next = Arc::new(AtomicU64::new(1));
    let tasks: Vec<_> = (0..plan.committers)
        .map(|_| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            runtime.spawn(async move {
                let mut taken = Vec::new();
                while begun.elapsed() < plan.lasts {
                    let batch = delivery(next.fetch_add(1, Ordering::Relaxed), plan);
                    let asked = Instant::now();
                    let receipt = store.commit(batch).await?;
                    if let Some(Err(error)) = receipt.appends.into_iter().next() {
                        return Err(Failure::from(error.to_string()));
                    }
                    taken.push((begun.elapsed(), asked.elapsed()));
                }
                Ok::<_, Failure>(taken)
            })
        })
        .collect();
    let mut outcome = Outcome::default();
    while begun.elapsed() < plan.lasts {
        std::thread::sleep(Duration::from_millis(100));
        let wal = fs::metadata(at.join("index.db-wal")).map_or(0, |it| it.len());
        outcome.wal = outcome.wal.max(wal);
    }
    for task in tasks {
        outcome.taken.extend(runtime.block_on(task)??);
    }
    outcome.syncs = counted.0.load(Ordering::Relaxed) - syncs;
    outcome.cpu = cpu_time()? - cpu;
    outcome.rss_kb = resident()?;
    drop((runtime, store));
    fs::remove_dir_all(at)?;
    Ok(outcome)
}

/// The bare group commit: what waits is appended to one file and synced.
#[derive(Debug, Default)]
struct Bare {
    waiting: Mutex<(Vec<u8>, u64)>,
    filled: Condvar,
    done: Mutex<u64>,
    synced: Condvar,
    stop: AtomicBool,
}

impl Bare {
    fn flush(&self, path: &Path) -> io::Result<u64> {
        let file = DiskFileSystem.create_new(path)?;
        let (mut end, mut syncs) = (0, 0);
        loop {
            let mut waiting = locked(&self.waiting);
            while waiting.0.is_empty() {
                if self.stop.load(Ordering::Acquire) {
                    return Ok(syncs);
                }
                let wait = Duration::from_millis(20);
                waiting = self
                    .filled
                    .wait_timeout(waiting, wait)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            let (octets, number) = (std::mem::take(&mut waiting.0), waiting.1);
            drop(waiting);
            file.write_all_at(&octets, end)?;
            file.sync_data()?;
            end += octets.len() as u64;
            syncs += 1;
            *locked(&self.done) = number;
            self.synced.notify_all();
        }
    }

    fn commit(&self, octets: &[u8]) {
        let mut waiting = locked(&self.waiting);
        waiting.0.extend_from_slice(octets);
        waiting.1 += 1;
        let mine = waiting.1;
        drop(waiting);
        self.filled.notify_one();
        let done = locked(&self.done);
        drop(
            self.synced
                .wait_while(done, |done| *done < mine)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

fn bare_run(at: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let bare = Bare::default();
    let (cpu, begun) = (cpu_time()?, Instant::now());
    let message = octets(1, plan.size);
    let mut outcome = Outcome::default();
    std::thread::scope(|scope| -> Result<(), Failure> {
        let flusher = scope.spawn(|| bare.flush(at));
        let commit = || {
            let mut taken = Vec::new();
            while begun.elapsed() < plan.lasts {
                let asked = Instant::now();
                bare.commit(&message);
                taken.push((begun.elapsed(), asked.elapsed()));
            }
            taken
        };
        let threads: Vec<_> = (0..plan.committers).map(|_| scope.spawn(commit)).collect();
        for thread in threads {
            let taken = thread.join().map_err(|_| "a committer panicked")?;
            outcome.taken.extend(taken);
        }
        bare.stop.store(true, Ordering::Release);
        outcome.syncs = flusher.join().map_err(|_| "the flusher panicked")??;
        Ok(())
    })?;
    outcome.cpu = cpu_time()? - cpu;
    fs::remove_file(at)?;
    Ok(outcome)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds of CPU this process has used.
fn cpu_time() -> Result<f64, Failure> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let after = text.rsplit_once(')').ok_or("no name in stat")?.1;
    let ticks = |n| -> Result<f64, Failure> {
        Ok(after
            .split_whitespace()
            .nth(n)
            .ok_or("stat is short")?
            .parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

fn resident() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

fn shown(name: &str, plan: Plan, outcome: &Outcome, bare: f64) {
    let (count, rate) = (outcome.taken.len().max(1) as f64, outcome.rate(plan.lasts));
    println!(
        "{name:<18} {:>4} {rate:>8.0} {:>5.0}% {:>8.0} {:>7.2} {:>7.2} {:>8.1} {:>7.3} {:>7.0} {:>6} {:>6}",
        plan.committers,
        rate / bare * 100.0,
        outcome.slowest(plan.lasts),
        outcome.latency(0.5),
        outcome.latency(0.99),
        outcome.latency(1.0),
        outcome.syncs as f64 / count,
        outcome.cpu / count * 1e6,
        outcome.rss_kb / 1024,
        outcome.wal >> 20,
    );
}

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let root = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = words.next().map_or(Ok(30), |it| it.parse())?;
    let size = words.next().map_or(Ok(10_000), |it| it.parse())?;
    let at = root.join(format!("sustained-{}", std::process::id()));
    println!(
        "{:<18} {:>4} {:>8} {:>6} {:>8} {:>7} {:>7} {:>8} {:>7} {:>7} {:>6} {:>6}",
        "",
        "by",
        "msgs/s",
        "bare",
        "slowest",
        "p50 ms",
        "p99 ms",
        "max ms",
        "syncs",
        "CPU us",
        "RSS MB",
        "WAL MB"
    );
    for committers in [1, 10, 100] {
        let lasts = Duration::from_secs(seconds);
        let plan = |mailboxes| Plan {
            committers,
            mailboxes,
            lasts,
            size,
        };
        let bare = bare_run(&at, plan(1))?;
        let rate = bare.rate(lasts);
        shown("bare group commit", plan(1), &bare, rate);
        shown("one mailbox", plan(1), &store_run(&at, plan(1))?, rate);
        shown(
            "1,000 mailboxes",
            plan(MANY),
            &store_run(&at, plan(MANY))?,
            rate,
        );
    }
    Ok(())
}
