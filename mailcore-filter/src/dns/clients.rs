//! [`ClientLists`]: a client on lists of addresses, unless it is excepted.

use std::net::IpAddr;
use std::sync::Arc;

use super::except::Excepted;
use super::results::{self, EXCEPTED, TEMPERROR};
use super::{ClientExceptions, DnsLists, Effect, Listings, Subject, Zone};
use crate::pipeline::Said;

/// Lists of addresses, and clients for which they don't count.
#[derive(Debug, Clone)]
pub(super) struct ClientLists {
    pub(super) lists: DnsLists,
    pub(super) zones: Vec<Arc<Zone>>,
    pub(super) exceptions: ClientExceptions,
}

impl ClientLists {
    pub(super) fn new(lists: DnsLists, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self {
            lists,
            zones: zones.into_iter().map(Arc::new).collect(),
            exceptions: ClientExceptions::default(),
        }
    }

    pub(super) async fn look(&self, ip: IpAddr) -> Vec<Said> {
        let ip = ip.to_canonical();
        if self.exceptions.has_address(ip) {
            return Vec::new();
        }
        let listings = self.lists.ask(&self.zones, &[Subject::address(ip)]).await;
        if !is_against(&listings) {
            return results::of(&listings);
        }
        match self.exceptions.has_names_of(&self.lists, ip).await {
            Excepted::No => results::of(&listings),
            Excepted::Yes => results::of_excepted(&listings, EXCEPTED),
            // Whom an outage keeps from being told apart is not refused.
            Excepted::Unknown => results::of_excepted(&listings, TEMPERROR),
        }
    }
}

fn is_against(listings: &Listings) -> bool {
    let mut effects = listings.found.iter().map(|it| it.effect);
    effects.any(|effect| matches!(effect, Effect::Listed | Effect::Score(_)))
}
