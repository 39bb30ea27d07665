//! One service of a running server: its state, start, stop, restart.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;
use crate::abuse::Limiter;
use crate::access::AccessRules;
use crate::limits::Limits;
use crate::net::{
    Gate, Listener, ListenerParts, Network, Service, Serving, Shutdown, ShutdownSwitch, finish,
};
use crate::seams::Clock;

/// Octets that a stream within the process buffers each way.
const LOCAL_BUFFER: usize = 64 * 1024;

/// How a listener uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListenerKind {
    /// STARTTLS where there is a configuration.
    Plain,
    /// None.
    NoTls,
    /// From the first octet.
    #[cfg(feature = "tls")]
    Implicit,
}

/// What a service is served with.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) service: Arc<dyn Service>,
    pub(super) address: Option<String>,
    pub(super) kind: ListenerKind,
    pub(super) gate: Arc<Gate>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) access: AccessRules,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) proxies: Vec<Network>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::net::TlsAcceptor>,
}

/// A service's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceState {
    /// Takes connections.
    Running,
    /// Does not.
    Stopped,
    /// Was taken out of the server by a reload: the sessions that it has go on,
    /// and no more begin.
    Retired,
}

/// One service of a running server.
#[derive(Debug)]
pub struct ServiceHandle {
    door: RwLock<Arc<Door>>,
    /// Held while it starts or stops, so that neither crosses the other.
    turn: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    running: Option<Running>,
    /// The port that was given for 0, kept over a restart.
    bound: Option<SocketAddr>,
    /// Sessions within the process.
    local: JoinSet<()>,
    retired: bool,
}

#[derive(Debug)]
struct Running {
    switch: ShutdownSwitch,
    shutdown: Shutdown,
    accepting: Option<Accepting>,
}

#[derive(Debug)]
struct Accepting {
    serving: Serving,
    closing: ShutdownSwitch,
    task: JoinHandle<()>,
}

impl Door {
    fn listener(&self, shutdown: Shutdown) -> ListenerParts {
        ListenerParts {
            service: Arc::clone(&self.service),
            gate: Arc::clone(&self.gate),
            limiter: Arc::clone(&self.limiter),
            access: self.access.clone(),
            limits: self.limits.clone(),
            clock: Arc::clone(&self.clock),
            shutdown,
            proxies: self.proxies.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls(),
        }
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> crate::net::ListenerTls {
        use crate::net::ListenerTls;
        match (self.kind, &self.tls) {
            (ListenerKind::Plain, Some(acceptor)) => ListenerTls::Starttls(acceptor.clone()),
            (ListenerKind::Implicit, Some(acceptor)) => ListenerTls::Implicit(acceptor.clone()),
            _ => ListenerTls::None,
        }
    }
}

impl ServiceHandle {
    pub(super) fn new(door: Door) -> Result<Self, StartError> {
        #[cfg(feature = "tls")]
        if door.kind == ListenerKind::Implicit && door.tls.is_none() {
            return Err(StartError::NoTls {
                service: door.service.protocol(),
                address: door.address.unwrap_or_default(),
            });
        }
        Ok(Self {
            door: RwLock::new(Arc::new(door)),
            turn: tokio::sync::Mutex::default(),
            live: Mutex::default(),
        })
    }

    /// The protocol: `smtp`, `imap`.
    pub fn protocol(&self) -> &'static str {
        self.door().service.protocol()
    }

    /// The bound address; `None` without a port, or before the first start.
    pub fn address(&self) -> Option<SocketAddr> {
        self.live().bound
    }

    /// Whether it takes connections.
    pub fn state(&self) -> ServiceState {
        let live = self.live();
        match live.running {
            _ if live.retired => ServiceState::Retired,
            Some(_) => ServiceState::Running,
            None => ServiceState::Stopped,
        }
    }

    /// Starts it; starting what runs is fine.
    ///
    /// # Errors
    /// [`StartError::Bind`], or [`StartError::Retired`].
    pub async fn start(&self) -> Result<(), StartError> {
        let _turn = self.turn.lock().await;
        match self.state() {
            ServiceState::Running => return Ok(()),
            ServiceState::Retired => {
                return Err(StartError::Retired {
                    service: self.protocol(),
                });
            }
            ServiceState::Stopped => {}
        }
        let socket = self.bind().await?;
        self.run(socket);
        Ok(())
    }

