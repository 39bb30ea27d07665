//! [`Lists`] of a local directory.

use std::ops::Bound;

use async_trait::async_trait;
use mailcore::address::Address;
use mailcore::seams::{DirectoryError, ListRecord, Lists};

use super::keep::{Change, Keep, Section};
use super::local::LocalDirectory;
use super::table::{List, Table, key, not_found};

/// Members allowed on one list.
pub const MAX_LIST_MEMBERS: usize = 1_000_000;
/// Moderators allowed for one list.
const MAX_MODERATORS: usize = 100;

impl Table {
    fn expect_list(&self, list: &Address) -> Result<&List, DirectoryError> {
        match self.lists.get(&self.canonical(list)) {
            Some(found) => Ok(found),
            None => {
                self.check_complete(Section::Lists)?;
                Err(not_found(list))
            }
        }
    }
}

#[async_trait]
impl<K: Keep> Lists for LocalDirectory<K> {
    async fn list(&self, list: &Address) -> Result<Option<ListRecord>, DirectoryError> {
        self.read(|table| match table.expect_list(list) {
            Ok(found) => Ok(Some(found.record.clone())),
            Err(DirectoryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        })
        .await?
    }

    async fn members(
        &self,
        list: &Address,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<Address>, DirectoryError> {
        let after = after.map_or(Bound::Unbounded, |it| Bound::Excluded(key(it)));
        self.read(|table| {
            let found = table.expect_list(list)?;
            // Mail for half of a list would be lost for the other half.
            table.check_complete(Section::Lists)?;
            let members = found.members.range((after, Bound::Unbounded));
            Ok(members.take(limit).cloned().collect())
        })
        .await?
    }

    async fn is_member(&self, list: &Address, address: &Address) -> Result<bool, DirectoryError> {
        self.read(|table| {
            let members = &table.expect_list(list)?.members;
            match members.contains(&table.canonical(address)) || members.contains(&key(address)) {
                true => Ok(true),
                false => table.check_complete(Section::Lists).map(|()| false),
            }
        })
        .await?
    }

    async fn all_lists(&self) -> Result<Vec<Address>, DirectoryError> {
        self.read(|table| table.lists.keys().cloned().collect())
            .await
    }

    async fn add_list(&self, list: &ListRecord) -> Result<(), DirectoryError> {
        let mut list = list.clone();
        self.change(move |table| {
            list.address = key(&list.address);
            table.check_free(&list.address)?;
            check(&list)?;
            Ok((vec![Change::PutList(table.next_seq(), list)], ()))
        })
        .await
    }

    async fn change_list(&self, list: &ListRecord) -> Result<(), DirectoryError> {
        let mut list = list.clone();
        self.change(move |table| {
            let found = table.expect_list(&list.address)?;
            list.address.clone_from(&found.record.address);
            check(&list)?;
            Ok((vec![Change::PutList(found.seq, list)], ()))
        })
        .await
    }

    async fn remove_list(&self, list: &Address) -> Result<(), DirectoryError> {
        let list = list.clone();
        self.change(move |table| {
            let address = table.expect_list(&list)?.record.address.clone();
            Ok((vec![Change::RemoveList(address)], ()))
        })
        .await
    }

    async fn add_members(
        &self,
        list: &Address,
        members: &[Address],
    ) -> Result<usize, DirectoryError> {
        let (list, members) = (list.clone(), keys(members));
        self.change(move |table| {
            let found = table.expect_list(&list)?;
            let address = &found.record.address;
            if members.contains(address) {
                return Err(DirectoryError::Invalid(format!(
                    "{address} can't be a member of itself"
                )));
            }
            let new = |it: &Address| !found.members.contains(it);
            let changes: Vec<Change> = members
                .into_iter()
                .filter(new)
                .map(|it| Change::AddMember(address.clone(), it))
                .collect();
            if found.members.len() + changes.len() > MAX_LIST_MEMBERS {
                return Err(DirectoryError::Invalid(format!(
                    "a list has up to {MAX_LIST_MEMBERS} members"
                )));
            }
            let count = changes.len();
            Ok((changes, count))
        })
        .await
    }

    async fn remove_members(
        &self,
        list: &Address,
        members: &[Address],
    ) -> Result<usize, DirectoryError> {
        let (list, members) = (list.clone(), keys(members));
        self.change(move |table| {
            let found = table.expect_list(&list)?;
            let address = &found.record.address;
            let changes: Vec<Change> = members
                .into_iter()
                .filter(|it| found.members.contains(it))
                .map(|it| Change::RemoveMember(address.clone(), it))
                .collect();
            let count = changes.len();
            Ok((changes, count))
        })
        .await
    }
}

/// Members' keys, each once.
fn keys(members: &[Address]) -> std::collections::BTreeSet<Address> {
    members.iter().map(key).collect()
}

fn check(list: &ListRecord) -> Result<(), DirectoryError> {
    if list.moderators.len() > MAX_MODERATORS {
        return Err(DirectoryError::Invalid(format!(
            "a list has up to {MAX_MODERATORS} moderators"
        )));
    }
    match &list.members_file {
        Some(path) if path.to_str().is_none() => Err(DirectoryError::Invalid(
            "the path of a file of members must be UTF-8".into(),
        )),
        _ => Ok(()),
    }
}
