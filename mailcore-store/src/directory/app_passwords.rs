//! App passwords: made up here, of 100 random bits, so that one fast hash of it
//! is as good as a slow one: guessing is hopeless, and a login costs the same
//! work whether an account has any or not.

use std::net::IpAddr;
use std::sync::Arc;

use mailcore::account::{AccountId, Secret};
use mailcore::seams::{AppPasswordScope, DirectoryError, Entropy};
use mailcore::time::Timestamp;
use subtle::ConstantTimeEq;

use super::keep::{AppPasswordRow, Change, Keep};
use super::local::LocalDirectory;
use super::renewal::app_password_place;
use super::scram::Parameters;
use super::secrets::check_room;
use super::table::Account;

/// Letters of an app password, five bits each; none looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters in an app password.
const LENGTH: usize = 20;
/// What the hash of an app password is for, and that it is of this form.
const CONTEXT: &str = "mailcore 2026-11 directory app password";
/// How much later a use is worth noting.
const NOTED_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);
/// Protocols, and networks, that one scope names at most.
const MAX_SCOPE: usize = 32;
/// Octets in a protocol's name.
const MAX_PROTOCOL: usize = 32;

impl<K: Keep> LocalDirectory<K> {
    pub(super) async fn make_app_password(
        &self,
        account: &AccountId,
        name: &str,
        scope: &AppPasswordScope,
    ) -> Result<Secret, DirectoryError> {
        check_scope(scope)?;
        let password = Secret::new(letters(self.entropy(), LENGTH));
        let mut salt = [0; 16];
        self.entropy().fill(&mut salt);
        let (keys, parameters) = self.app_password_keys(account, name, &password).await?;
        let row = AppPasswordRow {
            name: name.into(),
            hash: hash(&hex(&salt), password.expose()).into(),
            created: self.clock().now(),
            last_used: None,
            scope: scope.clone(),
            keys,
        };
        let (account, sealer) = (account.clone(), self.sealer());
        let shared = self.clone();
        self.change(move |table| {
            let found = table.expect_id(&account)?;
            let now = sealer.map(|it| shared.shared_parameters(found, &it));
            if now != parameters {
                // Its keys would fit no other ones.
                return Err(DirectoryError::Unavailable(
                    "the account's password changed meanwhile; try again".into(),
                ));
            }
            let secrets = found.secrets.as_ref();
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

    /// SCRAM's keys of an app password, and what they share with the account's
    /// other ones; nothing without a key to seal them with.
    async fn app_password_keys(
        &self,
        account: &AccountId,
        name: &str,
        password: &Secret,
    ) -> Result<(Option<Arc<[u8]>>, Option<Parameters>), DirectoryError> {
        let Some(sealer) = self.sealer() else {
            return Ok((None, None));
        };
        let found = self.read(|table| {
            let found = table.expect_id(account)?;
            Ok(self.shared_parameters(found, &sealer))
        });
        let parameters = found.await??;
        let keys = self.scram_keys(parameters.clone(), password).await?;
        let place = app_password_place(name);
        let sealed = keys.map(|keys| sealer.seal(account, &place, &keys));
        Ok((sealed.transpose()?, Some(parameters)))
    }

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

/// The app password that a proof by a client there is. Takes its time for each
/// one the account has, little beside the hash that a wrong one costs.
pub(super) fn matching(
    account: &Account,
    proof: &Secret,
    (protocol, peer): (&str, Option<IpAddr>),
) -> Option<AppPasswordRow> {
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
    // One that does not count here is as wrong as any.
    found.filter(|it| it.scope.admits(protocol, peer)).cloned()
}

/// Letters that nobody has chosen: five bits of chance each.
pub(super) fn letters(entropy: &dyn Entropy, count: usize) -> Vec<u8> {
    let mut letters = vec![0; count];
    entropy.fill(&mut letters);
    for letter in &mut letters {
        *letter = LETTERS
            .get(usize::from(*letter % 32))
            .map_or(b'a', |it| *it);
    }
    letters
}

fn check_scope(scope: &AppPasswordScope) -> Result<(), DirectoryError> {
    let is_name = |it: &Arc<str>| {
        let letters = it
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
        !it.is_empty() && it.len() <= MAX_PROTOCOL && letters
    };
    let count = scope.protocols.len().max(scope.networks.len());
    match count <= MAX_SCOPE && scope.protocols.iter().all(is_name) {
        true => Ok(()),
        false => Err(DirectoryError::Invalid(format!(
            "an app password counts for up to {MAX_SCOPE} protocols, such as smtp and imap, and \
             as many networks"
        ))),
    }
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
