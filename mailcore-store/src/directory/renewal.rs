//! What is kept of a password, when it is set and when it is proved: its hash,
//! SCRAM's keys, and, where an administrator allowed it, what mechanisms need
//! that know no hash. A hash that another server made is replaced by ours at
//! the next login.

use std::sync::Arc;

use mailcore::account::{AccountId, Secret};
use mailcore::address::Address;
use mailcore::sasl::nt_hash;
use mailcore::seams::{CramMd5Key, DirectoryError, Held, SharedSecret};

use super::hashes::{HashError, Stored};
use super::keep::{Change, Keep};
use super::local::LocalDirectory;
use super::scram::{Parameters, Record};
use super::seal::{EMPTY, Sealer};
#[cfg(feature = "sqlite-directory")]
use super::second_factor;
use super::secrets::no_key;
use super::table::{Account, key};
use super::write::add_account;

/// What the names of encrypted secrets begin with that the directory keeps for
/// itself.
pub(super) const OWN: &str = "auth:";
/// What SCRAM's keys of the password are kept under.
const SCRAM: &str = "auth:scram";

/// The name that a shared secret is kept under. It is there, and empty, as soon
/// as it is allowed.
pub(super) fn kept_as(kind: SharedSecret) -> &'static str {
    match kind {
        SharedSecret::Apop => "auth:apop",
        SharedSecret::Ntlm => "auth:ntlm",
        _ => "auth:cram-md5",
    }
}

/// What SCRAM's keys of an app password are sealed as.
pub(super) fn app_password_place(name: &str) -> String {
    format!("auth:app-password:{name}")
}

/// True for a name of the directory's own under which nothing is kept: it was
/// another before it was damaged.
#[cfg(feature = "sqlite-directory")]
pub(super) fn is_unknown(name: &str) -> bool {
    let mut known = [SCRAM, second_factor::NAME].into_iter();
    let is_known =
        known.any(|it| it == name) || SharedSecret::ALL.iter().any(|it| kept_as(*it) == name);
    name.starts_with(OWN) && !is_known
}

/// What is made of a password.
pub(super) struct Made {
    /// `None` where the one kept is as good.
    pub(super) hash: Option<Arc<str>>,
    scram: Option<(Parameters, Secret)>,
    password: Secret,
    sealer: Option<Sealer>,
}

impl Made {
    /// The changes that keep it for an account, which has these secrets now.
    pub(super) fn changes(
        &self,
        id: &AccountId,
        account: Option<&Account>,
    ) -> Result<Vec<Change>, DirectoryError> {
        let mut changes = Vec::new();
        let hash = self.hash.iter().cloned();
        changes.extend(hash.map(|hash| Change::SetPassword(id.clone(), hash)));
        let Some(sealer) = &self.sealer else {
            // What was made of another password must not stay.
            changes.extend(forgotten(id, account, None)?);
            return Ok(changes);
        };
        if let Some((parameters, scram)) = &self.scram {
            let others = account.and_then(|it| app_password_parameters(it, sealer));
            match others.is_none_or(|it| it == *parameters) {
                true => changes.push(sealer.put(id, SCRAM, scram)?),
                // An app password came meanwhile that they share nothing with;
                // the next login makes others.
                false => {
                    let stale = sealed(account, SCRAM);
                    changes.extend(stale.map(|_| Change::RemoveSecret(id.clone(), SCRAM.into())));
                }
            }
        }
        for kind in allowed(account) {
            let shared = shared(kind, &self.password).unwrap_or_default();
            changes.push(sealer.put(id, kept_as(kind), &shared)?);
        }
        Ok(changes)
    }
}

/// What a mechanism needs of a password; `None` where it can't be had.
fn shared(kind: SharedSecret, password: &Secret) -> Option<Secret> {
    match kind {
        SharedSecret::Apop => Some(password.clone()),
        SharedSecret::Ntlm => nt_hash(password.expose()),
        _ => {
            let CramMd5Key { inner, outer } = CramMd5Key::derive(password.expose());
            Some(Secret::new([inner.expose(), outer.expose()].concat()))
        }
    }
}

fn sealed<'a>(account: Option<&'a Account>, name: &str) -> Option<&'a Arc<[u8]>> {
    account?.secrets.as_ref()?.sealed.get(name)
}

