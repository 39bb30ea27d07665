//! [`Settings`] of a local directory.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::address::Domain;
use mailcore::route::{DomainRules, keys};
use mailcore::seams::{DirectoryError, MAX_SETTING_KEY, Scope, Settings};
use tokio::sync::watch;

use super::keep::{Change, Keep, Section};
use super::local::LocalDirectory;
use super::patterns::Lookup;

/// Octets allowed in a setting's value.
pub const MAX_SETTING_VALUE: usize = 64 * 1024;
/// Settings allowed at one scope.
pub const MAX_SETTINGS: usize = 1_000;
/// Settings allowed for a domain: among them is one for each address with a
/// handler.
pub const MAX_DOMAIN_SETTINGS: usize = 100_000;

#[async_trait]
impl<K: Keep> Settings for LocalDirectory<K> {
    async fn value(&self, scope: &Scope, key: &str) -> Result<Option<Arc<str>>, DirectoryError> {
        self.read(|table| {
            let values = table.settings.get(&table.scope(scope));
            match values.and_then(|it| it.get(key)) {
                Some(value) => Ok(Some(Arc::clone(value))),
                // A wider scope must not hold where a narrower one may have
                // said otherwise.
                None => table.check_complete(Section::Settings).map(|()| None),
            }
        })
        .await?
    }

    async fn domain_of(&self, account: &AccountId) -> Result<Option<Domain>, DirectoryError> {
        self.read(|table| match table.by_id.get(account) {
            Some(address) => Ok(Some(address.domain().clone())),
            None => table.check_complete(Section::Accounts).map(|()| None),
        })
        .await?
    }

    async fn values(&self, scope: &Scope) -> Result<Vec<(Arc<str>, Arc<str>)>, DirectoryError> {
        self.read(|table| {
            let values = table.settings.get(&table.scope(scope));
            let pairs = values.into_iter().flatten();
            pairs
                .map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
                .collect()
        })
        .await
    }

    async fn values_below(
        &self,
        scope: &Scope,
        prefix: &str,
    ) -> Result<Vec<(Arc<str>, Arc<str>)>, DirectoryError> {
        self.read(|table| {
            let values = table.settings.get(&table.scope(scope));
            let from = (Bound::Included(prefix), Bound::Unbounded);
            let below = values.into_iter().flat_map(|it| it.range::<str, _>(from));
            below
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
                .collect()
        })
        .await
    }

    async fn set(
        &self,
        scope: &Scope,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), DirectoryError> {
        check(key, value)?;
        check_rule(key, value)?;
        let (scope, key): (Scope, Arc<str>) = (scope.clone(), key.into());
        let value: Option<Arc<str>> = value.map(Into::into);
        self.change(move |table| {
            let scope = table.expect_scope(&scope)?;
            let values = table.settings.get(&scope);
            let known = values.is_some_and(|it| it.contains_key(&key));
            let most = match scope {
                Scope::Domain(_) => MAX_DOMAIN_SETTINGS,
                _ => MAX_SETTINGS,
            };
            if !known && values.is_some_and(|it| it.len() >= most) {
                return Err(DirectoryError::Invalid(format!(
                    "up to {most} settings are kept at one scope"
                )));
            }
            Ok(match value {
                Some(value) => (vec![Change::PutSetting(scope, key, value)], ()),
                None if known => (vec![Change::RemoveSetting(scope, key)], ()),
                None => (Vec::new(), ()),
            })
        })
        .await
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        Some(self.settings_changes())
    }
}

/// Refuses rules that could not be read: all of a domain's mail would wait.
fn check_rule(key: &str, value: Option<&str>) -> Result<(), DirectoryError> {
    let Some(value) = value else {
        return Ok(());
    };
    let set = DomainRules::default().set(key, value);
    set.map_err(|error| DirectoryError::Invalid(error.to_string()))?;
    match key {
        keys::PATTERNS => Lookup::check(value).map_err(DirectoryError::Invalid),
        _ => Ok(()),
    }
}

fn check(key: &str, value: Option<&str>) -> Result<(), DirectoryError> {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if key.is_empty() || key.len() > MAX_SETTING_KEY || key.contains(odd) {
        return Err(DirectoryError::Invalid(format!(
            "a setting's key has 1 to {MAX_SETTING_KEY} octets and no spaces"
        )));
    }
    if value.is_some_and(|it| it.len() > MAX_SETTING_VALUE) {
        return Err(DirectoryError::Invalid(format!(
            "a setting's value has up to {MAX_SETTING_VALUE} octets"
        )));
    }
    Ok(())
}
