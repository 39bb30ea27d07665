//! [`RunningServer::reload`]: other settings for a server that runs.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use super::running::Services;
use super::{Builder, RunningServer, ServiceHandle, StartError};

/// What a reload did to the listeners.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reloaded {
    /// Services that were not there before.
    pub added: Vec<Arc<ServiceHandle>>,
    /// Services that are no part of the server any more. Their sessions go on
    /// until they end or the server does.
    pub removed: Vec<Arc<ServiceHandle>>,
}

impl RunningServer {
    /// Goes on as `builder` says: listeners, TLS, filters, rules, limits, policy,
    /// router, agents, directory, authenticator, mail rules, web hooks and what is
    /// counted as abuse are the builder's from then on; bans and counts stay. Give
    /// it everything, as for a start, but the stores: those, the clock,
    /// the entropy, the journal, the jobs and the settings of the queue stay as
    /// they are.
    ///
    /// A listener at the same address keeps its port, so that no connection is
    /// refused meanwhile. No session is dropped: each ends with the settings
    /// that it began with. Take [`RunningServer::intake`] anew afterwards.
    ///
    /// # Errors
    /// [`StartError`]: then nothing has changed.
    pub async fn reload(&self, mut builder: Builder) -> Result<Reloaded, StartError> {
        let _turn = self.turn.lock().await;
        let before = self.parts();
        let hostname = builder.name()?;
        if hostname != before.hostname {
            return Err(StartError::Fixed {
                what: "the server's name",
            });
        }
        builder.take_over(&before);
        builder.check()?;
        let (router, agents) = builder.routing(&hostname)?;
        let mut parts = builder.parts(
            hostname,
            (&router, &agents),
            before.recorder(),
            before.limiter(),
        );
        // What a session holds alone, no session of the new settings may have.
        parts.holds = before.holds();
        let wanted = builder.services(&parts, &self.gate)?;
        let readers = builder.readers(&parts)?;
        let matches = matched(&self.served().live, &wanted);
        let mut sockets = Vec::with_capacity(wanted.len());
        for (service, old) in wanted.iter().zip(&matches) {
            sockets.push(match old {
                Some(_) => None,
                None => Some(service.bind().await?),
            });
        }
        // From here on nothing fails.
        self.gate.set_limits(builder.new_limits());
        before.limiter().reconfigure(builder.new_abuse());
        if let Some(queue) = self.queue() {
            parts.intake.starts(Arc::clone(queue) as _);
            queue.reroute(router, agents);
        }
        // Those of before first: no two may be at the same events.
        self.stop_reading().await;
        *self.reading() = Some(readers.spawn(&parts));
        *self.parts.write().unwrap_or_else(PoisonError::into_inner) = parts;
        let mut reloaded = Reloaded {
            added: Vec::new(),
            removed: Vec::new(),
        };
        let mut live = Vec::with_capacity(wanted.len());
        for ((new, old), socket) in wanted.into_iter().zip(matches).zip(sockets) {
            live.push(match (old, socket) {
                (Some(old), _) => {
                    old.replace(&new);
                    old
                }
                (None, socket) => {
                    new.run(socket.flatten());
                    reloaded.added.push(Arc::clone(&new));
                    new
                }
            });
        }
        let services = &mut *self.served();
        reloaded.removed = exchange(services, live);
        Ok(reloaded)
    }
}

/// Puts `live` in place, retires those that are not among them, and forgets
/// those retired before whose last session has ended.
fn exchange(services: &mut Services, live: Vec<Arc<ServiceHandle>>) -> Vec<Arc<ServiceHandle>> {
    let stays = |old: &Arc<ServiceHandle>| live.iter().any(|it| Arc::ptr_eq(it, old));
    let gone = |old: &&Arc<ServiceHandle>| !stays(old);
    let removed: Vec<_> = services.live.iter().filter(gone).cloned().collect();
    for service in &removed {
        service.retire();
    }
    services.live = live;
    services.retired.retain(|service| !service.is_over());
    services.retired.extend(removed.iter().cloned());
    removed
}

/// For each of `wanted` the running service whose port it takes over: one of its
/// own kind first, so that listeners on port 0 don't change places.
fn matched(
    running: &[Arc<ServiceHandle>],
    wanted: &[Arc<ServiceHandle>],
) -> Vec<Option<Arc<ServiceHandle>>> {
    let mut free: Vec<_> = running.to_vec();
    let mut take = |fits: &dyn Fn(&ServiceHandle) -> bool| {
        let at = free.iter().position(|old| fits(old))?;
        Some(free.remove(at))
    };
    let mut found: Vec<Option<Arc<ServiceHandle>>> = wanted
        .iter()
        .map(|new| take(&|old| old.is_like(new)))
        .collect();
    for (new, found) in wanted.iter().zip(&mut found) {
        let address: Option<SocketAddr> = new.asked_for().and_then(|it| it.parse().ok());
        if found.is_none() && address.is_some_and(|at| at.port() != 0) {
            *found = take(&|old| old.address() == address);
        }
    }
    found
}
