//! [`Connector`]: finds a host, calls it, and makes a [`Client`] of the
//! connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::seams::{BoxStream, Clock, Dialer, Resolver, Stream};

use super::commands::Client;
use super::config::ClientConfig;
use super::connection::{Connection, within};
use super::error::ClientError;
use super::tls::TlsSetup;

/// Makes clients: how they behave, and by which seams. Cheap to clone.
///
/// A name may lead to this machine or to a network within: who takes hosts
/// from strangers checks them in its [`Resolver`] or [`Dialer`].
#[derive(Debug, Clone)]
pub struct Connector {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    resolver: Option<Arc<dyn Resolver>>,
    dialer: Option<Arc<dyn Dialer>>,
    tls: TlsSetup,
}

impl Connector {
    /// A connector that can run over streams. To call hosts it needs
    /// [`Connector::network`], for TLS `Connector::tls`,
    /// which the feature `tls` brings.
    pub fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            clock,
            resolver: None,
            dialer: None,
            tls: TlsSetup::default(),
        }
    }

    /// The same, finding hosts by `resolver` and calling them by `dialer`.
    #[must_use]
    pub fn network(mut self, resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>) -> Self {
        self.resolver = Some(resolver);
        self.dialer = Some(dialer);
        self
    }

    /// The same, with certificates judged as `config` says.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls.config = Some(config);
        self
    }

    /// Calls `host`, at the port that goes with the security unless another is
    /// given, and secures the connection.
    ///
    /// # Errors
    /// When no address answers, or the session can't be secured.
    pub async fn connect(&self, host: &Domain, port: Option<u16>) -> Result<Client, ClientError> {
        let port = port.unwrap_or(self.config.security.port());
        let addresses = self.addresses(host).await?;
        let mut last = ClientError::NoAddress {
            host: host.to_string(),
            reason: "it has none that may be used; check its name".to_owned(),
        };
        let count = addresses.len();
        for (at, ip) in addresses.into_iter().enumerate() {
            let timeouts = &self.config.timeouts;
            let wait = if at + 1 == count {
                timeouts.connect
            } else {
                timeouts.connect_early
            };
            match self.dial(SocketAddr::new(ip, port), wait).await {
                Ok(stream) => return self.over(stream, host).await,
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Runs over a stream that leads to `host`: one within the process, or one
    /// that the caller made.
    ///
    /// # Errors
    /// When the session can't be secured, or the server does not greet.
    pub async fn over(
        &self,
        stream: impl Stream + 'static,
        host: &Domain,
    ) -> Result<Client, ClientError> {
        let mut tls = self.tls.clone();
        tls.host = Some(host.clone());
        let (config, clock) = (self.config.clone(), Arc::clone(&self.clock));
        let connection = Connection::open(Box::new(stream), config, tls, clock).await?;
        Client::new(connection, host.to_string()).await
    }

    async fn addresses(&self, host: &Domain) -> Result<Vec<IpAddr>, ClientError> {
        if let Some(ip) = host.as_ip() {
            return Ok(vec![ip]);
        }
        let unknown = |reason: String| ClientError::NoAddress {
            host: host.to_string(),
            reason,
        };
        let Some(resolver) = &self.resolver else {
            return Err(unknown("the client was given no resolver".to_owned()));
        };
        let ascii = host
            .to_ascii()
            .map_err(|error| unknown(error.to_string()))?;
        let wait = self.config.timeouts.lookup;
        let found = within(self.clock.as_ref(), wait, resolver.addresses(&ascii)).await;
        let found = found.ok_or_else(|| unknown("DNS gives no answer in time".to_owned()))?;
        let found = found.map_err(|error| unknown(error.to_string()))?;
        Ok(self.config.address_order.apply(&found.records))
    }

    async fn dial(
        &self,
        address: SocketAddr,
        wait: std::time::Duration,
    ) -> Result<BoxStream, ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable { address, reason };
        let Some(dialer) = &self.dialer else {
            return Err(unreachable("the client was given no dialer".to_owned()));
        };
        match within(self.clock.as_ref(), wait, dialer.connect(address)).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(unreachable(error.to_string())),
            None => Err(unreachable("no answer in time".to_owned())),
        }
    }
}
