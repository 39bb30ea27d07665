//! [`ProxyDialer`]: connections of the server's own HTTPS by way of an HTTP
//! proxy (CONNECT, RFC 9110 section 9.3.6).
//!
//! The proxy is given addresses, not names: what the caller resolved and checked
//! is what is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::account::Secret;
use crate::address::Domain;
use crate::seams::{BoxStream, DialError, Dialer, Resolver};

/// Octets of the proxy's answer.
const MAX_ANSWER: usize = 8 * 1024;
/// Characters of it that are told.
const MAX_SHOWN: usize = 80;
/// Addresses of the proxy that are tried.
const MAX_ADDRESSES: usize = 4;

/// A proxy, and the login that it asks for. Reads `http://user:password@host:port`,
/// where what follows `%` are two digits of an octet.
#[derive(Debug, Clone)]
pub struct HttpProxy {
    host: ProxyHost,
    port: u16,
    /// As `Proxy-Authorization` has it.
    login: Option<Secret>,
}

#[derive(Debug, Clone)]
enum ProxyHost {
    Address(IpAddr),
    Name(Domain),
}

/// Why a text names no proxy. The text itself is not shown: it may hold a
/// password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpProxyError {
    /// Another scheme, or none.
    #[error("a proxy is spoken to by HTTP; write http://host:port")]
    Scheme,
    /// No host, or no port.
    #[error("name the proxy's host and port; write http://host:port")]
    Place,
    /// A login without a password, or a `%` without two digits.
    #[error("write the login as user:password@, with %40 for an @ within it")]
    Login,
}

impl FromStr for HttpProxy {
    type Err = HttpProxyError;

    fn from_str(text: &str) -> Result<Self, HttpProxyError> {
        let rest = text.strip_prefix("http://").ok_or(HttpProxyError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let (host, port) = place.rsplit_once(':').ok_or(HttpProxyError::Place)?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let literal = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = match literal.unwrap_or(host).parse() {
            Ok(address) => ProxyHost::Address(address),
            Err(_) => ProxyHost::Name(Domain::parse(host).map_err(|_| HttpProxyError::Place)?),
        };
        Ok(Self {
            host,
            port: port.ok_or(HttpProxyError::Place)?,
            login: login.map(basic).transpose()?,
        })
    }
}

/// RFC 7617.
fn basic(login: &str) -> Result<Secret, HttpProxyError> {
    let (user, password) = login.split_once(':').ok_or(HttpProxyError::Login)?;
    let mut octets = decoded(user)?;
    octets.push(b':');
    octets.extend(decoded(password)?);
    Ok(Secret::new(STANDARD.encode(octets)))
}

fn decoded(text: &str) -> Result<Vec<u8>, HttpProxyError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
        let value = value.and_then(|it| u8::try_from(it).ok());
        octets.push(value.ok_or(HttpProxyError::Login)?);
    }
    Ok(octets)
}

/// Connects through a proxy.
#[derive(Debug, Clone)]
pub struct ProxyDialer {
    proxy: HttpProxy,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
}

impl ProxyDialer {
    /// Through `proxy`, which is found and called by these.
    pub fn new(proxy: HttpProxy, resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>) -> Self {
        Self {
            proxy,
            resolver,
            dialer,
        }
    }

    async fn addresses(&self, target: SocketAddr) -> Result<Vec<SocketAddr>, DialError> {
        let ips = match &self.proxy.host {
            ProxyHost::Address(ip) => vec![*ip],
            ProxyHost::Name(name) => match self.resolver.addresses(name).await {
                Ok(found) => found.records,
                Err(error) => return Err(failed(target, format!("the proxy {name}: {error}"))),
            },
        };
        let port = self.proxy.port;
        let found = ips.into_iter().map(|ip| SocketAddr::new(ip, port));
        Ok(found.take(MAX_ADDRESSES).collect())
    }

