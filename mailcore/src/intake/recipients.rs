//! From a forward-path to the places its mail goes: routing at RCPT, aliases
//! followed, loops cut, relay only for those who may.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Intake, MailboxTarget, Refusal, SessionInfo, SessionKind};
use crate::address::{Address, ReversePath};
use crate::seams::{NextHop, Route, RouteError, RouteQuery, Sending, Trust, Writer};
use crate::status::Status;

/// Aliases followed in a row.
const MAX_DEPTH: usize = 10;
/// Addresses that one recipient may stand for, and a message's all together.
pub(super) const MAX_EXPANSION: usize = 30_000;

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
    Queue {
        /// Under which address.
        address: Address,
        /// From whom, when an address of ours sends it on to another host.
        sender: Option<ReversePath>,
    },
    /// Nowhere.
    Nowhere(Address),
}

/// What stands between a peer and our relaying for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relay {
    /// It may send to anybody.
    Allowed,
    /// Only to those we serve: nobody knows who it is.
    Denied,
    /// Only to those we serve: its account is for that alone.
    WithinServer,
}

impl Intake {
    /// Where mail for `address` goes; at least one target.
    pub(super) async fn targets(
        &self,
        (reverse_path, writer): (&ReversePath, Writer<'_>),
        address: &Address,
        relay: Relay,
    ) -> Result<Vec<Target>, Refusal> {
        let mut walk = Walk::from(address);
        let (mut targets, mut dead) = (Vec::new(), Vec::new());
        while let Some((current, depth)) = walk.open.pop() {
            let query = RouteQuery::new(&current)
                .from_sender(reverse_path)
                .written_by(writer);
            let route = self.parts.router.route(&query).await.map_err(no_route)?;
            if let Some(status) = forbidden(&route, &current, depth, relay) {
                return Err(status.into());
            }
            match route {
                Route::Expand { to } => walk.follow(to, depth)?,
                // One dead address within an alias does not stop the others; the
                // queue tells the sender of it.
                Route::Unknown | Route::Refused { .. } | Route::Withheld { .. } if depth > 0 => {
                    tracing::warn!(%address, %current, "an alias leads to nobody");
                    dead.extend(self.dead_end(reverse_path, current).await?);
                }
                // What goes on from here is in the name of an address of ours.
                Route::Remote { agent, .. } if depth > 0 && self.has_agent(&agent) => {
                    let sender = self.parts.router.forwarded_sender(reverse_path).await;
                    let sender = sender.map_err(no_route)?;
                    targets.push(Target::Queue {
                        address: current,
                        sender: (sender != *reverse_path).then_some(sender),
                    });
                }
                Route::Copied { route, to } => {
                    let (Ok(mut target) | Err(mut target)) = self.target(current, *route)?;
                    match &mut target {
                        // Only once it is filed, as the mailbox agent does.
                        Target::Mailbox(mailbox) => mailbox.copies = to,
                        _ => walk.follow(to, depth)?,
                    }
                    targets.push(target);
                }
                route => match self.target(current, route)? {
                    Ok(target) => targets.push(target),
                    Err(target) => dead.push(target),
                },
            }
        }
        if targets.is_empty() {
            return Err(walk.nobody(dead.is_empty()).into());
        }
        let keeps = self.parts.commit.is_some();
        if keeps {
            targets.append(&mut dead);
        } else if targets.iter().any(Target::needs_store) {
            tracing::error!(%address, "mail for mailboxes and other hosts needs Builder::stores");
            return Err(Status::transient(3, 5, "this server can't keep mail").into());
        }
        Ok(targets)
    }

    /// Where mail for an address within an alias goes that takes none of it: into the
    /// queue, to which all are admitted. What is closed to this writer alone would be
    /// open there, but for lists, which look at their writers again.
    async fn dead_end(
        &self,
        reverse_path: &ReversePath,
        address: Address,
    ) -> Result<Option<Target>, Refusal> {
        let query = RouteQuery::new(&address).from_sender(reverse_path);
        let route = self.parts.router.route(&query).await.map_err(no_route)?;
        Ok(match route {
            Route::Expand { .. } => None,
            _ => Some(Target::queue(address)),
        })
    }

    /// What a route that ends here comes to; the error is where mail waits for
    /// an agent that is missing.
    fn target(&self, address: Address, route: Route) -> Result<Result<Target, Target>, Refusal> {
        Ok(match route {
            Route::Mailbox {
                account,
                mailbox,
                quota,
            } => Ok(Target::Mailbox(MailboxTarget {
                account,
                mailbox,
                quota,
                address,
                copies: Vec::new(),
            })),
            Route::Agent { agent, .. } | Route::Remote { agent, .. } if !self.has_agent(&agent) => {
                tracing::warn!(%agent, %address, "no such delivery agent");
                Err(Target::queue(address))
            }
            Route::Agent {
                agent,
                next_hop: NextHop::Local,
            } => Ok(Target::Hook { agent, address }),
            // A list is expanded out of the queue: what it has become of is
            // safe there, however many are on it.
            Route::Agent { .. } | Route::Remote { .. } | Route::List { .. } => {
                Ok(Target::queue(address))
            }
            Route::Discarded => Ok(Target::Nowhere(address)),
            Route::Refused { status } | Route::Withheld { status } => {
                return Err(status.into());
            }
            // Expansions and copies are followed before this is asked.
            Route::Unknown | Route::Expand { .. } | Route::Copied { .. } => {
                return Err(Status::permanent(1, 1, "no such user here").into());
            }
        })
    }

    /// Only those who proved who they are, trusted hosts, and the process itself
    /// may send to others' domains; an account that is for mail within the
    /// server may not.
    pub(super) async fn relay(&self, session: &SessionInfo) -> Result<Relay, Refusal> {
        let filter = &session.filter;
        let allowed = match (&filter.identity, session.filter.door) {
            (_, SessionKind::Local) => true,
            (_, _) if filter.trust == Trust::Trusted => true,
            (Some(identity), SessionKind::Mx) => self.policy.login_may_relay(&identity.login),
            (identity, _) => identity.is_some(),
        };
        if !allowed {
            return Ok(Relay::Denied);
        }
        let Some(identity) = &filter.identity else {
            return Ok(Relay::Allowed);
        };
        let Some(directory) = &self.parts.directory else {
            return Ok(Relay::Allowed);
        };
        match directory.account(&identity.account).await {
            Ok(Some(account)) if account.options.sending == Sending::LocalOnly => {
                Ok(Relay::WithinServer)
            }
            Ok(_) => Ok(Relay::Allowed),
            Err(error) => {
                tracing::warn!(%error, "can't tell where an account may send");
                Err(Status::transient(4, 3, "the directory does not answer; try again").into())
            }
        }
    }

    /// Who writes in a session, for addresses that are not for everybody.
    pub(super) fn writer<'s>(&self, session: &'s SessionInfo) -> Writer<'s> {
        let filter = &session.filter;
        match (&filter.identity, session.filter.door == SessionKind::Local) {
            (Some(identity), _) => Writer::Account(&identity.account),
            (None, true) => Writer::House,
            (None, false) if filter.trust == Trust::Trusted => Writer::House,
            (None, false) => Writer::Stranger,
        }
    }

    fn has_agent(&self, agent: &Arc<str>) -> bool {
        self.parts.agents.contains_key(agent)
    }
}

