//! [`ProgramSource`]: where a recipient's programs come from, and [`Place`], the
//! order in which they are run.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::address::Address;
use mailcore::seams::{Directory, DirectoryError, Scope, ScriptKind};
use tokio::sync::watch;

use super::library::{Compiled, Library};

/// The script of a domain, or of everybody, that runs before the account's own.
pub const BEFORE: &str = "before";
/// The one that runs after it.
pub const AFTER: &str = "after";

/// When a program is run for a recipient's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// Rules for everybody.
    GlobalRules,
    /// Rules of the account's domain.
    DomainRules,
    /// Scripts for everybody before the account's own.
    GlobalBefore,
    /// Scripts of the domain before the account's own.
    DomainBefore,
    /// What the account has itself. The first source that has anything is the one
    /// that counts: a script of its own stands for rules and answers, too.
    Personal,
    /// Scripts of the domain after the account's own.
    DomainAfter,
    /// Scripts for everybody after the account's own.
    GlobalAfter,
}

impl Place {
    /// All, in the order in which they run.
    pub const ALL: [Self; 7] = [
        Self::GlobalRules,
        Self::DomainRules,
        Self::GlobalBefore,
        Self::DomainBefore,
        Self::Personal,
        Self::DomainAfter,
        Self::GlobalAfter,
    ];

    /// True where administrators decide for the account: what stops there, drops
    /// or refuses the mail is the last word.
    pub fn is_decisive(self) -> bool {
        self < Self::Personal
    }

    /// Whose texts stand here; none where files do alone.
    pub fn scope(self, whose: &Whose<'_>) -> Scope {
        match self {
            Self::GlobalRules | Self::GlobalBefore | Self::GlobalAfter => Scope::Global,
            Self::DomainRules | Self::DomainBefore | Self::DomainAfter => {
                Scope::Domain(whose.address.domain().clone())
            }
            Self::Personal => Scope::Account(whose.account.clone()),
        }
    }
}

/// Whose programs are looked for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Whose<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// Its primary address.
    pub address: &'a Address,
}

impl<'a> Whose<'a> {
    /// An account and its primary address.
    pub fn new(account: &'a AccountId, address: &'a Address) -> Self {
        Self { account, address }
    }
}

/// A program that was found, or what is wrong with its text.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is called, for who is told of errors.
    pub name: Arc<str>,
    /// The program, made by way of [`Library`].
    pub compiled: Compiled,
}

/// Where programs come from.
#[async_trait]
pub trait ProgramSource: Debug + Send + Sync {
    /// What this source has for an account at a place, in the order in which it
    /// runs. Programs are made by `library`, which holds them; others would be
    /// made anew for each message.
    ///
    /// # Errors
    /// What keeps the texts from being read.
    async fn programs(
        &self,
        place: Place,
        whose: &Whose<'_>,
        library: &Library,
    ) -> Result<Vec<Found>, DirectoryError>;

    /// A number that changes when [`ProgramSource::programs`] may say something
    /// else; `None` has it asked for each message.
    fn version(&self) -> Option<u64>;
}

/// The scripts that the directory keeps: an account's active one, and of a domain
/// and of everybody those called [`BEFORE`] and [`AFTER`].
#[derive(Debug)]
pub struct StoredScripts {
    directory: Arc<dyn Directory>,
    changes: Option<watch::Receiver<u64>>,
}

impl StoredScripts {
    /// Those of `directory`.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        let changes = directory.scripts().and_then(|scripts| scripts.watch());
        Self { directory, changes }
    }
}

#[async_trait]
impl ProgramSource for StoredScripts {
    async fn programs(
        &self,
        place: Place,
        whose: &Whose<'_>,
        library: &Library,
    ) -> Result<Vec<Found>, DirectoryError> {
        let Some(scripts) = self.directory.scripts() else {
            return Ok(Vec::new());
        };
        let scope = place.scope(whose);
        let name = match place {
            Place::GlobalRules | Place::DomainRules => return Ok(Vec::new()),
            Place::GlobalBefore | Place::DomainBefore => Some(BEFORE),
            Place::DomainAfter | Place::GlobalAfter => Some(AFTER),
            Place::Personal => None,
        };
        let kind = ScriptKind::Sieve;
        let found = match name {
            Some(name) => match scripts.script(&scope, kind, name).await {
                Ok(text) => Some((title(&scope, name), text)),
                Err(DirectoryError::NotFound(_)) => None,
                Err(error) => return Err(error),
            },
            None => match scripts.active_script(&scope, kind).await {
                Err(DirectoryError::NotFound(_)) => None,
                found => found?,
            },
        };
        let found = found.map(|(name, text)| Found {
            compiled: library.script(&name, &text),
            name,
        });
        Ok(found.into_iter().collect())
    }

    fn version(&self) -> Option<u64> {
        match (&self.changes, self.directory.scripts()) {
            (Some(changes), _) => Some(*changes.borrow()),
            // There never are any.
            (None, None) => Some(0),
            (None, Some(_)) => None,
        }
    }
}

/// What a script of a wider scope is called where errors are told.
fn title(scope: &Scope, name: &str) -> Arc<str> {
    match scope {
        Scope::Domain(domain) => format!("{name} of {domain}").into(),
        _ => name.into(),
    }
}
