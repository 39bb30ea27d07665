//! [`Administration`]: accounts' options and lives, administrators' reach, and
//! what new accounts begin with.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{AccountOptions, AccountRecord, DirectoryError, Redirect, Sending};
use crate::account::AccountId;
use crate::address::{Address, Domain};

/// What administrators do beyond
/// [`DirectoryWrite`](super::DirectoryWrite). Each call is durable when it
/// returns, all or nothing.
#[async_trait]
pub trait Administration: Debug + Send + Sync {
    /// Changes what an account may do and how it is served.
    async fn change_account(
        &self,
        address: &Address,
        change: &AccountChange,
    ) -> Result<AccountRecord, DirectoryError>;

    /// Gives an account another primary address; its id, and so its mail,
    /// stays. The new one is free, or an alias of this account alone; the old
    /// one becomes such an alias.
    async fn rename_account(&self, address: &Address, new: &Address) -> Result<(), DirectoryError> {
        let _ = (address, new);
        Err(DirectoryError::Unsupported("rename an account"))
    }

    /// Removes an account and has its addresses, the primary one and every
    /// alias, reach `heir` from now on; without one they end, as do aliases
    /// that stood for nothing else. Its places in lists go the same way. Its
    /// id, for the caller to remove its mail by.
    async fn close_account(
        &self,
        address: &Address,
        heir: Option<&Address>,
    ) -> Result<AccountId, DirectoryError> {
        let _ = (address, heir);
        Err(DirectoryError::Unsupported("close an account"))
    }

    /// Makes an account whose password is known by the hash that another server
    /// kept of it, as [`set_password_hash`](Self::set_password_hash) takes it.
    ///
    /// # Errors
    /// As there, and those of
    /// [`DirectoryWrite::add_account`](super::DirectoryWrite::add_account).
    async fn add_account_with_hash(
        &self,
        address: &Address,
        hash: &str,
    ) -> Result<AccountId, DirectoryError> {
        let _ = (address, hash);
        Err(DirectoryError::Unsupported("take over password hashes"))
    }

    /// Sets a password by the hash that another server kept of it, which is
    /// replaced by the directory's own at the next login.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] for a hash of a kind that is not known, is
    /// too weak, or costs too much to check.
    async fn set_password_hash(&self, address: &Address, hash: &str) -> Result<(), DirectoryError> {
        let _ = (address, hash);
        Err(DirectoryError::Unsupported("take over password hashes"))
    }

    /// The mechanisms turned on for an account that need a shared secret.
    async fn shared_secrets(
        &self,
        address: &Address,
    ) -> Result<Vec<(SharedSecret, Held)>, DirectoryError> {
        let _ = address;
        Ok(Vec::new())
    }

    /// Turns these mechanisms on and all others off; what those needed is gone
    /// from disk when the call returns.
    async fn allow_shared_secrets(
        &self,
        address: &Address,
        allowed: &[SharedSecret],
    ) -> Result<(), DirectoryError> {
        let _ = (address, allowed);
        Err(DirectoryError::Unsupported(
            "keep what these mechanisms need",
        ))
    }

    /// What an account may administer.
    async fn role(&self, address: &Address) -> Result<Role, DirectoryError> {
        let _ = address;
        Ok(Role::User)
    }

    /// Sets what an account may administer.
    async fn set_role(&self, address: &Address, role: &Role) -> Result<(), DirectoryError> {
        let _ = (address, role);
        Err(DirectoryError::Unsupported("make administrators"))
    }

    /// What new accounts of a domain begin with.
    async fn template(&self, domain: &Domain) -> Result<AccountTemplate, DirectoryError> {
        let _ = domain;
        Ok(AccountTemplate::default())
    }

    /// Sets what new accounts of a local domain begin with; those that exist
    /// keep what they have.
    async fn set_template(
        &self,
        domain: &Domain,
        template: &AccountTemplate,
    ) -> Result<(), DirectoryError> {
        let _ = (domain, template);
        Err(DirectoryError::Unsupported("keep templates"))
    }

    /// The domain that a login without one means: the one set, else the local
    /// domain made first.
    async fn default_domain(&self) -> Result<Option<Domain>, DirectoryError> {
        Ok(None)
    }

