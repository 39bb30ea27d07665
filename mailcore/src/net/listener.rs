//! Accepting connections, within limits.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

use super::proxy_protocol::ProxyHeader;
use super::{Connection, Meter, Network, Service, Shutdown};
use crate::limits::Limits;
use crate::seams::{BoxStream, Clock};

/// How long to wait after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a refused peer may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts connections, for all listeners of a server together.
#[derive(Debug)]
pub struct Gate {
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    most: usize,
    most_per_address: usize,
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(Open {
                most: limits.connections,
                most_per_address: limits.connections_per_address,
                total: 0,
                by_address: HashMap::new(),
            }),
        })
    }

    /// Other limits from now on. Who is inside stays, and counts.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.most = limits.connections;
        open.most_per_address = limits.connections_per_address;
    }

    /// A place for a connection from `peer`, given back when it is dropped.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let key = peer_group(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.by_address.get(&key).copied().unwrap_or(0);
        let full_here = here >= open.most_per_address && !key.is_loopback();
        if open.total >= open.most || full_here {
            return None;
        }
        open.total += 1;
        open.by_address.insert(key, here + 1);
        Some(Place {
            gate: Arc::clone(self),
            key,
        })
    }
}

/// The unit that connections are counted by: an IPv4 address, an IPv6 /64.
pub(crate) fn peer_group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

/// A counted connection.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    key: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .gate
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        match open.by_address.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.by_address.remove(&self.key)),
        }
    }
}

/// A bound socket and what it serves.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    serving: Serving,
    shutdown: Shutdown,
    closing: Shutdown,
}

/// What a listener serves its next connection with. Others may replace it while
/// the listener runs; a session keeps what it began with.
#[derive(Debug, Clone)]
pub(crate) struct Serving(Arc<RwLock<Arc<Shared>>>);

impl Serving {
    pub(crate) fn new(parts: ListenerParts) -> Self {
        Self(Arc::new(RwLock::new(parts.shared())))
    }

    pub(crate) fn replace(&self, parts: ListenerParts) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = parts.shared();
    }

    fn current(&self) -> Arc<Shared> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What every connection of a listener needs.
#[derive(Debug)]
struct Shared {
    service: Arc<dyn Service>,
    gate: Arc<Gate>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    /// Who may connect, and says for whom by the PROXY protocol; empty for
    /// anybody, who speaks for itself.
    proxies: Vec<Network>,
    #[cfg(feature = "tls")]
    tls: ListenerTls,
}

/// How a listener uses TLS.
#[cfg(feature = "tls")]
#[derive(Debug, Clone, Default)]
pub(crate) enum ListenerTls {
    /// Not at all.
    #[default]
    None,
    /// When the client asks (RFC 3207, RFC 2595).
    Starttls(super::TlsAcceptor),
    /// From the first octet (RFC 8314).
    Implicit(super::TlsAcceptor),
}

/// What a [`Listener`] is made of besides its socket.
#[derive(Debug)]
pub(crate) struct ListenerParts {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: Shutdown,
    pub(crate) proxies: Vec<Network>,
    #[cfg(feature = "tls")]
    pub(crate) tls: ListenerTls,
}

impl Listener {
    /// Serves until `shutdown`; from `closing` on it takes no more connections
    /// and lets those go on that it has.
    pub(crate) fn new(
        socket: TcpListener,
        serving: Serving,
        (shutdown, closing): (Shutdown, Shutdown),
    ) -> Self {
        Self {
            socket,
            serving,
            shutdown,
            closing,
        }
    }

    /// The bound address, with the real port where 0 was asked for.
    ///
    /// # Errors
    /// What the system reports.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the listener closes or the shutdown begins. The shutdown
    /// gives the open sessions the time to finish that [`Limits::drain`] allows.
    /// When this returns every session is gone. Dropping the future ends them at
    /// once.
    pub async fn run(mut self) {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.begun() => break,
                () = self.closing.begun() => break,
                Some(ended) = sessions.join_next() => self.note(&ended),
                accepted = self.socket.accept() => self.accepted(accepted, &mut sessions).await,
            }
        }
        let Self {
            socket,
            serving,
            mut shutdown,
            ..
        } = self;
        drop(socket);
        loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                ended = sessions.join_next() => match ended {
                    Some(ended) => note(&ended, serving.current().service.protocol()),
                    None => return,
                },
            }
        }
        let shared = serving.current();
        let (clock, drain) = (shared.clock.as_ref(), shared.limits.drain);
        finish(sessions, clock, drain, shared.service.protocol()).await;
    }

    async fn accepted(
        &self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        sessions: &mut JoinSet<()>,
    ) {
        let shared = self.serving.current();
        match accepted {
            Ok((stream, peer)) => {
                sessions.spawn(async move { shared.welcome(stream, peer).await });
            }
            // That one is gone; the next one may be well.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, protocol = shared.service.protocol(), "can't accept");
                let clock = &shared.clock;
                clock
                    .sleep_until(clock.monotonic().after(ACCEPT_PAUSE))
                    .await;
            }
        }
    }

    fn note(&self, ended: &Result<(), JoinError>) {
        note(ended, self.serving.current().service.protocol());
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset)
}

fn note(ended: &Result<(), JoinError>, protocol: &'static str) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, protocol, "a session ended by a panic");
    }
}

