//! [`SiteScripts`]: the operator's scripts, which come as texts and which nobody
//! changes from within.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::seams::DirectoryError;

use super::library::Library;
use super::source::{Found, Place, ProgramSource, Whose};

/// Scripts of the site: those that run before and after the accounts' own, in
/// their order, and those that others may include (RFC 6609, `:global`).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SiteScripts {
    /// Names and texts, before.
    pub before: Vec<(Arc<str>, Arc<str>)>,
    /// Names and texts, after.
    pub after: Vec<(Arc<str>, Arc<str>)>,
    /// Texts to include, by their names.
    pub include: BTreeMap<Arc<str>, Arc<str>>,
}

#[async_trait]
impl ProgramSource for SiteScripts {
    async fn programs(
        &self,
        place: Place,
        _whose: &Whose<'_>,
        library: &Library,
    ) -> Result<Vec<Found>, DirectoryError> {
        let scripts = match place {
            Place::GlobalBefore => &self.before,
            Place::GlobalAfter => &self.after,
            _ => return Ok(Vec::new()),
        };
        let found = scripts.iter().map(|(name, text)| Found {
            name: Arc::clone(name),
            compiled: library.script(name, text),
        });
        Ok(found.collect())
    }

    /// They never change: a reload brings others in their place.
    fn version(&self) -> Option<u64> {
        Some(0)
    }
}