    /// Sets that domain, a local one; `None` for the first.
    async fn set_default_domain(&self, domain: Option<&Domain>) -> Result<(), DirectoryError> {
        let _ = domain;
        Err(DirectoryError::Unsupported("set a default domain"))
    }
}

/// A mechanism that needs something from which who has it can log in: it is
/// kept, encrypted, for the accounts alone that an administrator turned it on
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SharedSecret {
    /// CRAM-MD5 (RFC 2195).
    CramMd5,
    /// APOP (RFC 1939 section 7): the password itself is kept.
    Apop,
    /// NTLM (MS-NLMP).
    Ntlm,
}

impl SharedSecret {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CramMd5, Self::Apop, Self::Ntlm];

    /// Its name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CramMd5 => "cram-md5",
            Self::Apop => "apop",
            Self::Ntlm => "ntlm",
        }
    }
}

/// Whether what a mechanism needs is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// The mechanism works.
    Yes,
    /// It works once the password was set anew, or used for a login that shows
    /// it.
    AtNextPassword,
}

/// What an account may administer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Role {
    /// Its own mail.
    #[default]
    User,
    /// These domains. Mail to `postmaster` and `abuse` of each comes to its
    /// first administrator when nobody has these names.
    Domains(Vec<Domain>),
    /// Everything; and such mail of the account's own domain.
    Global,
}

/// What to change about an account; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountChange {
    /// Octets; `Some(None)` for no limit.
    pub quota: Option<Option<u64>>,
    /// Messages; `Some(None)` for no limit.
    pub quota_messages: Option<Option<u64>>,
    /// Whether it may log in.
    pub enabled: Option<bool>,
    /// A person's name; `Some(None)` for none.
    pub display_name: Option<Option<Arc<str>>>,
    /// Language tag; `Some(None)` for the server's.
    pub language: Option<Option<Arc<str>>>,
    /// Where it may send.
    pub sending: Option<Sending>,
    /// Where its mail goes; `Some(None)` for its own mailbox.
    pub redirect: Option<Option<Redirect>>,
    /// Whether contact lists show it.
    pub in_contacts: Option<bool>,
    /// Whether mail that is kept apart is filed to its junk folder.
    pub spam_to_folder: Option<bool>,
    /// Whether its domain's signature is added.
    pub domain_signature: Option<bool>,
}

impl AccountChange {
    /// The account after the change.
    #[must_use]
    pub fn apply(&self, mut account: AccountRecord) -> AccountRecord {
        set(&mut account.quota, &self.quota);
        set(&mut account.quota_messages, &self.quota_messages);
        set(&mut account.enabled, &self.enabled);
        let options = &mut account.options;
        set(&mut options.display_name, &self.display_name);
        set(&mut options.language, &self.language);
        set(&mut options.sending, &self.sending);
        set(&mut options.redirect, &self.redirect);
        set(&mut options.in_contacts, &self.in_contacts);
        set(&mut options.spam_to_folder, &self.spam_to_folder);
        set(&mut options.domain_signature, &self.domain_signature);
        account
    }
}

fn set<T: Clone>(field: &mut T, wanted: &Option<T>) {
    if let Some(wanted) = wanted {
        field.clone_from(wanted);
    }
}

/// What a new account begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTemplate {
    /// Octets it may hold.
    pub quota: Option<u64>,
    /// Messages it may hold.
    pub quota_messages: Option<u64>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Its options; a name or a redirection is nobody's in advance and is left
    /// out.
    pub options: AccountOptions,
}

impl Default for AccountTemplate {
    /// No limits, and the default options.
    fn default() -> Self {
        Self {
            quota: None,
            quota_messages: None,
            enabled: true,
            options: AccountOptions::default(),
        }
    }
}

impl AccountTemplate {
    /// A new account made after it.
    pub fn account(&self, id: AccountId, address: Address) -> AccountRecord {
        let mut account = AccountRecord::new(id, address);
        account.quota = self.quota;
        account.quota_messages = self.quota_messages;
        account.enabled = self.enabled;
        account.options = AccountOptions {
            display_name: None,
            redirect: None,
            ..self.options.clone()
        };
        account
    }
}
