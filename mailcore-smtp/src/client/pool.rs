//! [`Pool`]: connections that wait for the next message to their hop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mailcore::seams::Clock;
use mailcore::time::Monotonic;

use super::config::PoolLimits;
use super::connection::Connection;
use super::remote_agent::Way;

/// Idle connections. One that has waited too long is closed by a task that
/// lives only while there are any.
#[derive(Debug)]
pub(super) struct Pool {
    limits: PoolLimits,
    clock: Arc<dyn Clock>,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    by_way: HashMap<Way, Vec<Idle>>,
    count: usize,
    swept: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    until: Monotonic,
}

impl Pool {
    pub(super) fn new(limits: PoolLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            clock,
            shelves: Mutex::default(),
        })
    }

    /// A connection to the hop that is still good, the most recent first.
    pub(super) async fn take(&self, way: &Way) -> Option<Connection> {
        loop {
            let mut idle = self.shelves().pop(way)?;
            if idle.until > self.clock.monotonic() && idle.connection.is_quiet().await {
                return Some(idle.connection);
            }
            // Dropped without QUIT: it is closed, or about to be.
        }
    }

    /// Keeps a connection for the next message, or ends it.
    pub(super) fn park(self: &Arc<Self>, way: &Way, connection: Connection) {
        if !connection.is_open() {
            return;
        }
        if let Some(surplus) = self.shelve(way, connection) {
            // The message is delivered: its outcome must not wait for QUIT.
            tokio::spawn(surplus.quit());
        }
    }

    /// Gives the connection back when there is no place for it.
    fn shelve(self: &Arc<Self>, way: &Way, connection: Connection) -> Option<Connection> {
        let until = self.clock.monotonic().after(self.limits.idle_for);
        let mut shelves = self.shelves();
        let shelf = shelves.by_way.get(way).map_or(0, Vec::len);
        if connection.messages >= self.limits.max_messages
            || connection.is_spent()
            || shelf >= self.limits.max_idle_per_hop
            || shelves.count >= self.limits.max_idle
        {
            return Some(connection);
        }
        shelves.count += 1;
        let shelf = shelves.by_way.entry(way.clone()).or_default();
        shelf.push(Idle { connection, until });
        if !std::mem::replace(&mut shelves.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.clock.clone()));
        }
        None
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn pop(&mut self, way: &Way) -> Option<Idle> {
        let shelf = self.by_way.get_mut(way)?;
        let idle = shelf.pop();
        if shelf.is_empty() {
            self.by_way.remove(way);
        }
        self.count -= usize::from(idle.is_some());
        idle
    }

    /// What has waited too long, and when the next one will have.
    fn expired(&mut self, now: Monotonic) -> (Vec<Connection>, Option<Monotonic>) {
        let mut over = Vec::new();
        for shelf in self.by_way.values_mut() {
            over.extend(shelf.extract_if(.., |idle| idle.until <= now));
        }
        self.by_way.retain(|_, shelf| !shelf.is_empty());
        self.count -= over.len();
        let left = self.by_way.values().flatten();
        let next = left.map(|idle| idle.until).min();
        self.swept = next.is_some();
        let over = over.into_iter().map(|idle| idle.connection);
        (over.collect(), next)
    }
}

/// Ends connections as their time runs out, until none are left.
async fn sweep(pool: Weak<Pool>, clock: Arc<dyn Clock>) {
    loop {
        let expired = match pool.upgrade() {
            Some(pool) => pool.shelves().expired(clock.monotonic()),
            None => return,
        };
        let (over, next) = expired;
        for connection in over {
            connection.quit().await;
        }
        match next {
            Some(next) => clock.sleep_until(next).await,
            None => return,
        }
    }
}
