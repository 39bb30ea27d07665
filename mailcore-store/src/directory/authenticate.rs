//! Logins against a local directory.

use async_trait::async_trait;
use mailcore::account::Identity;
use mailcore::address::Address;
use mailcore::seams::{AuthError, AuthRequest, Authenticator, DirectoryError, Proof};

use super::keep::{AccountRow, Keep, Section};
use super::local::LocalDirectory;
use super::passwords::CheckError;
use super::secrets;
use super::table::Account;

#[async_trait]
impl<K: Keep> Authenticator for LocalDirectory<K> {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        let Proof::Password(password) = &request.proof else {
            return Err(AuthError::Invalid);
        };
        let account = self
            .login_account(&request.login)
            .await
            .map_err(|error| AuthError::Unavailable(error.to_string()))?;
        let app = account
            .as_ref()
            .and_then(|it| secrets::matching(it, password));
        if app.is_none() {
            let claim = account
                .as_ref()
                .map(|it| (&it.row.record.address, it.row.hash.clone()));
            match self.passwords().check(claim, password).await {
                Ok(()) => {}
                Err(CheckError::Wrong) => return Err(AuthError::Invalid),
                Err(CheckError::Busy) => {
                    return Err(AuthError::Unavailable("too many logins at once".into()));
                }
            }
        }
        let AccountRow { record, hash, .. } = account.ok_or(AuthError::Invalid)?.row;
        if !record.enabled {
            return Err(AuthError::Disabled);
        }
        match app {
            Some(app) => self.note_use(&record.id, app).await,
            None => self.renew(&record.id, &hash, password).await,
        }
        Ok(Identity {
            login: record.address.to_string().into(),
            account: record.id,
        })
    }
}

impl<K: Keep> LocalDirectory<K> {
    /// The account a login names: an address, or a local part alone that means
    /// the default domain. Only an account's own address logs in, under any
    /// name of its domain, but no alias and no detail.
    async fn login_account(&self, login: &str) -> Result<Option<Account>, DirectoryError> {
        self.read(|table| {
            let address = if login.contains('@') {
                Address::parse(login).ok()
            } else {
                let domain = self
                    .configured_default_domain()
                    .or_else(|| table.default_domain());
                domain.and_then(|domain| Address::new(login, domain.clone()).ok())
            };
            let Some(address) = address else {
                return Ok(None);
            };
            match table.account(&address) {
                Some(account) => Ok(Some(account.clone())),
                // An account that can't be read may have this name.
                None => table
                    .check_complete(Section::Accounts)
                    .and_then(|()| table.check_complete(Section::Domains))
                    .map(|()| None),
            }
        })
        .await?
    }
}
