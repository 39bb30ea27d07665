//! [`Keep`]: where a directory's changes outlive the process; [`Change`], what
//! there is to keep; [`Damage`], what could not be read back.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::seams::{
    AccountRecord, AccountTemplate, AddressState, AppPasswordScope, CertificateName,
    DirectoryError, DomainRecord, GroupKind, GroupName, ListRecord, Role, Scope, ScriptKind,
};
use mailcore::time::Timestamp;

use super::table::Table;

/// Keeps changes. Calls may block: they are made off the runtime's threads,
/// one at a time.
pub trait Keep: Send + 'static {
    /// Whether other processes may change what is kept, so that it is worth
    /// looking.
    const SHARED: bool;
    /// Whether scripts' texts are read back one by one ([`Keep::script`])
    /// rather than held in memory.
    const HOLDS_SCRIPTS: bool;

    /// The whole directory, when others changed it since it was last read or
    /// written here.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`].
    fn refresh(&mut self) -> Result<Option<Table>, DirectoryError>;

    /// Makes changes durable, all or none.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]; then nothing was kept.
    fn save(&mut self, changes: &[Change]) -> Result<(), DirectoryError>;

    /// The text of a script, where they are held here.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`].
    fn script(&mut self, key: &ScriptKey) -> Result<Option<Arc<str>>, DirectoryError>;

    /// What opening it came upon.
    fn opened(&self) -> Opened;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Keep for Nowhere {
    const SHARED: bool = false;
    const HOLDS_SCRIPTS: bool = false;

    fn refresh(&mut self) -> Result<Option<Table>, DirectoryError> {
        Ok(None)
    }

    fn save(&mut self, _changes: &[Change]) -> Result<(), DirectoryError> {
        Ok(())
    }

    fn script(&mut self, _key: &ScriptKey) -> Result<Option<Arc<str>>, DirectoryError> {
        Ok(None)
    }

    fn opened(&self) -> Opened {
        Opened::default()
    }
}

/// One change of a directory, to be applied after the rules allowed it.
/// Addresses and domains are keys, that is, folded and in A-labels. `Put` adds
/// what is not there and replaces what is.
#[derive(Clone)]
#[non_exhaustive]
pub enum Change {
    /// A domain, by its number.
    PutDomain(u64, DomainRecord),
    /// A domain goes, with its template, settings and scripts.
    RemoveDomain(Domain),
    /// The domain of logins without one.
    SetDefaultDomain(Option<Domain>),
    /// What new accounts of a domain begin with.
    PutTemplate(Domain, AccountTemplate),
    /// An account, by its number.
    PutAccount(AccountRow),
    /// A new password's hash.
    SetPassword(AccountId, Arc<str>),
    /// An account goes, with its secrets, settings, scripts and places in
    /// groups.
    RemoveAccount(AccountId),
    /// An alias, by its number, and its targets.
    PutAlias(u64, Address, Arc<[Address]>),
    /// An alias goes.
    RemoveAlias(Address),
    /// An address is served or not.
    Switch(Address, AddressState),
    /// A list without its members, by its number.
    PutList(u64, ListRecord),
    /// A list goes with its members.
    RemoveList(Address),
    /// Somebody is on a list.
    AddMember(Address, Address),
    /// Somebody is no longer on a list.
    RemoveMember(Address, Address),
    /// A group without its members, by its number.
    PutGroup(u64, GroupName, GroupKind),
    /// A group goes.
    RemoveGroup(GroupName),
    /// An account is in a group.
    AddToGroup(GroupName, AccountId),
    /// An account is no longer in a group.
    RemoveFromGroup(GroupName, AccountId),
    /// A setting.
    PutSetting(Scope, Arc<str>, Arc<str>),
    /// A setting goes.
    RemoveSetting(Scope, Arc<str>),
    /// A script.
    PutScript(ScriptKey, Arc<str>),
    /// A script has another name.
    RenameScript(ScriptKey, Arc<str>),
    /// This script of its owner and kind is the active one, or none.
    SetActive(Scope, ScriptKind, Option<Arc<str>>),
    /// A script goes.
    RemoveScript(ScriptKey),
    /// An app password.
    PutAppPassword(AccountId, AppPasswordRow),
    /// An app password goes.
    RemoveAppPassword(AccountId, Arc<str>),
    /// An encrypted secret.
    PutSecret(AccountId, Arc<str>, Arc<[u8]>),
    /// An encrypted secret goes.
    RemoveSecret(AccountId, Arc<str>),
    /// Certificates of a name stand for an account.
    PutCertificate(AccountId, CertificateName),
    /// They do no longer.
    RemoveCertificate(AccountId, CertificateName),
}

