//! [`ScopedSettings`]: what holds for everybody, a domain, or an account.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mailcore::address::Address;
use mailcore::seams::{Directory, Resolution, Scope, Settings};

use super::effective::Effective;
use super::{FilterSettings, Reaction, SETTING_PREFIX, Said};

/// Scopes remembered: beyond it they are forgotten and read anew.
const REMEMBERED: usize = 10_000;

/// Settings of filters by scope: those of a configuration, and over them those
/// of a directory, read once and again when any changes.
#[derive(Clone)]
pub struct ScopedSettings {
    base: Arc<FilterSettings>,
    directory: Option<Arc<dyn Directory>>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// The directory's number of changes when they were read.
    version: u64,
    of: HashMap<Scope, Arc<FilterSettings>>,
}

impl fmt::Debug for ScopedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedSettings")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl ScopedSettings {
    /// These settings for everybody.
    pub fn new(base: FilterSettings) -> Self {
        Self {
            base: Arc::new(base),
            directory: None,
            known: Arc::default(),
        }
    }

    pub(super) fn with_base(mut self, base: FilterSettings) -> Self {
        self.base = Arc::new(base);
        self
    }

    /// With a directory's over them.
    #[must_use]
    pub fn with_directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// A finding's score by what is known before any recipient is.
    pub(super) fn global_score(&self, test: &str, said: &Said, shipped: Reaction) -> f32 {
        let mut sets = Vec::new();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        sets.extend(known.of.get(&Scope::Global).cloned());
        drop(known);
        sets.push(Arc::clone(&self.base));
        Effective(sets).score_of(test, said, shipped)
    }

    /// What holds for everybody.
    pub(super) async fn global(&self) -> Effective {
        self.of_scope(&Scope::Global).await
    }

    /// What holds for mail to `recipient`.
    pub(super) async fn of_recipient(&self, recipient: &Address) -> Effective {
        let mut sets = Vec::new();
        if let (Some(directory), Some(settings)) = (&self.directory, self.settings()) {
            for scope in scopes_of(directory.as_ref(), settings, recipient).await {
                sets.extend(self.of(settings, scope).await);
            }
        }
        sets.push(Arc::clone(&self.base));
        Effective(sets)
    }

    /// What holds at a scope.
    pub(super) async fn of_scope(&self, scope: &Scope) -> Effective {
        let mut sets = Vec::new();
        if let Some(settings) = self.settings() {
            let domain = match scope {
                Scope::Account(account) => settings.domain_of(account).await.ok().flatten(),
                _ => None,
            };
            for scope in scope.path(domain) {
                sets.extend(self.of(settings, scope).await);
            }
        }
        sets.push(Arc::clone(&self.base));
        Effective(sets)
    }

    fn settings(&self) -> Option<&dyn Settings> {
        self.directory.as_ref()?.settings()
    }

    /// What is set at one scope, where anything is.
    async fn of(&self, settings: &dyn Settings, scope: Scope) -> Option<Arc<FilterSettings>> {
        // Without a watch nothing says when to read again.
        let version = settings.watch().map(|watch| *watch.borrow());
        if let Some(version) = version {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.version != version || known.of.len() >= REMEMBERED {
                known.of.clear();
                known.version = version;
            }
            if let Some(set) = known.of.get(&scope) {
                return Some(Arc::clone(set)).filter(|set| !set.is_empty());
            }
        }
        let values = match settings.values_below(&scope, SETTING_PREFIX).await {
            Ok(values) => values,
            Err(error) => {
                tracing::warn!(%error, ?scope, "can't read the settings of filters");
                return None;
            }
        };
        let mut set = FilterSettings::default();
        for (key, value) in values {
            let Some(key) = key.strip_prefix(SETTING_PREFIX) else {
                continue;
            };
            if let Err(error) = set.set(key, &value) {
                tracing::warn!(%error, ?scope, key, "a setting of filters is left out");
            }
        }
        let set = Arc::new(set);
        if let Some(version) = version {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.version == version {
                known.of.insert(scope, Arc::clone(&set));
            }
        }
        Some(set).filter(|set| !set.is_empty())
    }
}

/// The scopes that may say what holds for mail to `recipient`, nearest first. An
/// alias is its domain's; what an account set is for mail that names it, under
/// whatever name its domain is served.
pub(crate) async fn scopes_of(
    directory: &dyn Directory,
    settings: &dyn Settings,
    recipient: &Address,
) -> Vec<Scope> {
    let domain = Scope::Domain(recipient.domain().clone());
    let mut scopes = Vec::new();
    if let Ok(Resolution::Account(account)) = directory.resolve(recipient).await {
        let own = settings.domain_of(&account).await.ok().flatten();
        scopes.push(Scope::Account(account));
        scopes.push(domain);
        let own = own.map(Scope::Domain);
        scopes.extend(own.filter(|own| !scopes.contains(own)));
    } else {
        scopes.push(domain);
    }
    scopes.push(Scope::Global);
    scopes
}
