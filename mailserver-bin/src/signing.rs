//! Signatures on mail that leaves: the keys, the signer, and the job that takes
//! keys through their life.

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::event::EventName;
use mailcore::seams::{Directory, OsEntropy, Resolver, Signer, State, SystemClock};
use mailcore::server::Stores;
use mailcore_filter::sender_auth::signing::{
    DomainSigner, KeyEntry, KeyRing, KeyRingError, KeySeal, RotationStep, SealError, rotate,
};
use mailcore_store::directory::StoreKey;

use crate::config::Config;
use crate::data::{DataDir, DataLock};
use crate::telling;

/// Encrypts keys with what the directory's secrets are encrypted with.
#[derive(Debug)]
struct StoreSeal(StoreKey);

impl KeySeal for StoreSeal {
    fn seal(&self, place: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        let sealed = self.0.seal_at(&named(place), secret, &OsEntropy);
        sealed.map(|it| it.to_vec()).map_err(words)
    }

    fn unseal(&self, place: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        self.0.unseal_at(&named(place), sealed).map_err(words)
    }
}

fn named(place: &str) -> String {
    format!("signing key {place}")
}

fn words(error: impl std::fmt::Display) -> SealError {
    SealError(error.to_string())
}

/// The signing keys; none where the data can't be written and never held a
/// secret.
///
/// # Errors
/// The file of the key that they are encrypted with can't be read.
pub(crate) fn ring(
    data: &DataDir,
    lock: &DataLock,
    state: &Arc<dyn State>,
) -> Result<Option<Arc<KeyRing>>, String> {
    if lock.is_read_only() && !data.directory_key().exists() {
        return Ok(None);
    }
    let key = StoreKey::open(&data.directory_key(), &OsEntropy).map_err(|it| it.to_string())?;
    let ring = KeyRing::new(
        Arc::clone(state),
        Arc::new(StoreSeal(key)),
        Arc::new(SystemClock::new()),
    );
    Ok(Some(Arc::new(ring)))
}

/// Who signs what leaves; nobody where signing is off.
pub(crate) fn signer(
    config: &Config,
    ring: Option<&Arc<KeyRing>>,
    directory: &Arc<dyn Directory>,
    resolver: &Arc<dyn Resolver>,
) -> Option<Arc<dyn Signer>> {
    let settings = &config.filter.signing;
    let ring = ring.filter(|_| settings.on)?;
    let mut signer = DomainSigner::new(Arc::clone(ring), Arc::new(SystemClock::new()))
        .directory(Arc::clone(directory))
        .lifetime(settings.lifetime);
    if settings.seals {
        let name = config.hostname.clone();
        signer = signer.seals(name, settings.seal_domain.clone(), Arc::clone(resolver));
    }
    Some(Arc::new(signer))
}

/// What looking after keys takes.
#[derive(Debug)]
pub(crate) struct Tending {
    ring: Arc<KeyRing>,
    /// `None` where no server runs.
    resolver: Option<Arc<dyn Resolver>>,
    most_age: Option<Duration>,
}

impl Tending {
    /// `None` where there are no keys to look after.
    pub(crate) fn new(
        config: &Config,
        ring: Option<Arc<KeyRing>>,
        resolver: Option<Arc<dyn Resolver>>,
    ) -> Option<Self> {
        Some(Self {
            ring: ring?,
            resolver,
            most_age: config.filter.signing.rotate,
        })
    }

    /// Takes keys a step further, and tells of each step what is to be done now.
    pub(crate) async fn tend(&self, stores: &Stores) -> Result<String, KeyRingError> {
        let Some(resolver) = &self.resolver else {
            return Ok("no server runs here".to_owned());
        };
        let clock = SystemClock::new();
        let steps = rotate(&self.ring, &**resolver, &clock, self.most_age).await?;
        for step in &steps {
            tell(stores, step).await;
        }
        Ok(format!("{} steps taken", steps.len()))
    }
}

/// What a step is called, the key, and what the operator does about it.
fn told(step: &RotationStep) -> Option<(&'static str, &KeyEntry, &'static str)> {
    Some(match step {
        RotationStep::Made(key) => (
            "publish its record",
            key,
            "The key that signs is old, and this one was made to follow it. Publish its record; \
             it signs once DNS has it.",
        ),
        RotationStep::Activated(key) => (
            "signs from now on",
            key,
            "DNS has the record of this key. Nothing is to be done.",
        ),
        RotationStep::Retired(key) => (
            "signs no more",
            key,
            "Another key signs in its place. Leave its record in DNS: mail that it signed is on \
             its way still. You are told when it may go.",
        ),
        RotationStep::Removed(key) => (
            "its record may go",
            key,
            "No mail that this key signed is on its way any more, and the key was removed. Remove \
             its record from DNS.",
        ),
        _ => return None,
    })
}

async fn tell(stores: &Stores, step: &RotationStep) {
    let Some((step, key, advice)) = told(step) else {
        return;
    };
    let fields = [
        ("domain", key.domain.to_string()),
        ("selector", key.selector.to_string()),
        ("algorithm", key.algorithm.as_str().to_owned()),
        ("step", step.to_owned()),
        ("name", key.name()),
        ("record", key.record.clone()),
        ("advice", advice.to_owned()),
    ];
    telling::raise(&stores.commit, EventName::SigningKey, &fields).await;
}
