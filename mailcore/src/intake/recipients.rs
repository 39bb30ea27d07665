//! From a forward-path to the places its mail goes: routing at RCPT, aliases
//! followed, loops cut, relay only for those who may.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Intake, MailboxTarget, Refusal};
use crate::address::Address;
use crate::seams::{NextHop, Route};
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
            let route = self.parts.router.route(&current).await.map_err(|error| {
                tracing::warn!(%error, %current, "no route now");
                Refusal::from(Status::transient(
                    4,
                    3,
                    "the directory does not answer; try again",
                ))
            })?;
            match route {
                Route::Mailbox {
                    account,
                    mailbox,
                    quota,
                } => {
                    targets.push(Target::Mailbox(MailboxTarget {
                        account,
                        mailbox,
                        quota,
                        address: current,
                    }));
                }
                Route::Agent {
                    agent,
                    next_hop: NextHop::Local,
                } if self.parts.agents.contains_key(&agent) => {
                    targets.push(Target::Hook {
                        agent,
                        address: current,
                    });
                }
                Route::Agent { agent, .. } if self.parts.agents.contains_key(&agent) => {
                    targets.push(Target::Queue(current));
                }
                // An alias of ours may lead anywhere: the owner of the alias
                // relays, not the peer.
                Route::Remote { agent, .. }
                    if (depth > 0 || relay == Relay::Allowed)
                        && self.parts.agents.contains_key(&agent) =>
                {
                    targets.push(Target::Queue(current));
                }
                Route::Remote { .. } if relay == Relay::Denied && depth == 0 => {
                    return Err(Status::permanent(
                        7,
                        1,
                        "relaying denied; authenticate to send to other domains",
                    )
                    .into());
                }
                Route::Expand { to }
                    if depth < MAX_DEPTH && seen.len() + to.len() <= MAX_EXPANSION =>
                {
                    open.extend(
                        to.into_iter()
                            .filter(|to| seen.insert(to.folded()))
                            .map(|to| (to, depth + 1)),
                    );
                }
                Route::Expand { .. } => {
                    return Err(Status::permanent(
                        4,
                        6,
                        "this address expands too far; tell its postmaster",
                    )
                    .into());
                }
                // One dead address within an alias does not stop the others.
                Route::Unknown if depth > 0 => {
                    tracing::warn!(%address, %current, "an alias leads to nobody")
                }
                Route::Unknown => return Err(Status::permanent(1, 1, "no such user here").into()),
                Route::Agent { agent, .. } | Route::Remote { agent, .. } => {
                    tracing::warn!(%agent, %current, "no such delivery agent");
                }
            }
        }
        if targets.is_empty() {
            return Err(Status::permanent(1, 1, "this address leads to nobody").into());
        }
        Ok(targets)
    }
}
