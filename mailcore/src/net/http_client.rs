//! [`HttpsClient`]: fetches small files by HTTPS for the server itself, such as
//! MTA-STS policies.
//!
//! Names that strangers choose lead it: so it connects to the address that it
//! checked, follows no redirects, and takes little, for a short time. It keeps
//! no connections and no cookies.

use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio_rustls::TlsConnector;

use crate::address::Domain;
use crate::seams::{BoxStream, Clock, DialError, Dialer, DnsError, Resolver};

const PORT: u16 = 443;
/// Addresses of a host that are tried.
const MAX_ADDRESSES: u32 = 4;
/// Octets of a response's header.
const MAX_HEADER: usize = 16 * 1024;
const AGENT: &str = "mailcore";

/// What one fetch may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// From the look-up to the last octet.
    pub time: Duration,
    /// Octets of content.
    pub size: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            size: 64 * 1024,
        }
    }
}

/// Whether hosts of one's own network may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OwnNetwork {
    /// Loopback, private, link-local and other special addresses are not
    /// called: a stranger's name must not lead to what only this server
    /// reaches.
    #[default]
    Refused,
    /// They are: for tests and closed networks.
    Allowed,
}

/// What a request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// TLS.
    Secure,
    /// Nothing: within one's own network alone.
    Plain,
}

/// Why nothing was fetched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The host's addresses are not known.
    #[error("looking up {0} failed: {1}")]
    Dns(Domain, DnsError),
    /// All addresses of the host are such as strangers may not send us to.
    #[error("{0} has no public address")]
    NotPublic(Domain),
    /// Without TLS, only hosts of one's own network are called.
    #[error("{0} has no address in this network, where HTTP without TLS may go; use https")]
    NotOwn(Domain),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] DialError),
    /// The host did not prove its name.
    #[error("{0}")]
    Certificate(String),
    /// What came is not HTTP, or not all of it came.
    #[error("{0}")]
    Protocol(String),
    /// Another status than 200.
    #[error("the web server answered with status {0}")]
    Status(u16),
    /// Another kind of content.
    #[error("the content is of type \"{0}\"")]
    MediaType(String),
    /// More than the limit.
    #[error("the content is longer than {0} octets")]
    TooLong(usize),
    /// Not in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Fetches files.
#[derive(Clone)]
pub struct HttpsClient {
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    clock: Arc<dyn Clock>,
    tls: Arc<ClientConfig>,
    limits: HttpLimits,
    own_network: OwnNetwork,
}

impl fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsClient").finish_non_exhaustive()
    }
}

impl HttpsClient {
    /// A client that believes the certificates that `tls` believes.
    pub fn new(
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        clock: Arc<dyn Clock>,
        tls: Arc<ClientConfig>,
    ) -> Self {
        Self {
            resolver,
            dialer,
            clock,
            tls,
            limits: HttpLimits::default(),
            own_network: OwnNetwork::default(),
        }
    }

    /// What one fetch may cost.
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether hosts of one's own network may be asked.
    #[must_use]
    pub fn own_network(mut self, own_network: OwnNetwork) -> Self {
        self.own_network = own_network;
        self
    }

    /// The content of `https://HOST/PATH` when it is of this media type.
    ///
    /// # Errors
    /// [`HttpError`]; a redirect is one of them.
    pub async fn get(
        &self,
        host: &Domain,
        path: &str,
        media_type: &str,
    ) -> Result<Vec<u8>, HttpError> {
        let until = self.clock.monotonic().after(self.limits.time);
        tokio::select! {
            fetched = self.fetch(host, path, media_type) => fetched,
            () = self.clock.sleep_until(until) => Err(HttpError::TimedOut(self.limits.time)),
        }
    }

