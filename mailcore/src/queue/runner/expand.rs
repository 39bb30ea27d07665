//! Where each recipient of an entry leads: aliases are followed, and what
//! shares an agent and a next hop becomes one job.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::QueueRunner;
use super::destinations::HopKey;
use crate::address::{Address, ReversePath};
use crate::envelope::Recipient;
use crate::queue::QueueEntry;
use crate::seams::{NextHop, Route, RouteError, RouteQuery};
use crate::status::{Failure, Outcome, Status};

/// Aliases of aliases that are followed.
const MAX_DEPTH: usize = 10;
/// Addresses that the recipients of one entry may become, besides themselves.
const MAX_LEGS: usize = 30_000;
/// The agent that files mail here.
const MAILBOX_AGENT: &str = "mailbox";
/// The agent that expands lists.
const LIST_AGENT: &str = "list";

/// An entry's recipients after routing.
#[derive(Debug, Default)]
pub(super) struct Routed {
    /// Those that an agent takes, by where they go. Ordered, so that a run under
    /// test repeats.
    pub(super) jobs: BTreeMap<HopKey, Vec<Recipient>>,
    /// Those that an address of ours sends on under another sender than the
    /// entry's, by that.
    pub(super) onward: Onward,
    /// Those that need no agent.
    pub(super) done: Vec<(Recipient, Outcome)>,
}

/// Recipients by sender.
pub(super) type Onward = BTreeMap<ReversePath, Vec<Recipient>>;

/// An address still to be routed and the aliases that led to it.
struct Leg {
    recipient: Recipient,
    through: Vec<Address>,
}

impl Leg {
    /// True when an alias led here in this attempt. What was left of an earlier
    /// one stands in the entry by itself: who has a copy then does not get
    /// another each time that the place is tried again. Where the place is a
    /// mailbox, copies are made once the message is filed.
    fn leads_here_first(&self) -> bool {
        !self.through.is_empty()
    }

    /// The same message for others. Nobody is told of their success: it is the
    /// place's that was asked for.
    fn copies(&self, to: Vec<Address>) -> Vec<Leg> {
        let mut through = self.through.clone();
        through.push(self.recipient.address.clone());
        let mut notify = self.recipient.notify;
        notify.success = false;
        let copy = |address| Leg {
            recipient: Recipient {
                address,
                notify,
                original: self.recipient.original.clone(),
            },
            through: through.clone(),
        };
        to.into_iter().map(copy).collect()
    }
}

impl QueueRunner {
    /// Routes every recipient that is left.
    pub(super) async fn route_all(&self, entry: &QueueEntry) -> Routed {
        let mut routed = Routed::default();
        let mut seen: HashSet<Address> = HashSet::new();
        let recipients = entry.progress.recipients.iter().rev();
        let mut legs: Vec<Leg> = recipients
            .map(|queued| Leg {
                recipient: queued.recipient.clone(),
                through: Vec::new(),
            })
            .collect();
        let most = legs.len() + MAX_LEGS;
        while let Some(leg) = legs.pop() {
            // Two aliases may lead to one address: it gets one copy.
            if !seen.insert(leg.recipient.address.clone()) {
                continue;
            }
            let query = RouteQuery::new(&leg.recipient.address).from_sender(&entry.reverse_path);
            let route = match self.routing.router().route(&query).await {
                Ok(route) => route,
                Err(error) if !leg.through.is_empty() => return Routed::later(entry, &error),
                Err(error) => {
                    routed.fail(leg.recipient, Status::transient(3, 0, error.to_string()));
                    continue;
                }
            };
            let route = match route {
                Route::Copied { route, to } => {
                    if leg.leads_here_first() && !matches!(*route, Route::Mailbox { .. }) {
                        legs.extend(leg.copies(to));
                    }
                    *route
                }
                other => other,
            };
            match route {
                // Each failure of its own would make what is written down of the
                // entry larger than a store takes.
                Route::Expand { to } if seen.len() + legs.len() + to.len() > most => {
                    let status = Status::permanent(5, 3, "the aliases lead to too many recipients");
                    routed.fail(leg.recipient, status);
                }
                Route::Expand { to } => routed.expand(leg, to, &mut legs),
                route => {
                    if let Err(error) = self.place(entry, leg, route, &mut routed).await {
                        return Routed::later(entry, &error);
                    }
                }
            }
        }
        routed
    }

