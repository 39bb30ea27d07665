//! [`HostRoute`]: a host that mail is handed to, as administrators write it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::address::Domain;
use crate::seams::NextHop;

/// What is spoken to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: a reply for each recipient.
    Lmtp,
}

impl Protocol {
    /// The name under which the agent that speaks it is registered.
    pub fn agent(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
        }
    }

    /// LMTP has no port of its own (RFC 2033 section 5 forbids 25); 24 is what
    /// is used.
    fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Lmtp => 24,
        }
    }
}

/// A host, its port and what is spoken there: `mx.example.net`,
/// `192.0.2.1:2525`, `lmtp:[2001:db8::1]:24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRoute {
    /// Name or address literal.
    pub host: Domain,
    /// Port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
}

/// Why a text is no [`HostRoute`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\": {reason}; write HOST, HOST:PORT or lmtp:HOST:PORT")]
pub struct HostError {
    text: String,
    reason: String,
}

impl HostRoute {
    /// The next hop that it is.
    pub fn next_hop(&self) -> NextHop {
        NextHop::Host {
            host: self.host.clone(),
            port: self.port,
        }
    }
}

impl FromStr for HostRoute {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason: String| HostError {
            text: text.to_owned(),
            reason,
        };
        let (protocol, rest) = match text.strip_prefix("lmtp:") {
            Some(rest) => (Protocol::Lmtp, rest),
            None => (Protocol::Smtp, text),
        };
        let default = protocol.port().to_string();
        // A colon within an address is not the one before a port.
        let (host, port) = match (rest.parse::<IpAddr>(), rest.rsplit_once(':')) {
            (Err(_), Some((host, port))) if !port.ends_with(']') => (host, port),
            _ => (rest, default.as_str()),
        };
        let port = port.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| wrong("the port must be 1 to 65535".to_owned()))?;
        let bare = host.trim_matches(['[', ']']);
        let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
        let host = match bare.parse::<IpAddr>() {
            Ok(ip) => Domain::literal(ip),
            Err(_) => Domain::parse(host).map_err(|error| wrong(error.to_string()))?,
        };
        Ok(Self {
            host,
            port,
            protocol,
        })
    }
}

impl fmt::Display for HostRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol == Protocol::Lmtp {
            f.write_str("lmtp:")?;
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_address_with_or_without_port() {
        let read = |text: &str| text.parse::<HostRoute>().map(|it| it.to_string());
        for (text, shown) in [
            ("mx.example.net", "mx.example.net:25"),
            ("mx.example.net:2525", "mx.example.net:2525"),
            ("192.0.2.1:26", "[192.0.2.1]:26"),
            ("2001:db8::1", "[IPv6:2001:db8::1]:25"),
            ("[2001:db8::1]:26", "[IPv6:2001:db8::1]:26"),
            ("lmtp:inner.test", "lmtp:inner.test:24"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown), "{text}");
            assert_eq!(read(shown).as_deref(), Ok(shown), "{shown}");
        }
        assert!(read("mx.example.net:0").is_err());
        assert!(read("").is_err());
    }
}
