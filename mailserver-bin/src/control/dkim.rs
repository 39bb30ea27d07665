//! Commands on signing keys.

use mailcore::address::Domain;
use mailcore::seams::{DirectoryError, Scope, Settings};
use mailcore_filter::sender_auth::dkim::Algorithm;
use mailcore_filter::sender_auth::signing::{KeyEntry, KeyRing, KeyStage, NewKey, SIGNING_SETTING};
use serde::{Deserialize, Serialize};

use super::Password;
use super::admin::{Admin, parse_domain, words};

/// What can be asked of signing keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DkimRequest {
    /// The keys of a domain, or of all: a [`Key`] a line.
    List { domain: Option<String> },
    /// Makes a key, or takes one over: [`Key`]s.
    Add {
        domain: String,
        selector: Option<String>,
        /// What is to be made.
        algorithm: KeyKind,
        /// In PEM; then nothing is made.
        pem: Option<Password>,
        /// It signs at once.
        active: bool,
    },
    /// Has a key sign, in place of the one before.
    Activate { domain: String, selector: String },
    /// Has a key sign no more.
    Retire { domain: String, selector: String },
    /// Removes a key for good.
    Remove { domain: String, selector: String },
    /// Makes keys to follow those that sign: [`Key`]s.
    Rotate { domain: String },
    /// Whether mail of a domain is signed at all.
    Switch { domain: String, on: bool },
}

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyKind {
    /// RSA of 2,048 bits, which everybody can check
    Rsa,
    /// Ed25519 (RFC 8463): short, and not known to all
    Ed25519,
    /// One of each; mail then bears two signatures
    Both,
}

/// A key as a line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) algorithm: String,
    /// `waiting`, `active`, `retired`.
    pub(crate) stage: String,
    /// Milliseconds, as all times here.
    pub(crate) since: i64,
    pub(crate) made: i64,
    /// Where the record is published.
    pub(crate) name: String,
    pub(crate) record: String,
}

impl From<KeyEntry> for Key {
    fn from(entry: KeyEntry) -> Self {
        Self {
            name: entry.name(),
            domain: entry.domain.to_string(),
            selector: entry.selector.to_string(),
            algorithm: entry.algorithm.as_str().to_owned(),
            stage: entry.stage.as_str().to_owned(),
            since: entry.since.millis(),
            made: entry.made.millis(),
            record: entry.record,
        }
    }
}

impl KeyKind {
    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Rsa => &[Algorithm::RsaSha256],
            Self::Ed25519 => &[Algorithm::Ed25519Sha256],
            Self::Both => &[Algorithm::RsaSha256, Algorithm::Ed25519Sha256],
        }
    }
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn dkim(&self, request: DkimRequest) -> Result<Vec<String>, String> {
        let ring = self.ring.as_deref().ok_or("the store is not open")?;
        match request {
            DkimRequest::List { domain } => {
                let domain = domain.as_deref().map(parse_domain).transpose()?;
                let keys = ring.list(domain.as_ref()).await;
                lines(keys.map_err(words)?)
            }
            add @ DkimRequest::Add { .. } => self.add_key(ring, add).await,
            DkimRequest::Activate { domain, selector } => {
                let (domain, selector) = (parse_domain(&domain)?, parse_domain(&selector)?);
                let changed = ring.activate((&domain, &selector)).await;
                let told = changed.map_err(words)?.into_iter().map(|key| {
                    let what = match key.stage {
                        KeyStage::Active => "signs from now on",
                        _ => "signs no more; leave its record in DNS for 15 days",
                    };
                    format!("{} {what}", key.selector)
                });
                Ok(told.collect())
            }
            DkimRequest::Retire { domain, selector } => {
                let (domain, selector) = (parse_domain(&domain)?, parse_domain(&selector)?);
                let retired = ring.set_stage((&domain, &selector), KeyStage::Retired);
                retired.await.map_err(words)?;
                Ok(vec![format!(
                    "{selector} signs no more; leave its record in DNS for 15 days"
                )])
            }
            DkimRequest::Remove { domain, selector } => {
                let (domain, selector) = (parse_domain(&domain)?, parse_domain(&selector)?);
                ring.remove(&domain, &selector).await.map_err(words)?;
                Ok(vec![format!("{selector} of {domain} removed")])
            }
            DkimRequest::Rotate { domain } => next_keys(ring, &parse_domain(&domain)?).await,
            DkimRequest::Switch { domain, on } => {
                let domain = parse_domain(&domain)?;
                self.sign_for(&domain, on).await.map_err(words)?;
                Ok(vec![format!(
                    "mail of {domain} is {}",
                    if on { "signed" } else { "not signed" }
                )])
            }
        }
    }

    async fn add_key(&self, ring: &KeyRing, request: DkimRequest) -> Result<Vec<String>, String> {
        let DkimRequest::Add {
            domain,
            selector,
            algorithm,
            pem,
            active,
        } = request
        else {
            return Ok(Vec::new());
        };
        let domain = parse_domain(&domain)?;
        let selector = selector.as_deref().map(parse_domain).transpose()?;
        let new = match pem {
            Some(pem) => vec![NewKey::Pem(pem.0)],
            None => algorithm
                .algorithms()
                .iter()
                .map(|it| NewKey::Made(*it))
                .collect(),
        };
        if new.len() > 1 && selector.is_some() {
            return Err("two keys need two selectors: add one after the other".to_owned());
        }
        let stage = if active {
            KeyStage::Active
        } else {
            KeyStage::Waiting
        };
        let mut added = Vec::new();
        for new in new {
            let key = ring.add((&domain, selector.as_ref()), new, stage).await;
            let key = key.map_err(words)?;
            if active {
                let name = (&key.domain, &key.selector);
                ring.activate(name).await.map_err(words)?;
            }
            added.push(key);
        }
        lines(added)
    }

    async fn sign_for(&self, domain: &Domain, on: bool) -> Result<(), DirectoryError> {
        let scope = Scope::Domain(domain.clone());
        let value = (!on).then_some("off");
        self.directory.set(&scope, SIGNING_SETTING, value).await
    }
}

/// A key that waits for each kind that signs and has no other waiting.
async fn next_keys(ring: &KeyRing, domain: &Domain) -> Result<Vec<String>, String> {
    let keys = ring.list(Some(domain)).await.map_err(words)?;
    let mut made = Vec::new();
    for algorithm in KeyKind::Both.algorithms() {
        let has = |stage| (keys.iter()).any(|it| it.stage == stage && it.algorithm == *algorithm);
        if !has(KeyStage::Active) || has(KeyStage::Waiting) {
            continue;
        }
        let new = NewKey::Made(*algorithm);
        let key = ring.add((domain, None), new, KeyStage::Waiting).await;
        made.push(key.map_err(words)?);
    }
    match made.is_empty() {
        true => Err(format!(
            "{domain} has no key that signs without another that waits; see `dkim list {domain}`"
        )),
        false => lines(made),
    }
}

fn lines(keys: Vec<KeyEntry>) -> Result<Vec<String>, String> {
    let lines = keys
        .into_iter()
        .map(|key| serde_json::to_string(&Key::from(key)));
    lines.collect::<Result<_, _>>().map_err(words)
}
