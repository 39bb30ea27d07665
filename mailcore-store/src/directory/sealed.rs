//! [`Sealed`]: the encrypted secrets of one account in memory.

use std::sync::Arc;

/// Encrypted secrets by name: few for each of many accounts, most of which have
/// one, so that a tree would take more than what it holds.
#[derive(Clone, Default)]
pub(super) struct Sealed(Vec<(Arc<str>, Arc<[u8]>)>);

impl Sealed {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<[u8]>> {
        let found = self.0.iter().find(|(it, _)| &**it == name);
        found.map(|(_, sealed)| sealed)
    }

    pub(super) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// True when the name is new.
    pub(super) fn insert(&mut self, name: Arc<str>, sealed: Arc<[u8]>) -> bool {
        match self.0.iter_mut().find(|(it, _)| *it == name) {
            Some((_, before)) => {
                *before = sealed;
                false
            }
            None => {
                self.0.reserve_exact(1);
                self.0.push((name, sealed));
                true
            }
        }
    }

    /// True when it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(it, _)| &**it != name);
        self.0.len() < before
    }
}
