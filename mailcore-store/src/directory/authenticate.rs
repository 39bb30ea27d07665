//! Logins against a local directory.

use async_trait::async_trait;
use mailcore::account::{AccountId, Identity, Secret};
use mailcore::address::Address;
use mailcore::seams::{
    AccountRecord, AuthError, AuthRequest, Authenticator, CertificateName, CodeCheck,
    CredentialKind, CredentialRequest, Credentials, DirectoryError, Proof, ProofKind,
    SecondFactors,
};
use mailcore::wire::ClientCertificate;
use sha2::{Digest, Sha256};

use super::app_passwords;
use super::credentials::shared_kind;
use super::keep::{Keep, Section};
use super::local::LocalDirectory;
use super::passwords::CheckError;
use super::second_factor::Worth;
use super::table::Account;

/// Addresses of a certificate that are looked at.
const MAX_NAMES: usize = 32;

#[async_trait]
impl<K: Keep> Authenticator for LocalDirectory<K> {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        match &request.proof {
            Proof::Password(password) => self.by_password(request, password).await,
            Proof::Certificate(certificate) => self.by_certificate(request, certificate).await,
            Proof::Verified(verified) => self.by_credentials(request, verified).await,
            _ => Err(AuthError::Invalid),
        }
    }

    fn proofs(&self) -> Vec<ProofKind> {
        let mut proofs = vec![ProofKind::Password, ProofKind::Certificate];
        if self.store_key().is_some() {
            let scram = [CredentialKind::ScramSha256, CredentialKind::ScramSha1];
            proofs.extend(scram.map(ProofKind::Credentials));
            let shared = self.shared_secret_kinds().into_iter();
            proofs.extend(shared.map(|it| ProofKind::Credentials(shared_kind(it))));
        }
        proofs
    }

    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        self.credentials_for(request).await
    }
}

/// Who has proved to be this account, if it may log in.
pub(super) fn admitted(record: AccountRecord) -> Result<Identity, AuthError> {
    match record.enabled {
        true => Ok(Identity {
            login: record.address.to_string().into(),
            account: record.id,
        }),
        false => Err(AuthError::Disabled),
    }
}

pub(super) fn unavailable(error: impl ToString) -> AuthError {
    AuthError::Unavailable(error.to_string())
}

impl<K: Keep> LocalDirectory<K> {
    async fn by_password(
        &self,
        request: &AuthRequest,
        password: &Secret,
    ) -> Result<Identity, AuthError> {
        let found = self.login_account(&request.login).await;
        let (account, _) = found.map_err(unavailable)?;
        let place = (request.protocol, request.peer);
        let app = account
            .as_ref()
            .and_then(|it| app_passwords::matching(it, password, place));
        if let (Some(account), Some(app)) = (&account, app) {
            let identity = admitted(account.row.record.clone())?;
            self.note_use(&identity.account, app).await;
            return Ok(identity);
        }
        let worth = account
            .as_ref()
            .map(|it| self.worth(it, request.protocol, password));
        let worth = worth.transpose().map_err(unavailable)?;
        let (password, code) = match &worth {
            Some(Worth::WithCode(password, code)) => (password, Some(code)),
            _ => (password, None),
        };
        // Where it can't be right, nobody's is checked, which takes as long.
        let claimed = account.filter(|_| !matches!(worth, Some(Worth::Nothing)));
        let claim = claimed.as_ref().map(|it| &it.row);
        let claim = claim.map(|it| (&it.record.address, it.hash.clone()));
        match self.passwords().check(claim, password).await {
            Ok(()) => {}
            Err(CheckError::Wrong) => return Err(AuthError::Invalid),
            Err(CheckError::Busy) => return Err(unavailable("too many logins at once")),
        }
        let account = claimed.ok_or(AuthError::Invalid)?;
        if let Some(code) = code {
            let checked = self.check_code(&account.row.record.id, code).await;
            match checked.map_err(unavailable)? {
                CodeCheck::Right => {}
                // Too many, too: that is counted after a right password alone,
                // and would tell that it is.
                _ => return Err(AuthError::Invalid),
            }
        }
        let identity = admitted(account.row.record.clone())?;
        self.renew(&account, password).await;
        Ok(identity)
    }

    /// One of the certificate's names must stand for the account, and all that
    /// stand for some must stand for the same.
    async fn by_certificate(
        &self,
        request: &AuthRequest,
        certificate: &ClientCertificate,
    ) -> Result<Identity, AuthError> {
        let names = names(certificate);
        let found = self.read(|table| {
            let mut ids: Vec<AccountId> = names
                .iter()
                .filter_map(|name| table.certificates.get(name).cloned())
                .collect();
            ids.sort_unstable();
            ids.dedup();
            match (ids.as_slice(), table.check_complete(Section::Secrets)) {
                ([id], _) => Ok(table.account_by_id(id).map(|it| it.row.record.clone())),
                ([], Err(damage)) => Err(damage),
                _ => Ok(None),
            }
        });
        let found = found.await.map_err(unavailable)?.map_err(unavailable)?;
        let record = found.ok_or(AuthError::Invalid)?;
        if !request.login.is_empty() {
            let claimed = self.login_account(&request.login).await;
            let (claimed, _) = claimed.map_err(unavailable)?;
            if claimed.is_none_or(|it| it.row.record.id != record.id) {
                return Err(AuthError::Invalid);
            }
        }
        admitted(record)
    }
}

/// All that a certificate is known by.
fn names(certificate: &ClientCertificate) -> Vec<CertificateName> {
    let digest = CertificateName::Sha256(Sha256::digest(&certificate.der).into());
    let addresses = certificate.addresses.iter().take(MAX_NAMES);
    let addresses = addresses.filter_map(|it| Address::parse(it).ok());
    let subject = (!certificate.subject.is_empty())
        .then(|| CertificateName::Subject(certificate.subject.clone()));
    std::iter::once(digest)
        .chain(addresses.map(|it| CertificateName::Address(it.folded())))
        .chain(subject)
        .collect()
}

impl<K: Keep> LocalDirectory<K> {
    /// The account a login names: an address, or a local part alone that means
    /// the default domain. Only an account's own address logs in, under any
    /// name of its domain, but no alias and no detail. With it the one form of
    /// the name, whether there is such an account or not.
    pub(super) async fn login_account(
        &self,
        login: &str,
    ) -> Result<(Option<Account>, String), DirectoryError> {
        self.read(|table| {
            let address = if login.contains('@') {
                Address::parse(login).ok()
            } else {
                let domain = self
                    .configured_default_domain()
                    .or_else(|| table.default_domain());
                domain.and_then(|domain| Address::new(login, domain.clone()).ok())
            };
            let Some(address) = address else {
                return Ok((None, login.to_lowercase()));
            };
            let name = table.canonical(&address).to_string();
            match table.account(&address) {
                Some(account) => Ok((Some(account.clone()), name)),
                // An account that can't be read may have this name.
                None => table
                    .check_complete(Section::Accounts)
                    .and_then(|()| table.check_complete(Section::Domains))
                    .map(|()| (None, name)),
            }
        })
        .await?
    }
}
