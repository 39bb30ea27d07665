//! [`SuppressionRouter`]: keeps mail from leaving for those on a
//! [`SuppressionList`].

use std::sync::Arc;

use async_trait::async_trait;

use super::suppression::SuppressionList;
use crate::address::{Address, ReversePath};
use crate::seams::{Demands, NextHop, Route, RouteError, RouteQuery, Router};

/// A router over another one. As routes are asked for at RCPT and again at each
/// attempt, mail for those on the list is refused, and what waits for them when
/// they come on it fails. Mailboxes and closures here are not asked about.
#[derive(Debug)]
pub struct SuppressionRouter {
    inner: Arc<dyn Router>,
    list: SuppressionList,
}

impl SuppressionRouter {
    /// The routes of `inner`, but for those on the list.
    pub fn new(inner: Arc<dyn Router>, list: SuppressionList) -> Self {
        Self { inner, list }
    }
}

#[async_trait]
impl Router for SuppressionRouter {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let route = self.inner.route(query).await?;
        if !leaves(&route) {
            return Ok(route);
        }
        let found = self.list.find(query.address).await;
        let Some(entry) = found.map_err(|error| RouteError(error.to_string()))? else {
            return Ok(route);
        };
        let status = entry.status();
        Ok(match is_ours(&route) {
            true => Route::Refused { status },
            false => Route::Withheld { status },
        })
    }

    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        self.inner.demands(address).await
    }

    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        self.inner.forwarded_sender(sender).await
    }
}

/// True when mail is handed to another host.
fn leaves(route: &Route) -> bool {
    match route {
        Route::Remote { .. } => true,
        Route::Agent { next_hop, .. } => *next_hop != NextHop::Local,
        Route::Copied { route, .. } => leaves(route),
        _ => false,
    }
}

/// True when anybody may send there.
fn is_ours(route: &Route) -> bool {
    match route {
        Route::Copied { route, .. } => is_ours(route),
        Route::Remote { .. } => false,
        _ => true,
    }
}
