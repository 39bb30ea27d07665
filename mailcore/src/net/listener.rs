//! Accepting connections, within limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

use super::pace::Pace;
use super::proxy_protocol::ProxyHeader;
use super::toll::Toll;
use super::{Connection, Gate, Meter, Network, Service, Shutdown};
use crate::abuse::{Limiter, LivingSession, Welcome};
use crate::access::AccessRules;
use crate::limits::Limits;
use crate::seams::{BoxStream, Clock};

/// How long to wait after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a refused peer may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a session that a ban ends may still say why.
const LAST_WORD: Duration = Duration::from_secs(1);

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
    limiter: Arc<Limiter>,
    access: AccessRules,
    /// What all connections of the listener share.
    pace: Option<Arc<Pace>>,
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
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) access: AccessRules,
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
                if let Some(knock) = shared.knock(peer) {
                    sessions.spawn(async move { shared.welcome(stream, knock).await });
                }
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
            pace: self.gate.paces().of_listener(),
            service: self.service,
            gate: self.gate,
            limiter: self.limiter,
            access: self.access,
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
        let ends = (None, None);
        self.shared().serve(stream, ends, Meter::default()).await;
    }
}

/// The other end and this one; `None` within the process.
type Ends = (Option<SocketAddr>, Option<SocketAddr>);

/// Who has connected, and what is known of it before anything is read.
enum Knock {
    /// A proxy: for whom, it will say.
    Proxy(SocketAddr),
    Peer(SocketAddr, Welcome),
}

impl Shared {
    /// `None` for one that is not to cost more than its `accept`.
    fn knock(&self, peer: SocketAddr) -> Option<Knock> {
        if !self.proxies.is_empty() {
            return Some(Knock::Proxy(peer));
        }
        let welcome = self.limiter.connect(peer.ip(), self.service.protocol());
        (welcome != Welcome::No).then_some(Knock::Peer(peer, welcome))
    }

    async fn welcome(&self, mut stream: TcpStream, knock: Knock) {
        let mut local = stream.local_addr().ok();
        let (peer, welcome) = match knock {
            Knock::Peer(peer, welcome) => (peer, welcome),
            Knock::Proxy(proxy) => match self.proxied(&mut stream, proxy).await {
                Ok(ProxyHeader::Itself) => (proxy, Welcome::Yes),
                Ok(ProxyHeader::Client {
                    source,
                    destination,
                }) => {
                    local = Some(destination);
                    let protocol = self.service.protocol();
                    (source, self.limiter.connect(source.ip(), protocol))
                }
                Err(error) => {
                    tracing::info!(peer = %proxy, %error, protocol = self.service.protocol(), "not let in as a proxy");
                    return;
                }
            },
        };
        if welcome == Welcome::No {
            return;
        }
        let place = self.gate.enter(peer.ip());
        let Some(_place) = place.filter(|_| welcome == Welcome::Yes) else {
            tracing::info!(%peer, protocol = self.service.protocol(), "too many connections");
            return self.refuse(stream, self.service.busy()).await;
        };
        if !self.access.admits(peer.ip()).await {
            tracing::info!(%peer, protocol = self.service.protocol(), "may not connect");
            return self.refuse(stream, self.service.denied()).await;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "can't set TCP_NODELAY");
        }
        let session = self.limiter.session(peer.ip());
        let meter = self.meter(peer.ip());
        tokio::select! {
            biased;
            () = self.serve(Box::new(stream), (Some(peer), local), meter.clone()) => {}
            () = self.is_kept_out(&session, &meter) => {
                let protocol = self.service.protocol();
                tracing::info!(%peer, protocol, "ended: the peer is banned, or the account closed");
            }
        }
    }

    /// Waits until the peer is banned or its account closed, and what it was told
    /// last may have reached it.
    async fn is_kept_out(&self, session: &LivingSession, meter: &Meter) {
        session.is_kept_out(|| meter.is_of_closed_account()).await;
        let until = self.clock.monotonic().after(LAST_WORD);
        self.clock.sleep_until(until).await;
    }

    async fn refuse(&self, mut stream: TcpStream, words: &[u8]) {
        if self.begins_in_tls() {
            return;
        }
        let refuse = async {
            stream.write_all(words).await?;
            stream.shutdown().await
        };
        let until = self.clock.monotonic().after(REFUSAL_TIMEOUT);
        tokio::select! {
            _ = refuse => {}
            () = self.clock.sleep_until(until) => {}
        }
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
    async fn serve(&self, stream: BoxStream, ends: Ends, meter: Meter) {
        let mut connection = self.connection(stream, ends, meter);
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
                        tracing::debug!(peer = ?ends.0, %error, protocol = self.service.protocol(), "TLS handshake failed");
                        return;
                    }
                }
            }
        }
        self.service.serve(connection).await;
    }

    #[cfg(not(feature = "tls"))]
    async fn serve(&self, stream: BoxStream, ends: Ends, meter: Meter) {
        self.service
            .serve(self.connection(stream, ends, meter))
            .await;
    }

    fn connection(&self, stream: BoxStream, (peer, local): Ends, meter: Meter) -> Connection {
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
            meter,
        }
    }

    fn meter(&self, peer: IpAddr) -> Meter {
        let toll = Toll::new(Arc::clone(&self.limiter), self.service.protocol(), peer);
        let now = self.clock.monotonic();
        (self.gate.paces()).meter((peer, now), self.pace.as_ref(), toll)
    }
}
