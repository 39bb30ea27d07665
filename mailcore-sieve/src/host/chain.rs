//! [`Chains`]: which programs run for an account, found once and held until a
//! source changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mailcore::account::AccountId;
use mailcore::seams::{Directory, DirectoryError};

use super::library::{Compiled, Library};
use super::source::{Place, ProgramSource, Whose};
use crate::engine::{CompileError, Program};

/// Accounts whose chains are held; more, and all are found anew.
const MAX_HELD: usize = 100_000;

/// A program and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) place: Place,
    pub(super) name: Arc<str>,
    pub(super) compiled: Compiled,
}

/// A link as it is held: the library alone owns programs, so that its limit is
/// that of all.
#[derive(Debug)]
struct HeldLink {
    place: Place,
    name: Arc<str>,
    program: Result<Weak<Program>, CompileError>,
}

/// Programs by account.
#[derive(Debug)]
pub(super) struct Chains {
    directory: Arc<dyn Directory>,
    sources: Vec<Arc<dyn ProgramSource>>,
    pub(super) library: Arc<Library>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    versions: Vec<u64>,
    chains: HashMap<AccountId, Box<[HeldLink]>>,
}

impl Chains {
    pub(super) fn new(
        directory: Arc<dyn Directory>,
        sources: Vec<Arc<dyn ProgramSource>>,
        library: Arc<Library>,
    ) -> Self {
        Self {
            directory,
            sources,
            library,
            held: Mutex::default(),
        }
    }

    /// What runs for an account, in order.
    pub(super) async fn of(&self, account: &AccountId) -> Result<Vec<Link>, DirectoryError> {
        // Read before the texts are, so that a change in between is seen the
        // next time.
        let versions: Option<Vec<u64>> = self.sources.iter().map(|it| it.version()).collect();
        if let Some(chain) = self.held(account, versions.as_deref()) {
            return Ok(chain);
        }
        let chain = self.find(account).await?;
        if let Some(versions) = versions {
            self.hold(account, versions, &chain);
        }
        Ok(chain)
    }

    async fn find(&self, account: &AccountId) -> Result<Vec<Link>, DirectoryError> {
        let mut chain = Vec::new();
        let Some(record) = self.directory.account(account).await? else {
            return Ok(chain);
        };
        let whose = Whose::new(account, &record.address);
        for place in Place::ALL {
            for source in &self.sources {
                let found = source.programs(place, &whose, &self.library).await?;
                let any = !found.is_empty();
                chain.extend(found.into_iter().map(|found| Link {
                    place,
                    name: found.name,
                    compiled: found.compiled,
                }));
                if any && place == Place::Personal {
                    break;
                }
            }
        }
        Ok(chain)
    }

    /// The chain as it was found, unless a source changed or the library let go
    /// of a program.
    fn held(&self, account: &AccountId, versions: Option<&[u64]>) -> Option<Vec<Link>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if versions != Some(&held.versions) {
            return None;
        }
        let links = held.chains.get(account)?.iter().map(|link| {
            let compiled = match &link.program {
                Ok(program) => Ok(program.upgrade()?),
                Err(error) => Err(error.clone()),
            };
            Some(Link {
                place: link.place,
                name: Arc::clone(&link.name),
                compiled,
            })
        });
        links.collect()
    }

    fn hold(&self, account: &AccountId, versions: Vec<u64>, chain: &[Link]) {
        let links = chain.iter().map(|link| HeldLink {
            place: link.place,
            name: Arc::clone(&link.name),
            program: match &link.compiled {
                Ok(program) => Ok(Arc::downgrade(program)),
                Err(error) => Err(error.clone()),
            },
        });
        let links = links.collect();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.versions != versions || held.chains.len() >= MAX_HELD {
            held.chains.clear();
            held.versions = versions;
        }
        held.chains.insert(account.clone(), links);
    }
}
