//! [`ListAgent`]: distribution lists. What is written to a list's address becomes
//! mail for its members; what is written to the addresses beside it is done.
//!
//! ```text
//! news@            a message: may its writer? ─► waits for a moderator, or goes out
//! news-bounces+…@  a notice about one that went out: counted for the member
//! news-approve+…@  a moderator's word; news-subscribe@ and the like: a member's
//! ```
//!
//! A list's mail is an entry of the queue for the list's one address, and 250 to
//! its writer means that it is there. The agent writes it anew once, under the
//! list's header, and queues entries for the members that share those octets. How
//! each of them is served is the other agents' duty.

mod address;
mod author;
mod bounce;
mod expand;
mod header;
mod hold;
mod letter;
mod mark;
mod members;
mod members_file;
mod membership;
mod post;
mod report;
mod rights;
mod settings;
mod token;
mod upkeep;

use std::sync::Arc;

use async_trait::async_trait;

use crate::address::Domain;
use crate::batch::{Batch, Receipt};
use crate::envelope::Recipient;
use crate::event::{Event, EventId, EventName, TraceId};
use crate::queue::{Origin, RetrySchedule};
use crate::seams::{
    Clock, Commit, CommitError, DeliveryAgent, DeliveryJob, Directory, Entropy, ListRecord,
    Resolution, Spool, State, Writer,
};
use crate::status::{Failure, Outcome, Status};

pub use address::{ListAddress, ListRole};
pub use author::AuthorPolicies;
pub use bounce::{Bounces, BouncingMember};
pub use hold::{HeldPost, HeldPosts};
pub(crate) use rights::{owners, posts};
pub use settings::{ByMail, FromRewriting, ListSettingError, ListSettings, OwnCopy};
pub use upkeep::upkeep;

/// Serves lists.
#[derive(Debug)]
pub struct ListAgent {
    seams: ListSeams,
}

/// What a [`ListAgent`] works with.
#[derive(Debug, Clone)]
pub struct ListSeams {
    /// This server's name.
    pub hostname: Domain,
    /// The lists, and who is served here.
    pub directory: Arc<dyn Directory>,
    /// Tokens, counts, what waits.
    pub state: Arc<dyn State>,
    /// What waits.
    pub spool: Arc<dyn Spool>,
    /// Where entries are queued.
    pub commit: Arc<dyn Commit>,
    /// How long members' mail is tried.
    pub schedule: RetrySchedule,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and tokens.
    pub entropy: Arc<dyn Entropy>,
    /// What authors' domains ask for; without it, lists that are to write in their
    /// own name where a domain asks for that do so for all.
    pub policies: Option<Arc<dyn AuthorPolicies>>,
}

impl ListAgent {
    /// An agent, to be registered as `list`.
    pub fn new(seams: ListSeams) -> Self {
        Self { seams }
    }

    async fn serve(&self, job: &DeliveryJob, recipient: &Recipient) -> Result<(), Status> {
        let directory = self.seams.directory.as_ref();
        let lists = directory.lists().ok_or_else(gone)?;
        if let Some(read) = ListAddress::read(&recipient.address)
            && let Some(list) = lists.list(&read.list).await.map_err(later)?
        {
            return self.beside(job, &list, &read).await;
        }
        let stands = directory.resolve(&recipient.address).await.map_err(later)?;
        let Resolution::List(list) = stands else {
            return Err(gone());
        };
        let list = lists.list(&list).await.map_err(later)?.ok_or_else(gone)?;
        self.post(job, &list, recipient).await
    }

    /// What came to an address beside the list's own.
    async fn beside(
        &self,
        job: &DeliveryJob,
        list: &ListRecord,
        to: &ListAddress,
    ) -> Result<(), Status> {
        let token = to.token.as_deref();
        match to.role {
            ListRole::Owner => self.to_owner(job, list).await,
            ListRole::Bounces => self.bounced(job, list, token).await,
            ListRole::Approve | ListRole::Reject => self.judged(job, list, to).await,
            ListRole::Approved => self.approved(job, list, token).await,
            ListRole::Request | ListRole::Subscribe | ListRole::Unsubscribe => {
                self.asked(job, list, to.role).await
            }
            ListRole::Confirm => self.confirmed(job, list, token).await,
        }
    }

    async fn write(&self, batch: Batch) -> Result<Receipt, Status> {
        let written = self.seams.commit.commit(batch).await;
        written.map_err(|error| match error {
            CommitError::Precondition(_) => {
                Status::transient(3, 0, "the list's mail was changed meanwhile")
            }
            error => later(error),
        })
    }

    fn event(&self, name: EventName, trace: TraceId) -> Event {
        let now = self.seams.clock.now();
        Event {
            id: EventId(self.seams.entropy.id(now)),
            at: now,
            name,
            trace: Some(trace),
            account: None,
            fields: Vec::new(),
        }
    }
}

#[async_trait]
impl DeliveryAgent for ListAgent {
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(job.recipients.len());
        for recipient in &job.recipients {
            // RFC 3461 section 5.2.7.1: for its writer a message is delivered once
            // the list has it.
            outcomes.push(match self.serve(&job, recipient).await {
                Ok(()) => Outcome::Delivered,
                Err(status) => Outcome::from_failure(Failure::local(status)),
            });
        }
        outcomes
    }
}

/// Who wrote a message that was let in: of a sender whom nobody checked nothing
/// is known but what he wrote himself.
fn writer_of(job: &DeliveryJob) -> Writer<'static> {
    match job.origin {
        Origin::Received => Writer::Stranger,
        _ => Writer::House,
    }
}

fn later(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "a list's mail waits");
    Status::transient(3, 0, "the list can't be served now")
}

fn gone() -> Status {
    Status::permanent(1, 1, "there is no such list here")
}