/// An account and what only the directory knows of it.
#[derive(Clone)]
pub struct AccountRow {
    /// Its number: accounts made earlier have lower ones.
    pub seq: u64,
    /// What others see.
    pub record: AccountRecord,
    /// The password's hash: ours, in PHC form, or another server's.
    pub hash: Arc<str>,
    /// What it may administer.
    pub role: Role,
}

/// An app password and its hash.
#[derive(Clone)]
pub struct AppPasswordRow {
    /// What its owner calls it.
    pub name: Arc<str>,
    /// Its hash.
    pub hash: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last let somebody in.
    pub last_used: Option<Timestamp>,
    /// Where it counts.
    pub scope: AppPasswordScope,
    /// SCRAM's keys of it, encrypted.
    pub keys: Option<Arc<[u8]>>,
}

/// Names a script.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScriptKey {
    /// Whose it is.
    pub owner: Scope,
    /// What it is.
    pub kind: ScriptKind,
    /// Its name.
    pub name: Arc<str>,
}

/// A part of a directory that may be damaged while the rest is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Section {
    /// Domains and their templates.
    Domains,
    /// Accounts and who administers what.
    Accounts,
    /// Aliases and their targets.
    Aliases,
    /// Addresses switched off.
    Switches,
    /// Lists and their members.
    Lists,
    /// Groups and their members.
    Groups,
    /// Settings.
    Settings,
    /// Scripts and rule sets.
    Scripts,
    /// App passwords, encrypted secrets and clients' certificates.
    Secrets,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domains => "domains",
            Self::Accounts => "accounts",
            Self::Aliases => "aliases",
            Self::Switches => "addresses switched off",
            Self::Lists => "lists",
            Self::Groups => "groups",
            Self::Settings => "settings",
            Self::Scripts => "scripts",
            Self::Secrets => "app passwords and secrets",
        })
    }
}

impl Change {
    /// The section that the change is made in.
    pub fn section(&self) -> Section {
        match self {
            Self::PutDomain(..)
            | Self::RemoveDomain(_)
            | Self::SetDefaultDomain(_)
            | Self::PutTemplate(..) => Section::Domains,
            Self::PutAccount(_) | Self::SetPassword(..) | Self::RemoveAccount(_) => {
                Section::Accounts
            }
            Self::PutAlias(..) | Self::RemoveAlias(_) => Section::Aliases,
            Self::Switch(..) => Section::Switches,
            Self::PutList(..)
            | Self::RemoveList(_)
            | Self::AddMember(..)
            | Self::RemoveMember(..) => Section::Lists,
            Self::PutGroup(..)
            | Self::RemoveGroup(_)
            | Self::AddToGroup(..)
            | Self::RemoveFromGroup(..) => Section::Groups,
            Self::PutSetting(..) | Self::RemoveSetting(..) => Section::Settings,
            Self::PutScript(..)
            | Self::RenameScript(..)
            | Self::SetActive(..)
            | Self::RemoveScript(_) => Section::Scripts,
            Self::PutAppPassword(..)
            | Self::RemoveAppPassword(..)
            | Self::PutSecret(..)
            | Self::RemoveSecret(..)
            | Self::PutCertificate(..)
            | Self::RemoveCertificate(..) => Section::Secrets,
        }
    }

    /// True when something secret ends by it, which then must leave the disk.
    pub fn ends_secret(&self) -> bool {
        matches!(
            self,
            Self::SetPassword(..)
                | Self::RemoveAccount(_)
                | Self::RemoveAppPassword(..)
                | Self::PutSecret(..)
                | Self::RemoveSecret(..)
        )
    }
}

/// A section that could not be read in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which one.
    pub section: Section,
    /// How bad it is.
    pub extent: Extent,
    /// What reading it said, of the first fault.
    pub reason: String,
}

/// How much of a section is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many rows make no sense. They are left as they are; others may be
    /// changed.
    Rows(u64),
    /// Pages of the file are unreadable, so that nobody knows what is missing.
    /// The section is not written.
    Pages,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            section,
            extent,
            reason,
        } = self;
        match extent {
            Extent::Rows(count) => write!(
                f,
                "{count} rows of the directory's {section} make no sense and are left out: {reason}"
            ),
            Extent::Pages => write!(
                f,
                "the directory's {section} are damaged: what can be read is served, nothing is \
                 written to them; restore directory.db from a backup: {reason}"
            ),
        }
    }
}

/// What opening a directory came upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// The schema that the file had, and the copy made of it, when it was
    /// brought to the present one.
    pub migrated: Option<(i64, PathBuf)>,
    /// What is damaged now.
    pub damage: Vec<Damage>,
}
