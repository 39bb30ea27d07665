//! Logins at a server in a test: any password, unless the test set one.

use async_trait::async_trait;

use super::accounts::{Accounts, id};
use crate::account::{AccountId, Identity, Secret};
use crate::address::Address;
use crate::seams::{
    AuthError, AuthRequest, Authenticator, CredentialKind, CredentialRequest, Credentials,
    Labelled, Proof, ProofKind,
};

#[async_trait]
impl Authenticator for Accounts {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        let (address, account) = self.account_of(&request.login)?;
        match &request.proof {
            Proof::Password(given) => match self.password(&address) {
                Some(known) if known != *given => return Err(AuthError::Invalid),
                _ => {}
            },
            Proof::Verified(_) => {}
            _ => return Err(AuthError::Invalid),
        }
        Ok(Identity {
            account,
            login: address.to_string().into(),
        })
    }

    /// Challenges prove to know a password, so they are offered only where each
    /// account has one: a client that prefers SCRAM could not log in otherwise.
    fn proofs(&self) -> Vec<ProofKind> {
        let mut proofs = vec![ProofKind::Password];
        if cfg!(feature = "sasl") && self.setup.password.is_some() {
            let kinds = [
                CredentialKind::ScramSha256,
                CredentialKind::ScramSha1,
                CredentialKind::CramMd5,
                CredentialKind::Apop,
            ];
            proofs.extend(kinds.map(ProofKind::Credentials));
        }
        proofs
    }

    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        let (address, _) = self.account_of(&request.login)?;
        let password = self.password(&address).ok_or(AuthError::Invalid)?;
        of_kind(request.kind, &address, password)
    }
}

impl Accounts {
    fn account_of(&self, login: &str) -> Result<(Address, AccountId), AuthError> {
        let address = self.login_address(login).ok_or(AuthError::Invalid)?;
        let found = self.find_or_make(&address).ok_or(AuthError::Invalid)?;
        debug_assert_eq!(found, id(&address), "an account's id is its address");
        Ok((address, found))
    }
}

#[cfg(feature = "sasl")]
fn scram(
    kind: CredentialKind,
    address: &Address,
    password: &Secret,
) -> Result<Credentials, AuthError> {
    use crate::sasl::MIN_ITERATIONS;
    use crate::seams::{ScramKeys, ScramPair};
    // A test has no secrets to guard: the name will do for a salt.
    let salt = format!("salt of {address}").into_bytes();
    let pair = ScramPair::derive(kind, password.expose(), &salt, MIN_ITERATIONS);
    Ok(Credentials::Scram(ScramKeys {
        salt,
        iterations: MIN_ITERATIONS,
        pairs: vec![Labelled::only(pair.ok_or(AuthError::Invalid)?)],
    }))
}

#[cfg(not(feature = "sasl"))]
fn scram(_: CredentialKind, _: &Address, _: &Secret) -> Result<Credentials, AuthError> {
    Err(AuthError::Invalid)
}

fn of_kind(
    kind: CredentialKind,
    address: &Address,
    password: Secret,
) -> Result<Credentials, AuthError> {
    match kind {
        CredentialKind::ScramSha1 | CredentialKind::ScramSha256 => scram(kind, address, &password),
        CredentialKind::CramMd5 | CredentialKind::Apop => {
            Ok(Credentials::Passwords(vec![Labelled::only(password)]))
        }
        CredentialKind::Ntlm => Err(AuthError::Invalid),
    }
}

#[cfg(all(test, feature = "sasl"))]
mod tests {
    use super::super::accounts::Setup;
    use super::*;
    use crate::sasl::Mechanism;

    fn accounts(password: Option<&str>) -> std::sync::Arc<Accounts> {
        Accounts::new(Setup {
            domains: vec!["app.test".parse().unwrap()],
            password: password.map(Secret::new),
            ..Setup::default()
        })
    }

    #[tokio::test]
    async fn challenges_are_offered_once_everybody_has_a_password() {
        let offers = |accounts: &Accounts, mechanism: Mechanism| {
            accounts.proofs().contains(&mechanism.needs())
        };
        let (any, set) = (accounts(None), accounts(Some("geheim")));
        for mechanism in [Mechanism::ScramSha256, Mechanism::CramMd5] {
            assert!(!offers(&any, mechanism) && offers(&set, mechanism));
        }
        assert!(offers(&any, Mechanism::Plain));
        let request = |kind| CredentialRequest {
            login: "ann".to_owned(),
            kind,
            peer: None,
            protocol: "imap",
        };
        let scram = set.credentials(&request(CredentialKind::ScramSha256)).await;
        let Ok(Credentials::Scram(keys)) = scram else {
            panic!("{scram:?}");
        };
        let kind = CredentialKind::ScramSha256;
        let right = crate::seams::ScramPair::derive(kind, b"geheim", &keys.salt, keys.iterations);
        assert_eq!(Some(&keys.pairs[0].value), right.as_ref());
        let cram = set.credentials(&request(CredentialKind::CramMd5)).await;
        assert!(
            matches!(cram, Ok(Credentials::Passwords(all)) if all[0].value == Secret::new("geheim"))
        );
    }
}
