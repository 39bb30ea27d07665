//! [`Secrets`] of a local directory: app passwords, clients' certificates, and
//! secrets under the [`StoreKey`](super::StoreKey).

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::{AccountId, Secret};
use mailcore::seams::{AppPassword, AppPasswordScope, CertificateName, DirectoryError, Secrets};

use super::keep::{Change, Keep, Section};
use super::local::LocalDirectory;
use super::renewal::OWN;
use super::table::{AccountSecrets, not_found};

/// App passwords, and secrets, that one account may have.
const MAX_OF_ONE: u64 = 100;
/// Octets allowed in the name of either.
const MAX_NAME: usize = 128;
/// Octets allowed in a secret.
const MAX_SECRET: usize = 16 * 1024;

#[async_trait]
impl<K: Keep> Secrets for LocalDirectory<K> {
    async fn app_passwords(&self, account: &AccountId) -> Result<Vec<AppPassword>, DirectoryError> {
        self.read(|table| {
            let secrets = &table.expect_id(account)?.secrets;
            let rows = secrets.iter().flat_map(|it| it.app_passwords.values());
            Ok(rows
                .map(|row| AppPassword {
                    name: row.name.clone(),
                    created: row.created,
                    last_used: row.last_used,
                    scope: row.scope.clone(),
                })
                .collect())
        })
        .await?
    }

    async fn add_app_password(
        &self,
        account: &AccountId,
        name: &str,
        scope: &AppPasswordScope,
    ) -> Result<Secret, DirectoryError> {
        check_name(name)?;
        self.make_app_password(account, name, scope).await
    }

    async fn remove_app_password(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<(), DirectoryError> {
        let (account, name): (_, Arc<str>) = (account.clone(), name.into());
        self.change(move |table| {
            let secrets = table.expect_id(&account)?.secrets.as_ref();
            match secrets.is_some_and(|it| it.app_passwords.contains_key(&name)) {
                true => Ok((vec![Change::RemoveAppPassword(account, name)], ())),
                false => Err(not_found(&name)),
            }
        })
        .await
    }

    async fn certificates(
        &self,
        account: &AccountId,
    ) -> Result<Vec<CertificateName>, DirectoryError> {
        self.read(|table| {
            table.expect_id(account)?;
            let all = table.certificates.iter();
            let its = all.filter(|(_, of)| *of == account);
            Ok(its.map(|(name, _)| name.clone()).collect())
        })
        .await?
    }

    async fn add_certificate(
        &self,
        account: &AccountId,
        name: &CertificateName,
    ) -> Result<(), DirectoryError> {
        let (account, name) = (account.clone(), name.clone());
        self.change(move |table| {
            table.expect_id(&account)?;
            let its = table.certificates.values().filter(|of| **of == account);
            check_room(its.count())?;
            // Whose it is may be in a row that can't be read.
            table.check_complete(Section::Secrets)?;
            match table.certificates.contains_key(&name) {
                true => Err(DirectoryError::Exists(name.to_string())),
                false => Ok((vec![Change::PutCertificate(account, name)], ())),
            }
        })
        .await
    }

    async fn remove_certificate(
        &self,
        account: &AccountId,
        name: &CertificateName,
    ) -> Result<(), DirectoryError> {
        let (account, name) = (account.clone(), name.clone());
        self.change(move |table| match table.certificates.get(&name) {
            Some(of) if *of == account => Ok((vec![Change::RemoveCertificate(account, name)], ())),
            _ => Err(not_found(&name)),
        })
        .await
    }

    async fn secret(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        let sealed = |secrets: &Option<Box<AccountSecrets>>| {
            let secrets = secrets.as_ref().filter(|_| !name.starts_with(OWN))?;
            secrets.sealed.get(name).cloned()
        };
        let found = self
            .read(|table| match sealed(&table.expect_id(account)?.secrets) {
                Some(found) => Ok(Some(found)),
                None => table.check_complete(Section::Secrets).map(|()| None),
            })
            .await??;
        let Some(sealed) = found else {
            return Ok(None);
        };
        let key = self.store_key().ok_or_else(no_key)?;
        key.unseal((account, name), &sealed).map(Some)
    }

    async fn keep_secret(
        &self,
        account: &AccountId,
        name: &str,
        secret: &Secret,
    ) -> Result<(), DirectoryError> {
        check_name(name)?;
        if secret.expose().len() > MAX_SECRET {
            return Err(DirectoryError::Invalid(format!(
                "a secret has up to {MAX_SECRET} octets"
            )));
        }
        let key = self.store_key().ok_or_else(no_key)?;
        let sealed = key.seal(self.entropy(), (account, name), secret)?;
        let (account, name): (_, Arc<str>) = (account.clone(), name.into());
        self.change(move |table| {
            let secrets = table.expect_id(&account)?.secrets.as_ref();
            let known = secrets.map(|it| &it.sealed);
            if !known.is_some_and(|it| it.contains_key(&name)) {
                let others = known.into_iter().flat_map(|it| it.keys());
                check_room(others.filter(|it| !it.starts_with(OWN)).count())?;
            }
            Ok((vec![Change::PutSecret(account, name, sealed)], ()))
        })
        .await
    }

    async fn forget_secret(&self, account: &AccountId, name: &str) -> Result<(), DirectoryError> {
        let (account, name): (_, Arc<str>) = (account.clone(), name.into());
        self.change(move |table| {
            let secrets = table.expect_id(&account)?.secrets.as_ref();
            let is_kept = |it: &AccountSecrets| it.sealed.contains_key(&name);
            match secrets.is_some_and(|it| !name.starts_with(OWN) && is_kept(it)) {
                true => Ok((vec![Change::RemoveSecret(account, name)], ())),
                false => Err(not_found(&name)),
            }
        })
        .await
    }
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    if name.starts_with(OWN) {
        return Err(DirectoryError::Invalid(format!(
            "names that begin with {OWN} are the directory's own; choose another"
        )));
    }
    if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
        return Err(DirectoryError::Invalid(format!(
            "a secret's name has 1 to {MAX_NAME} octets and no control characters"
        )));
    }
    Ok(())
}

pub(super) fn check_room(count: usize) -> Result<(), DirectoryError> {
    if count as u64 >= MAX_OF_ONE {
        return Err(DirectoryError::OverQuota {
            kind: mailcore::seams::QuotaKind::Count,
            limit: MAX_OF_ONE,
        });
    }
    Ok(())
}

pub(super) fn no_key() -> DirectoryError {
    DirectoryError::Unsupported("keep secrets that can be read again: it has no key")
}
