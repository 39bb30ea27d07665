//! [`Lists`]: distribution lists, who is on them and who may write to them.
//!
//! What is kept, not how mail is expanded: members may be lists themselves, and
//! whoever expands them looks out for loops.

use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;

use super::DirectoryError;
use crate::address::Address;

/// Distribution lists. *Cost*: a list with tens of thousands of members is read
/// in pages; whether somebody is a member is a lookup.
#[async_trait]
pub trait Lists: Debug + Send + Sync {
    /// A list by its address.
    async fn list(&self, list: &Address) -> Result<Option<ListRecord>, DirectoryError>;

    /// Up to `limit` members in address order, after `after`. A list whose
    /// members come from a file has none here.
    async fn members(
        &self,
        list: &Address,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<Address>, DirectoryError>;

    /// True when the address itself is on the list.
    async fn is_member(&self, list: &Address, address: &Address) -> Result<bool, DirectoryError>;

    /// Every list's address, in order.
    async fn all_lists(&self) -> Result<Vec<Address>, DirectoryError>;

    /// Adds a list without members, at a free address of a local domain.
    async fn add_list(&self, list: &ListRecord) -> Result<(), DirectoryError> {
        let _ = list;
        Err(DirectoryError::Unsupported("change lists"))
    }

    /// Changes everything but the members.
    async fn change_list(&self, list: &ListRecord) -> Result<(), DirectoryError> {
        let _ = list;
        Err(DirectoryError::Unsupported("change lists"))
    }

    /// Removes a list with its members.
    async fn remove_list(&self, list: &Address) -> Result<(), DirectoryError> {
        let _ = list;
        Err(DirectoryError::Unsupported("change lists"))
    }

    /// Adds members, all at once; how many were not there.
    async fn add_members(
        &self,
        list: &Address,
        members: &[Address],
    ) -> Result<usize, DirectoryError> {
        let _ = (list, members);
        Err(DirectoryError::Unsupported("change lists"))
    }

    /// Removes members, all at once; how many were there.
    async fn remove_members(
        &self,
        list: &Address,
        members: &[Address],
    ) -> Result<usize, DirectoryError> {
        let _ = (list, members);
        Err(DirectoryError::Unsupported("change lists"))
    }
}

/// A list without its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRecord {
    /// Its address.
    pub address: Address,
    /// Who may write to it.
    pub mode: ListMode,
    /// Whether moderation narrows that.
    pub posting: Posting,
    /// Who answers for it.
    pub owner: Option<Address>,
    /// Who may write in any case, and release what waits for a moderator.
    pub moderators: Vec<Address>,
    /// Where answers go.
    pub reply_to: ReplyTo,
    /// Where failure notices go; `None` for the owner.
    pub errors_to: Option<Address>,
    /// A file with one member a line, read when mail is expanded, instead of
    /// members kept here.
    pub members_file: Option<PathBuf>,
}

impl ListRecord {
    /// A list that anybody may write to and nobody owns.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            mode: ListMode::Public,
            posting: Posting::ByMode,
            owner: None,
            moderators: Vec::new(),
            reply_to: ReplyTo::Sender,
            errors_to: None,
            members_file: None,
        }
    }

    /// Whether a sender may write to the list. Addresses are compared folded.
    pub fn post(&self, sender: &Address, membership: Membership) -> Post {
        if self.is_moderator(sender) {
            return Post::Now;
        }
        let by_mode = self.mode == ListMode::Public || membership == Membership::Member;
        match self.posting {
            Posting::ByMode if by_mode => Post::Now,
            Posting::Moderated if by_mode => Post::WhenApproved,
            _ => Post::Never,
        }
    }

    /// True when a sender may write to the list at once.
    pub fn may_post(&self, sender: &Address, membership: Membership) -> bool {
        self.post(sender, membership) == Post::Now
    }

    /// True for the owner and the moderators.
    pub fn is_moderator(&self, sender: &Address) -> bool {
        let sender = sender.folded();
        let is = |other: &Address| other.folded() == sender;
        self.owner.as_ref().is_some_and(is) || self.moderators.iter().any(is)
    }
}

/// Whether what a sender writes goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// It does.
    Now,
    /// Once a moderator has approved it.
    WhenApproved,
    /// It does not.
    Never,
}

/// Whether a sender is on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It is.
    Member,
    /// It is not.
    Outsider,
}

/// Who may write to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListMode {
    /// Anybody.
    #[default]
    Public,
    /// Its members; others are refused (550 5.7.1).
    Membership,
}

/// Whether moderation narrows who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Posting {
    /// No: as [`ListMode`] says.
    #[default]
    ByMode,
    /// Only moderators and the owner write.
    Moderators,
    /// What others than they write waits for one of them, where [`ListMode`] lets
    /// them write at all.
    Moderated,
}

/// Where answers to a list's mail go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ReplyTo {
    /// Where the sender's own header says.
    #[default]
    Sender,
    /// To the list.
    List,
    /// To this address.
    Address(Address),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_who_may_write_to_it() {
        let address = |text: &str| Address::parse(text).unwrap();
        let mut list = ListRecord::new(address("list@x.test"));
        list.owner = Some(address("owner@x.test"));
        list.moderators = vec![address("Mod@x.test")];
        let anybody = address("a@elsewhere.test");
        assert!(list.may_post(&anybody, Membership::Outsider));
        list.mode = ListMode::Membership;
        assert!(!list.may_post(&anybody, Membership::Outsider));
        assert!(list.may_post(&anybody, Membership::Member));
        list.posting = Posting::Moderated;
        assert_eq!(list.post(&anybody, Membership::Member), Post::WhenApproved);
        assert_eq!(list.post(&anybody, Membership::Outsider), Post::Never);
        list.posting = Posting::Moderators;
        assert!(!list.may_post(&anybody, Membership::Member));
        for allowed in ["owner@x.test", "mod@x.test"] {
            assert!(list.may_post(&address(allowed), Membership::Outsider));
        }
    }
}
