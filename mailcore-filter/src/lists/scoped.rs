//! [`ScopedLists`]: rules for everybody, for a domain and for an account, kept
//! with the settings of a directory.
//!
//! A scope's rules lie in up to 256 settings, each with the rules whose text has
//! the same hash: a change writes one small value however many rules there are,
//! and what a domain or account has goes with it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mailcore::seams::{Directory, DirectoryError, Scope, Settings};
use thiserror::Error;

use super::{About, Rule, RuleSet};

/// What the settings that hold rules begin with.
pub const LIST_PREFIX: &str = "list.";
/// Rules allowed at one scope.
pub const MAX_RULES: usize = 20_000;

/// Scopes remembered: beyond it they are forgotten and read anew.
const REMEMBERED: usize = 10_000;
/// The same of all rules together.
const REMEMBERED_RULES: usize = 500_000;
/// Rules read in one turn.
const IN_ONE_TURN: usize = 256;

/// Why rules could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// The directory keeps no settings.
    #[error("this directory keeps no settings, and lists are kept there")]
    Unsupported,
    /// Too many.
    #[error("up to {MAX_RULES} rules are kept at one scope; remove some first")]
    Full,
    /// The directory said no.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Rules by scope, read when they are asked for and remembered until settings
/// change.
#[derive(Clone)]
pub struct ScopedLists {
    directory: Arc<dyn Directory>,
    known: Arc<Mutex<Known>>,
    /// Held from reading a value to writing it.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    of: HashMap<Scope, Read>,
    rules: usize,
}

/// What was read of a scope.
#[derive(Clone)]
struct Read {
    /// The directory's number of changes then; `None` where it tells none.
    version: Option<u64>,
    from: Values,
    rules: Arc<RuleSet>,
}

type Values = Vec<(Arc<str>, Arc<str>)>;

impl fmt::Debug for ScopedLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedLists").finish_non_exhaustive()
    }
}

impl ScopedLists {
    /// The lists that a directory keeps.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self {
            directory,
            known: Arc::default(),
            writing: Arc::default(),
        }
    }

    pub(super) fn directory(&self) -> &dyn Directory {
        self.directory.as_ref()
    }

    fn settings(&self) -> Result<&dyn Settings, ListError> {
        self.directory.settings().ok_or(ListError::Unsupported)
    }

    /// The rules of a scope, in the order of their text.
    ///
    /// # Errors
    /// The directory's.
    pub async fn rules(&self, scope: &Scope) -> Result<Vec<Rule>, ListError> {
        let values = self.settings()?.values_below(scope, LIST_PREFIX).await?;
        let lines = values.iter().flat_map(|(_, value)| value.lines());
        let mut rules: Vec<Rule> = lines.filter_map(|line| line.parse().ok()).collect();
        rules.sort_by_cached_key(|rule| (rule.about.subject(), rule.about.value()));
        Ok(rules)
    }

    /// Adds rules, each in place of one about the same; how many are new or
    /// changed. They hold at once.
    ///
    /// # Errors
    /// The directory's, or that there are too many; those before may be added.
    pub async fn add(&self, scope: &Scope, rules: &[Rule]) -> Result<usize, ListError> {
        let _writing = self.writing.lock().await;
        let mut kept = Kept::read(self.settings()?, scope).await?;
        let mut changed = 0;
        for rule in rules {
            let place = kept.place(&rule.about);
            let old = place.insert(key(&rule.about), rule.clone());
            changed += usize::from(old.as_ref() != Some(rule));
        }
        if kept.len() > MAX_RULES {
            return Err(ListError::Full);
        }
        kept.write(self.settings()?, scope).await?;
        Ok(changed)
    }

    /// Removes the rules about these; those about which there were none.
    ///
    /// # Errors
    /// The directory's; some may be removed.
    pub async fn remove(&self, scope: &Scope, about: &[About]) -> Result<Vec<About>, ListError> {
        let _writing = self.writing.lock().await;
        let mut kept = Kept::read(self.settings()?, scope).await?;
        let mut absent = Vec::new();
        for about in about {
            if kept.place(about).remove(&key(about)).is_none() {
                absent.push(about.clone());
            }
        }
        kept.write(self.settings()?, scope).await?;
        Ok(absent)
    }

    /// The rules of a scope, ready to be asked; none where they can't be read.
    pub(super) async fn of(&self, scope: &Scope) -> Option<Arc<RuleSet>> {
        let settings = self.directory.settings()?;
        let version = settings.watch().map(|watch| *watch.borrow());
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.of.get(scope).cloned()
        };
        if let Some(known) = known.as_ref().filter(|_| version.is_some())
            && known.version == version
        {
            return Some(Arc::clone(&known.rules)).filter(|it| !it.is_empty());
        }
        let values = match settings.values_below(scope, LIST_PREFIX).await {
            Ok(values) => values,
            Err(error) => {
                tracing::warn!(%error, ?scope, "can't read the lists");
                return None;
            }
        };
        let rules = match known {
            // Something else has changed.
            Some(known) if is_same(&known.from, &values) => known.rules,
            _ => Arc::new(read(&values, scope).await),
        };
        let read = Read {
            version,
            from: values,
            rules: Arc::clone(&rules),
        };
        self.remember(scope, read);
        Some(rules).filter(|it| !it.is_empty())
    }

    fn remember(&self, scope: &Scope, read: Read) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of.len() >= REMEMBERED || known.rules >= REMEMBERED_RULES {
            *known = Known::default();
        }
        known.rules += read.rules.len();
        let old = known.of.insert(scope.clone(), read);
        let old = old.map_or(0, |it| it.rules.len());
        known.rules = known.rules.saturating_sub(old);
    }
}

