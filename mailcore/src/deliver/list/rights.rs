//! Who may write to a list.

use std::collections::HashSet;

use super::members_file;
use crate::address::Address;
use crate::seams::{
    Directory, DirectoryError, GroupName, ListMode, ListRecord, Lists, Membership, Post, Posting,
    Resolution, Writer,
};

/// Lists within lists that are looked into for a member.
const MAX_INNER: usize = 100;

/// Whether what `sender` writes to a list goes out.
///
/// # Errors
/// The directory does not answer, or a file of members can't be read.
pub(crate) async fn posts(
    directory: &dyn Directory,
    list: &ListRecord,
    sender: &Address,
    writer: Writer<'_>,
) -> Result<Post, DirectoryError> {
    let names = names_of(directory, sender, writer).await?;
    if names.iter().any(|name| list.is_moderator(name)) {
        return Ok(Post::Now);
    }
    let membership = match (list.posting, list.mode) {
        (Posting::Moderators, _) | (_, ListMode::Public) => Membership::Outsider,
        _ => membership(directory, list, &names).await?,
    };
    Ok(match names.first() {
        Some(name) => list.post(name, membership),
        // A forged sender is nobody, and nobody is at most the public.
        None => nobody(list),
    })
}

/// True when `sender` may release what waits.
///
/// # Errors
/// The directory does not answer.
pub(super) async fn is_moderator(
    directory: &dyn Directory,
    list: &ListRecord,
    sender: &Address,
    writer: Writer<'_>,
) -> Result<bool, DirectoryError> {
    let names = names_of(directory, sender, writer).await?;
    Ok(names.iter().any(|name| list.is_moderator(name)))
}

/// Who answers for a list: somebody always does.
pub(crate) fn owners(list: &ListRecord) -> Vec<Address> {
    let owner = list.owner.iter().cloned();
    let owners: Vec<Address> = match &list.owner {
        Some(_) => owner.collect(),
        None => list.moderators.clone(),
    };
    if !owners.is_empty() {
        return owners;
    }
    let postmaster = Address::new("postmaster", list.address.domain().clone());
    postmaster.into_iter().collect()
}

fn nobody(list: &ListRecord) -> Post {
    match (list.posting, list.mode) {
        (Posting::ByMode, ListMode::Public) => Post::Now,
        (Posting::Moderated, ListMode::Public) => Post::WhenApproved,
        _ => Post::Never,
    }
}

/// The addresses by which a sender may be known to a list. An address of ours
/// counts only from one who is known to have it: anybody can write it into MAIL.
async fn names_of(
    directory: &dyn Directory,
    sender: &Address,
    writer: Writer<'_>,
) -> Result<Vec<Address>, DirectoryError> {
    let served = directory.domain(sender.domain()).await?.is_some();
    if !served {
        return Ok(vec![sender.clone()]);
    }
    let stands = directory.resolve(sender).await?;
    if writer == Writer::Stranger && stands != Resolution::Unknown {
        return Ok(Vec::new());
    }
    let mut names = vec![sender.clone()];
    if let Resolution::Account(id) = stands {
        let account = directory.account(&id).await?;
        names.extend(account.map(|it| it.address));
        if let Some(groups) = directory.groups() {
            let groups = groups.groups_of(&id).await?;
            names.extend(groups.iter().filter_map(GroupName::address));
        }
    }
    Ok(names)
}

/// Whether one of these is on the list, or on a list that is on it.
async fn membership(
    directory: &dyn Directory,
    list: &ListRecord,
    names: &[Address],
) -> Result<Membership, DirectoryError> {
    let Some(lists) = directory.lists() else {
        return Ok(Membership::Outsider);
    };
    let all = lists.all_lists().await?;
    let mut seen: HashSet<Address> = HashSet::from([list.address.clone()]);
    let mut open = vec![list.clone()];
    while let Some(list) = open.pop() {
        if is_on(lists, &list, names).await? {
            return Ok(Membership::Member);
        }
        for inner in &all {
            if seen.len() > MAX_INNER || seen.contains(inner) {
                continue;
            }
            if list.members_file.is_none()
                && lists.is_member(&list.address, inner).await?
                && let Some(record) = lists.list(inner).await?
            {
                seen.insert(inner.clone());
                open.push(record);
            }
        }
    }
    Ok(Membership::Outsider)
}

async fn is_on(
    lists: &dyn Lists,
    list: &ListRecord,
    names: &[Address],
) -> Result<bool, DirectoryError> {
    if let Some(path) = &list.members_file {
        return members_file::names_any(path, names).await;
    }
    for name in names {
        if lists.is_member(&list.address, name).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
