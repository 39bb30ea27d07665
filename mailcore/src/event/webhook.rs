//! Events told to a web server: each batch is one POST of JSON, signed as
//! Standard Webhooks 1.0.0 says.
//!
//! One request is on its way at a time, so that events come in order, each at
//! least once. What is refused is tried again, with the same id and body as
//! long as nothing was given up; what waited for too long is given up, and a
//! `Gap` says so. Only 2xx is yes. Redirects are not followed, nothing of the
//! answer but its status is read.

mod payload;
mod signature;
#[cfg(test)]
mod tests;
mod url;
mod worker;

use std::time::Duration;

use thiserror::Error;

use super::{EventFilter, StartAt};
use crate::account::Secret;
use crate::event::subscription::check_name;
use crate::net::{HttpsClient, OwnNetwork};
use signature::Keys;
use url::Url;

pub(crate) use worker::HookSeams;

/// Octets in a secret, at least (Standard Webhooks wants 24 to 64).
const MIN_SECRET: usize = 16;

/// A web server that events are told to.
#[derive(Debug, Clone)]
pub struct Webhook {
    name: String,
    url: Url,
    keys: Keys,
    client: HttpsClient,
    filter: EventFilter,
    start: StartAt,
    config: WebhookConfig,
}

/// How events are told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Events in one request.
    pub batch: usize,
    /// Octets of one request, unless one event has more.
    pub octets: usize,
    /// How long an event may wait for others.
    pub gather: Duration,
    /// The first pause after a failure; each further failure doubles it.
    pub retry: Duration,
    /// The longest pause.
    pub retry_most: Duration,
    /// Events older than this are given up once a request has failed.
    pub give_up_after: Duration,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            batch: 64,
            octets: 256 * 1024,
            gather: Duration::from_millis(500),
            retry: Duration::from_secs(5),
            retry_most: Duration::from_secs(10 * 60),
            give_up_after: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }
}

/// What is wrong with a web hook. URLs are not shown: they may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// Its name is none.
    #[error(
        "{0:?} can't name a web hook; write 1 to 64 ASCII letters, digits, dots, hyphens or underscores"
    )]
    Name(String),
    /// Two of the same name.
    #[error("two web hooks are named {0}; give each its own name")]
    Twice(String),
    /// Its URL is none.
    #[error("web hook {0}: write its URL as https://host/path; a login has no place in it")]
    Url(String),
    /// Without TLS, and not for one's own network.
    #[error(
        "web hook {0}: without TLS a host of one's own network alone may be called; write https, or allow the own network"
    )]
    Plain(String),
    /// A secret that can be guessed.
    #[error("web hook {0}: its secret must have 16 octets or more; whsec_ begins one in base64")]
    Secret(String),
    /// Numbers that tell nothing.
    #[error("web hook {0}: batch and octets must be 1 or more, and the pauses more than nothing")]
    Config(String),
}

impl Webhook {
    /// Tells all events to `url`, signed with `secret`. Where the client may
    /// connect to is the client's: [`HttpsClient::own_network`].
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn new(
        name: &str,
        url: &str,
        secret: &Secret,
        client: HttpsClient,
    ) -> Result<Self, WebhookError> {
        let own_network = match client.may_ask_own_network() {
            true => OwnNetwork::Allowed,
            false => OwnNetwork::Refused,
        };
        let (url, keys) = parsed(name, url, secret, own_network)?;
        Ok(Self {
            name: name.to_owned(),
            url,
            keys,
            client,
            filter: EventFilter::all(),
            start: StartAt::Now,
            config: WebhookConfig::default(),
        })
    }

    /// What [`Webhook::new`] would say, with a client that may call its own
    /// network or not.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn check(
        name: &str,
        url: &str,
        secret: &Secret,
        own_network: OwnNetwork,
    ) -> Result<(), WebhookError> {
        parsed(name, url, secret, own_network).map(drop)
    }

    /// These events alone.
    #[must_use]
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Where it begins when it is new.
    #[must_use]
    pub fn start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// Signs with a second secret, too: while one takes the other's place.
    ///
    /// # Errors
    /// [`WebhookError::Secret`].
    pub fn also_signed(mut self, secret: &Secret) -> Result<Self, WebhookError> {
        let keys = Keys::of(secret, MIN_SECRET);
        let keys = keys.ok_or_else(|| WebhookError::Secret(self.name.clone()))?;
        self.keys.extend(keys);
        Ok(self)
    }

    /// How events are told.
    ///
    /// # Errors
    /// [`WebhookError::Config`].
    pub fn config(mut self, config: WebhookConfig) -> Result<Self, WebhookError> {
        let counts = [config.batch, config.octets];
        let times = [config.retry, config.retry_most, config.give_up_after];
        if counts.contains(&0) || times.iter().any(Duration::is_zero) {
            return Err(WebhookError::Config(self.name));
        }
        self.config = config;
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn parsed(
    name: &str,
    url: &str,
    secret: &Secret,
    own_network: OwnNetwork,
) -> Result<(Url, Keys), WebhookError> {
    let named = || name.chars().take(64).collect();
    check_name(name).map_err(|_| WebhookError::Name(named()))?;
    let url = Url::parse(url).ok_or_else(|| WebhookError::Url(named()))?;
    if !url.is_secure() && own_network == OwnNetwork::Refused {
        return Err(WebhookError::Plain(named()));
    }
    let keys = Keys::of(secret, MIN_SECRET).ok_or_else(|| WebhookError::Secret(named()))?;
    Ok((url, keys))
}
