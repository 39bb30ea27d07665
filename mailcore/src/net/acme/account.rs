//! The account at the authority: found in the store, or made.

use instant_acme::{
    Account, AccountBuilder, AccountCredentials, Error, ExternalAccountKey, NewAccount,
};

use super::http::AuthorityClient;
use super::{AcmeConfig, AcmeError, AcmeSeams};

/// Letters and digits of an authority's directory that its account is kept
/// under.
const MAX_NAME: usize = 100;

/// The account of this authority. Certificates hang on names and not on the
/// account: of one that can't be read another takes the place.
pub(super) async fn account(config: &AcmeConfig, seams: &AcmeSeams) -> Result<Account, AcmeError> {
    let name = kept_as(&config.directory);
    let Some(kept) = seams.store.load(&name).await? else {
        return new_account(config, seams).await;
    };
    let damaged = |error: &dyn std::fmt::Display| {
        tracing::error!(name, %error, "the kept ACME account is damaged; making another");
        new_account(config, seams)
    };
    let credentials: AccountCredentials = match serde_json::from_slice(&kept) {
        Ok(credentials) => credentials,
        Err(error) => return damaged(&error).await,
    };
    match builder(seams).from_credentials(credentials).await {
        Err(error @ Error::KeyRejected) => damaged(&error).await,
        found => Ok(found?),
    }
}

fn builder(seams: &AcmeSeams) -> AccountBuilder {
    Account::builder_with_http(Box::new(AuthorityClient(seams.http.clone())))
}

/// An account made now, in place of whatever was kept.
pub(super) async fn new_account(
    config: &AcmeConfig,
    seams: &AcmeSeams,
) -> Result<Account, AcmeError> {
    let contacts: Vec<&str> = config.contacts.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = config.external_account.as_ref();
    let external = external
        .map(|account| ExternalAccountKey::new(account.key_id.clone(), account.key.expose()));
    let made = builder(seams).create(&new, config.directory.clone(), external.as_ref());
    let (account, credentials) = made.await?;
    let kept = serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?;
    seams.store.save(&kept_as(&config.directory), kept).await?;
    Ok(account)
}

/// An account for each authority: a test one must not be taken for the real one.
fn kept_as(directory: &str) -> String {
    let plain = directory.trim_start_matches("https://");
    let letters = plain.chars().map(|it| match it {
        it if it.is_ascii_alphanumeric() || it == '.' || it == '-' => it,
        _ => '_',
    });
    let name: String = letters.take(MAX_NAME).collect();
    format!("account-{name}.json")
}
