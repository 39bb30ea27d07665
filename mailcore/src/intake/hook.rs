//! Mail into the host application's own code.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::address::{Address, ReversePath};
use crate::event::TraceId;
use crate::message::Summary;
use crate::message::decode::header_text;
use crate::seams::{
    DeliveryAgent, DeliveryJob, Demands, NextHop, Route, RouteError, RouteQuery, Router,
};
use crate::status::{Failure, Outcome, Status};

/// A message as a host's closure receives it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReceivedMail {
    /// The message's track: equal when the same message is handed over again
    /// after a crash.
    pub trace: TraceId,
    /// From whom, by the envelope.
    pub reverse_path: ReversePath,
    /// To whom: the address that led here.
    pub recipient: Address,
    /// All octets, trace fields on top.
    pub message: Bytes,
    /// Header fields and structure.
    pub summary: Summary,
}

impl ReceivedMail {
    /// The subject, decoded.
    pub fn subject(&self) -> String {
        header_text(self.summary.envelope.subject.as_deref().unwrap_or_default())
    }
}

/// What a host's closure says when it does not take a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HookError {
    /// Not now: the sender, or our queue, tries again.
    #[error("try again later: {0}")]
    TryLater(String),
    /// Never: the sender is told these words.
    #[error("refused: {0}")]
    Refuse(String),
}

type Call = Box<
    dyn Fn(ReceivedMail) -> Pin<Box<dyn Future<Output = Result<(), HookError>> + Send>>
        + Send
        + Sync,
>;

/// Hands messages to a closure. `Ok` from the closure means that the host has
/// the message: only then is the sender told so.
pub struct HookAgent {
    call: Call,
    limit: u64,
}

impl HookAgent {
    /// An agent over a closure that takes messages of at most `limit` octets.
    pub fn new<F, T>(limit: u64, call: F) -> Self
    where
        F: Fn(ReceivedMail) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        Self {
            call: Box::new(move |mail| Box::pin(call(mail))),
            limit,
        }
    }

    /// The same with another limit.
    pub(crate) fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }
}

impl fmt::Debug for HookAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookAgent")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl DeliveryAgent for HookAgent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let message = match job.message.read_all(self.limit).await {
            Ok(message) => message,
            Err(error) => {
                let outcome =
                    Outcome::from_failure(Failure::local(super::transaction::status(&error)));
                return vec![outcome; job.recipients.len()];
            }
        };
        let summary = Summary::scan(&message);
        let mut outcomes = Vec::with_capacity(job.recipients.len());
        for recipient in job.recipients {
            let mail = ReceivedMail {
                trace: job.trace,
                reverse_path: job.reverse_path.clone(),
                recipient: recipient.address,
                message: message.clone(),
                summary: summary.clone(),
            };
            outcomes.push(match (self.call)(mail).await {
                Ok(()) => Outcome::Delivered,
                Err(HookError::TryLater(why)) => {
                    Outcome::Deferred(Failure::local(Status::transient(3, 0, why)))
                }
                Err(HookError::Refuse(why)) => {
                    Outcome::Failed(Failure::local(Status::permanent(7, 1, why)))
                }
            });
        }
        outcomes
    }
}

/// Routes the hooks' addresses to their agents and the rest to another router.
#[derive(Debug)]
pub struct HookRouter {
    hooks: HashMap<Address, Arc<str>>,
    rest: Option<Arc<dyn Router>>,
}

impl HookRouter {
    /// Routes `hooks` (address, agent's name); everything else goes to `rest`.
    /// Without a `rest`, their domains are ours and hold nothing else.
    pub fn new(
        hooks: impl IntoIterator<Item = (Address, Arc<str>)>,
        rest: Option<Arc<dyn Router>>,
    ) -> Self {
        Self {
            hooks: hooks
                .into_iter()
                .map(|(address, agent)| (address.folded(), agent))
                .collect(),
            rest,
        }
    }
}

#[async_trait]
impl Router for HookRouter {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        if let Some(agent) = self.hooks.get(&address.folded()) {
            return Ok(Route::Agent {
                agent: Arc::clone(agent),
                next_hop: NextHop::Local,
            });
        }
        match &self.rest {
            Some(rest) => rest.route(query).await,
            None if self
                .hooks
                .keys()
                .any(|hook| hook.domain() == address.domain()) =>
            {
                Ok(Route::Unknown)
            }
            None => Ok(Route::Remote {
                agent: "smtp".into(),
                next_hop: NextHop::Mx(address.domain().clone()),
            }),
        }
    }

    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        match &self.rest {
            Some(rest) => rest.demands(address).await,
            None => Ok(Demands::default()),
        }
    }

    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        match &self.rest {
            Some(rest) => rest.forwarded_sender(sender).await,
            None => Ok(sender.clone()),
        }
    }
}
