//! [`rotate`]: new keys for old ones, without a moment in which no published key
//! signs.

use std::collections::BTreeMap;
use std::time::Duration;

use mailcore::seams::{Clock, Resolver};

use super::entry::{KeyEntry, KeyStage};
use super::keyring::{KeyRing, KeyRingError, NewKey};
use super::published::{Published, key_published};

/// How long a retired key stays published: as long as its last signatures hold,
/// and a day for copies of the record.
pub const RETIRED_FOR: Duration = Duration::from_secs(15 * 24 * 3600);

/// What was done with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationStep {
    /// A key was made, since the active one is old: its record is to be
    /// published.
    Made(KeyEntry),
    /// A key's record is in DNS: it signs from now on.
    Activated(KeyEntry),
    /// A key signs no more, since a newer one does.
    Retired(KeyEntry),
    /// A key was removed, since no mail with its signatures is on its way any
    /// more: its record may go.
    Removed(KeyEntry),
}

/// Takes every key one step further in its life: old keys get a successor where
/// `most_age` says what is old, waiting keys whose record is in DNS become active
/// and their predecessors retired, keys that were retired for [`RETIRED_FOR`] are
/// removed.
///
/// Nothing becomes active before DNS has it: a signature that nobody can check is
/// worse than one by an old key. DNS that does not answer leaves all as it is.
///
/// # Errors
/// [`KeyRingError`]; what was done before it is done.
pub async fn rotate(
    ring: &KeyRing,
    resolver: &dyn Resolver,
    clock: &dyn Clock,
    most_age: Option<Duration>,
) -> Result<Vec<RotationStep>, KeyRingError> {
    let mut lines: BTreeMap<(String, &'static str), Vec<KeyEntry>> = BTreeMap::new();
    for entry in ring.list(None).await? {
        let line = (entry.domain.to_string(), entry.algorithm.as_str());
        lines.entry(line).or_default().push(entry);
    }
    let mut steps = Vec::new();
    for line in lines.into_values() {
        let mut line = Line {
            ring,
            clock,
            keys: line,
            steps: &mut steps,
        };
        line.activate(resolver).await?;
        line.succeed(most_age).await?;
        line.clear().await?;
    }
    Ok(steps)
}

/// The keys of one kind that a domain has.
struct Line<'a> {
    ring: &'a KeyRing,
    clock: &'a dyn Clock,
    keys: Vec<KeyEntry>,
    steps: &'a mut Vec<RotationStep>,
}

impl Line<'_> {
    fn at(&self, stage: KeyStage) -> Vec<KeyEntry> {
        let keys = self.keys.iter().filter(|key| key.stage == stage);
        keys.cloned().collect()
    }

    async fn activate(&mut self, resolver: &dyn Resolver) -> Result<(), KeyRingError> {
        for waiting in self.at(KeyStage::Waiting) {
            let published = key_published(resolver, &waiting.name(), &waiting.record).await;
            if published != Published::Right {
                continue;
            }
            let name = (&waiting.domain, &waiting.selector);
            let mut changed = self.ring.activate(name).await?.into_iter();
            self.steps
                .extend(changed.next().map(RotationStep::Activated));
            self.steps.extend(changed.map(RotationStep::Retired));
            let keys = self.ring.list(Some(&waiting.domain)).await?;
            self.keys = keys
                .into_iter()
                .filter(|key| key.algorithm == waiting.algorithm)
                .collect();
        }
        Ok(())
    }

    /// A successor for what signed long enough, unless one waits.
    async fn succeed(&mut self, most_age: Option<Duration>) -> Result<(), KeyRingError> {
        let Some(most_age) = most_age else {
            return Ok(());
        };
        let now = self.clock.now();
        let active = self.at(KeyStage::Active);
        let youngest = active.iter().max_by_key(|key| key.since);
        let Some(youngest) = youngest.filter(|key| key.since.after(most_age) <= now) else {
            return Ok(());
        };
        if !self.at(KeyStage::Waiting).is_empty() {
            return Ok(());
        }
        let new = NewKey::Made(youngest.algorithm);
        let made = self
            .ring
            .add((&youngest.domain, None), new, KeyStage::Waiting);
        let made = made.await?;
        self.steps.push(RotationStep::Made(made));
        Ok(())
    }

    async fn clear(&mut self) -> Result<(), KeyRingError> {
        let now = self.clock.now();
        for retired in self.at(KeyStage::Retired) {
            if retired.since.after(RETIRED_FOR) <= now {
                self.ring.remove(&retired.domain, &retired.selector).await?;
                self.steps.push(RotationStep::Removed(retired));
            }
        }
        Ok(())
    }
}