    /// Asks for the connection; the stream stands right behind the answer.
    async fn ask(&self, stream: &mut BoxStream, target: SocketAddr) -> io::Result<()> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(login) = &self.proxy.login {
            request.extend_from_slice(b"Proxy-Authorization: Basic ");
            request.extend_from_slice(login.expose());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MAX_ANSWER {
                return Err(io::Error::other("the proxy's answer is too long"));
            }
            // Octet by octet: what follows is not the proxy's.
            answer.push(stream.read_u8().await?);
        }
        let line = answer.split(|octet| *octet == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
        let mut words = line.split(' ');
        let is_http = words.next().is_some_and(|it| it.starts_with("HTTP/1."));
        match words.next() {
            Some(code) if is_http && code.len() == 3 && code.starts_with('2') => Ok(()),
            Some("407") => Err(io::Error::other("the proxy wants another login")),
            _ => {
                let shown: String = line.chars().take(MAX_SHOWN).collect();
                Err(io::Error::other(format!("the proxy refuses: {shown:?}")))
            }
        }
    }
}

fn failed(address: SocketAddr, reason: String) -> DialError {
    DialError::Io {
        address,
        source: io::Error::other(reason),
    }
}

#[async_trait]
impl Dialer for ProxyDialer {
    async fn connect(&self, target: SocketAddr) -> Result<BoxStream, DialError> {
        let mut failure = failed(target, "the proxy has no address".to_owned());
        for address in self.addresses(target).await? {
            match self.dialer.connect(address).await {
                Ok(mut stream) => {
                    let asked = self.ask(&mut stream, target).await;
                    return asked.map(|()| stream).map_err(|source| DialError::Io {
                        address: target,
                        source,
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FixedResolver;

    /// A proxy that answers so, and then says hello in the target's name.
    #[derive(Debug)]
    struct Proxy(&'static str);

    #[async_trait]
    impl Dialer for Proxy {
        async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
            assert_eq!(address.to_string(), "10.0.0.3:3128");
            let (ours, mut theirs) = tokio::io::duplex(4096);
            let answer = self.0;
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = theirs.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let wanted = "CONNECT 203.0.113.7:443 HTTP/1.1\r\nHost: 203.0.113.7:443\r\n\
                              Proxy-Authorization: Basic YW5uOnBAOnc=\r\n\r\n";
                assert_eq!(request, wanted);
                theirs.write_all(answer.as_bytes()).await.unwrap();
                theirs.write_all(b"hello").await.unwrap();
            });
            Ok(Box::new(ours))
        }
    }

    async fn hello(answer: &'static str) -> Result<String, String> {
        let resolver = FixedResolver::new();
        resolver.add_address("proxy.test", "10.0.0.3".parse().unwrap());
        let proxy = "http://ann:p%40:w@proxy.test:3128/".parse().unwrap();
        let dialer = ProxyDialer::new(proxy, Arc::new(resolver), Arc::new(Proxy(answer)));
        let connected = dialer.connect("203.0.113.7:443".parse().unwrap()).await;
        let mut stream = connected.map_err(|error| error.to_string())?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        Ok(said)
    }

    #[tokio::test]
    async fn the_address_that_was_checked_is_asked_for_and_the_stream_is_the_targets() {
        let said = hello("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await;
        assert_eq!(said.unwrap(), "hello");
        for answer in [
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "SSH-2.0-x 200 y\r\n\r\n",
        ] {
            assert!(hello(answer).await.unwrap_err().contains("the proxy"));
        }
    }

    #[test]
    fn a_proxy_is_read_and_its_password_not_shown() {
        let proxy = |text: &str| text.parse::<HttpProxy>();
        let login = proxy("http://ann:secret@[2001:db8::1]:8080").unwrap();
        assert!(!format!("{login:?}").contains("YW5uOnNlY3JldA"));
        assert_eq!(proxy("https://x:1").unwrap_err(), HttpProxyError::Scheme);
        for place in ["http://x", "http://x:0", "http://:3", "http://x:y"] {
            assert_eq!(proxy(place).unwrap_err(), HttpProxyError::Place, "{place}");
        }
        for login in ["http://ann@x:1", "http://a:%4@x:1", "http://a%:b@x:1"] {
            assert_eq!(proxy(login).unwrap_err(), HttpProxyError::Login, "{login}");
        }
    }
}
