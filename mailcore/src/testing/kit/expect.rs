//! [`Expectation`]: waiting for mail, in the server's own time.

use std::fmt::Debug;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::ledger::{Had, Side};
use super::mail::CapturedMail;
use super::matchers::Matcher;
use super::report::Unmet;
use super::scope::Scope;
use crate::testing::VirtualClock;

/// How long mail is waited for unless [`Expectation::within`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is waited for, and how long. Awaiting it gives the mail; when it does
/// not come, that panics with what did come and what was refused.
///
/// A message answers one expectation: the next one waits for another message,
/// so that a test never takes an old mail for a new one.
#[derive(Debug)]
#[must_use = "an expectation is nothing until it is awaited"]
pub struct Expectation<'a, G> {
    scope: Scope<'a>,
    side: Side,
    matcher: Matcher,
    goal: G,
    within: Duration,
    asked_at: &'static Location<'static>,
}

/// What ends an expectation: [`One`], [`Exactly`] or [`Nothing`].
pub trait Goal: Judge + Debug + Send + Sync {}

impl<G: Judge + Debug + Send + Sync> Goal for G {}

/// Whether there is time left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum End {
    NotYet,
    Now,
}

/// Where an expectation stands.
#[derive(Debug)]
#[doc(hidden)]
pub enum Judged<T> {
    /// Met, by the first so many.
    Met(T, usize),
    /// It can't be met any more.
    Failed,
    /// More may come.
    Open,
}

/// Judges those that match, of those that no expectation has had.
#[doc(hidden)]
pub trait Judge {
    type Output: Send;

    fn judge(&self, found: &[Arc<CapturedMail>], end: End) -> Judged<Self::Output>;

    fn words(&self) -> String;
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct One;

/// So many messages, and no more.
#[derive(Debug, Clone, Copy)]
pub struct Exactly(pub(super) usize);

/// None.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Judge for One {
    type Output = CapturedMail;

    fn judge(&self, found: &[Arc<CapturedMail>], end: End) -> Judged<CapturedMail> {
        match (found.first(), end) {
            (Some(mail), _) => Judged::Met(mail.as_ref().clone(), 1),
            (None, End::Now) => Judged::Failed,
            (None, End::NotYet) => Judged::Open,
        }
    }

    fn words(&self) -> String {
        "mail".to_owned()
    }
}

impl Judge for Exactly {
    type Output = Vec<CapturedMail>;

    fn judge(&self, found: &[Arc<CapturedMail>], end: End) -> Judged<Vec<CapturedMail>> {
        match (found.len().cmp(&self.0), end) {
            (std::cmp::Ordering::Equal, _) => {
                let mail = found.iter().map(|mail| mail.as_ref().clone());
                Judged::Met(mail.collect(), self.0)
            }
            (std::cmp::Ordering::Less, End::NotYet) => Judged::Open,
            _ => Judged::Failed,
        }
    }

    fn words(&self) -> String {
        format!("exactly {} messages", self.0)
    }
}

impl Judge for Nothing {
    type Output = ();

    fn judge(&self, found: &[Arc<CapturedMail>], end: End) -> Judged<()> {
        match (found.is_empty(), end) {
            (false, _) => Judged::Failed,
            (true, End::Now) => Judged::Met((), 0),
            (true, End::NotYet) => Judged::Open,
        }
    }

    fn words(&self) -> String {
        "no mail".to_owned()
    }
}

impl<'a, G: Goal> Expectation<'a, G> {
    #[track_caller]
    pub(super) fn new(scope: Scope<'a>, side: Side, matcher: Matcher, goal: G) -> Self {
        Self {
            scope,
            side,
            matcher,
            goal,
            within: PATIENCE,
            asked_at: Location::caller(),
        }
    }

    /// How long to wait, by the server's clock: real time, or none at all with a
    /// virtual one, which is moved on as soon as everybody waits.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// What came of it, without a panic.
    ///
    /// # Errors
    /// [`Unmet`], which says what did come.
    pub async fn result(self) -> Result<G::Output, Unmet> {
        match self.scope.server.virtual_clock() {
            Some(clock) => self.in_virtual_time(clock).await,
            None => self.in_real_time().await,
        }
    }

    async fn in_real_time(&self) -> Result<G::Output, Unmet> {
        let clock = self.scope.server.clock();
        let mut changed = self.scope.server.ledger().watch();
        let too_late = clock.sleep_until(clock.monotonic().after(self.within));
        let mut too_late = std::pin::pin!(too_late);
        loop {
            changed.mark_unchanged();
            if let Some(result) = self.look(End::NotYet) {
                return result;
            }
            tokio::select! {
                biased;
                // The sender lives as long as the server, which is borrowed.
                _ = changed.changed() => {}
                () = &mut too_late => return self.at_the_end(),
            }
        }
    }

    async fn in_virtual_time(&self, clock: &VirtualClock) -> Result<G::Output, Unmet> {
        let end = clock.steady().after(self.within);
        loop {
            clock.rest().await;
            if let Some(result) = self.look(End::NotYet) {
                return result;
            }
            let now = clock.steady();
            match clock.next_wake().filter(|at| *at <= end) {
                Some(at) => clock.advance(at.since(now)),
                None => {
                    clock.advance(end.since(now));
                    clock.rest().await;
                    return self.at_the_end();
                }
            }
        }
    }

    fn at_the_end(&self) -> Result<G::Output, Unmet> {
        let result = self.look(End::Now);
        result.unwrap_or_else(|| Err(self.unmet()))
    }

    /// The result, once there is one.
    fn look(&self, end: End) -> Option<Result<G::Output, Unmet>> {
        let ledger = self.scope.server.ledger();
        let mail = ledger.mail(self.side, self.scope.domain.as_ref());
        let new = mail.into_iter().filter(|(_, had)| *had == Had::No);
        let found: Vec<_> = new
            .map(|(mail, _)| mail)
            .filter(|mail| self.matcher.matches(mail))
            .collect();
        match self.goal.judge(&found, end) {
            Judged::Met(output, count) => {
                ledger.take(found.get(..count).unwrap_or_default());
                Some(Ok(output))
            }
            Judged::Failed => Some(Err(self.unmet())),
            Judged::Open => None,
        }
    }

    fn unmet(&self) -> Unmet {
        let ledger = self.scope.server.ledger();
        let domain = self.scope.domain.as_ref();
        Unmet::new(
            &self.matcher,
            self.goal.words(),
            self.within,
            ledger.mail(self.side, domain),
            ledger.refused(domain),
        )
    }
}

impl<'a, G> IntoFuture for Expectation<'a, G>
where
    G: Goal + 'a,
    G::Output: 'a,
{
    type Output = G::Output;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let asked_at = self.asked_at;
        Box::pin(async move {
            match self.result().await {
                Ok(output) => output,
                Err(unmet) => panic!("{unmet}\n  asked for at {asked_at}"),
            }
        })
    }
}
