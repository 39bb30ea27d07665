//! What proofs by challenge and response are checked against.

use std::sync::Arc;

use mailcore::account::{Identity, Secret};
use mailcore::seams::{
    AuthError, AuthRequest, CramMd5Key, CredentialKind, CredentialRequest, Credentials, Labelled,
    ScramKeys, SharedSecret, Verified,
};
use subtle::ConstantTimeEq;

use super::authenticate::{admitted, unavailable};
use super::keep::{AppPasswordRow, Keep};
use super::local::LocalDirectory;
use super::renewal::{app_password_place, scram_record, shared_secret};
use super::scram::Record;
use super::seal::Sealer;
use super::secrets::no_key;
use super::table::Account;

/// Octets of one of CRAM-MD5's two states.
const MD5: usize = 16;

/// The mechanism that a kind of credentials needs a shared secret for.
pub(super) fn shared_kind(kind: SharedSecret) -> CredentialKind {
    match kind {
        SharedSecret::Apop => CredentialKind::Apop,
        SharedSecret::Ntlm => CredentialKind::Ntlm,
        _ => CredentialKind::CramMd5,
    }
}

impl<K: Keep> LocalDirectory<K> {
    pub(super) async fn credentials_for(
        &self,
        request: &CredentialRequest,
    ) -> Result<Credentials, AuthError> {
        let sealer = self.sealer().ok_or_else(|| unavailable(no_key()))?;
        let (account, name) = self
            .login_account(&request.login)
            .await
            .map_err(unavailable)?;
        let account = account.as_ref();
        // An account that a code is asked of has app passwords alone.
        let own = match account {
            Some(it) => !self
                .asks_for_code(it, request.protocol)
                .map_err(unavailable)?,
            None => false,
        };
        let kind = request.kind;
        match kind {
            CredentialKind::ScramSha1 | CredentialKind::ScramSha256 => {
                let records = account.map(|it| scram_records(it, own, request, &sealer));
                let keys = records.and_then(|it| one_offer(it, kind));
                Ok(Credentials::Scram(keys.unwrap_or_else(|| {
                    let iterations = self.passwords().scram_iterations();
                    ScramKeys::made_up(sealer.made_up(), kind, &name, iterations)
                })))
            }
            _ => {
                let mut kinds = SharedSecret::ALL.into_iter();
                let wanted = kinds.find(|it| shared_kind(*it) == kind);
                let account = account.filter(|_| own).ok_or(AuthError::Invalid)?;
                let shared = wanted.and_then(|it| shared_secret(account, it, &sealer));
                credentials(kind, shared.ok_or(AuthError::Invalid)?)
            }
        }
    }

    /// Whether who has proved to know one of the credentials may log in.
    pub(super) async fn by_credentials(
        &self,
        request: &AuthRequest,
        verified: &Verified,
    ) -> Result<Identity, AuthError> {
        let found = self.login_account(&request.login).await;
        let (account, _) = found.map_err(unavailable)?;
        let account = account.ok_or(AuthError::Invalid)?;
        let sealer = self.sealer().ok_or_else(|| unavailable(no_key()))?;
        let Some(label) = &verified.label else {
            // A second factor may have been turned on meanwhile, and another
            // password set.
            let asks = self.asks_for_code(&account, request.protocol);
            let record = scram_record(&account, &sealer);
            return match asks.map_err(unavailable)? || !is_still(record, verified) {
                true => Err(AuthError::Invalid),
                false => admitted(account.row.record),
            };
        };
        let secrets = account.secrets.as_ref();
        let app = secrets.and_then(|it| it.app_passwords.get(label)).cloned();
        let app = app.filter(|it| it.scope.admits(request.protocol, request.peer));
        let app = app.ok_or(AuthError::Invalid)?;
        let record = app_password_record(&account, &app, &sealer);
        if !is_still(record, verified) {
            return Err(AuthError::Invalid);
        }
        let identity = admitted(account.row.record)?;
        self.note_use(&identity.account, app).await;
        Ok(identity)
    }
}

/// Whether keys are those that a proof was checked with, where it says which.
fn is_still(record: Option<Record>, verified: &Verified) -> bool {
    let Some(proved) = &verified.stored_key else {
        return true;
    };
    let record = record.filter(|it| {
        let kept = it.pair(verified.kind).stored_key.expose();
        bool::from(kept.ct_eq(proved.expose()))
    });
    record.is_some()
}

fn app_password_record(account: &Account, row: &AppPasswordRow, sealer: &Sealer) -> Option<Record> {
    let place = app_password_place(&row.name);
    let opened = sealer.open(&account.row.record.id, &place, row.keys.as_ref()?);
    Record::decode(&opened.ok()?)
}

/// The keys of every password that counts here, with its app password's name.
fn scram_records(
    account: &Account,
    own: bool,
    request: &CredentialRequest,
    sealer: &Sealer,
) -> Vec<(Option<Arc<str>>, Record)> {
    let mut records = Vec::new();
    if own && let Some(record) = scram_record(account, sealer) {
        records.push((None, record));
    }
    let apps = account
        .secrets
        .iter()
        .flat_map(|it| it.app_passwords.values());
    for row in apps.filter(|it| it.scope.admits(request.protocol, request.peer)) {
        if let Some(record) = app_password_record(account, row, sealer) {
            records.push((Some(Arc::clone(&row.name)), record));
        }
    }
    records
}

/// The keys that share what the client is told first.
fn one_offer(records: Vec<(Option<Arc<str>>, Record)>, kind: CredentialKind) -> Option<ScramKeys> {
    let told = records.first()?.1.parameters.clone();
    let fitting = records.into_iter().filter(|(_, it)| it.parameters == told);
    Some(ScramKeys {
        salt: told.salt(kind).to_vec(),
        iterations: told.iterations(),
        pairs: fitting
            .map(|(label, it)| Labelled {
                label,
                value: it.pair(kind).clone(),
            })
            .collect(),
    })
}

fn credentials(kind: CredentialKind, shared: Secret) -> Result<Credentials, AuthError> {
    match kind {
        CredentialKind::Apop => Ok(Credentials::Passwords(vec![Labelled::only(shared)])),
        CredentialKind::Ntlm => Ok(Credentials::NtHashes(vec![Labelled::only(shared)])),
        CredentialKind::CramMd5 => {
            let halves = shared.expose().split_at_checked(MD5);
            let (inner, outer) = halves.ok_or(AuthError::Invalid)?;
            Ok(Credentials::CramMd5(vec![Labelled::only(CramMd5Key {
                inner: Secret::new(inner),
                outer: Secret::new(outer),
            })]))
        }
        _ => Err(AuthError::Invalid),
    }
}
