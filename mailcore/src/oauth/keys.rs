//! The keys that an authorization server publishes, kept for a while.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use rustls::crypto::WebPkiSupportedAlgorithms;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::jwk::Key;
use super::jwt::Unverified;
use super::{HttpsUrl, TokenError};
use crate::net::HttpsClient;
use crate::seams::Clock;
use crate::time::Monotonic;

/// How long keys are used before they are fetched anew.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long they are used while they can't be fetched.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// Between two fetches: a token with a made-up key must not make this server
/// ask for each.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Keys {
    source: Source,
    algorithms: WebPkiSupportedAlgorithms,
    held: Arc<std::sync::Mutex<Held>>,
    /// Held while keys are fetched, so that one fetch serves all who wait.
    turn: Arc<Mutex<()>>,
}

/// Where keys come from.
#[derive(Clone)]
struct Source {
    url: HttpsUrl,
    client: HttpsClient,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Default)]
struct Held {
    keys: Arc<[Key]>,
    fetched: Option<Monotonic>,
    tried: Option<Monotonic>,
}

impl Keys {
    pub(super) fn new(
        url: HttpsUrl,
        client: HttpsClient,
        clock: Arc<dyn Clock>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self {
            source: Source { url, client, clock },
            algorithms,
            held: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// What the token says, when one of the keys has signed it.
    pub(super) async fn verify(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        let token = Unverified::parse(token)?;
        let keys = self.keys(&token).await?;
        let signed = (token.algorithm, token.message, token.signature.as_slice());
        let fitting = keys.iter().filter(|it| fits(it, &token));
        // One without a name may be of any key; a few are tried.
        let mut fitting = fitting.take(8);
        match fitting.any(|key| key.has_signed(&self.algorithms, signed)) {
            true => Ok(token.into_claims()),
            false => Err(TokenError::Invalid("no published key has signed it")),
        }
    }

    fn held(&self) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// The answer that needs no fetch, where there is one.
    fn at_hand(&self, token: &Unverified<'_>) -> Option<Result<Arc<[Key]>, TokenError>> {
        let held = self.held();
        let now = self.source.clock.monotonic();
        let is_known = held.keys.iter().any(|it| fits(it, token));
        let is_answered = is_known && within(held.fetched, FRESH, now);
        (is_answered || within(held.tried, PAUSE, now)).then(|| {
            match within(held.fetched, STALE, now) {
                true => Ok(held.keys),
                false => Err(TokenError::Odd("its keys could not be fetched just now")),
            }
        })
    }

    /// The keys to check this token with.
    async fn keys(&self, token: &Unverified<'_>) -> Result<Arc<[Key]>, TokenError> {
        if let Some(found) = self.at_hand(token) {
            return found;
        }
        let turn = match Arc::clone(&self.turn).try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let held = self.held();
                let is_usable = within(held.fetched, STALE, self.source.clock.monotonic());
                // Others are fetching: a server that says nothing must hold up
                // nobody who can do without.
                if is_usable && held.keys.iter().any(|it| fits(it, token)) {
                    return Ok(held.keys);
                }
                Arc::clone(&self.turn).lock_owned().await
            }
        };
        // They may be there by now.
        if let Some(found) = self.at_hand(token) {
            return found;
        }
        // By a task of its own: clients that hang up early would else have keys
        // fetched time and again, and never got.
        let renewal = self.source.clone().renew(Arc::clone(&self.held), turn);
        let fetched = tokio::spawn(renewal).await;
        fetched.map_err(|_| TokenError::Odd("its keys could not be fetched just now"))?
    }
}

/// Whether so much time has not passed since.
fn within(since: Option<Monotonic>, time: Duration, now: Monotonic) -> bool {
    since.is_some_and(|it| it.after(time) > now)
}

impl Source {
    async fn renew(
        self,
        held: Arc<std::sync::Mutex<Held>>,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<Arc<[Key]>, TokenError> {
        let fetched = self.fetch().await;
        let now = self.clock.monotonic();
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.tried = Some(now);
        match fetched {
            Ok(keys) => {
                held.keys = keys.into();
                held.fetched = Some(now);
                Ok(Arc::clone(&held.keys))
            }
            Err(error) if within(held.fetched, STALE, now) => {
                tracing::warn!(%error, "can't fetch keys for access tokens; using those at hand");
                Ok(Arc::clone(&held.keys))
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, TokenError> {
        let request = Request::get(&self.url.path)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(String::new())
            .map_err(|_| TokenError::Odd("its path is none"))?;
        let (host, port) = (&self.url.host, self.url.port);
        let response = self.client.send(host, port, request).await?;
        if response.status() != StatusCode::OK {
            return Err(TokenError::Odd("its keys are not there"));
        }
        Key::set(response.body()).ok_or(TokenError::Odd("its keys are no key set"))
    }
}

fn fits(key: &Key, token: &Unverified<'_>) -> bool {
    match (&token.key_id, &key.id) {
        (Some(wanted), Some(id)) => wanted == id,
        (Some(_), None) => false,
        (None, _) => true,
    }
}
