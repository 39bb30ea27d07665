//! [`RuleBook`]: the rules of domains, read once and again after each change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::rules::DomainRules;
use crate::address::Domain;
use crate::seams::{Directory, DirectoryError, RouteError, Scope, Settings};

/// Domains whose rules are held; more, and all are read anew.
const MAX_HELD: usize = 10_000;

/// Rules by domain. What is read holds until any setting changes, so that a
/// recipient costs one look-up in a table.
#[derive(Debug)]
pub(super) struct RuleBook {
    directory: Arc<dyn Directory>,
    /// `None` where the directory tells of no changes: nothing is held then.
    changes: Option<watch::Receiver<u64>>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    version: u64,
    rules: HashMap<Domain, Arc<DomainRules>>,
}

impl RuleBook {
    pub(super) fn new(directory: Arc<dyn Directory>) -> Self {
        let changes = directory.settings().and_then(Settings::watch);
        Self {
            directory,
            changes,
            held: Mutex::default(),
        }
    }

    /// The rules of a served domain.
    pub(super) async fn rules(&self, domain: &Domain) -> Result<Arc<DomainRules>, RouteError> {
        let Some(settings) = self.directory.settings() else {
            return Ok(Arc::default());
        };
        // Read before the settings are, so that a change in between is seen the
        // next time.
        let version = self.changes.as_ref().map(|changes| *changes.borrow());
        if let Some(rules) = self.held(domain, version) {
            return Ok(rules);
        }
        let rules = Arc::new(read(settings, domain).await?);
        if let Some(version) = version {
            self.hold(domain, version, &rules);
        }
        Ok(rules)
    }

    fn held(&self, domain: &Domain, version: Option<u64>) -> Option<Arc<DomainRules>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match version {
            Some(version) if version == held.version => held.rules.get(domain).cloned(),
            _ => None,
        }
    }

    fn hold(&self, domain: &Domain, version: u64, rules: &Arc<DomainRules>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.version != version || held.rules.len() >= MAX_HELD {
            held.rules.clear();
            held.version = version;
        }
        held.rules.insert(domain.clone(), Arc::clone(rules));
    }
}

/// The rules for everybody with the domain's own over them.
async fn read(settings: &dyn Settings, domain: &Domain) -> Result<DomainRules, RouteError> {
    let mut rules = DomainRules::default();
    for scope in [Scope::Global, Scope::Domain(domain.clone())] {
        let values = match settings.values(&scope).await {
            Ok(values) => values,
            Err(DirectoryError::NotFound(_)) => continue,
            Err(error) => return Err(RouteError(error.to_string())),
        };
        for (key, value) in values {
            // A rule that can't be read may be one that refuses.
            let set = rules.set(&key, &value);
            set.map_err(|error| RouteError(format!("{domain}: {error}")))?;
        }
    }
    Ok(rules)
}
