//! Who is served here: domains, accounts, aliases, lists, groups, and what
//! holds for each of them.
//!
//! [`Directory`] is what the mail path asks and small; [`DirectoryWrite`]
//! changes it. What a directory may also know is reached through it like a
//! store's abilities: [`Lists`], [`Groups`], [`Settings`], [`Scripts`],
//! [`Secrets`], [`SecondFactors`], and for administrators [`Administration`] and [`Addresses`]. A
//! host implements those that it wants; the methods of these traits that change
//! something answer [`DirectoryError::Unsupported`] unless it does.

mod addresses;
mod administration;
mod certificate_name;
mod error;
mod groups;
mod lists;
mod records;
mod scripts;
mod second_factor;
mod secrets;
mod settings;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::account::{AccountId, Secret};
use crate::address::{Address, Domain};

pub use addresses::{
    AddressLine, AddressLineError, AddressQuery, AddressState, Addresses, ServedAddress, Stands,
};
pub use administration::{
    AccountChange, AccountTemplate, Administration, Held, Role, SharedSecret,
};
pub use certificate_name::{CertificateName, CertificateNameError};
pub use error::{DirectoryError, QuotaKind};
pub use groups::{GroupKind, GroupName, GroupRecord, Groups};
pub use lists::{ListMode, ListRecord, Lists, Membership, Post, Posting, ReplyTo};
pub use records::{
    AccountOptions, AccountRecord, AccountSummary, DomainKind, DomainRecord, KeepCopy, Redirect,
    Resolution, Sending,
};
pub use scripts::{ScriptEntry, ScriptKind, Scripts, check_script_name};
pub use second_factor::{Begins, CodeCheck, Enrolment, SecondFactor, SecondFactors};
pub use secrets::{AppPassword, AppPasswordScope, Secrets};
pub use settings::{MAX_SETTING_KEY, Scope, Setting, Settings};

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

    /// True when the account may administer the domain: as an administrator of
    /// everything or of this domain ([`Role`]). An account that may not log in
    /// may not.
    async fn may_administer(
        &self,
        actor: &AccountId,
        domain: &Domain,
    ) -> Result<bool, DirectoryError> {
        let _ = (actor, domain);
        Ok(false)
    }

    /// Distribution lists, where there are any.
    fn lists(&self) -> Option<&dyn Lists> {
        None
    }

    /// Groups of accounts.
    fn groups(&self) -> Option<&dyn Groups> {
        None
    }

    /// Settings by scope.
    fn settings(&self) -> Option<&dyn Settings> {
        None
    }

    /// Scripts and rule sets.
    fn scripts(&self) -> Option<&dyn Scripts> {
        None
    }

    /// Secrets beside the one password.
    fn secrets(&self) -> Option<&dyn Secrets> {
        None
    }

    /// Codes beside passwords.
    fn second_factors(&self) -> Option<&dyn SecondFactors> {
        None
    }
}

/// Changes the directory. Each call is durable when it returns.
#[async_trait]
pub trait DirectoryWrite: Directory {
    /// Adds a domain.
    async fn add_domain(&self, domain: &Domain, kind: DomainKind) -> Result<(), DirectoryError>;

    /// Removes a domain that nothing is in and no other domain is an alias of.
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

    /// Accounts' options, roles, and what new accounts begin with.
    fn administration(&self) -> Option<&dyn Administration> {
        None
    }

    /// Every served address in one listing.
    fn addresses(&self) -> Option<&dyn Addresses> {
        None
    }
}
