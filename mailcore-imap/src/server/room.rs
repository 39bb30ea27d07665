//! [`Room`]: what an account may hold, and whether a message still fits.

use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::seams::{Directory, QuotaLimit, QuotaUsage, Storage, StoreError};

/// Reads quotas from the directory when one counts, so that a change is felt in
/// running sessions.
#[derive(Debug, Default)]
pub(super) struct Room {
    directory: Option<Arc<dyn Directory>>,
}

impl Room {
    /// Room as this directory has it.
    pub(super) fn of(directory: Arc<dyn Directory>) -> Self {
        Self {
            directory: Some(directory),
        }
    }

    /// What the account may hold. Accounts that the directory does not know,
    /// since something else lets them in, have no limit.
    ///
    /// # Errors
    /// The directory can't tell now: nothing is let in over a limit unseen.
    pub(super) async fn limit(&self, account: &AccountId) -> Result<QuotaLimit, StoreError> {
        let Some(directory) = &self.directory else {
            return Ok(QuotaLimit::NONE);
        };
        let record = directory.account(account).await;
        let record =
            record.map_err(|error| StoreError::io("reading the quota of an account", error))?;
        Ok(record.map_or(QuotaLimit::NONE, |it| it.quota_limit()))
    }

    /// Nothing, when `more` would fit now. What is committed in the end is for the
    /// store to decide.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] (RFC 9208 section 4.3.1), or why that can't be
    /// told.
    pub(super) async fn permits(
        &self,
        storage: &dyn Storage,
        account: &AccountId,
        more: QuotaUsage,
    ) -> Result<(), StoreError> {
        let limit = self.limit(account).await?;
        let Some(quota) = storage.quota().filter(|_| limit != QuotaLimit::NONE) else {
            return Ok(());
        };
        let used = quota.usage(account).await?;
        match limit.permits(used, used.plus(more)) {
            true => Ok(()),
            false => Err(StoreError::OverQuota),
        }
    }
}
