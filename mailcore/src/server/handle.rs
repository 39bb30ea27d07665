//! One service of a running server: its state, start, stop, restart.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;
use crate::limits::Limits;
use crate::net::{
    Gate, Listener, ListenerParts, Network, Service, Shutdown, ShutdownSwitch, finish,
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
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "without TLS every kind is plain")
    )]
    pub(super) kind: ListenerKind,
    pub(super) gate: Arc<Gate>,
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
}

/// One service of a running server.
#[derive(Debug)]
pub struct ServiceHandle {
    door: Door,
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
}

#[derive(Debug)]
struct Running {
    switch: ShutdownSwitch,
    shutdown: Shutdown,
    accepting: Option<JoinHandle<()>>,
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
            door,
            turn: tokio::sync::Mutex::default(),
            live: Mutex::default(),
        })
    }

    /// The protocol: `smtp`, `imap`.
    pub fn protocol(&self) -> &'static str {
        self.door.service.protocol()
    }

    /// The bound address; `None` without a port, or before the first start.
    pub fn address(&self) -> Option<SocketAddr> {
        self.live().bound
    }

    /// Whether it takes connections.
    pub fn state(&self) -> ServiceState {
        match self.live().running {
            Some(_) => ServiceState::Running,
            None => ServiceState::Stopped,
        }
    }

    /// Starts it; starting what runs is fine.
    ///
    /// # Errors
    /// [`StartError::Bind`].
    pub async fn start(&self) -> Result<(), StartError> {
        let _turn = self.turn.lock().await;
        if self.state() == ServiceState::Running {
            return Ok(());
        }
        let socket = self.bind().await?;
        self.run(socket);
        Ok(())
    }

    /// Takes its port, without accepting yet; dropping the socket gives the
    /// port back at once.
    pub(super) async fn bind(&self) -> Result<Option<TcpListener>, StartError> {
        let Some(address) = &self.door.address else {
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
            accepting = Some(tokio::spawn(
                Listener::new(socket, self.listener(shutdown.clone())).run(),
            ));
        }
        live.running = Some(Running {
            switch,
            shutdown,
            accepting,
        });
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
        let Door { clock, limits, .. } = &self.door;
        let local = finish(local, clock.as_ref(), limits.drain, self.protocol());
        let accepted = async {
            if let Some(accepting) = accepting {
                // An error means that it is gone, which is what is waited for.
                let _ = accepting.await;
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
        let shutdown = live.running.as_ref()?.shutdown.clone();
        let (ours, theirs) = tokio::io::duplex(LOCAL_BUFFER);
        // Those that have ended leave the list.
        while live.local.try_join_next().is_some() {}
        live.local
            .spawn(self.listener(shutdown).serve_local(Box::new(theirs)));
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
            accepting.abort();
        }
        live.local.abort_all();
    }

    fn listener(&self, shutdown: Shutdown) -> ListenerParts {
        ListenerParts {
            service: Arc::clone(&self.door.service),
            gate: Arc::clone(&self.door.gate),
            limits: self.door.limits.clone(),
            clock: Arc::clone(&self.door.clock),
            shutdown,
            proxies: self.door.proxies.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls(),
        }
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> crate::net::ListenerTls {
        use crate::net::ListenerTls;
        match (self.door.kind, &self.door.tls) {
            (ListenerKind::Plain, Some(acceptor)) => ListenerTls::Starttls(acceptor.clone()),
            (ListenerKind::Implicit, Some(acceptor)) => ListenerTls::Implicit(acceptor.clone()),
            _ => ListenerTls::None,
        }
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