/// Waits for sessions that were told to finish, then ends those that did not.
/// When this returns all are gone, and what they held with them.
pub(crate) async fn finish(
    mut sessions: JoinSet<()>,
    clock: &dyn Clock,
    within: Duration,
    protocol: &'static str,
) {
    let mut deadline = std::pin::pin!(clock.sleep_until(clock.monotonic().after(within)));
    loop {
        tokio::select! {
            biased;
            ended = sessions.join_next() => match ended {
                Some(ended) => note(&ended, protocol),
                None => return,
            },
            () = &mut deadline => break,
        }
    }
    tracing::warn!(
        protocol,
        sessions = sessions.len(),
        "sessions did not finish in time"
    );
    sessions.shutdown().await;
}

impl ListenerParts {
    fn shared(self) -> Arc<Shared> {
        Arc::new(Shared {
            service: self.service,
            gate: self.gate,
            limits: self.limits,
            clock: self.clock,
            shutdown: self.shutdown,
            proxies: self.proxies,
            #[cfg(feature = "tls")]
            tls: self.tls,
        })
    }

    /// Serves a stream from within the process.
    pub(crate) async fn serve_local(self, stream: BoxStream) {
        self.shared().serve(stream, None, None).await;
    }
}

impl Shared {
    async fn welcome(&self, mut stream: TcpStream, peer: SocketAddr) {
        let mut local = stream.local_addr().ok();
        let mut peer = peer;
        if !self.proxies.is_empty() {
            match self.proxied(&mut stream, peer).await {
                Ok(ProxyHeader::Itself) => {}
                Ok(ProxyHeader::Client {
                    source,
                    destination,
                }) => (peer, local) = (source, Some(destination)),
                Err(error) => {
                    tracing::info!(%peer, %error, protocol = self.service.protocol(), "not let in as a proxy");
                    return;
                }
            }
        }
        let Some(_place) = self.gate.enter(peer.ip()) else {
            tracing::info!(%peer, protocol = self.service.protocol(), "too many connections");
            if self.begins_in_tls() {
                return;
            }
            let refuse = async {
                stream.write_all(self.service.busy()).await?;
                stream.shutdown().await
            };
            let until = self.clock.monotonic().after(REFUSAL_TIMEOUT);
            tokio::select! {
                _ = refuse => {}
                () = self.clock.sleep_until(until) => {}
            }
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "can't set TCP_NODELAY");
        }
        self.serve(Box::new(stream), Some(peer), local).await;
    }

    /// For whom a proxy speaks. Nobody else gets in: whoever is believed could
    /// name any address.
    async fn proxied(&self, stream: &mut TcpStream, peer: SocketAddr) -> io::Result<ProxyHeader> {
        if !self.proxies.iter().any(|it| it.contains(peer.ip())) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let until = self.clock.monotonic().after(self.limits.handshake_timeout);
        tokio::select! {
            biased;
            header = ProxyHeader::read(stream) => header,
            () = self.clock.sleep_until(until) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// True where words in clear would be no part of the protocol.
    fn begins_in_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return matches!(self.tls, ListenerTls::Implicit(_));
        #[cfg(not(feature = "tls"))]
        return false;
    }

    #[cfg(feature = "tls")]
    async fn serve(&self, stream: BoxStream, peer: Option<SocketAddr>, local: Option<SocketAddr>) {
        let mut connection = self.connection(stream, peer, local);
        match &self.tls {
            ListenerTls::None => {}
            ListenerTls::Starttls(acceptor) => connection.starttls = Some(acceptor.clone()),
            ListenerTls::Implicit(acceptor) => {
                let until = self.clock.monotonic().after(self.limits.handshake_timeout);
                let handshake = tokio::select! {
                    biased;
                    done = acceptor.accept(connection.stream) => done,
                    () = self.clock.sleep_until(until) => Err(io::ErrorKind::TimedOut.into()),
                };
                match handshake {
                    Ok((stream, info)) => {
                        (connection.stream, connection.tls) = (stream, Some(info))
                    }
                    Err(error) => {
                        tracing::debug!(?peer, %error, protocol = self.service.protocol(), "TLS handshake failed");
                        return;
                    }
                }
            }
        }
        self.service.serve(connection).await;
    }

    #[cfg(not(feature = "tls"))]
    async fn serve(&self, stream: BoxStream, peer: Option<SocketAddr>, local: Option<SocketAddr>) {
        self.service
            .serve(self.connection(stream, peer, local))
            .await;
    }

    fn connection(
        &self,
        stream: BoxStream,
        peer: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) -> Connection {
        Connection {
            stream,
            peer,
            local,
            tls: None,
            #[cfg(feature = "tls")]
            starttls: None,
            shutdown: self.shutdown.clone(),
            clock: Arc::clone(&self.clock),
            write_timeout: self.limits.write_timeout,
            meter: Meter::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_counts_by_address_and_by_64_and_lets_loopback_pass() {
        let limits = Limits {
            connections: 5,
            connections_per_address: 2,
            ..Limits::default()
        };
        let gate = Gate::new(&limits);
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let first = gate.enter(a).unwrap();
        let _second = gate.enter(same).unwrap();
        assert!(gate.enter(a).is_none());
        let _third = gate.enter(other).unwrap();
        drop(first);
        let home: Vec<_> = (0..5)
            .filter_map(|_| gate.enter("127.0.0.1".parse().unwrap()))
            .collect();
        assert_eq!(home.len(), 3, "loopback is bound by the total alone");
    }
}
