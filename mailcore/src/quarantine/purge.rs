//! What goes by itself: what is old, and what is too much.

use tokio::task::JoinSet;

use super::change::{Actor, Chosen};
use super::keys::{NAMESPACE, Sum};
use super::store::{QuarantineError, QuarantineQuery, QuarantineStore, Section};
use crate::account::AccountId;
use crate::queue::{EntryStateKind, QueueId};
use crate::seams::{SpoolQuery, StoreError};
use crate::time::Timestamp;

/// Messages read at a time.
const PAGE: usize = 200;

/// How much may be in quarantine; the oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantineLimits {
    /// Messages that one account sees.
    pub account_messages: u64,
    /// Octets of them.
    pub account_octets: u64,
    /// Messages in all.
    pub messages: u64,
    /// Octets in all.
    pub octets: u64,
}

impl Default for QuarantineLimits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            account_messages: 10_000,
            account_octets: GIB,
            messages: 1_000_000,
            octets: 50 * GIB,
        }
    }
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Purged {
    /// Messages, or some recipients' part in them.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
}

impl Purged {
    fn add(&mut self, octets: u64) {
        self.messages += 1;
        self.octets += octets;
    }

    fn plus(&mut self, others: Self) {
        self.messages += others.messages;
        self.octets += others.octets;
    }
}

impl QuarantineStore {
    /// Deletes what is in a part of the quarantine since before `before`.
    /// Messages for others, too, stay for them.
    ///
    /// # Errors
    /// [`QuarantineError`], when the store failed; what went before is gone.
    pub async fn purge(
        &self,
        section: &Section,
        before: Timestamp,
        actor: &Actor,
    ) -> Result<Purged, QuarantineError> {
        let chosen = match section {
            Section::Account(account) => Chosen::Account(account.clone()),
            _ => Chosen::Everybody,
        };
        let mut query = QuarantineQuery::of(section.clone());
        (query.before, query.limit) = (Some(before), PAGE);
        let mut purged = Purged::default();
        loop {
            let page = self.list(&query).await?;
            query.after = page.last().map(|mail| mail.id);
            let all = page.iter().map(|mail| (mail.id, mail.size));
            purged.plus(self.remove_all(all, &chosen, actor).await?);
            if page.len() < PAGE {
                return Ok(purged);
            }
        }
    }

    /// Deletes what is over the limits, the oldest first.
    ///
    /// # Errors
    /// [`QuarantineError`], when the store failed; what went before is gone.
    pub async fn trim(&self, limits: &QuarantineLimits) -> Result<Purged, QuarantineError> {
        let mut purged = Purged::default();
        let mut after: Option<String> = None;
        let counts = Sum::counts();
        loop {
            let state = &self.seams.state;
            let page = state.scan(NAMESPACE, &counts, after.as_deref(), PAGE);
            let page = page.await?;
            for (key, value) in &page {
                after = Some(key.key.to_string());
                let Some(account) = Sum::account_of(&key.key) else {
                    continue;
                };
                let messages = value.counter().unwrap_or(0).max(0).cast_unsigned();
                let octets = self.sum(Sum::Octets(&account)).await?;
                if messages > limits.account_messages || octets > limits.account_octets {
                    self.trim_account(&account, limits, &mut purged).await?;
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
        self.trim_all(limits, &mut purged).await?;
        Ok(purged)
    }

    /// Octets of all that is in quarantine.
    ///
    /// # Errors
    /// What the store says.
    pub async fn octets(&self) -> Result<u64, StoreError> {
        self.sum(Sum::AllOctets).await
    }

    async fn trim_account(
        &self,
        account: &AccountId,
        limits: &QuarantineLimits,
        purged: &mut Purged,
    ) -> Result<(), QuarantineError> {
        let mut query = QuarantineQuery::of(Section::Account(account.clone()));
        query.limit = PAGE;
        let chosen = Chosen::Account(account.clone());
        let (mut messages, mut octets) = (0u64, 0u64);
        loop {
            let page = self.list(&query).await?;
            query.after = page.last().map(|mail| mail.id);
            let mut over = Vec::new();
            for mail in &page {
                messages += 1;
                octets = octets.saturating_add(mail.size);
                if messages > limits.account_messages || octets > limits.account_octets {
                    over.push((mail.id, mail.size));
                }
            }
            let gone = self.remove_all(over, &chosen, &Actor::Limit).await?;
            purged.plus(gone);
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    async fn trim_all(
        &self,
        limits: &QuarantineLimits,
        purged: &mut Purged,
    ) -> Result<(), QuarantineError> {
        let mut messages = self.seams.spool.counts().await?.quarantined;
        let mut octets = self.octets().await?;
        let mut query = SpoolQuery {
            state: Some(EntryStateKind::Quarantined),
            limit: PAGE,
            ..SpoolQuery::default()
        };
        while messages > limits.messages || octets > limits.octets {
            let page = self.seams.spool.list(&query).await?;
            let count = page.len();
            let mut over = Vec::new();
            let (mut left, mut left_octets) = (messages, octets);
            for line in page {
                if left <= limits.messages && left_octets <= limits.octets {
                    break;
                }
                query.after = Some(line.entry.id);
                let size = line.entry.message.len();
                left = left.saturating_sub(1);
                left_octets = left_octets.saturating_sub(size);
                over.push((line.entry.id, size));
            }
            let gone = self.remove_all(over, &Chosen::Everybody, &Actor::Limit);
            let gone = gone.await?;
            // What can't be removed makes no room: others go in its place.
            messages = messages.saturating_sub(gone.messages);
            octets = octets.saturating_sub(gone.octets);
            purged.plus(gone);
            if count < PAGE {
                break;
            }
        }
        Ok(())
    }

    /// Deletes messages side by side, so that they share the store's syncs.
    async fn remove_all(
        &self,
        messages: impl IntoIterator<Item = (QueueId, u64)>,
        chosen: &Chosen,
        actor: &Actor,
    ) -> Result<Purged, QuarantineError> {
        let mut removals = JoinSet::new();
        for (id, size) in messages {
            let (store, chosen, actor) = (self.clone(), chosen.clone(), actor.clone());
            removals.spawn(async move {
                let removed = store.remove(id, &chosen, &actor).await;
                removed.map(|removed| removed.then_some(size))
            });
        }
        let (mut purged, mut failed) = (Purged::default(), None);
        while let Some(ended) = removals.join_next().await {
            match ended {
                Ok(Ok(Some(size))) => purged.add(size),
                Ok(Err(error)) => failed = Some(error),
                Ok(Ok(None)) | Err(_) => {}
            }
        }
        failed.map_or(Ok(purged), Err)
    }

    /// True when it was there.
    async fn remove(
        &self,
        id: QueueId,
        chosen: &Chosen,
        actor: &Actor,
    ) -> Result<bool, QuarantineError> {
        match self.delete(id, chosen, actor).await {
            Ok(()) => Ok(true),
            Err(QuarantineError::NotFound(_) | QuarantineError::NotFor { .. }) => Ok(false),
            Err(QuarantineError::Busy(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn sum(&self, sum: Sum<'_>) -> Result<u64, StoreError> {
        let value = self.seams.state.read(&sum.key()).await?;
        let counted = value.and_then(|value| value.counter()).unwrap_or(0);
        Ok(counted.max(0).cast_unsigned())
    }
}
