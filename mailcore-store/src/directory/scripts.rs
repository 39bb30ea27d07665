//! [`Scripts`] of a local directory: names and sizes are in memory; texts, too,
//! only where they are kept nowhere else.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::seams::{
    DirectoryError, QuotaKind, Scope, ScriptEntry, ScriptKind, Scripts, check_script_name,
};
use tokio::sync::watch;

use super::keep::{Change, Keep, ScriptKey, Section};
use super::local::LocalDirectory;
use super::table::{Script, Table, not_found};

/// What an owner may keep of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptLimits {
    /// Scripts.
    pub count: u64,
    /// Octets of one.
    pub size: u64,
    /// Octets of all.
    pub total: u64,
}

impl Default for ScriptLimits {
    /// 50 scripts of up to 256 KiB, 2 MiB together.
    fn default() -> Self {
        Self {
            count: 50,
            size: 256 * 1024,
            total: 2 * 1024 * 1024,
        }
    }
}

impl ScriptLimits {
    fn check(&self, table: &Table, key: &ScriptKey, size: u64) -> Result<(), DirectoryError> {
        let all = table.scripts.get(&(key.owner.clone(), key.kind));
        let others = all.into_iter().flatten();
        let others = others.filter(|(name, _)| **name != key.name);
        let (count, total) = others.fold((1, size), |(count, total): (u64, u64), (_, it)| {
            (count + 1, total.saturating_add(it.size))
        });
        for (kind, found, limit) in [
            (QuotaKind::Size, size, self.size),
            (QuotaKind::Count, count, self.count),
            (QuotaKind::Total, total, self.total),
        ] {
            if found > limit {
                return Err(DirectoryError::OverQuota { kind, limit });
            }
        }
        Ok(())
    }
}

impl Table {
    fn expect_script(&self, key: &ScriptKey) -> Result<&Script, DirectoryError> {
        let all = self.scripts.get(&(key.owner.clone(), key.kind));
        match all.and_then(|it| it.get(&key.name)) {
            Some(script) => Ok(script),
            None => {
                self.check_complete(Section::Scripts)?;
                Err(not_found(&key.name))
            }
        }
    }
}

/// The key before the table has been asked what the owner stands for.
fn asked(owner: &Scope, kind: ScriptKind, name: &str) -> ScriptKey {
    ScriptKey {
        owner: owner.clone(),
        kind,
        name: name.into(),
    }
}

impl ScriptKey {
    /// The key in the table, of an owner that must be there.
    fn of_owner(self, table: &Table) -> Result<Self, DirectoryError> {
        let owner = table.expect_scope(&self.owner)?;
        Ok(Self { owner, ..self })
    }
}

#[async_trait]
impl<K: Keep> Scripts for LocalDirectory<K> {
    async fn script_entries(
        &self,
        owner: &Scope,
        kind: ScriptKind,
    ) -> Result<Vec<ScriptEntry>, DirectoryError> {
        self.read(|table| {
            // Without this a damaged active script would pass for none.
            table.check_complete(Section::Scripts)?;
            let all = table.scripts.get(&(table.scope(owner), kind));
            let entries = all.into_iter().flatten().map(|(name, it)| ScriptEntry {
                name: Arc::clone(name),
                size: it.size,
                is_active: it.is_active,
            });
            Ok(entries.collect())
        })
        .await?
    }

    async fn script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
    ) -> Result<Arc<str>, DirectoryError> {
        let key = asked(owner, kind, name);
        let (key, text) = self
            .read(|table| {
                let owner = table.scope(&key.owner);
                let key = ScriptKey { owner, ..key };
                let text = table.expect_script(&key)?.text.clone();
                Ok::<_, DirectoryError>((key, text))
            })
            .await??;
        match text {
            Some(text) => Ok(text),
            None => {
                let missing = not_found(&name);
                let read = move |keep: &mut K| keep.script(&key);
                self.with_keep(read).await?.ok_or(missing)
            }
        }
    }

    async fn check_space(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
        size: u64,
    ) -> Result<(), DirectoryError> {
        check_script_name(name)?;
        let (key, limits) = (asked(owner, kind, name), self.script_limits());
        self.read(|table| limits.check(table, &key.of_owner(table)?, size))
            .await?
    }

    async fn put_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
        text: &str,
    ) -> Result<(), DirectoryError> {
        check_script_name(name)?;
        let (key, limits) = (asked(owner, kind, name), self.script_limits());
        let text: Arc<str> = text.into();
        self.change(move |table| {
            let key = key.of_owner(table)?;
            limits.check(table, &key, text.len() as u64)?;
            Ok((vec![Change::PutScript(key, text)], ()))
        })
        .await
    }

    async fn rename_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
        new: &str,
    ) -> Result<(), DirectoryError> {
        check_script_name(new)?;
        let (key, new) = (asked(owner, kind, name), asked(owner, kind, new));
        self.change(move |table| {
            let key = key.of_owner(table)?;
            table.expect_script(&key)?;
            let new = new.of_owner(table)?;
            match table.expect_script(&new) {
                Ok(_) => Err(DirectoryError::Exists(new.name.to_string())),
                Err(DirectoryError::NotFound(_)) => {
                    Ok((vec![Change::RenameScript(key, new.name)], ()))
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn set_active(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let key = name.map(|name| asked(owner, kind, name));
        let owner = owner.clone();
        self.change(move |table| {
            let owner = table.expect_scope(&owner)?;
            let name = match key {
                Some(key) => {
                    let key = key.of_owner(table)?;
                    table.expect_script(&key)?;
                    Some(key.name)
                }
                None => None,
            };
            Ok((vec![Change::SetActive(owner, kind, name)], ()))
        })
        .await
    }

    async fn delete_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
    ) -> Result<(), DirectoryError> {
        let key = asked(owner, kind, name);
        self.change(move |table| {
            let key = key.of_owner(table)?;
            if table.expect_script(&key)?.is_active {
                return Err(DirectoryError::InUse {
                    what: key.name.to_string(),
                    by: "mail, as the active script".into(),
                });
            }
            Ok((vec![Change::RemoveScript(key)], ()))
        })
        .await
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        Some(self.script_changes())
    }
}