impl Target {
    /// Into the queue, from whom it is.
    fn queue(address: Address) -> Self {
        Self::Queue {
            address,
            sender: None,
        }
    }

    /// The address that led here.
    pub(super) fn address(&self) -> &Address {
        match self {
            Self::Mailbox(mailbox) => &mailbox.address,
            Self::Hook { address, .. } | Self::Queue { address, .. } | Self::Nowhere(address) => {
                address
            }
        }
    }

    fn needs_store(&self) -> bool {
        !matches!(self, Self::Hook { .. } | Self::Nowhere(_))
    }
}

/// The addresses that one recipient stands for, as they are followed.
struct Walk {
    /// Still to be routed, and how many aliases led to each.
    open: Vec<(Address, usize)>,
    seen: HashSet<Address>,
    /// An alias led to nothing new.
    circle: bool,
}

impl Walk {
    fn from(address: &Address) -> Self {
        Self {
            open: vec![(address.clone(), 0)],
            seen: HashSet::from([address.folded()]),
            circle: false,
        }
    }

    fn follow(&mut self, to: Vec<Address>, depth: usize) -> Result<(), Refusal> {
        if depth >= MAX_DEPTH || self.seen.len() + to.len() > MAX_EXPANSION {
            return Err(too_far());
        }
        let before = self.open.len();
        let fresh = to.into_iter().filter(|to| self.seen.insert(to.folded()));
        self.open.extend(fresh.map(|to| (to, depth + 1)));
        self.circle |= self.open.len() == before;
        Ok(())
    }

    /// Why nobody was found.
    fn nobody(&self, none_dead: bool) -> Status {
        match self.circle && none_dead {
            true => Status::permanent(4, 6, "this address stands for itself; tell its postmaster"),
            false => Status::permanent(1, 1, "this address leads to nobody"),
        }
    }
}

/// Why mail may not take this route, when it may not. An alias of ours may lead
/// anywhere: the owner of the alias relays, not the peer.
fn forbidden(route: &Route, address: &Address, depth: usize, relay: Relay) -> Option<Status> {
    let why = match (route, relay) {
        (Route::Refused { status }, _) if depth == 0 => return Some(status.clone()),
        (Route::Copied { route, .. }, _) => return forbidden(route, address, depth, relay),
        (Route::Remote { .. } | Route::Withheld { .. }, Relay::Denied) if depth == 0 => {
            "relaying denied; authenticate to send to other domains"
        }
        (Route::Remote { .. } | Route::Withheld { .. }, Relay::WithinServer) if depth == 0 => {
            "your account may send to addresses of this server only"
        }
        (Route::Agent { next_hop, .. }, Relay::Denied)
            if *next_hop != NextHop::Local && names_a_route(address) =>
        {
            "relaying denied; the local part names another host"
        }
        _ => return None,
    };
    Some(Status::permanent(7, 1, why))
}

/// True when a host that still follows `user%other@here`, `other!user@here` or
/// `"user@other"@here` could be made to relay: nobody unknown may use a host
/// behind us so.
fn names_a_route(address: &Address) -> bool {
    address.local_part().contains(['%', '!', '@'])
}

pub(super) fn no_route(error: RouteError) -> Refusal {
    tracing::warn!(%error, "no route now");
    Status::transient(4, 3, "the directory does not answer; try again").into()
}

fn too_far() -> Refusal {
    Status::permanent(4, 6, "this address expands too far; tell its postmaster").into()
}
