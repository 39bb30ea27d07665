//! [`Groups`] of a local directory.

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::seams::{DirectoryError, GroupKind, GroupName, GroupRecord, Groups};

use super::keep::{Change, Keep, Section};
use super::local::LocalDirectory;
use super::table::{Group, Table, not_found};

impl Table {
    /// The name under which a group is kept: an address in the domain that its
    /// own stands for.
    fn group_key(&self, name: &GroupName) -> GroupName {
        let address = name.address().map(|it| self.canonical(&it).to_string());
        address
            .and_then(|it| GroupName::parse(&it).ok())
            .unwrap_or_else(|| name.clone())
    }

    fn expect_group(&self, name: &GroupName) -> Result<(&GroupName, &Group), DirectoryError> {
        match self.groups.get_key_value(&self.group_key(name)) {
            Some(found) => Ok(found),
            None => {
                self.check_complete(Section::Groups)?;
                Err(not_found(name))
            }
        }
    }
}

#[async_trait]
impl<K: Keep> Groups for LocalDirectory<K> {
    async fn group(&self, name: &GroupName) -> Result<Option<GroupRecord>, DirectoryError> {
        self.read(|table| match table.expect_group(name) {
            Ok((name, group)) => Ok(Some(GroupRecord {
                name: name.clone(),
                kind: group.kind,
                members: group.members.iter().cloned().collect(),
            })),
            Err(DirectoryError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        })
        .await?
    }

    async fn groups_of(&self, account: &AccountId) -> Result<Vec<GroupName>, DirectoryError> {
        self.read(|table| {
            // Rights may be taken away by a group, too.
            table.check_complete(Section::Groups)?;
            let groups = table.groups_of.get(account);
            Ok(groups.into_iter().flatten().cloned().collect())
        })
        .await?
    }

    async fn all_groups(&self) -> Result<Vec<GroupName>, DirectoryError> {
        self.read(|table| table.groups.keys().cloned().collect())
            .await
    }

    async fn add_group(&self, name: &GroupName, kind: GroupKind) -> Result<(), DirectoryError> {
        let name = name.clone();
        self.change(move |table| {
            if table.groups.contains_key(&table.group_key(&name)) {
                return Err(DirectoryError::Exists(name.to_string()));
            }
            if let Some(address) = name.address() {
                table.check_free(&address)?;
            }
            Ok((vec![Change::PutGroup(table.next_seq(), name, kind)], ()))
        })
        .await
    }

    async fn change_group(&self, name: &GroupName, kind: GroupKind) -> Result<(), DirectoryError> {
        let name = name.clone();
        self.change(move |table| {
            let (name, group) = table.expect_group(&name)?;
            Ok((vec![Change::PutGroup(group.seq, name.clone(), kind)], ()))
        })
        .await
    }

    async fn remove_group(&self, name: &GroupName) -> Result<(), DirectoryError> {
        let name = name.clone();
        self.change(move |table| {
            let (name, _) = table.expect_group(&name)?;
            Ok((vec![Change::RemoveGroup(name.clone())], ()))
        })
        .await
    }

    async fn add_accounts(
        &self,
        name: &GroupName,
        accounts: &[AccountId],
    ) -> Result<usize, DirectoryError> {
        let (name, accounts) = (name.clone(), each_once(accounts));
        self.change(move |table| {
            let (name, group) = table.expect_group(&name)?;
            let mut changes = Vec::new();
            for account in accounts {
                table.expect_id(&account)?;
                if !group.members.contains(&account) {
                    changes.push(Change::AddToGroup(name.clone(), account));
                }
            }
            let count = changes.len();
            Ok((changes, count))
        })
        .await
    }

    async fn remove_accounts(
        &self,
        name: &GroupName,
        accounts: &[AccountId],
    ) -> Result<usize, DirectoryError> {
        let (name, accounts) = (name.clone(), each_once(accounts));
        self.change(move |table| {
            let (name, group) = table.expect_group(&name)?;
            let changes: Vec<Change> = accounts
                .into_iter()
                .filter(|it| group.members.contains(it))
                .map(|it| Change::RemoveFromGroup(name.clone(), it))
                .collect();
            let count = changes.len();
            Ok((changes, count))
        })
        .await
    }
}

fn each_once(accounts: &[AccountId]) -> std::collections::BTreeSet<AccountId> {
    accounts.iter().cloned().collect()
}
