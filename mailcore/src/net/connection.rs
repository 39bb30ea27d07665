//! A connection as a service receives it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Meter, Shutdown};
use crate::seams::{BoxStream, Clock};
use crate::wire::TlsInfo;

/// A protocol that a server offers. One value serves all connections.
#[async_trait]
pub trait Service: fmt::Debug + Send + Sync {
    /// The protocol's name: `smtp`, `submission`, `imap`, `pop3`.
    fn protocol(&self) -> &'static str;

    /// The protocol's name in ALPN (RFC 7301), where it differs: LMTP and
    /// submission are SMTP.
    fn alpn(&self) -> &'static str {
        self.protocol()
    }

    /// Serves one connection to its end.
    async fn serve(&self, connection: Connection);

    /// What to send to a peer that may not connect, before it is closed.
    fn denied(&self) -> &'static [u8] {
        b""
    }

    /// What to send to a connection that is over a limit, before it is closed.
    fn busy(&self) -> &'static [u8] {
        b""
    }
}

/// One accepted connection.
pub struct Connection {
    /// The octets, in clear or within TLS.
    pub stream: BoxStream,
    /// The other end; `None` within the process.
    pub peer: Option<SocketAddr>,
    /// This end; `None` within the process.
    pub local: Option<SocketAddr>,
    /// The TLS that is in force already (implicit TLS).
    pub tls: Option<TlsInfo>,
    /// What STARTTLS would use; `None` where it is not offered.
    #[cfg(feature = "tls")]
    pub starttls: Option<super::TlsAcceptor>,
    /// Tells when to finish.
    pub shutdown: Shutdown,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long a peer may take to accept what is sent to it.
    pub write_timeout: Duration,
    /// Counts the octets of the protocol.
    pub meter: Meter,
}

impl Connection {
    /// True when nobody else can listen: within TLS, or within the process.
    /// Passwords may pass.
    pub fn is_private(&self) -> bool {
        self.tls.is_some() || self.peer.is_none()
    }

    /// True when the session may offer STARTTLS.
    pub fn offers_starttls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_none() && self.starttls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
