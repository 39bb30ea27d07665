//! [`FaultyFilter`]: a filter that is slow, hangs, or changes its mind.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::{Rules, planned};
use crate::address::{Address, ReversePath};
use crate::envelope::Envelope;
use crate::plan::{Disposition, Plan};
use crate::seams::{Filter, FilterSession, IncomingMail, Verdict};
use crate::status::Status;

/// What can be wrong with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterFault {
    /// No answer, ever: the server's deadline ends it.
    Hangs,
    /// It takes so long.
    Slow(Duration),
    /// It says "not now", instead of what it would have said.
    Defers,
    /// It says no, instead of what it would have said.
    Rejects,
}

/// A [`Filter`] by a [`FaultPlan`]. Its subjects are stages: `connect`, `helo`,
/// `auth`, `mail`, `rcpt`, `data`, `message`.
#[derive(Debug)]
pub struct FaultyFilter {
    inner: Arc<dyn Filter>,
    rules: Rules<FilterFault>,
}

planned!(FaultyFilter, FilterFault);

impl FaultyFilter {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Filter>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "filter"),
        }
    }

    /// What it says instead.
    async fn instead(&self, stage: &str) -> Option<Disposition> {
        match self.rules.strike(stage)? {
            FilterFault::Hangs => std::future::pending().await,
            FilterFault::Slow(time) => {
                self.rules.plan().pause(time).await;
                None
            }
            FilterFault::Defers => Some(Disposition::Defer(Status::transient(
                3,
                0,
                "put off by the test",
            ))),
            FilterFault::Rejects => Some(Disposition::Reject(Status::permanent(
                7,
                1,
                "refused by the test",
            ))),
        }
    }

    async fn verdict(&self, stage: &str) -> Option<Verdict> {
        match self.instead(stage).await? {
            Disposition::Defer(status) => Some(Verdict::Defer(status)),
            Disposition::Reject(status) => Some(Verdict::Reject(status)),
            _ => None,
        }
    }
}

#[async_trait]
impl Filter for FaultyFilter {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn connect(&self, session: &FilterSession) -> Verdict {
        match self.verdict("connect").await {
            Some(verdict) => verdict,
            None => self.inner.connect(session).await,
        }
    }

    async fn helo(&self, session: &FilterSession) -> Verdict {
        match self.verdict("helo").await {
            Some(verdict) => verdict,
            None => self.inner.helo(session).await,
        }
    }

    async fn auth(&self, session: &FilterSession) -> Verdict {
        match self.verdict("auth").await {
            Some(verdict) => verdict,
            None => self.inner.auth(session).await,
        }
    }

    async fn mail(&self, session: &FilterSession, reverse_path: &ReversePath) -> Verdict {
        match self.verdict("mail").await {
            Some(verdict) => verdict,
            None => self.inner.mail(session, reverse_path).await,
        }
    }

    async fn rcpt(
        &self,
        session: &FilterSession,
        reverse_path: &ReversePath,
        recipient: &Address,
    ) -> Verdict {
        match self.verdict("rcpt").await {
            Some(verdict) => verdict,
            None => self.inner.rcpt(session, reverse_path, recipient).await,
        }
    }

    async fn data(&self, session: &FilterSession, envelope: &Envelope) -> Verdict {
        match self.verdict("data").await {
            Some(verdict) => verdict,
            None => self.inner.data(session, envelope).await,
        }
    }

    async fn message(&self, session: &FilterSession, mail: &IncomingMail<'_>, plan: &mut Plan) {
        match self.instead("message").await {
            Some(disposition) => {
                for copy in &mut plan.recipients {
                    copy.disposition = disposition.clone();
                }
            }
            None => self.inner.message(session, mail, plan).await,
        }
    }

    async fn disconnect(&self, session: &FilterSession) {
        self.inner.disconnect(session).await;
    }
}
