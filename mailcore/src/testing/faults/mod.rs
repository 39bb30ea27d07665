//! [`FaultPlan`]: names that don't resolve, hosts that don't answer, lines that
//! break, disks that fill up and directories that are away, all from one seed.
//!
//! A plan wraps seams. What is wrapped behaves as before until the plan says
//! otherwise: at a call of a given number (`at`), whenever a subject is asked
//! for (`on`, until `heal`), or at random (`sometimes`). A random choice hangs
//! on the seed, the subject and how often that subject was asked for, and on
//! nothing else, so tasks that run in another order meet the same faults. What
//! was injected is written down ([`FaultPlan::record`]).
//!
//! ```
//! use std::sync::Arc;
//! use mailcore::seams::{DnsError, Resolver};
//! use mailcore::testing::FixedResolver;
//! use mailcore::testing::faults::{DnsFault, FaultPlan};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let zone = Arc::new(FixedResolver::new());
//! zone.add_mx("b.test", 10, "mx.b.test");
//!
//! let plan = FaultPlan::seeded(7);
//! let dns = plan.resolver(zone);
//! dns.at(2, DnsFault::ServFail);
//!
//! let b = "b.test".parse()?;
//! assert!(dns.mx(&b).await.is_ok());
//! assert!(matches!(dns.mx(&b).await, Err(DnsError::Temporary(_))));
//! assert!(dns.mx(&b).await.is_ok());
//! assert_eq!(plan.record().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Time is the plan's [`VirtualClock`], chance its [`SeededEntropy`]: a server
//! given both, on one thread and over a store that waits for nothing, lives the
//! same life twice.

mod agent;
mod authenticator;
mod commit;
mod dialer;
mod directory;
mod filter;
mod journal;
mod record;
mod resolver;
mod rules;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use agent::{AgentFault, FaultyAgent};
pub use authenticator::{FaultyAuthenticator, LoginFault};
pub use commit::{FaultyCommit, StoreFault};
pub use dialer::{DialFault, FaultyDialer};
pub use directory::{DirectoryFault, FaultyDirectory};
pub use filter::{FaultyFilter, FilterFault};
pub use journal::{FaultyJournal, JournalFault};
pub use record::Injected;
pub use resolver::{DnsFault, FaultyResolver};
pub use state::FaultyState;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{SeededEntropy, VirtualClock};
use crate::seams::{
    Authenticator, BoxStream, Clock, Commit, DeliveryAgent, Dialer, Directory, Entropy, Filter,
    Journal, Resolver, State, Stream,
};
use record::Record;

/// How often [`FaultPlan::run_for`] lets other tasks run before it takes their
/// silence for rest.
const YIELDS: usize = 64;

/// What goes wrong, by one seed. Clones are the same plan.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    seed: u64,
    clock: VirtualClock,
    record: Record,
    /// True while nothing is injected.
    calm: AtomicBool,
    /// Grows with everything that goes over a wrapped seam.
    activity: AtomicU64,
}

impl FaultPlan {
    /// A plan with a clock of its own, which shows 2026-01-01 00:00 UTC.
    pub fn seeded(seed: u64) -> Self {
        Self::with_clock(seed, VirtualClock::new())
    }

