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
use crate::message::decode::header_text;
use crate::message::{Header, HeaderAddress, Readable, Summary};
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

    /// The first address in From: who says to have written it, which anybody
    /// can say. [`ReceivedMail::reverse_path`] is the envelope's sender.
    pub fn from(&self) -> Option<Address> {
        let mut mailboxes = (self.summary.envelope.from.iter()).filter_map(HeaderAddress::mailbox);
        let octets = mailboxes.next()?.address();
        Address::parse(&String::from_utf8_lossy(&octets)).ok()
    }

    /// The first header field of that name, unfolded and decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let fields = Header::new(&self.message);
        let text = fields
            .all(name)
            .next()
            .map(|field| header_text(&field.value()));
        text.map(|text| text.trim().to_owned())
    }

    /// Its plain text, decoded; empty without one, as in mail of HTML alone.
    pub fn text(&self) -> String {
        self.read().text
    }

    /// Its texts and attachments, decoded.
    pub fn read(&self) -> Readable {
        Readable::new(&self.message, &self.summary)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn received(message: &'static [u8]) -> ReceivedMail {
        ReceivedMail {
            trace: TraceId(1),
            reverse_path: ReversePath::Null,
            recipient: Address::parse("orders@a.test").unwrap(),
            message: Bytes::from_static(message),
            summary: Summary::scan(message),
        }
    }

    #[test]
    fn a_closure_reads_what_people_read() {
        let mail = received(
            b"From: \"Ann\" <ann@b.test>\r\nSubject: =?utf-8?q?Drei_=C3=84pfel?=\r\nX-Order: 17\r\n\
              Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nU2Now7Zu\r\n",
        );
        assert_eq!(mail.subject(), "Drei \u{c4}pfel");
        assert_eq!(mail.text(), "Sch\u{f6}n");
        assert_eq!(mail.header("x-order").as_deref(), Some("17"));
        assert_eq!(mail.from().unwrap().to_string(), "ann@b.test");
    }

    #[test]
    fn mail_that_says_nothing_reads_as_empty() {
        let mail = received(b"From: nobody\r\n\r\n");
        assert_eq!((mail.from(), mail.text()), (None, String::new()));
        assert_eq!(mail.header("Subject"), None);
    }
}