fn allowed(account: Option<&Account>) -> impl Iterator<Item = SharedSecret> {
    let kinds = SharedSecret::ALL.into_iter();
    kinds.filter(move |it| sealed(account, kept_as(*it)).is_some())
}

/// The changes after which nothing made of the password is kept, while what is
/// allowed stays so where there is a key.
fn forgotten(
    id: &AccountId,
    account: Option<&Account>,
    sealer: Option<&Sealer>,
) -> Result<Vec<Change>, DirectoryError> {
    let mut changes = Vec::new();
    let scram = sealed(account, SCRAM);
    changes.extend(scram.map(|_| Change::RemoveSecret(id.clone(), SCRAM.into())));
    for kind in allowed(account) {
        let name = kept_as(kind);
        changes.push(match sealer {
            Some(sealer) => sealer.put(id, name, &Secret::default())?,
            None => Change::RemoveSecret(id.clone(), name.into()),
        });
    }
    Ok(changes)
}

/// SCRAM's keys of the account's password.
pub(super) fn scram_record(account: &Account, sealer: &Sealer) -> Option<Record> {
    let sealed = sealed(Some(account), SCRAM)?;
    let opened = sealer.open(&account.row.record.id, SCRAM, sealed);
    Record::decode(&opened.ok()?)
}

/// What a mechanism needs of the account's password, once it is there.
pub(super) fn shared_secret(
    account: &Account,
    kind: SharedSecret,
    sealer: &Sealer,
) -> Option<Secret> {
    let name = kept_as(kind);
    let sealed = sealed(Some(account), name)?;
    let opened = sealer.open(&account.row.record.id, name, sealed).ok()?;
    (!opened.expose().is_empty()).then_some(opened)
}