    /// Gives a recipient whose route ends to its job.
    async fn place(
        &self,
        entry: &QueueEntry,
        leg: Leg,
        route: Route,
        routed: &mut Routed,
    ) -> Result<(), RouteError> {
        let Leg { recipient, through } = leg;
        match route {
            Route::Mailbox { .. } => {
                let hop = (MAILBOX_AGENT.into(), NextHop::Local);
                routed.add(hop, recipient);
            }
            Route::List { .. } => {
                let hop = (LIST_AGENT.into(), NextHop::Local);
                routed.add(hop, recipient);
            }
            Route::Remote { agent, next_hop } if !through.is_empty() => {
                let sender = &entry.reverse_path;
                let onward = self.routing.router().forwarded_sender(sender).await?;
                match onward == *sender {
                    true => routed.add((agent, next_hop), recipient),
                    false => routed.onward.entry(onward).or_default().push(recipient),
                }
            }
            Route::Agent { agent, next_hop } | Route::Remote { agent, next_hop } => {
                routed.add((agent, next_hop), recipient);
            }
            Route::Refused { status } | Route::Withheld { status } => {
                routed.fail(recipient, status)
            }
            Route::Discarded => routed.done.push((recipient, Outcome::Delivered)),
            Route::Unknown => {
                routed.fail(recipient, Status::permanent(1, 1, "no such user here"));
            }
            // Within a copy there is one place and nothing more.
            Route::Copied { .. } | Route::Expand { .. } => {
                let status = Status::transient(3, 5, "the router copies what is no place");
                routed.fail(recipient, status);
            }
        }
        Ok(())
    }
}

impl Routed {
    /// Nothing is routed now. What an alias stands for would be tried again by
    /// itself, as if the sender had named it: the alias stays until all that it
    /// leads to is known.
    fn later(entry: &QueueEntry, error: &RouteError) -> Self {
        let mut routed = Self::default();
        for queued in &entry.progress.recipients {
            let status = Status::transient(3, 0, error.to_string());
            routed.fail(queued.recipient.clone(), status);
        }
        routed
    }

    fn add(&mut self, hop: HopKey, recipient: Recipient) {
        self.jobs.entry(hop).or_default().push(recipient);
    }

    fn fail(&mut self, recipient: Recipient, status: Status) {
        let outcome = Outcome::from_failure(Failure::local(status));
        self.done.push((recipient, outcome));
    }

    /// Replaces an alias by what it stands for (RFC 3461 section 5.2.7.3 (c)):
    /// with one address all parameters go along; with several, SUCCESS is
    /// answered here.
    fn expand(&mut self, leg: Leg, to: Vec<Address>, legs: &mut Vec<Leg>) {
        let Leg {
            recipient,
            mut through,
        } = leg;
        through.push(recipient.address.clone());
        let next: Vec<Address> = to
            .into_iter()
            .filter(|address| !through.contains(address))
            .collect();
        if next.is_empty() || through.len() > MAX_DEPTH {
            let status = Status::permanent(4, 6, "this address is an alias of itself");
            self.fail(recipient, status);
            return;
        }
        let mut notify = recipient.notify;
        let mut answered = recipient.clone();
        if next.len() > 1 {
            notify.success = false;
        } else {
            answered.notify.success = false;
        }
        let expanded = Outcome::Expanded { to: next.clone() };
        self.done.push((answered, expanded));
        legs.extend(next.into_iter().rev().map(|address| Leg {
            recipient: Recipient {
                address,
                notify,
                original: recipient.original.clone(),
            },
            through: through.clone(),
        }));
    }
}

/// The name of the agent, for a failure's words.
pub(super) fn no_agent(name: &Arc<str>) -> Status {
    Status::transient(
        3,
        5,
        format!("this server has no delivery agent named {name}"),
    )
}