    /// A plan in the time of `clock`.
    pub fn with_clock(seed: u64, clock: VirtualClock) -> Self {
        let inner = Inner {
            seed,
            clock,
            record: Record::default(),
            calm: AtomicBool::new(false),
            activity: AtomicU64::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// The time in which delays pass.
    pub fn clock(&self) -> &VirtualClock {
        &self.inner.clock
    }

    /// Randomness for the server, by the same seed.
    pub fn entropy(&self) -> Arc<SeededEntropy> {
        Arc::new(SeededEntropy::new(self.inner.seed))
    }

    /// DNS that may fail and lie.
    pub fn resolver(&self, inner: Arc<dyn Resolver>) -> Arc<FaultyResolver> {
        Arc::new(FaultyResolver::new(self.clone(), inner))
    }

    /// Connections that may not be made, or break.
    pub fn dialer(&self, inner: Arc<dyn Dialer>) -> Arc<FaultyDialer> {
        Arc::new(FaultyDialer::new(self.clone(), inner))
    }

    /// A store that may not take what it is given.
    pub fn commit(&self, inner: Arc<dyn Commit>) -> Arc<FaultyCommit> {
        Arc::new(FaultyCommit::new(self.clone(), inner))
    }

    /// One end of a connection that breaks or crawls: a client's, say, whose
    /// server is under test.
    pub fn stream(&self, inner: impl Stream + 'static, fault: DialFault) -> BoxStream {
        let inner = Box::new(inner);
        Box::new(stream::FaultyStream::new(inner, Some(fault), self.clone()))
    }

    /// A directory that may not answer.
    pub fn directory(&self, inner: Arc<dyn Directory>) -> Arc<FaultyDirectory> {
        Arc::new(FaultyDirectory::new(self.clone(), inner))
    }

    /// Logins that may not be checked.
    pub fn authenticator(&self, inner: Arc<dyn Authenticator>) -> Arc<FaultyAuthenticator> {
        Arc::new(FaultyAuthenticator::new(self.clone(), inner))
    }

    /// A filter that may hang, or say something else.
    pub fn filter(&self, inner: Arc<dyn Filter>) -> Arc<FaultyFilter> {
        Arc::new(FaultyFilter::new(self.clone(), inner))
    }

    /// Deliveries that may fail.
    pub fn agent(&self, inner: Arc<dyn DeliveryAgent>) -> Arc<FaultyAgent> {
        Arc::new(FaultyAgent::new(self.clone(), inner))
    }

    /// A journal that may not keep up.
    pub fn journal(&self, inner: Arc<dyn Journal>) -> Arc<FaultyJournal> {
        Arc::new(FaultyJournal::new(self.clone(), inner))
    }

    /// Small values that may not be had.
    pub fn state(&self, inner: Arc<dyn State>) -> Arc<FaultyState> {
        Arc::new(FaultyState::new(self.clone(), inner))
    }

    /// Injects nothing from now on, whatever was planned. Calls are counted all
    /// the same. A disk that was filled stays full.
    pub fn calm(&self) {
        self.inner.calm.store(true, Ordering::Relaxed);
    }

    /// Undoes [`FaultPlan::calm`].
    pub fn resume(&self) {
        self.inner.calm.store(false, Ordering::Relaxed);
    }

    /// A number that the seed, the words and the count decide: for faults that a
    /// test makes itself.
    pub fn draw(&self, words: &str, count: u64) -> u64 {
        // FNV-1a: any mix will do that is the same on every machine.
        let mixed = words
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |mix: u64, octet| {
                (mix ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            });
        let seed = mixed ^ self.inner.seed.rotate_left(32) ^ count.wrapping_mul(0x9e37_79b9);
        let entropy = SeededEntropy::new(seed);
        entropy.random_u64();
        entropy.random_u64()
    }

    /// Writes down a fault that a test made itself.
    pub fn note(&self, seam: &'static str, subject: &str, count: u64, fault: &str) {
        let injected = Injected {
            at: self.inner.clock.now(),
            seam,
            subject: subject.to_owned(),
            count,
            fault: fault.to_owned(),
        };
        self.inner.record.add(injected);
        self.stir();
    }

    /// What was injected, in order.
    pub fn record(&self) -> Vec<Injected> {
        self.inner.record.all()
    }

    /// [`FaultPlan::record`] as lines of text: the same for the same seed.
    pub fn transcript(&self) -> String {
        let lines = self.record().into_iter();
        lines.map(|injected| format!("{injected}\n")).collect()
    }

    /// Lets `by` go by as [`VirtualClock::run_for`] does, and moves time only
    /// when nothing goes over a seam of this plan any more, however long the
    /// tasks talk to each other.
    pub async fn run_for(&self, by: Duration) {
        let clock = self.clock();
        let end = clock.monotonic().after(by);
        loop {
            self.rest().await;
            let now = clock.monotonic();
            match clock.next_wake().filter(|at| *at <= end) {
                Some(at) => clock.advance(at.since(now)),
                None => {
                    clock.advance(end.since(now));
                    self.rest().await;
                    return;
                }
            }
        }
    }

    /// Waits, without moving time, until nothing goes over a seam any more.
    pub async fn rest(&self) {
        loop {
            let before = self.inner.activity.load(Ordering::Relaxed);
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            if self.inner.activity.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// Tells [`FaultPlan::run_for`] that something is going on. Wrapped seams
    /// do; streams of a test's own that are not wrapped should.
    pub fn stir(&self) {
        self.inner.activity.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits so long.
    async fn pause(&self, time: Duration) {
        let clock = self.clock();
        clock.sleep_until(clock.monotonic().after(time)).await;
    }

    fn is_calm(&self) -> bool {
        self.inner.calm.load(Ordering::Relaxed)
    }
}
