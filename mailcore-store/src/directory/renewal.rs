//! What is kept of a password, when it is set and when it is proved: a hash that
//! another server made is replaced by ours at the next login.

use std::sync::Arc;

use mailcore::account::{AccountId, Secret};
use mailcore::address::Address;
use mailcore::seams::{DirectoryError, SharedSecret};

use super::hashes::Stored;
use super::keep::{Change, Keep};
use super::local::LocalDirectory;

/// What the names of encrypted secrets begin with that the directory keeps for
/// itself.
pub(super) const OWN: &str = "auth:";

/// The name that a shared secret is kept under.
pub(super) fn kept_as(kind: SharedSecret) -> &'static str {
    match kind {
        SharedSecret::Apop => "auth:apop",
        SharedSecret::Ntlm => "auth:ntlm",
        _ => "auth:cram-md5",
    }
}

impl<K: Keep> LocalDirectory<K> {
    /// Keeps a hash that another server made.
    pub(super) async fn take_over_hash(
        &self,
        address: &Address,
        hash: &str,
    ) -> Result<(), DirectoryError> {
        let invalid = |error: super::hashes::HashError| DirectoryError::Invalid(error.to_string());
        Stored::parse(hash).map_err(invalid)?;
        let (address, hash): (_, Arc<str>) = (address.clone(), hash.trim().into());
        self.change(move |table| {
            let id = table.expect_account(&address)?.row.record.id.clone();
            Ok((vec![Change::SetPassword(id, hash)], ()))
        })
        .await
    }

    /// Brings what is kept of a password that was just proved up to date, in
    /// one write. A login does not fail for want of it: the next one tries
    /// again.
    pub(super) async fn renew(&self, account: &AccountId, proved: &Arc<str>, password: &Secret) {
        if self.passwords().is_current(proved) {
            return;
        }
        if let Err(error) = self.renewed(account, proved, password).await {
            tracing::warn!(%error, "can't replace the password hash of another server");
        }
    }

    async fn renewed(
        &self,
        account: &AccountId,
        proved: &Arc<str>,
        password: &Secret,
    ) -> Result<(), DirectoryError> {
        let hash = self.passwords().hash(password).await?;
        let (account, proved) = (account.clone(), Arc::clone(proved));
        self.change(move |table| {
            // It may have another password by now.
            let is_same = table
                .account_by_id(&account)
                .is_some_and(|it| it.row.hash == proved);
            let changes = is_same.then(|| Change::SetPassword(account, hash));
            Ok((changes.into_iter().collect(), ()))
        })
        .await
    }
}
