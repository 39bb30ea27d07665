//! [`OAuth`]: logins by access tokens (OAUTHBEARER and XOAUTH2, RFC 7628) that
//! somebody else's authorization server issued.
//!
//! A layer over another [`Authenticator`]: it looks at
//! [`Proof::Bearer`](crate::seams::Proof) alone and hands everything else on.
//! Who a token is for is said by a claim in it, and served when the directory
//! has an account of that address.

mod introspection;
mod jwk;
mod jwt;
mod keys;
mod url;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rustls::crypto::CryptoProvider;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::account::{Identity, Secret};
use crate::address::{Address, Domain};
use crate::net::{HttpError, HttpsClient};
use crate::seams::{
    AccountRecord, AuthError, AuthRequest, Authenticator, Clock, CredentialRequest, Credentials,
    Directory, DirectoryError, DomainKind, Proof, ProofKind, Resolution,
};

use introspection::Introspection;
use keys::Keys;
pub use url::{HttpsUrl, HttpsUrlError};

/// Octets of a token that are looked at.
const MAX_TOKEN: usize = 16 * 1024;
/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 60;
/// Names of one domain that lead to one another.
const MAX_DOMAIN_ALIASES: usize = 8;

/// What a token must say to be believed, and how that is found out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OAuthSettings {
    /// How tokens are checked.
    pub check: TokenCheck,
    /// Who must have issued them (`iss`), compared octet by octet; `None` for
    /// whoever [`TokenCheck::Introspection`] asks.
    pub issuer: Option<String>,
    /// Whom they must be for (`aud`): one of these. Empty for anybody, which
    /// only introspection may do, since its server knows this one.
    pub audience: Vec<String>,
    /// Words that `scope` must hold (RFC 8693 section 4.2).
    pub scopes: Vec<String>,
    /// The claim that names the account: `email` unless set.
    pub claim: String,
    /// The domain of a name without one.
    pub default_domain: Option<Domain>,
}

/// How a token is checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TokenCheck {
    /// It is a JWT (RFC 7519), signed with a key that is published here.
    Jwks(HttpsUrl),
    /// The authorization server is asked about each (RFC 7662).
    Introspection {
        /// Where.
        url: HttpsUrl,
        /// As whom this server asks.
        client_id: String,
        /// The proof of that.
        client_secret: Secret,
    },
}

impl OAuthSettings {
    /// Tokens checked so, with nothing else asked of them yet.
    pub fn new(check: TokenCheck) -> Self {
        Self {
            check,
            issuer: None,
            audience: Vec::new(),
            scopes: Vec::new(),
            claim: "email".to_owned(),
            default_domain: None,
        }
    }
}

/// Why [`OAuth`] could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// Any token of that issuer, made for whatever other service, would log in.
    #[error("tokens that are checked by their signature need an issuer and an audience; name both")]
    AnyToken,
}

