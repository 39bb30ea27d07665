//! Routes to lists and groups, and who may write to them.

use super::directory_router::unavailable;
use crate::address::{Address, ReversePath};
use crate::deliver::list::{ListAddress, ListRole, owners, posts};
use crate::seams::{
    Directory, GroupKind, GroupName, ListRecord, Post, Resolution, Route, RouteError, RouteQuery,
    Writer,
};
use crate::status::Status;

/// The route of a list's own address.
pub(super) async fn to_list(
    directory: &dyn Directory,
    list: &Address,
    query: &RouteQuery<'_>,
) -> Result<Route, RouteError> {
    let Some(record) = record(directory, list).await? else {
        return Ok(Route::Unknown);
    };
    let route = Route::List {
        list: record.address.clone(),
    };
    if query.writer == Writer::Admitted {
        return Ok(route);
    }
    let sender = match query.reverse_path {
        None => return Ok(route),
        // RFC 5321 section 4.5.5: notices, which no list is for.
        Some(ReversePath::Null) => return Ok(refused("this list takes no notices")),
        Some(ReversePath::Address(sender)) => sender,
    };
    let post = posts(directory, &record, sender, query.writer).await;
    Ok(match post.map_err(unavailable)? {
        Post::Now | Post::WhenApproved => route,
        Post::Never => refused("you may not write to this list"),
    })
}

/// The route of an address that belongs to a list; `None` where there is no such
/// list, or an account has the address.
pub(super) async fn beside(
    directory: &dyn Directory,
    query: &RouteQuery<'_>,
) -> Result<Option<Route>, RouteError> {
    let Some(read) = ListAddress::read(query.address) else {
        return Ok(None);
    };
    // A pattern or a catch-all may lead to a list, too: only a list of this very
    // name has such addresses.
    let Some(list) = record(directory, &read.list).await? else {
        return Ok(None);
    };
    if let Resolution::Account(id) = directory
        .resolve(query.address)
        .await
        .map_err(unavailable)?
    {
        let account = directory.account(&id).await.map_err(unavailable)?;
        if account.is_some_and(|it| it.address.folded() == query.address.folded()) {
            return Ok(None);
        }
    }
    let admitted = query.writer == Writer::Admitted;
    let notice = query.reverse_path == Some(&ReversePath::Null);
    Ok(Some(match read.role {
        ListRole::Owner => Route::Expand { to: owners(&list) },
        ListRole::Approved if !admitted => Route::Unknown,
        ListRole::Bounces | ListRole::Approved => Route::List { list: list.address },
        _ if notice && !admitted => refused("this address takes no notices"),
        _ => Route::List { list: list.address },
    }))
}

/// The route of a group's address.
pub(super) async fn to_group(
    directory: &dyn Directory,
    name: &GroupName,
    query: &RouteQuery<'_>,
) -> Result<Route, RouteError> {
    let Some(groups) = directory.groups() else {
        return Ok(Route::Unknown);
    };
    let Some(group) = groups.group(name).await.map_err(unavailable)? else {
        return Ok(Route::Unknown);
    };
    if group.kind == GroupKind::Closed && query.writer == Writer::Stranger {
        return Ok(refused(
            "only senders who logged in may write to this group",
        ));
    }
    let mut to = Vec::with_capacity(group.members.len());
    for member in &group.members {
        let account = directory.account(member).await.map_err(unavailable)?;
        to.extend(account.map(|it| it.address));
    }
    if to.is_empty() {
        return Ok(refused("nobody is in this group"));
    }
    Ok(Route::Expand { to })
}

async fn record(
    directory: &dyn Directory,
    list: &Address,
) -> Result<Option<ListRecord>, RouteError> {
    match directory.lists() {
        Some(lists) => lists.list(list).await.map_err(unavailable),
        None => Ok(None),
    }
}

fn refused(words: &str) -> Route {
    Route::Refused {
        status: Status::permanent(7, 1, words),
    }
}