    /// Takes its port, without accepting yet; dropping the socket gives the
    /// port back at once.
    pub(super) async fn bind(&self) -> Result<Option<TcpListener>, StartError> {
        let door = self.door();
        let Some(address) = &door.address else {
            return Ok(None);
        };
        let bound = self.live().bound;
        let result = match bound {
            Some(bound) => TcpListener::bind(bound).await,
            None => TcpListener::bind(address).await,
        };
        result.map(Some).map_err(|source| StartError::Bind {
            service: self.protocol(),
            address: address.clone(),
            source,
        })
    }

    /// Serves on the socket that [`ServiceHandle::bind`] gave.
    pub(super) fn run(&self, socket: Option<TcpListener>) {
        let (switch, shutdown) = ShutdownSwitch::new();
        let mut live = self.live();
        let mut accepting = None;
        if let Some(socket) = socket {
            live.bound = socket.local_addr().ok();
            let (closing, closed) = ShutdownSwitch::new();
            let serving = Serving::new(self.door().listener(shutdown.clone()));
            let listener = Listener::new(socket, serving.clone(), (shutdown.clone(), closed));
            accepting = Some(Accepting {
                serving,
                closing,
                task: tokio::spawn(listener.run()),
            });
        }
        live.running = Some(Running {
            switch,
            shutdown,
            accepting,
        });
    }

    /// What it serves the next connection with. Sessions go on with what they
    /// began with.
    pub(super) fn replace(&self, other: &Self) {
        let door = other.door();
        // Held, so that no start comes between.
        let live = self.live();
        *self.door.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&door);
        if let Some(Running {
            accepting: Some(accepting),
            shutdown,
            ..
        }) = &live.running
        {
            accepting.serving.replace(door.listener(shutdown.clone()));
        }
    }

    /// Gives its port back and takes no more connections; sessions go on until
    /// they end or [`ServiceHandle::stop`] ends them.
    pub(super) fn retire(&self) {
        let mut live = self.live();
        live.retired = true;
        if let Some(Running {
            accepting: Some(accepting),
            ..
        }) = &live.running
        {
            accepting.closing.begin();
        }
    }

    /// True when no session is left of a retired service.
    pub(super) fn is_over(&self) -> bool {
        let mut live = self.live();
        while live.local.try_join_next().is_some() {}
        let accepting = live.running.as_ref().and_then(|it| it.accepting.as_ref());
        live.local.is_empty() && accepting.is_none_or(|it| it.task.is_finished())
    }

    /// True when both are of one protocol, at one address, with TLS of one kind.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let (own, other) = (self.door(), other.door());
        (own.address == other.address && own.kind == other.kind)
            && own.service.protocol() == other.service.protocol()
    }

    /// The address as it was asked for.
    pub(super) fn asked_for(&self) -> Option<String> {
        self.door().address.clone()
    }

    /// Stops it: no new connections; open sessions may finish within the
    /// server's drain time, then they are ended. All are gone when this
    /// returns.
    pub async fn stop(&self) {
        let _turn = self.turn.lock().await;
        let (running, local) = {
            let mut live = self.live();
            (live.running.take(), std::mem::take(&mut live.local))
        };
        let Some(Running {
            switch, accepting, ..
        }) = running
        else {
            return;
        };
        switch.begin();
        let door = self.door();
        let Door { clock, limits, .. } = door.as_ref();
        let local = finish(local, clock.as_ref(), limits.drain, self.protocol());
        let accepted = async {
            if let Some(accepting) = accepting {
                // An error means that it is gone, which is what is waited for.
                let _ = accepting.task.await;
            }
        };
        tokio::join!(local, accepted);
    }

    /// Stops and starts it, on the same port.
    ///
    /// # Errors
    /// As for [`ServiceHandle::start`].
    pub async fn restart(&self) -> Result<(), StartError> {
        self.stop().await;
        self.start().await
    }

    /// A stream to the service that needs no port. `None` while it is stopped.
    pub fn connect(&self) -> Option<DuplexStream> {
        let mut live = self.live();
        if live.retired {
            return None;
        }
        let shutdown = live.running.as_ref()?.shutdown.clone();
        let (ours, theirs) = tokio::io::duplex(LOCAL_BUFFER);
        // Those that have ended leave the list.
        while live.local.try_join_next().is_some() {}
        live.local
            .spawn(self.door().listener(shutdown).serve_local(Box::new(theirs)));
        Some(ours)
    }

    /// Ends it at once.
    pub(super) fn abort(&self) {
        let mut live = self.live();
        if let Some(Running {
            accepting: Some(accepting),
            ..
        }) = live.running.take()
        {
            accepting.task.abort();
        }
        live.local.abort_all();
    }

    fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServiceHandle {
    fn drop(&mut self) {
        self.abort();
    }
}
