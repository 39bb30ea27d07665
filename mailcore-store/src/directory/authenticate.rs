//! Logins against a local directory.

use async_trait::async_trait;
use mailcore::account::Identity;
use mailcore::address::Address;
use mailcore::seams::{AuthError, AuthRequest, Authenticator, Proof};

use super::keep::Keep;
use super::local::LocalDirectory;
use super::passwords::CheckError;

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
        let claim = account
            .as_ref()
            .map(|account| (&account.record.address, account.hash.clone()));
        match self.passwords().check(claim, password).await {
            Ok(()) => {}
            Err(CheckError::Wrong) => return Err(AuthError::Invalid),
            Err(CheckError::Busy) => {
                return Err(AuthError::Unavailable("too many logins at once".into()));
            }
        }
        let record = account.ok_or(AuthError::Invalid)?.record;
        if !record.enabled {
            return Err(AuthError::Disabled);
        }
        Ok(Identity {
            login: record.address.to_string().into(),
            account: record.id,
        })
    }
}

impl<K: Keep> LocalDirectory<K> {
    /// The account a login names: an address, or a local part alone that means
    /// the default domain. Only an account's own address logs in, no alias and
    /// no detail.
    async fn login_account(
        &self,
        login: &str,
    ) -> Result<Option<super::table::Account>, mailcore::seams::DirectoryError> {
        self.read(|table| {
            let address = if login.contains('@') {
                Address::parse(login).ok()
            } else {
                let domain = self.default_domain().or_else(|| table.first_domain());
                domain.and_then(|domain| Address::new(login, domain.clone()).ok())
            };
            address.and_then(|address| table.account(&address).cloned())
        })
        .await
    }
}
