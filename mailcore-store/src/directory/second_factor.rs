//! Second factors of accounts: enrolment, codes, and what a login by a mail
//! protocol needs while one is on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::account::{AccountId, Secret};
use mailcore::seams::{Begins, CodeCheck, DirectoryError, Enrolment, SecondFactor, SecondFactors};
use mailcore::time::Monotonic;

use super::app_passwords::letters;
use super::keep::{Change, Keep, Section};
use super::local::LocalDirectory;
use super::seal::Sealer;
use super::secrets::no_key;
use super::table::{Account, Table, not_found};
use super::totp::{self, Record};

/// What it is kept under.
pub(super) const NAME: &str = "auth:totp";
/// The protocol of logins whose host asks for the code itself.
const WEB: &str = "web";
/// Codes for the loss of the device.
const RECOVERY_CODES: usize = 10;
/// Letters of one of them, in two groups.
const RECOVERY_LETTERS: usize = 10;
/// Wrong codes before none is looked at for [`PAUSE`].
const MAX_WRONG: u32 = 10;
/// With ten guesses at three codes of a million in five minutes, who has the
/// password needs a hundred days for an even chance.
const PAUSE: Duration = Duration::from_secs(300);
/// Accounts whose wrong codes are counted.
const MAX_COUNTED: usize = 10_000;

/// How an account with a second factor logs in by mail protocols, which can't
/// ask for a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CodeLogin {
    /// With app passwords alone.
    #[default]
    AppPasswords,
    /// Also with its password and a code behind it, by time or for the loss of
    /// the device, as one word. Programs that log in again without asking then
    /// fail.
    CodeAppended,
}

/// Wrong codes of late, by account.
#[derive(Debug, Default)]
pub(super) struct WrongCodes(Mutex<HashMap<AccountId, (u32, Monotonic)>>);

impl WrongCodes {
    /// Counts a code as wrong before it is looked at, so that many at once get
    /// no more guesses than one after the other. False when there were too many.
    fn count(&self, account: &AccountId, now: Monotonic) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MAX_COUNTED && !counted.contains_key(account) {
            counted.retain(|_, (_, until)| *until > now);
            if counted.len() >= MAX_COUNTED {
                counted.clear();
            }
        }
        let (count, until) = counted.entry(account.clone()).or_insert((0, now));
        if *until <= now {
            *count = 0;
        }
        if *count >= MAX_WRONG {
            return false;
        }
        *count += 1;
        *until = now.after(PAUSE);
        true
    }

    fn forget(&self, account: &AccountId) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.remove(account);
    }
}

#[async_trait]
impl<K: Keep> SecondFactors for LocalDirectory<K> {
    async fn second_factor(&self, account: &AccountId) -> Result<SecondFactor, DirectoryError> {
        let sealer = self.sealer();
        self.read(|table| {
            let kept = record(table, account, sealer.as_ref())?;
            Ok(match kept {
                None => SecondFactor::Off,
                Some(record) if record.is_on => SecondFactor::On {
                    recovery_codes: record.recovery_codes(),
                },
                Some(_) => SecondFactor::Pending,
            })
        })
        .await?
    }

    async fn enrol(
        &self,
        account: &AccountId,
        begins: Begins,
    ) -> Result<Enrolment, DirectoryError> {
        let sealer = self.sealer().ok_or_else(no_key)?;
        let mut octets = [0; totp::SECRET];
        self.entropy().fill(&mut octets);
        let secret = Secret::new(octets);
        let codes: Vec<Secret> = (0..RECOVERY_CODES)
            .map(|_| {
                let mut code = letters(self.entropy(), RECOVERY_LETTERS);
                code.insert(RECOVERY_LETTERS / 2, b'-');
                Secret::new(code)
            })
            .collect();
        let is_on = begins == Begins::AtOnce;
        let made = Record::new(secret.clone(), &codes, is_on).encode();
        let id = account.clone();
        let address = self
            .change(move |table| {
                let address = table.expect_id(&id)?.row.record.address.clone();
                if record(table, &id, Some(&sealer))?.is_some_and(|it| it.is_on) {
                    return Err(DirectoryError::Exists(format!(
                        "second factor of {address}"
                    )));
                }
                Ok((vec![sealer.put(&id, NAME, &made)?], address))
            })
            .await?;
        self.wrong_codes().forget(account);
        let text = totp::base32(secret.expose());
        let uri = totp::uri(address.domain().as_str(), &address.to_string(), &text);
        Ok(Enrolment::new(Secret::new(text), Secret::new(uri), codes))
    }

