//! [`QuarantineStore`]: what is in quarantine, list by list.

use std::sync::Arc;

use thiserror::Error;

use super::keys::{List, NAMESPACE, id_of, record_key};
use super::mail::QuarantinedMail;
use crate::account::AccountId;
use crate::address::{Address, Domain};
use crate::message::Message;
use crate::queue::{EntryState, QueueEntry, QueueId, RetrySchedule};
use crate::seams::{Clock, Commit, CommitError, Entropy, Spool, State, StateKey, StoreError};
use crate::server::Stores;
use crate::time::Timestamp;

/// Milliseconds are the upper part of an id ([`Entropy::id`]).
const CHANCE_BITS: u32 = 80;

/// The seams that the quarantine uses.
#[derive(Debug, Clone)]
pub struct QuarantineSeams {
    /// The messages.
    pub spool: Arc<dyn Spool>,
    /// What lists show of them.
    pub state: Arc<dyn State>,
    /// Changes to both.
    pub commit: Arc<dyn Commit>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
}

impl QuarantineSeams {
    /// Those of a store.
    pub fn of(stores: &Stores, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            spool: Arc::clone(&stores.spool),
            state: Arc::clone(&stores.state),
            commit: Arc::clone(&stores.commit),
            clock,
            entropy,
        }
    }
}

/// Mail in quarantine: read, released, deleted.
#[derive(Debug, Clone)]
pub struct QuarantineStore {
    pub(super) seams: QuarantineSeams,
    /// This server's name, in the trace field of what is released.
    pub(super) hostname: Domain,
    /// When released mail is tried again.
    pub(super) schedule: RetrySchedule,
}

/// A part of what is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Section {
    /// Everything.
    #[default]
    Everything,
    /// What an account sees: mail for it, but for what administrators alone see.
    Account(AccountId),
    /// What concerns a domain: mail for it, and mail that its accounts sent.
    Domain(Domain),
    /// What administrators alone see.
    Admin,
}

/// Which messages to list, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantineQuery {
    /// Out of which part.
    pub section: Section,
    /// Go on after this one, the last of the page before.
    pub after: Option<QueueId>,
    /// Only those that came before.
    pub before: Option<Timestamp>,
    /// At most so many; 100 by default.
    pub limit: usize,
}

impl Default for QuarantineQuery {
    fn default() -> Self {
        Self {
            section: Section::default(),
            after: None,
            before: None,
            limit: 100,
        }
    }
}

impl QuarantineQuery {
    /// The newest of a part.
    pub fn of(section: Section) -> Self {
        Self {
            section,
            ..Self::default()
        }
    }
}

/// Why something could not be done.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// It is not there, or not for whoever asks.
    #[error("{0} is not in quarantine; list it again")]
    NotFound(QueueId),
    /// It is not there for those who are meant.
    #[error("{id} is not in quarantine for {address}; look at it to see for whom it is")]
    NotFor {
        /// The message.
        id: QueueId,
        /// Who is not among its recipients.
        address: Address,
    },
    /// It is harmful.
    #[error("{id} is harmful ({reason}) and is released to nobody; it can be deleted")]
    Harmful {
        /// The message.
        id: QueueId,
        /// Why.
        reason: String,
    },
    /// Others change it at the same time, again and again.
    #[error("{0} is being changed by somebody else; try again")]
    Busy(QueueId),
    /// The store failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for QuarantineError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl QuarantineStore {
    /// The quarantine of a server of this name.
    pub fn new(seams: QuarantineSeams, hostname: Domain) -> Self {
        Self {
            seams,
            hostname,
            schedule: RetrySchedule::default(),
        }
    }

    /// What is released is tried again at these times.
    #[must_use]
    pub fn schedule(self, schedule: RetrySchedule) -> Self {
        Self { schedule, ..self }
    }

    /// A page of a list, the newest first. What a page costs does not grow with
    /// what is in quarantine.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, query: &QuarantineQuery) -> Result<Vec<QuarantinedMail>, StoreError> {
        let list = match &query.section {
            Section::Everything => List::Records,
            Section::Account(account) => List::Account(account),
            Section::Domain(domain) => List::Domain(domain),
            Section::Admin => List::Admin,
        };
        let mut after = query.start().map(|id| list.key(id));
        let (prefix, mut found) = (list.prefix(), Vec::new());
        while found.len() < query.limit {
            let wanted = query.limit - found.len();
            let state = &self.seams.state;
            let page = state.scan(NAMESPACE, &prefix, after.as_deref(), wanted);
            let page = page.await?;
            let ended = page.len() < wanted;
            for (key, value) in page {
                let mail = match list {
                    List::Records => read(&key, &value.value),
                    _ => match id_of(&key.key) {
                        Some(id) => self.record(id).await?.map(|(mail, _)| mail),
                        None => None,
                    },
                };
                after = Some(key.key.to_string());
                let fits = |mail: &QuarantinedMail| query.before.is_none_or(|at| mail.at < at);
                found.extend(mail.filter(fits));
            }
            if ended {
                break;
            }
        }
        Ok(found)
    }

    /// One message; `None` when it is not there.
    ///
    /// # Errors
    /// What the store says.
    pub async fn get(&self, id: QueueId) -> Result<Option<QuarantinedMail>, StoreError> {
        Ok(self.record(id).await?.map(|(mail, _)| mail))
    }

    /// The octets of one message; `None` when it is not there.
    ///
    /// # Errors
    /// What the store says.
    pub async fn message(&self, id: QueueId) -> Result<Option<Message>, StoreError> {
        let entry = self.entry(id).await?;
        Ok(entry.map(|entry| entry.message.clone()))
    }

    /// A record with its version.
    pub(super) async fn record(
        &self,
        id: QueueId,
    ) -> Result<Option<(QuarantinedMail, u64)>, StoreError> {
        let key = record_key(id);
        let value = self.seams.state.read(&key).await?;
        Ok(value.and_then(|value| Some((read(&key, &value.value)?, value.version))))
    }

    pub(super) async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError> {
        let entry = self.seams.spool.entry(id).await?;
        Ok(entry.filter(|entry| entry.progress.state == EntryState::Quarantined))
    }
}

impl QuarantineQuery {
    /// After which entry the list begins: ids begin with their time, so that what
    /// is too young need not be read.
    fn start(&self) -> Option<QueueId> {
        let millis = self.before.map(|at| at.millis().max(0).cast_unsigned());
        // What came within that millisecond is not before it, either.
        let bound = millis.map(|millis| QueueId(u128::from(millis) << CHANCE_BITS));
        match (self.after, bound) {
            (Some(after), Some(bound)) => Some(after.min(bound)),
            (after, bound) => after.or(bound),
        }
    }
}

/// A record that can't be read is named in the log and holds nothing else up.
fn read(key: &StateKey, value: &[u8]) -> Option<QuarantinedMail> {
    let read = QuarantinedMail::decode(value);
    read.inspect_err(
        |error| tracing::error!(key = %key.key, %error, "a record of the quarantine can't be read"),
    )
    .ok()
}