impl<K: Keep> LocalDirectory<K> {
    /// What is kept of a new password of this address.
    pub(super) async fn made_of(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<Made, DirectoryError> {
        let hash = self.passwords().hash(password).await?;
        let sealer = self.sealer();
        let parameters = self.read(|table| {
            let sealer = sealer.as_ref()?;
            let account = table.account(address);
            let others = account.and_then(|it| app_password_parameters(it, sealer));
            Some(others.unwrap_or_else(|| {
                let name = table.canonical(address).to_string();
                self.parameters(sealer, &name)
            }))
        });
        let parameters = parameters.await?;
        self.made(Some(hash), parameters, password).await
    }

    async fn made(
        &self,
        hash: Option<Arc<str>>,
        parameters: Option<Parameters>,
        password: &Secret,
    ) -> Result<Made, DirectoryError> {
        let scram = match parameters {
            Some(parameters) => {
                let keys = self.scram_keys(parameters.clone(), password).await?;
                keys.map(|keys| (parameters, keys))
            }
            None => None,
        };
        Ok(Made {
            hash,
            scram,
            password: password.clone(),
            sealer: self.sealer(),
        })
    }

    /// SCRAM's keys of a password, off the runtime's threads.
    pub(super) async fn scram_keys(
        &self,
        parameters: Parameters,
        password: &Secret,
    ) -> Result<Option<Secret>, DirectoryError> {
        let password = password.clone();
        let derive = move || Record::derive(&parameters, &password).map(|it| it.encode());
        let derived = self.passwords().blocking(0, derive).await;
        derived.ok_or_else(super::passwords::too_busy)
    }

    /// What is told of a name that has no keys.
    pub(super) fn parameters(&self, sealer: &Sealer, name: &str) -> Parameters {
        Parameters::of(sealer.made_up(), name, self.passwords().scram_iterations())
    }

    /// What an app password's keys share with the account's other ones.
    pub(super) fn shared_parameters(&self, account: &Account, sealer: &Sealer) -> Parameters {
        let own = scram_record(account, sealer).map(|it| it.parameters);
        let others = own.or_else(|| app_password_parameters(account, sealer));
        others.unwrap_or_else(|| self.parameters(sealer, &account.row.record.address.to_string()))
    }

    /// Makes an account with a hash that another server made.
    pub(super) async fn add_with_hash(
        &self,
        address: &Address,
        hash: &str,
    ) -> Result<AccountId, DirectoryError> {
        let (address, hash) = (key(address), taken_over(hash)?);
        self.change(move |table| add_account(table, address, hash))
            .await
    }

    /// Keeps a hash that another server made.
    pub(super) async fn take_over_hash(
        &self,
        address: &Address,
        hash: &str,
    ) -> Result<(), DirectoryError> {
        let (address, hash) = (address.clone(), taken_over(hash)?);
        let sealer = self.sealer();
        self.change(move |table| {
            let account = table.expect_account(&address)?;
            let id = &account.row.record.id;
            let mut changes = forgotten(id, Some(account), sealer.as_ref())?;
            changes.push(Change::SetPassword(id.clone(), hash));
            Ok((changes, ()))
        })
        .await
    }

    /// Brings what is kept of a password that was just proved up to date, in
    /// one write. A login does not fail for want of it: the next one tries
    /// again.
    pub(super) async fn renew(&self, account: &Account, password: &Secret) {
        if let Err(error) = self.renewed(account, password).await {
            tracing::warn!(%error, "can't renew what is kept of a password");
        }
    }

    async fn renewed(&self, account: &Account, password: &Secret) -> Result<(), DirectoryError> {
        let proved = Arc::clone(&account.row.hash);
        let is_current = self.passwords().is_current(&proved);
        let sealer = self.sealer();
        let lacks_scram = sealer
            .as_ref()
            .filter(|it| scram_record(account, it).is_none());
        let lacks_shared = sealer.is_some()
            && allowed(Some(account)).any(|kind| {
                let kept = sealed(Some(account), kept_as(kind));
                kept.is_some_and(|it| it.len() == EMPTY) && shared(kind, password).is_some()
            });
        if is_current && lacks_scram.is_none() && !lacks_shared {
            return Ok(());
        }
        let hash = match is_current {
            true => None,
            false => Some(self.passwords().hash(password).await?),
        };
        let parameters = lacks_scram.map(|it| self.shared_parameters(account, it));
        let made = self.made(hash, parameters, password).await?;
        let id = account.row.record.id.clone();
        self.change(move |table| {
            // It may have another password by now.
            match table.account_by_id(&id).filter(|it| it.row.hash == proved) {
                Some(account) => Ok((made.changes(&id, Some(account))?, ())),
                None => Ok((Vec::new(), ())),
            }
        })
        .await
    }

    pub(super) async fn held_secrets(
        &self,
        address: &Address,
    ) -> Result<Vec<(SharedSecret, Held)>, DirectoryError> {
        self.read(|table| {
            let account = Some(table.expect_account(address)?);
            let held = |kind| match sealed(account, kept_as(kind)) {
                Some(it) if it.len() > EMPTY => Held::Yes,
                _ => Held::AtNextPassword,
            };
            Ok(allowed(account).map(|kind| (kind, held(kind))).collect())
        })
        .await?
    }

    pub(super) async fn allow_secrets(
        &self,
        address: &Address,
        wanted: &[SharedSecret],
    ) -> Result<(), DirectoryError> {
        let (address, wanted) = (address.clone(), wanted.to_vec());
        let sealer = self.sealer().ok_or_else(no_key)?;
        self.change(move |table| {
            let account = table.expect_account(&address)?;
            let id = &account.row.record.id;
            let mut changes = Vec::new();
            for kind in SharedSecret::ALL {
                let name = kept_as(kind);
                match (wanted.contains(&kind), sealed(Some(account), name)) {
                    (true, None) => changes.push(sealer.put(id, name, &Secret::default())?),
                    (false, Some(_)) => {
                        changes.push(Change::RemoveSecret(id.clone(), name.into()));
                    }
                    _ => {}
                }
            }
            Ok((changes, ()))
        })
        .await
    }
}

/// A hash of another server, where it is one that can be checked.
fn taken_over(hash: &str) -> Result<Arc<str>, DirectoryError> {
    let invalid = |error: HashError| DirectoryError::Invalid(error.to_string());
    Stored::parse(hash).map_err(invalid)?;
    Ok(hash.trim().into())
}

/// What the account's app passwords' keys share, when one has any.
fn app_password_parameters(account: &Account, sealer: &Sealer) -> Option<Parameters> {
    let rows = account.secrets.as_ref()?.app_passwords.values();
    let mut records = rows.filter_map(|row| {
        let place = app_password_place(&row.name);
        let opened = sealer.open(&account.row.record.id, &place, row.keys.as_ref()?);
        Record::decode(&opened.ok()?)
    });
    records.next().map(|it| it.parameters)
}