    async fn fetch(
        &self,
        host: &Domain,
        path: &str,
        media_type: &str,
    ) -> Result<Vec<u8>, HttpError> {
        let request = Request::get(path)
            .body(String::new())
            .map_err(|error| HttpError::Protocol(error.to_string()))?;
        let to = (host, PORT, Channel::Secure);
        let (response, _connection) = self.exchange(to, request).await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::Status(response.status().as_u16()));
        }
        check_type(&response, media_type)?;
        self.content(response.into_body()).await
    }

    /// Sends a request, and gives back whatever is answered.
    #[cfg(any(feature = "acme", feature = "oauth"))]
    pub(crate) async fn send<B>(
        &self,
        host: &Domain,
        port: u16,
        request: Request<B>,
    ) -> Result<Response<Vec<u8>>, HttpError>
    where
        B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        let until = self.clock.monotonic().after(self.limits.time);
        let sent = async {
            let to = (host, port, Channel::Secure);
            let (response, _connection) = self.exchange(to, request).await?;
            let (parts, body) = response.into_parts();
            let content = self.content(body).await?;
            Ok(Response::from_parts(parts, content))
        };
        tokio::select! {
            sent = sent => sent,
            () = self.clock.sleep_until(until) => Err(HttpError::TimedOut(self.limits.time)),
        }
    }

    /// Sends a request, and gives back the status alone: what is answered
    /// beside it is not read.
    pub(crate) async fn tell<B>(
        &self,
        to: (&Domain, u16, Channel),
        request: Request<B>,
    ) -> Result<StatusCode, HttpError>
    where
        B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        let until = self.clock.monotonic().after(self.limits.time);
        tokio::select! {
            told = self.exchange(to, request) => told.map(|(response, _)| response.status()),
            () = self.clock.sleep_until(until) => Err(HttpError::TimedOut(self.limits.time)),
        }
    }

    /// Whether hosts of one's own network may be asked.
    pub(crate) fn may_ask_own_network(&self) -> bool {
        self.own_network == OwnNetwork::Allowed
    }

    /// One request on a connection of its own, which ends with what comes
    /// second.
    async fn exchange<B>(
        &self,
        (host, port, channel): (&Domain, u16, Channel),
        mut request: Request<B>,
    ) -> Result<(Response<Incoming>, impl Drop), HttpError>
    where
        B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        let stream = self.connect((host, port, channel)).await?;
        let stream: BoxStream = match channel {
            Channel::Secure => Box::new(self.secure(host, stream).await?),
            Channel::Plain => stream,
        };
        let protocol = |error: hyper::Error| HttpError::Protocol(error.to_string());
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEADER);
        let (mut sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(protocol)?;
        let connection = Task(tokio::spawn(connection));
        let host = match host.as_ip() {
            Some(ip @ IpAddr::V6(_)) => format!("[{ip}]"),
            Some(ip) => ip.to_string(),
            None => ascii(host)?.to_string(),
        };
        let named = match (port, channel) {
            (PORT, Channel::Secure) | (80, Channel::Plain) => host,
            (port, _) => format!("{host}:{port}"),
        };
        let named =
            HeaderValue::try_from(named).map_err(|error| HttpError::Protocol(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, named);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let response = sender.send_request(request).await.map_err(protocol)?;
        Ok((response, connection))
    }

    async fn content(&self, mut body: Incoming) -> Result<Vec<u8>, HttpError> {
        let mut content = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|error| HttpError::Protocol(error.to_string()))?;
            let data = frame.into_data().unwrap_or_default();
            if content.len().saturating_add(data.len()) > self.limits.size {
                return Err(HttpError::TooLong(self.limits.size));
            }
            content.extend_from_slice(&data);
        }
        Ok(content)
    }

    async fn connect(
        &self,
        (host, port, channel): (&Domain, u16, Channel),
    ) -> Result<BoxStream, HttpError> {
        let found = match host.as_ip() {
            Some(ip) => vec![ip],
            None => match self.resolver.addresses(host).await {
                Ok(found) => found.records,
                Err(error) => return Err(HttpError::Dns(host.clone(), error)),
            },
        };
        let own = self.own_network == OwnNetwork::Allowed;
        let allowed = |ip: &&IpAddr| match channel {
            Channel::Secure => own || is_public(**ip),
            Channel::Plain => own && !is_public(**ip),
        };
        let mut failure = match channel {
            Channel::Secure => HttpError::NotPublic(host.clone()),
            Channel::Plain => HttpError::NotOwn(host.clone()),
        };
        for ip in found.iter().filter(allowed).take(MAX_ADDRESSES as usize) {
            // One that is dead must leave time for the next.
            let wait = self.limits.time / (MAX_ADDRESSES + 1);
            let until = self.clock.monotonic().after(wait);
            tokio::select! {
                dialled = self.dialer.connect(SocketAddr::new(*ip, port)) => match dialled {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failure = error.into(),
                },
                () = self.clock.sleep_until(until) => failure = HttpError::TimedOut(wait),
            }
        }
        Err(failure)
    }

    async fn secure(
        &self,
        host: &Domain,
        stream: BoxStream,
    ) -> Result<tokio_rustls::client::TlsStream<BoxStream>, HttpError> {
        let name = match host.as_ip() {
            Some(ip) => Ok(ServerName::from(ip)),
            None => ServerName::try_from(ascii(host)?.as_str().to_owned()),
        };
        let name = name.map_err(|error| HttpError::Certificate(error.to_string()))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(name, stream).await.map_err(|error| {
            let rustls = error.get_ref().and_then(|inner| inner.downcast_ref());
            match rustls {
                Some(rustls::Error::InvalidCertificate(_)) => {
                    HttpError::Certificate(error.to_string())
                }
                _ => HttpError::Protocol(error.to_string()),
            }
        })
    }
}

/// The name as certificates and requests have it (RFC 5890 section 2.3.2.1).
fn ascii(host: &Domain) -> Result<Domain, HttpError> {
    let ascii = host.to_ascii();
    ascii.map_err(|error| HttpError::Protocol(error.to_string()))
}

/// A task that ends with its owner.
struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn check_type(response: &Response<Incoming>, wanted: &str) -> Result<(), HttpError> {
    let value = response.headers().get(CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let found = value.split(';').next().unwrap_or_default().trim();
    if found.eq_ignore_ascii_case(wanted) {
        Ok(())
    } else {
        Err(HttpError::MediaType(found.chars().take(80).collect()))
    }
}

/// True when the address belongs to a host of the Internet at large (IANA's
/// special-purpose address registries, RFC 6890).
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let special = ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || (a, b & 0xc0) == (100, 64)
                || (a, b, c) == (192, 0, 0)
                // 6to4 relays: leads into IPv6 by whoever announces it.
                || (a, b, c) == (192, 88, 99)
                || (a, b & 0xfe) == (198, 18);
            !special
        }
        IpAddr::V6(ip) => {
            // Only 2000::/3 is handed out; within it some lead into IPv4
            // networks (6to4, Teredo) or nowhere.
            let [a, b, ..] = ip.segments();
            let special = a == 0x2002 || (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a >= 0x3ff0;
            a & 0xe000 == 0x2000 && !special
        }
    }
}

#[cfg(test)]
mod tests;
