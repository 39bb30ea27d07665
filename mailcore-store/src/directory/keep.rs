//! [`Keep`]: where a directory's changes outlive the process, and [`Change`],
//! what there is to keep.

use std::sync::Arc;

use mailcore::address::{Address, Domain};
use mailcore::seams::{AccountRecord, DirectoryError, DomainRecord};

use super::table::Table;

/// Keeps changes. Calls may block: they are made off the runtime's threads,
/// one at a time.
pub trait Keep: Send + 'static {
    /// Whether other processes may change what is kept, so that it is worth
    /// looking.
    const SHARED: bool;

    /// The whole directory, when others changed it since it was last read or
    /// written here.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`].
    fn refresh(&mut self) -> Result<Option<Table>, DirectoryError>;

    /// Makes a change durable. `seq` is the number of what it adds.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]; then nothing was kept.
    fn save(&mut self, change: &Change, seq: u64) -> Result<(), DirectoryError>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Keep for Nowhere {
    const SHARED: bool = false;

    fn refresh(&mut self) -> Result<Option<Table>, DirectoryError> {
        Ok(None)
    }

    fn save(&mut self, _change: &Change, _seq: u64) -> Result<(), DirectoryError> {
        Ok(())
    }
}

/// One change of a directory. Addresses are keys, that is, folded.
#[derive(Clone)]
pub enum Change {
    /// A new domain.
    AddDomain(DomainRecord),
    /// A domain goes.
    RemoveDomain(Domain),
    /// A new account with its password's hash.
    AddAccount(AccountRecord, Arc<str>),
    /// An account goes.
    RemoveAccount(Address),
    /// A new password's hash.
    SetPassword(Address, Arc<str>),
    /// New quota, in octets.
    SetQuota(Address, Option<u64>),
    /// Whether it may log in.
    SetAccess(Address, super::Access),
    /// What it may do.
    SetRole(Address, super::Role),
    /// A new alias with its targets.
    AddAlias(Address, Arc<[Address]>),
    /// An alias goes.
    RemoveAlias(Address),
}
