//! [`Groups`]: accounts under one name, for access rights and as an address.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use super::DirectoryError;
use crate::account::AccountId;
use crate::address::Address;

/// Octets allowed in a group's bare name.
const MAX_NAME: usize = 64;

/// Groups of accounts. *Cost*: the groups of an account are a lookup, for it is
/// asked whenever rights are checked.
#[async_trait]
pub trait Groups: Debug + Send + Sync {
    /// A group with its members.
    async fn group(&self, name: &GroupName) -> Result<Option<GroupRecord>, DirectoryError>;

    /// The groups that an account is in, in name order.
    async fn groups_of(&self, account: &AccountId) -> Result<Vec<GroupName>, DirectoryError>;

    /// Every group, in name order.
    async fn all_groups(&self) -> Result<Vec<GroupName>, DirectoryError>;

    /// Adds a group without members. A name that is an address must be free, in
    /// a local domain.
    async fn add_group(&self, name: &GroupName, kind: GroupKind) -> Result<(), DirectoryError> {
        let _ = (name, kind);
        Err(DirectoryError::Unsupported("change groups"))
    }

    /// Opens or closes a group.
    async fn change_group(&self, name: &GroupName, kind: GroupKind) -> Result<(), DirectoryError> {
        let _ = (name, kind);
        Err(DirectoryError::Unsupported("change groups"))
    }

    /// Removes a group.
    async fn remove_group(&self, name: &GroupName) -> Result<(), DirectoryError> {
        let _ = name;
        Err(DirectoryError::Unsupported("change groups"))
    }

    /// Puts accounts in a group; how many were not there. They stay in it when
    /// their addresses change.
    async fn add_accounts(
        &self,
        name: &GroupName,
        accounts: &[AccountId],
    ) -> Result<usize, DirectoryError> {
        let _ = (name, accounts);
        Err(DirectoryError::Unsupported("change groups"))
    }

    /// Takes accounts out of a group; how many were there.
    async fn remove_accounts(
        &self,
        name: &GroupName,
        accounts: &[AccountId],
    ) -> Result<usize, DirectoryError> {
        let _ = (name, accounts);
        Err(DirectoryError::Unsupported("change groups"))
    }
}

/// A group's name: an address, or a bare name of letters, digits, `-`, `_` and
/// `.`, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// Parses a name; a leading `$` is taken off.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] for what is neither an address nor a bare
    /// name.
    pub fn parse(text: &str) -> Result<Self, DirectoryError> {
        let text = text.strip_prefix('$').unwrap_or(text);
        if text.contains('@') {
            let address = Address::parse(text)
                .map_err(|error| DirectoryError::Invalid(format!("\"{text}\": {error}")))?;
            return Ok(Self(address.folded().to_string().into()));
        }
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(allowed) {
            return Err(DirectoryError::Invalid(format!(
                "\"{text}\": a group's name is an address, or up to {MAX_NAME} octets of letters, \
                 digits, \"-\", \"_\" and \".\""
            )));
        }
        Ok(Self(text.to_lowercase().into()))
    }

    /// The name without `$`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, when the name is one.
    pub fn address(&self) -> Option<Address> {
        Address::parse(&self.0).ok()
    }

    /// The name as an identifier of access rights, where a user's is an address
    /// (RFC 4314 section 3 leaves its form to the server).
    pub fn acl_identifier(&self) -> String {
        format!("${}", self.0)
    }
}

impl FromStr for GroupName {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// Its name.
    pub name: GroupName,
    /// Who may write to it.
    pub kind: GroupKind,
    /// Who is in it, in id order.
    pub members: Vec<AccountId>,
}

/// Who may write to a group that has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupKind {
    /// Anybody.
    #[default]
    Open,
    /// Senders who logged in here.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_or_bare() {
        for (text, name, identifier) in [
            ("$Staff", "staff", "$staff"),
            ("Staff@X.test", "staff@x.test", "$staff@x.test"),
            ("отдел-1", "отдел-1", "$отдел-1"),
        ] {
            let group = GroupName::parse(text).unwrap();
            assert_eq!(
                (group.as_str(), group.acl_identifier().as_str()),
                (name, identifier)
            );
        }
        for text in ["", "$", "a b", "a@", "@x.test", "a/b"] {
            assert!(GroupName::parse(text).is_err(), "{text:?}");
        }
    }
}
