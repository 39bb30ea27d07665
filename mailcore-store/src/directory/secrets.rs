//! [`Secrets`] of a local directory: app passwords, and secrets under the
//! [`StoreKey`](super::StoreKey).
//!
//! An app password is made up here, of 100 random bits, so that one fast hash
//! of it is as good as a slow one: guessing is hopeless, and a login costs the
//! same work whether an account has any or not.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::{AccountId, Secret};
use mailcore::seams::{AppPassword, DirectoryError, Secrets};
use mailcore::time::Timestamp;
use subtle::ConstantTimeEq;

use super::keep::{AppPasswordRow, Change, Keep, Section};
use super::local::LocalDirectory;
use super::table::{Account, AccountSecrets, not_found};

/// App passwords, and secrets, that one account may have.
const MAX_OF_ONE: u64 = 100;
/// Octets allowed in the name of either.
const MAX_NAME: usize = 128;
/// Octets allowed in a secret.
const MAX_SECRET: usize = 16 * 1024;
/// Letters of an app password, five bits each; none looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters in an app password.
const LENGTH: usize = 20;
/// What the hash of an app password is for, and that it is of this form.
const CONTEXT: &str = "mailcore 2026-11 directory app password";
/// How much later a use is worth noting.
const NOTED_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);

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
                })
                .collect())
        })
        .await?
    }

    async fn add_app_password(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Secret, DirectoryError> {
        check_name(name)?;
        let mut letters = vec![0; LENGTH];
        self.entropy().fill(&mut letters);
        for letter in &mut letters {
            *letter = LETTERS
                .get(usize::from(*letter % 32))
                .map_or(b'a', |it| *it);
        }
        let password = Secret::new(letters);
        let mut salt = [0; 16];
        self.entropy().fill(&mut salt);
        let row = AppPasswordRow {
            name: name.into(),
            hash: hash(&hex(&salt), password.expose()).into(),
            created: self.clock().now(),
            last_used: None,
        };
        let account = account.clone();
        self.change(move |table| {
            let secrets = table.expect_id(&account)?.secrets.as_ref();
            let known = secrets.map(|it| &it.app_passwords);
            check_room(known.map_or(0, |it| it.len()))?;
            if known.is_some_and(|it| it.contains_key(&row.name)) {
                return Err(DirectoryError::Exists(row.name.to_string()));
            }
            Ok((vec![Change::PutAppPassword(account, row)], ()))
        })
        .await?;
        Ok(password)
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

    async fn secret(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        let sealed = |secrets: &Option<Box<AccountSecrets>>| {
            let secrets = secrets.as_ref()?;
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
                check_room(known.map_or(0, |it| it.len()))?;
            }
            Ok((vec![Change::PutSecret(account, name, sealed)], ()))
        })
        .await
    }

    async fn forget_secret(&self, account: &AccountId, name: &str) -> Result<(), DirectoryError> {
        let (account, name): (_, Arc<str>) = (account.clone(), name.into());
        self.change(move |table| {
            let secrets = table.expect_id(&account)?.secrets.as_ref();
            match secrets.is_some_and(|it| it.sealed.contains_key(&name)) {
                true => Ok((vec![Change::RemoveSecret(account, name)], ())),
                false => Err(not_found(&name)),
            }
        })
        .await
    }
}

impl<K: Keep> LocalDirectory<K> {
    /// Notes that an app password let somebody in, when that is news. A login
    /// does not fail for want of the note.
    pub(super) async fn note_use(&self, account: &AccountId, row: AppPasswordRow) {
        let now = self.clock().now();
        let noted = |last: Timestamp| now.since(last) < NOTED_EVERY;
        if row.last_used.is_some_and(noted) {
            return;
        }
        let account = account.clone();
        let note = self.change(move |table| {
            let secrets = table.expect_id(&account)?.secrets.as_ref();
            let known = secrets.and_then(|it| it.app_passwords.get(&row.name));
            // It may have ended meanwhile, or be another one of the name.
            let Some(known) = known.filter(|it| it.hash == row.hash) else {
                return Ok((Vec::new(), ()));
            };
            let row = AppPasswordRow {
                last_used: Some(now),
                ..known.clone()
            };
            Ok((vec![Change::PutAppPassword(account, row)], ()))
        });
        if let Err(error) = note.await {
            tracing::warn!(%error, "can't note the use of an app password");
        }
    }
}

/// The app password that a proof is. Takes its time for each one the account
/// has, little beside the hash that a wrong one costs.
pub(super) fn matching(account: &Account, proof: &Secret) -> Option<AppPasswordRow> {
    let secrets = account.secrets.as_ref()?;
    let is_right = |row: &AppPasswordRow| {
        let salt = row.hash.split('$').nth(1).unwrap_or_default();
        let tried = hash(salt, proof.expose());
        bool::from(tried.as_bytes().ct_eq(row.hash.as_bytes()))
    };
    let rows = secrets.app_passwords.values();
    let found = rows.fold(None, |found, row| match is_right(row) {
        true => Some(row),
        false => found,
    });
    found.cloned()
}

/// `b3$SALT$HASH` in hexadecimal.
fn hash(salt: &str, password: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(salt.as_bytes());
    hasher.update(&[0]);
    hasher.update(password);
    format!("b3${salt}${}", hasher.finalize().to_hex())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|it| format!("{it:02x}")).collect()
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
        return Err(DirectoryError::Invalid(format!(
            "a secret's name has 1 to {MAX_NAME} octets and no control characters"
        )));
    }
    Ok(())
}

fn check_room(count: usize) -> Result<(), DirectoryError> {
    if count as u64 >= MAX_OF_ONE {
        return Err(DirectoryError::OverQuota {
            kind: mailcore::seams::QuotaKind::Count,
            limit: MAX_OF_ONE,
        });
    }
    Ok(())
}

fn no_key() -> DirectoryError {
    DirectoryError::Unsupported("keep secrets that can be read again: it has no key")
}
