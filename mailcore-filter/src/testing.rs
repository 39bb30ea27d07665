//! [`SettingsOnly`]: a directory for tests that know addresses by their settings.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, Directory, DirectoryError, DomainRecord, Resolution, Scope, Settings,
};
use tokio::sync::watch;

type Values = HashMap<Scope, BTreeMap<String, Arc<str>>>;

/// Every address `user@domain` is the account of the same name; nothing else is
/// known but settings.
#[derive(Debug)]
pub(crate) struct SettingsOnly {
    values: Mutex<Values>,
    changes: watch::Sender<u64>,
}

impl Default for SettingsOnly {
    fn default() -> Self {
        Self {
            values: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl SettingsOnly {
    pub(crate) fn put(&self, scope: &Scope, key: &str, value: &str) {
        let mut values = self.values.lock().unwrap();
        let of_scope = values.entry(scope.clone()).or_default();
        of_scope.insert(key.into(), value.into());
        self.changes.send_modify(|it| *it += 1);
    }
}

#[async_trait]
impl Directory for SettingsOnly {
    async fn domain(&self, _: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        Ok(None)
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        Ok(Resolution::Account(AccountId::new(&address.to_string())))
    }

    async fn account(&self, _: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        Ok(None)
    }

    async fn may_send_as(&self, _: &AccountId, _: &Address) -> Result<bool, DirectoryError> {
        Ok(false)
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        Ok(Vec::new())
    }

    fn settings(&self) -> Option<&dyn Settings> {
        Some(self)
    }
}

#[async_trait]
impl Settings for SettingsOnly {
    async fn value(&self, scope: &Scope, key: &str) -> Result<Option<Arc<str>>, DirectoryError> {
        let values = self.values.lock().unwrap();
        Ok(values.get(scope).and_then(|it| it.get(key).cloned()))
    }

    async fn domain_of(&self, account: &AccountId) -> Result<Option<Domain>, DirectoryError> {
        let address: Option<Address> = account.as_str().parse().ok();
        Ok(address.map(|it| it.domain().clone()))
    }

    async fn values(&self, scope: &Scope) -> Result<Vec<(Arc<str>, Arc<str>)>, DirectoryError> {
        let values = self.values.lock().unwrap();
        let pairs = values.get(scope).into_iter().flatten();
        Ok(pairs
            .map(|(key, value)| (key.as_str().into(), Arc::clone(value)))
            .collect())
    }

    async fn set(
        &self,
        scope: &Scope,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), DirectoryError> {
        if let Some(value) = value {
            self.put(scope, key, value);
            return Ok(());
        }
        let mut values = self.values.lock().unwrap();
        values.entry(scope.clone()).or_default().remove(key);
        self.changes.send_modify(|it| *it += 1);
        Ok(())
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        Some(self.changes.subscribe())
    }
}