fn is_same(before: &Values, after: &Values) -> bool {
    let same = |place: usize| match (before.get(place), after.get(place)) {
        (Some((a, x)), Some((b, y))) => a == b && (Arc::ptr_eq(x, y) || x == y),
        _ => false,
    };
    before.len() == after.len() && (0..before.len()).all(same)
}

/// A long list is read in turns: other connections wait for none.
async fn read(values: &Values, scope: &Scope) -> RuleSet {
    let mut rules = RuleSet::default();
    let lines = values.iter().flat_map(|(_, value)| value.lines());
    for (place, line) in lines.take(MAX_RULES).enumerate() {
        if place % IN_ONE_TURN == IN_ONE_TURN - 1 {
            tokio::task::yield_now().await;
        }
        match line.parse() {
            Ok(rule) => {
                rules.insert(rule);
            }
            Err(error) => tracing::warn!(%error, ?scope, "a rule of a list is left out"),
        }
    }
    rules
}

/// What makes two rules be about the same.
fn key(about: &About) -> String {
    about.to_string()
}

/// The setting that a rule is in. The hash (FNV-1a) is part of how lists are
/// kept and must stay as it is.
fn shard(key: &str) -> u8 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.to_le_bytes().into_iter().fold(0, |a, b| a ^ b)
}

/// The rules of a scope by the settings they are in.
#[derive(Default)]
struct Kept {
    shards: BTreeMap<u8, BTreeMap<String, Rule>>,
    before: HashMap<String, Arc<str>>,
}

impl Kept {
    async fn read(settings: &dyn Settings, scope: &Scope) -> Result<Self, ListError> {
        let mut kept = Self::default();
        for (name, value) in settings.values_below(scope, LIST_PREFIX).await? {
            for rule in value.lines().filter_map(|line| line.parse::<Rule>().ok()) {
                let place = kept.place(&rule.about);
                place.insert(key(&rule.about), rule);
            }
            kept.before.insert(name.to_string(), value);
        }
        Ok(kept)
    }

    fn place(&mut self, about: &About) -> &mut BTreeMap<String, Rule> {
        self.shards.entry(shard(&key(about))).or_default()
    }

    fn len(&self) -> usize {
        self.shards.values().map(BTreeMap::len).sum()
    }

    /// Writes what has changed.
    async fn write(self, settings: &dyn Settings, scope: &Scope) -> Result<(), ListError> {
        for (shard, rules) in self.shards {
            let name = format!("{LIST_PREFIX}{shard:02x}");
            let lines: Vec<String> = rules.values().map(ToString::to_string).collect();
            let value = lines.join("\n");
            let before = self.before.get(&name).map_or("", |it| it);
            if value != before {
                let value = Some(value.as_str()).filter(|it| !it.is_empty());
                settings.set(scope, &name, value).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mailcore::address::Domain;

    use super::*;
    use crate::testing::SettingsOnly;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn rules_are_added_changed_and_removed_at_their_scope() {
        let directory = Arc::new(SettingsOnly::default());
        let lists = ScopedLists::new(directory.clone());
        let domain = Scope::Domain(Domain::parse("our.test").unwrap());
        let first = [
            rule("deny sender .spam.test"),
            rule("allow client 192.0.2.1"),
        ];
        assert_eq!(lists.add(&domain, &first).await.unwrap(), 2);
        assert_eq!(lists.add(&domain, &first).await.unwrap(), 0);
        let changed = [rule("allow sender .SPAM.test final")];
        assert_eq!(lists.add(&domain, &changed).await.unwrap(), 1);
        let texts = |rules: Vec<Rule>| rules.iter().map(ToString::to_string).collect::<Vec<_>>();
        let kept = texts(lists.rules(&domain).await.unwrap());
        assert_eq!(
            kept,
            ["allow client 192.0.2.1", "allow sender .spam.test final"]
        );
        assert_eq!(lists.of(&domain).await.unwrap().len(), 2);
        assert!(lists.of(&Scope::Global).await.is_none());
        directory.put(&domain, "other", "x");
        assert_eq!(lists.of(&domain).await.unwrap().len(), 2);
        let gone = [
            rule("deny sender .spam.test").about,
            rule("deny sender a@b.test").about,
        ];
        let absent = lists.remove(&domain, &gone).await.unwrap();
        assert_eq!(absent, gone[1..]);
        assert_eq!(lists.of(&domain).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_list_of_thousands_is_kept_in_small_values_and_has_an_end() {
        let directory = Arc::new(SettingsOnly::default());
        let lists = ScopedLists::new(directory.clone());
        let many: Vec<Rule> = (0..MAX_RULES)
            .map(|it| rule(&format!("deny sender user{it}@spam.test")))
            .collect();
        assert_eq!(lists.add(&Scope::Global, &many).await.unwrap(), MAX_RULES);
        let one_more = [rule("deny sender x@spam.test")];
        let full = lists.add(&Scope::Global, &one_more).await;
        assert!(matches!(full, Err(ListError::Full)));
        let values = directory.values(&Scope::Global).await.unwrap();
        assert!(values.len() <= 256);
        assert!(values.iter().all(|(_, value)| value.len() < 16 * 1_024));
        assert_eq!(lists.of(&Scope::Global).await.unwrap().len(), MAX_RULES);
    }
}
