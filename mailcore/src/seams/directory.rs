//! Domains, accounts, aliases: who is served here.

use std::fmt::Debug;

use async_trait::async_trait;
use thiserror::Error;

use crate::account::{AccountId, Secret};
use crate::address::{Address, Domain};

/// Reads the directory. Addresses are compared folded
/// ([`Address::folded`]); sub-addresses (`user+detail`) are resolved here.
#[async_trait]
pub trait Directory: Debug + Send + Sync {
    /// The domain, when it is served here.
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError>;

    /// What an address of a served domain stands for. `postmaster` and `abuse`
    /// of every local domain resolve: to an account or alias of that name, else
    /// to the domain's first administrator, else to its first account.
    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError>;

    /// An account by its id.
    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError>;

    /// True when the account may send as this address: its own, its aliases'.
    async fn may_send_as(&self, id: &AccountId, address: &Address) -> Result<bool, DirectoryError>;

    /// Every domain served here.
    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError>;
}

/// Changes the directory. Each call is durable when it returns.
#[async_trait]
pub trait DirectoryWrite: Directory {
    /// Adds a domain.
    async fn add_domain(&self, domain: &Domain, kind: DomainKind) -> Result<(), DirectoryError>;

    /// Removes a domain that has no accounts or aliases.
    async fn remove_domain(&self, domain: &Domain) -> Result<(), DirectoryError>;

    /// Adds an account with its primary address; the password is kept as a
    /// hash only.
    async fn add_account(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<AccountId, DirectoryError>;

    /// Removes an account. Its mail stays in the storage.
    async fn remove_account(&self, address: &Address) -> Result<(), DirectoryError>;

    /// Sets a new password.
    async fn set_password(
        &self,
        address: &Address,
        password: &Secret,
    ) -> Result<(), DirectoryError>;

    /// Adds an alias.
    async fn add_alias(&self, alias: &Address, targets: &[Address]) -> Result<(), DirectoryError>;

    /// Removes an alias.
    async fn remove_alias(&self, alias: &Address) -> Result<(), DirectoryError>;

    /// Accounts, of one domain or all, in address order.
    async fn accounts(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<AccountSummary>, DirectoryError>;

    /// Aliases with their targets, in address order.
    async fn aliases(&self) -> Result<Vec<(Address, Vec<Address>)>, DirectoryError>;
}

/// A served domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRecord {
    /// Its name.
    pub domain: Domain,
    /// How it is served.
    pub kind: DomainKind,
}

/// How a domain is served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DomainKind {
    /// Its mailboxes are here.
    Local,
    /// Its mail is taken and handed to another host.
    Relay {
        /// Name or address literal.
        host: Domain,
        /// Port.
        port: u16,
    },
}

/// What an address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// An account here.
    Account(AccountId),
    /// Other addresses.
    Alias(Vec<Address>),
    /// Nothing: the domain is ours, the address is not.
    Unknown,
}

/// An account as the mail path needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its key.
    pub id: AccountId,
    /// Its primary address.
    pub address: Address,
    /// Octets it may hold; `None` for no limit.
    pub quota: Option<u64>,
    /// False when it may not log in.
    pub enabled: bool,
}

/// A line of the account listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub account: AccountRecord,
}

/// Why the directory did not do what was asked.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Not there: add it first.
    #[error("{0} does not exist; add it first")]
    NotFound(String),
    /// There already.
    #[error("{0} exists already")]
    Exists(String),
    /// The domain is not local.
    #[error("{0} is not a local domain; add it with `domain add`")]
    NotLocal(Domain),
    /// Something still depends on it.
    #[error("{what} is still in use by {by}; remove that first")]
    InUse {
        /// What was to go.
        what: String,
        /// Who needs it.
        by: String,
    },
    /// The value is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// The directory can't be read or written now.
    #[error("the directory is not available: {0}")]
    Unavailable(String),
}
