//! [`FaultyDirectory`]: a directory that can't be asked, or has forgotten.

use std::sync::Arc;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::{Rules, planned};
use crate::account::AccountId;
use crate::address::{Address, Domain};
use crate::seams::{
    AccountRecord, Directory, DirectoryError, DomainRecord, Groups, Lists, Resolution, Scripts,
    SecondFactors, Secrets, Settings,
};

/// What can be wrong with a directory's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryFault {
    /// It can't be asked now.
    Unavailable,
    /// It knows nothing of what it is asked about.
    Forgets,
    /// No answer, ever: the caller's patience ends it.
    Hangs,
}

/// A [`Directory`] by a [`FaultPlan`]. Its subjects are what it is asked about:
/// a domain, a folded address, an account's id. What it knows beside ([`Lists`],
/// [`Settings`]) is as it was.
#[derive(Debug)]
pub struct FaultyDirectory {
    inner: Arc<dyn Directory>,
    rules: Rules<DirectoryFault>,
}

planned!(FaultyDirectory, DirectoryFault);

impl FaultyDirectory {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Directory>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "directory"),
        }
    }

    /// `Ok(true)` when the truth is to be told.
    async fn knows(&self, subject: &str) -> Result<bool, DirectoryError> {
        match self.rules.strike(subject) {
            None => Ok(true),
            Some(DirectoryFault::Forgets) => Ok(false),
            Some(DirectoryFault::Unavailable) => {
                Err(DirectoryError::Unavailable("put in by the test".to_owned()))
            }
            Some(DirectoryFault::Hangs) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Directory for FaultyDirectory {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        match self.knows(domain.as_str()).await? {
            true => self.inner.domain(domain).await,
            false => Ok(None),
        }
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        match self.knows(&address.folded().to_string()).await? {
            true => self.inner.resolve(address).await,
            false => Ok(Resolution::Unknown),
        }
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        match self.knows(id.as_str()).await? {
            true => self.inner.account(id).await,
            false => Ok(None),
        }
    }

    async fn may_send_as(&self, id: &AccountId, address: &Address) -> Result<bool, DirectoryError> {
        match self.knows(id.as_str()).await? {
            true => self.inner.may_send_as(id, address).await,
            false => Ok(false),
        }
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        match self.knows("domains").await? {
            true => self.inner.domains().await,
            false => Ok(Vec::new()),
        }
    }

    async fn may_administer(
        &self,
        actor: &AccountId,
        domain: &Domain,
    ) -> Result<bool, DirectoryError> {
        match self.knows(actor.as_str()).await? {
            true => self.inner.may_administer(actor, domain).await,
            false => Ok(false),
        }
    }

    fn lists(&self) -> Option<&dyn Lists> {
        self.inner.lists()
    }

    fn groups(&self) -> Option<&dyn Groups> {
        self.inner.groups()
    }

    fn settings(&self) -> Option<&dyn Settings> {
        self.inner.settings()
    }

    fn scripts(&self) -> Option<&dyn Scripts> {
        self.inner.scripts()
    }

    fn secrets(&self) -> Option<&dyn Secrets> {
        self.inner.secrets()
    }

    fn second_factors(&self) -> Option<&dyn SecondFactors> {
        self.inner.second_factors()
    }
}
