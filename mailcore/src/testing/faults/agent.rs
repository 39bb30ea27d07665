//! [`FaultyAgent`]: deliveries that fail, for some recipients or for all.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::{Rules, planned};
use crate::seams::{DeliveryAgent, DeliveryJob};
use crate::status::{Failure, Outcome, Status};

/// What can be wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentFault {
    /// It never ends: the queue's patience ends it.
    Hangs,
    /// It takes so long.
    Slow(Duration),
    /// Everybody is put off; nothing was delivered.
    Defers,
    /// Everybody fails; nothing was delivered.
    Fails,
    /// Every second recipient is put off, from the second on; the others are
    /// served. What LMTP has a reply for each recipient for.
    DefersSome,
    /// Everybody is served and put off all the same: the answer was lost. The
    /// next attempt delivers a second time.
    LosesAnswer,
}

/// A [`DeliveryAgent`] by a [`FaultPlan`]. Its subjects are the domains of the
/// first recipients.
#[derive(Debug)]
pub struct FaultyAgent {
    inner: Arc<dyn DeliveryAgent>,
    rules: Rules<AgentFault>,
}

planned!(FaultyAgent, AgentFault);

impl FaultyAgent {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn DeliveryAgent>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "agent"),
        }
    }
}

#[async_trait]
impl DeliveryAgent for FaultyAgent {
    async fn deliver(&self, mut job: DeliveryJob) -> Vec<Outcome> {
        let first = job.recipients.first();
        let subject = first.map(|it| it.address.domain().as_str().to_owned());
        let all = job.recipients.len();
        let put_off = Outcome::Deferred(Failure::local(Status::transient(
            3,
            0,
            "put off by the test",
        )));
        match self.rules.strike(&subject.unwrap_or_default()) {
            None => self.inner.deliver(job).await,
            Some(AgentFault::Hangs) => std::future::pending().await,
            Some(AgentFault::Slow(time)) => {
                self.rules.plan().pause(time).await;
                self.inner.deliver(job).await
            }
            Some(AgentFault::Defers) => vec![put_off; all],
            Some(AgentFault::Fails) => {
                let status = Status::permanent(3, 0, "refused by the test");
                vec![Outcome::Failed(Failure::local(status)); all]
            }
            Some(AgentFault::LosesAnswer) => {
                self.inner.deliver(job).await;
                vec![put_off; all]
            }
            Some(AgentFault::DefersSome) => {
                let mut place = 0;
                job.recipients.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                let mut served = self.inner.deliver(job).await.into_iter();
                let outcome = |place| match place % 2 {
                    0 => served.next().unwrap_or_else(|| put_off.clone()),
                    _ => put_off.clone(),
                };
                (0..all).map(outcome).collect()
            }
        }
    }
}