    async fn check_code(
        &self,
        account: &AccountId,
        code: &Secret,
    ) -> Result<CodeCheck, DirectoryError> {
        let now = self.clock().monotonic();
        let sealer = self.sealer().ok_or_else(no_key)?;
        if !self.wrong_codes().count(account, now) {
            return Ok(CodeCheck::TooMany);
        }
        let seconds = self.clock().now().millis().max(0).cast_unsigned() / 1_000;
        let (id, code) = (account.clone(), code.clone());
        // Within the change, so that no two logins use one code up.
        let taken = self.change(move |table| {
            let kept = record(table, &id, Some(&sealer))?;
            let kept = kept.ok_or_else(|| not_found(&format!("second factor of {id}")))?;
            Ok(match kept.take(code.expose(), seconds) {
                Some(after) => (vec![sealer.put(&id, NAME, &after.encode())?], true),
                None => (Vec::new(), false),
            })
        });
        match taken.await? {
            true => {
                self.wrong_codes().forget(account);
                Ok(CodeCheck::Right)
            }
            false => Ok(CodeCheck::Wrong),
        }
    }

    async fn end_second_factor(&self, account: &AccountId) -> Result<(), DirectoryError> {
        let id = account.clone();
        self.change(move |table| {
            let secrets = table.expect_id(&id)?.secrets.as_ref();
            match secrets.is_some_and(|it| it.sealed.contains_key(NAME)) {
                true => Ok((vec![Change::RemoveSecret(id, NAME.into())], ())),
                false => Err(not_found(&format!("second factor of {id}"))),
            }
        })
        .await
    }
}

/// What a password is worth at a login.
pub(super) enum Worth {
    /// It is the proof.
    Whole,
    /// The proof is this part of it, with this code.
    WithCode(Secret, Secret),
    /// Nothing: an app password would be the proof.
    Nothing,
}

impl<K: Keep> LocalDirectory<K> {
    /// Whether a second factor is asked of this account by this protocol.
    ///
    /// # Errors
    /// Where nobody knows: then it may be.
    pub(super) fn asks_for_code(
        &self,
        account: &Account,
        protocol: &str,
    ) -> Result<bool, DirectoryError> {
        if protocol == WEB {
            return Ok(false);
        }
        let kept = of_account(account, self.sealer().as_ref())?;
        Ok(kept.is_some_and(|it| it.is_on))
    }

    pub(super) fn worth(
        &self,
        account: &Account,
        protocol: &str,
        password: &Secret,
    ) -> Result<Worth, DirectoryError> {
        if !self.asks_for_code(account, protocol)? {
            return Ok(Worth::Whole);
        }
        let octets = password.expose();
        let at = octets.len().checked_sub(code_length(octets));
        let split = at.and_then(|at| octets.split_at_checked(at));
        Ok(match (self.code_login(), split) {
            (CodeLogin::CodeAppended, Some((password, code))) => {
                Worth::WithCode(Secret::new(password), Secret::new(code))
            }
            _ => Worth::Nothing,
        })
    }
}

/// How long the code behind a password is. A recovery code is told by the hyphen
/// between its groups, which a code by time has not.
fn code_length(octets: &[u8]) -> usize {
    const HYPHEN_FROM_END: usize = RECOVERY_LETTERS - RECOVERY_LETTERS / 2 + 1;
    let at = octets.len().checked_sub(HYPHEN_FROM_END);
    match at.and_then(|at| octets.get(at)) {
        Some(b'-') => RECOVERY_LETTERS + 1,
        _ => totp::DIGITS as usize,
    }
}

fn record(
    table: &Table,
    account: &AccountId,
    sealer: Option<&Sealer>,
) -> Result<Option<Record>, DirectoryError> {
    match of_account(table.expect_id(account)?, sealer)? {
        None => table.check_complete(Section::Secrets).map(|()| None),
        found => Ok(found),
    }
}

fn of_account(
    account: &Account,
    sealer: Option<&Sealer>,
) -> Result<Option<Record>, DirectoryError> {
    let sealed = account.secrets.as_ref().and_then(|it| it.sealed.get(NAME));
    let id = &account.row.record.id;
    let Some(sealed) = sealed else {
        return match &account.secrets {
            Some(secrets) if secrets.is_damaged => Err(DirectoryError::Unavailable(format!(
                "of the secrets of {id} some can't be read; restore directory.db from a backup"
            ))),
            _ => Ok(None),
        };
    };
    let secret = sealer.ok_or_else(no_key)?.open(id, NAME, sealed)?;
    match Record::decode(&secret) {
        Some(record) => Ok(Some(record)),
        None => Err(DirectoryError::Unavailable(format!(
            "the second factor of {id} can't be read; end it and enrol anew"
        ))),
    }
}
