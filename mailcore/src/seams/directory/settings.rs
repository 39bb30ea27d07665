//! [`Settings`]: what holds for everybody, a domain, or one account, and the
//! one rule by which the nearest value wins.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::DirectoryError;
use crate::account::AccountId;
use crate::address::Domain;

/// Octets allowed in a setting's key.
pub const MAX_SETTING_KEY: usize = 128;

/// Settings by scope. The directory does not look into values: each component
/// names its keys (`filter.spam.threshold`) and reads its own text or JSON.
#[async_trait]
pub trait Settings: Debug + Send + Sync {
    /// The value set at this scope itself.
    async fn value(&self, scope: &Scope, key: &str) -> Result<Option<Arc<str>>, DirectoryError>;

    /// The domain of an account, for what is set there; `None` for an account
    /// that does not exist.
    async fn domain_of(&self, account: &AccountId) -> Result<Option<Domain>, DirectoryError>;

    /// Keys and values set at this scope itself, in key order.
    async fn values(&self, scope: &Scope) -> Result<Vec<(Arc<str>, Arc<str>)>, DirectoryError>;

    /// Of these, the ones whose key begins with `prefix`: a domain may have many
    /// others.
    async fn values_below(
        &self,
        scope: &Scope,
        prefix: &str,
    ) -> Result<Vec<(Arc<str>, Arc<str>)>, DirectoryError> {
        let mut values = self.values(scope).await?;
        values.retain(|(key, _)| key.starts_with(prefix));
        Ok(values)
    }

    /// Sets a value, durable on return; `None` takes it away. The settings of
    /// a domain or account go with it.
    async fn set(
        &self,
        scope: &Scope,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let _ = (scope, key, value);
        Err(DirectoryError::Unsupported("change settings"))
    }

    /// A number that changes with every change of any setting.
    fn watch(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// What holds at a scope: the value of the nearest scope that has one
    /// ([`Scope::path`]). Nothing else decides this anywhere.
    async fn setting(&self, scope: &Scope, key: &str) -> Result<Option<Setting>, DirectoryError> {
        let domain = match scope {
            Scope::Account(account) => self.domain_of(account).await?,
            _ => None,
        };
        for scope in scope.path(domain) {
            if let Some(value) = self.value(&scope, key).await? {
                return Ok(Some(Setting { value, scope }));
            }
        }
        Ok(None)
    }
}

/// Where a setting holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// For everybody.
    Global,
    /// For a domain and its accounts.
    Domain(Domain),
    /// For one account.
    Account(AccountId),
}

impl Scope {
    /// The scopes that may say what holds here, nearest first. `domain` is an
    /// account's own.
    pub fn path(&self, domain: Option<Domain>) -> Vec<Scope> {
        let mut path = vec![self.clone()];
        if let (Self::Account(_), Some(domain)) = (self, domain) {
            path.push(Self::Domain(domain));
        }
        if *self != Self::Global {
            path.push(Self::Global);
        }
        path
    }
}

/// What holds, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The value.
    pub value: Arc<str>,
    /// The scope it was set at.
    pub scope: Scope,
}