/// Why a token is not believed. Peers are not told which it was.
#[derive(Debug, Error)]
pub(crate) enum TokenError {
    /// It proves nothing, for this reason.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nobody knows.
    #[error("the authorization server can't be asked: {0}")]
    Unreachable(#[from] HttpError),
    /// What it said makes no sense.
    #[error("the authorization server answered oddly: {0}")]
    Odd(&'static str),
}

/// Logins by access tokens, over other logins.
pub struct OAuth {
    inner: Arc<dyn Authenticator>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    settings: OAuthSettings,
    checker: Checker,
}

enum Checker {
    Keys(Keys),
    Introspection(Introspection),
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl OAuth {
    /// A layer over `inner` that finds accounts in `directory`, asks by
    /// `client`, and checks signatures with `provider`.
    ///
    /// # Errors
    /// [`OAuthError::AnyToken`] for settings under which tokens for other
    /// services would log in (RFC 8725 section 3.9).
    pub fn new(
        inner: Arc<dyn Authenticator>,
        directory: Arc<dyn Directory>,
        (client, clock): (HttpsClient, Arc<dyn Clock>),
        provider: &CryptoProvider,
        settings: OAuthSettings,
    ) -> Result<Self, OAuthError> {
        let checker = match &settings.check {
            TokenCheck::Jwks(url) => {
                if settings.issuer.is_none() || settings.audience.is_empty() {
                    return Err(OAuthError::AnyToken);
                }
                let algorithms = provider.signature_verification_algorithms;
                Checker::Keys(Keys::new(
                    url.clone(),
                    client,
                    Arc::clone(&clock),
                    algorithms,
                ))
            }
            TokenCheck::Introspection {
                url,
                client_id,
                client_secret,
            } => Checker::Introspection(Introspection::new(
                url.clone(),
                (client_id, client_secret),
                client,
            )),
        };
        Ok(Self {
            inner,
            directory,
            clock,
            settings,
            checker,
        })
    }

    /// What a token that is believed says.
    async fn claims(&self, token: &Secret) -> Result<Map<String, Value>, TokenError> {
        if token.expose().len() > MAX_TOKEN {
            return Err(TokenError::Invalid("it is too long"));
        }
        let text = std::str::from_utf8(token.expose());
        let text = text.map_err(|_| TokenError::Invalid("it is not text"))?;
        let claims = match &self.checker {
            Checker::Keys(keys) => keys.verify(text).await?,
            Checker::Introspection(asked) => asked.ask(text).await?,
        };
        let now = self.clock.now().millis().div_euclid(1_000);
        self.check(&claims, now)?;
        Ok(claims)
    }

    /// Whether the claims are for this server and this moment (RFC 7519 section
    /// 4.1).
    fn check(&self, claims: &Map<String, Value>, now: i64) -> Result<(), TokenError> {
        let is_jwt = matches!(self.checker, Checker::Keys(_));
        let invalid = |why| Err(TokenError::Invalid(why));
        match time(claims, "exp")? {
            Some(until) if until.saturating_add(LEEWAY) <= now => return invalid("it has expired"),
            None if is_jwt => return invalid("it never expires"),
            _ => {}
        }
        for claim in ["nbf", "iat"] {
            if time(claims, claim)?.is_some_and(|from| from.saturating_sub(LEEWAY) > now) {
                return invalid("it is of the future");
            }
        }
        // A server that is asked about a token may leave these out (RFC 7662
        // section 2.2); what it says must be right.
        let issuer = claims.get("iss");
        if let Some(wanted) = &self.settings.issuer
            && (issuer.is_some() || is_jwt)
            && issuer.and_then(Value::as_str) != Some(wanted)
        {
            return invalid("somebody else issued it");
        }
        let audience = &self.settings.audience;
        let wanted = |it: &Value| {
            it.as_str()
                .is_some_and(|it| audience.iter().any(|a| a == it))
        };
        let is_ours = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(wanted),
            Some(one) => wanted(one),
            None => false,
        };
        if !audience.is_empty() && !is_ours {
            return invalid("it is for somebody else");
        }
        let scope = claims.get("scope").and_then(Value::as_str);
        let granted: Vec<&str> = scope.unwrap_or_default().split(' ').collect();
        let is_granted = |it: &String| granted.contains(&it.as_str());
        if !self.settings.scopes.iter().all(is_granted) {
            return invalid("it does not grant this");
        }
        Ok(())
    }

    /// The address that the claims name.
    fn address(&self, claims: &Map<String, Value>) -> Result<Address, TokenError> {
        let claim = self.settings.claim.as_str();
        // An address that its issuer has not verified is anybody's.
        // Some issuers write the word.
        let unverified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => !verified,
            Some(Value::String(word)) => word != "true",
            Some(_) => true,
            None => false,
        };
        if claim == "email" && unverified {
            return Err(TokenError::Invalid("its address is not verified"));
        }
        let name = claims.get(claim).and_then(Value::as_str);
        let name = name.ok_or(TokenError::Invalid("it names no account"))?;
        let address = match (name.contains('@'), &self.settings.default_domain) {
            (false, Some(domain)) => Address::new(name, domain.clone()).ok(),
            _ => Address::parse(name).ok(),
        };
        address.ok_or(TokenError::Invalid("what it names is no address"))
    }

    async fn by_token(&self, login: &str, token: &Secret) -> Result<Identity, AuthError> {
        let claims = self.claims(token).await;
        let named = claims.and_then(|claims| self.address(&claims));
        let address = named.map_err(|error| match error {
            TokenError::Invalid(why) => {
                tracing::debug!(why, "access token refused");
                AuthError::Invalid
            }
            error => AuthError::Unavailable(error.to_string()),
        })?;
        let unavailable = |error: DirectoryError| AuthError::Unavailable(error.to_string());
        let record = self.owner(&address).await.map_err(unavailable)?;
        let Some(record) = record else {
            tracing::debug!(%address, "access token for an address without an account");
            return Err(AuthError::Invalid);
        };
        if !login.is_empty() {
            let claimed = self.claimed(login).await.map_err(unavailable)?;
            if claimed.is_none_or(|it| it.id != record.id) {
                return Err(AuthError::Invalid);
            }
        }
        match record.enabled {
            true => Ok(Identity {
                login: record.address.to_string().into(),
                account: record.id,
            }),
            false => Err(AuthError::Disabled),
        }
    }

    /// Whose the name is that a client gave beside its token.
    async fn claimed(&self, login: &str) -> Result<Option<AccountRecord>, DirectoryError> {
        let address = match (login.contains('@'), &self.settings.default_domain) {
            (false, Some(domain)) => Address::new(login, domain.clone()).ok(),
            _ => Address::parse(login).ok(),
        };
        match address {
            Some(address) => self.owner(&address).await,
            None => Ok(None),
        }
    }

    /// The account whose own address this is, under any name of its domain. An
    /// account gets mail for more: for addresses with a detail, and for duties
    /// such as postmaster (RFC 2142). A token for one of those is somebody
    /// else's.
    async fn owner(&self, address: &Address) -> Result<Option<AccountRecord>, DirectoryError> {
        let Resolution::Account(id) = self.directory.resolve(address).await? else {
            return Ok(None);
        };
        let record = self.directory.account(&id).await?;
        let Some(record) =
            record.filter(|it| it.address.folded().local_part() == address.folded().local_part())
        else {
            return Ok(None);
        };
        let key = |domain: &Domain| domain.to_ascii().unwrap_or_else(|_| domain.clone());
        let home = key(record.address.domain());
        let mut domain = key(address.domain());
        for _ in 0..MAX_DOMAIN_ALIASES {
            if domain == home {
                return Ok(Some(record));
            }
            match self.directory.domain(&domain).await?.map(|it| it.kind) {
                Some(DomainKind::Alias { of }) => domain = key(&of),
                _ => break,
            }
        }
        Ok(None)
    }
}

/// A time in seconds (RFC 7519 section 2, `NumericDate`).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, TokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Some issuers write fractions.
    let whole = value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|it| it.is_finite())?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a cast of floats saturates"
        )]
        Some(seconds.floor() as i64)
    });
    whole
        .map(Some)
        .ok_or(TokenError::Invalid("a time in it is none"))
}

#[async_trait]
impl Authenticator for OAuth {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        match &request.proof {
            Proof::Bearer(token) => self.by_token(&request.login, token).await,
            _ => self.inner.authenticate(request).await,
        }
    }

    fn proofs(&self) -> Vec<ProofKind> {
        let mut proofs = self.inner.proofs();
        if !proofs.contains(&ProofKind::Bearer) {
            proofs.push(ProofKind::Bearer);
        }
        proofs
    }

    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        self.inner.credentials(request).await
    }

    async fn disproved(&self, request: &CredentialRequest) {
        self.inner.disproved(request).await;
    }
}

#[cfg(test)]
mod tests;
