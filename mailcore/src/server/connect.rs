//! Streams to services within the process, by protocol.

use thiserror::Error;
use tokio::io::DuplexStream;

use super::{RunningServer, ServiceState};

/// Why there is no stream to a service.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server was started without such a service.
    #[error("no {protocol} service; give the builder one: .serve({service})")]
    NoService {
        /// Which protocol.
        protocol: &'static str,
        /// What would serve it.
        service: &'static str,
    },
    /// It was stopped, or the server is going down.
    #[error("the {protocol} service is stopped; start it: .service(\"{protocol}\")")]
    Stopped {
        /// Which protocol.
        protocol: &'static str,
    },
}

/// A protocol and what serves it, in words for [`ConnectError`].
type Wanted = (&'static str, &'static str);

const SMTP: Wanted = ("smtp", "Smtp::mx()");
const SUBMISSION: Wanted = ("submission", "Smtp::submission()");
const LMTP: Wanted = ("lmtp", "Smtp::lmtp()");
const IMAP: Wanted = ("imap", "Imap::new()");
const POP3: Wanted = ("pop3", "Pop3::new()");
const MANAGESIEVE: Wanted = ("managesieve", "ManageSieve::new()");

/// Each is a stream to the first service of a protocol, without a port.
impl RunningServer {
    /// To the service for mail from other hosts.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_smtp(&self) -> Result<DuplexStream, ConnectError> {
        self.connect_to(SMTP)
    }

    /// To the service for users' own mail.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_submission(&self) -> Result<DuplexStream, ConnectError> {
        self.connect_to(SUBMISSION)
    }

    /// To the service for mail from a host that keeps a queue itself.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_lmtp(&self) -> Result<DuplexStream, ConnectError> {
        self.connect_to(LMTP)
    }

    /// To the IMAP service.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_imap(&self) -> Result<DuplexStream, ConnectError> {
        self.connect_to(IMAP)
    }

    /// To the POP3 service.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_pop3(&self) -> Result<DuplexStream, ConnectError> {
        self.connect_to(POP3)
    }

    /// To the service for users' Sieve scripts.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_managesieve(&self) -> Result<DuplexStream, ConnectError> {
        self.connect_to(MANAGESIEVE)
    }

    fn connect_to(&self, (protocol, service): Wanted) -> Result<DuplexStream, ConnectError> {
        let found = self.service(protocol);
        let found = found.ok_or(ConnectError::NoService { protocol, service })?;
        let running = found.state() == ServiceState::Running;
        let stream = found.connect().filter(|_| running);
        stream.ok_or(ConnectError::Stopped { protocol })
    }
}
