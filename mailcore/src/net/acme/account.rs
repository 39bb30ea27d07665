//! The account at the authority: found in the store, or made.

use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};

use super::http::AuthorityClient;
use super::{AcmeConfig, AcmeError, AcmeSeams};

/// Letters and digits of an authority's directory that its account is kept
/// under.
const MAX_NAME: usize = 100;

/// The account of this authority.
pub(super) async fn account(config: &AcmeConfig, seams: &AcmeSeams) -> Result<Account, AcmeError> {
    let name = kept_as(&config.directory);
    let builder = || Account::builder_with_http(Box::new(AuthorityClient(seams.http.clone())));
    if let Some(kept) = seams.store.load(&name).await? {
        let credentials: AccountCredentials = serde_json::from_slice(&kept)
            .map_err(|error| AcmeError::Unusable(format!("the kept account {name}: {error}")))?;
        return Ok(builder().from_credentials(credentials).await?);
    }
    let contacts: Vec<&str> = config.contacts.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = config.external_account.as_ref();
    let external = external
        .map(|account| ExternalAccountKey::new(account.key_id.clone(), account.key.expose()));
    let made = builder().create(&new, config.directory.clone(), external.as_ref());
    let (account, credentials) = made.await?;
    let kept = serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?;
    seams.store.save(&name, kept).await?;
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
