//! Outgoing connections. A test's dialer connects to servers without a port.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

/// Any byte stream both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A byte stream behind a pointer.
pub type BoxStream = Box<dyn Stream>;

/// Why a connection was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    /// No answer in time.
    #[error("{0}: no answer in time")]
    TimedOut(SocketAddr),
    /// Refused, unreachable, reset.
    #[error("{address}: {source}")]
    Io {
        /// Whom we called.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes outgoing connections.
#[async_trait]
pub trait Dialer: Debug + Send + Sync {
    /// Connects to an address that the caller has resolved and checked. The
    /// caller bounds the time.
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError>;

    /// The same from an address of this host's that the caller chose. A dialer
    /// that has no addresses takes no notice of it.
    async fn connect_from(
        &self,
        source: IpAddr,
        address: SocketAddr,
    ) -> Result<BoxStream, DialError> {
        let _ = source;
        self.connect(address).await
    }
}

/// Connects by TCP.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TcpDialer {
    /// The address to call from, if not the system's choice.
    pub source: Option<IpAddr>,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

impl Default for TcpDialer {
    fn default() -> Self {
        Self {
            source: None,
            timeout: Duration::from_secs(30),
        }
    }
}

#[async_trait]
impl Dialer for TcpDialer {
    async fn connect_from(
        &self,
        source: IpAddr,
        address: SocketAddr,
    ) -> Result<BoxStream, DialError> {
        let source = Some(source);
        Self { source, ..*self }.connect(address).await
    }

    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        let connect = async {
            let socket = match address {
                SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
                SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
            };
            if let Some(source) = self
                .source
                .filter(|source| source.is_ipv4() == address.is_ipv4())
            {
                socket.bind(SocketAddr::new(source, 0))?;
            }
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            io::Result::Ok(stream)
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the network's own time; a test brings another dialer"
        )]
        let connected = tokio::time::timeout(self.timeout, connect).await;
        match connected {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(source)) => Err(DialError::Io { address, source }),
            Err(_) => Err(DialError::TimedOut(address)),
        }
    }
}
