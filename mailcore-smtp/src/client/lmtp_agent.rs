//! LMTP as a client: an agent that hands messages to a store next door (RFC
//! 2033), by TCP or by a socket of this host.
//!
//! What it says differs from SMTP in [`Protocol::Lmtp`] alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::seams::{BoxStream, DialError, Dialer};

use super::config::{HostSettings, Protocol, RouteSettings};
use super::remote_agent::{RemoteAgent, RemoteAgentBuilder, RemoteSeams};

/// Where LMTP is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LmtpPlace {
    /// A host and its port.
    Host {
        /// Name or address literal.
        host: Domain,
        /// Port: 24 by custom.
        port: u16,
    },
    /// A socket of this host.
    #[cfg(unix)]
    Socket(PathBuf),
}

impl RemoteAgent {
    /// An agent that hands all its mail to one place by LMTP, whatever its next
    /// hop. It is registered under a name of its own, which routes name.
    pub fn lmtp(hostname: Domain, mut seams: RemoteSeams, place: LmtpPlace) -> RemoteAgentBuilder {
        let mut settings = match place {
            LmtpPlace::Host { host, port } => HostSettings::new(host, port),
            #[cfg(unix)]
            LmtpPlace::Socket(path) => {
                seams.dialer = Arc::new(UnixDialer { path });
                HostSettings::new(Domain::literal([127, 0, 0, 1].into()), 24)
            }
        };
        settings.protocol = Protocol::Lmtp;
        let mut route = RouteSettings::default();
        route.hosts.push(settings);
        Self::builder(hostname, seams).every_route(route)
    }
}

/// Dials one socket of this host, whatever address is asked for.
#[cfg(unix)]
#[derive(Debug, Clone)]
pub struct UnixDialer {
    /// The socket.
    pub path: PathBuf,
}

#[cfg(unix)]
#[async_trait]
impl Dialer for UnixDialer {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        match tokio::net::UnixStream::connect(&self.path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(source) => Err(DialError::Io { address, source }),
        }
    }
}
