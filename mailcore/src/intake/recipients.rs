//! From a forward-path to the places its mail goes: routing at RCPT, aliases
//! followed, loops cut, relay only for those who may.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Intake, MailboxTarget, Refusal};
use crate::address::Address;
use crate::seams::{NextHop, Route, RouteError};
use crate::status::Status;

/// Aliases followed in a row.
const MAX_DEPTH: usize = 10;
/// Addresses that one recipient may stand for.
const MAX_EXPANSION: usize = 10_000;

/// Where one copy goes.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// Into a mailbox.
    Mailbox(MailboxTarget),
    /// To an agent at once, before the reply; queued when it defers.
    Hook {
        /// The agent's name.
        agent: Arc<str>,
        /// Under which address.
        address: Address,
    },
    /// Into the queue.
    Queue(Address),
}

/// What stands between a peer and our relaying for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relay {
    /// It may send to anybody.
    Allowed,
    /// Only to those we serve.
    Denied,
}

impl Intake {
    /// Where mail for `address` goes; at least one target.
    pub(super) async fn targets(
        &self,
        address: &Address,
        relay: Relay,
    ) -> Result<Vec<Target>, Refusal> {
        let mut open = vec![(address.clone(), 0)];
        let mut seen = HashSet::from([address.folded()]);
        let mut targets = Vec::new();
        while let Some((current, depth)) = open.pop() {
            match self.parts.router.route(&current).await.map_err(no_route)? {
                Route::Expand { to } => {
                    if depth >= MAX_DEPTH || seen.len() + to.len() > MAX_EXPANSION {
                        return Err(too_far());
                    }
                    let fresh = to.into_iter().filter(|to| seen.insert(to.folded()));
                    open.extend(fresh.map(|to| (to, depth + 1)));
                }
                // One dead address within an alias does not stop the others.
                Route::Unknown if depth > 0 => {
                    tracing::warn!(%address, %current, "an alias leads to nobody");
                }
                // An alias of ours may lead anywhere: the owner of the alias
                // relays, not the peer.
                Route::Remote { .. } if depth == 0 && relay == Relay::Denied => {
                    let why = "relaying denied; authenticate to send to other domains";
                    return Err(Status::permanent(7, 1, why).into());
                }
                route => targets.extend(self.target(current, route)?),
            }
        }
        if targets.is_empty() {
            return Err(Status::permanent(1, 1, "this address leads to nobody").into());
        }
        Ok(targets)
    }

    /// What a route that ends here comes to; nothing when its agent is missing.
    fn target(&self, address: Address, route: Route) -> Result<Option<Target>, Refusal> {
        Ok(match route {
            Route::Mailbox {
                account,
                mailbox,
                quota,
            } => Some(Target::Mailbox(MailboxTarget {
                account,
                mailbox,
                quota,
                address,
            })),
            Route::Agent { agent, .. } | Route::Remote { agent, .. }
                if !self.parts.agents.contains_key(&agent) =>
            {
                tracing::warn!(%agent, %address, "no such delivery agent");
                None
            }
            Route::Agent {
                agent,
                next_hop: NextHop::Local,
            } => Some(Target::Hook { agent, address }),
            Route::Agent { .. } | Route::Remote { .. } => Some(Target::Queue(address)),
            Route::Unknown => return Err(Status::permanent(1, 1, "no such user here").into()),
            Route::Expand { .. } => None,
        })
    }
}

fn no_route(error: RouteError) -> Refusal {
    tracing::warn!(%error, "no route now");
    Status::transient(4, 3, "the directory does not answer; try again").into()
}

fn too_far() -> Refusal {
    Status::permanent(4, 6, "this address expands too far; tell its postmaster").into()
}
