//! Where a web hook is.

use std::fmt;
use std::net::Ipv6Addr;

use crate::address::Domain;
use crate::net::Channel;

/// A URL of HTTP or HTTPS, without login and fragment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) channel: Channel,
    pub(super) host: Domain,
    pub(super) port: u16,
    /// Path and query.
    pub(super) path: String,
}

impl Url {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let visible = |c: char| c.is_ascii_graphic();
        if !text.chars().all(visible) || text.contains('#') {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let channel = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Channel::Secure,
            _ if scheme.eq_ignore_ascii_case("http") => Channel::Plain,
            _ => return None,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at_checked(end)?;
        if place.contains('@') {
            return None;
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let port = match (port, channel) {
            (Some(port), _) => port.parse().ok().filter(|port| *port > 0)?,
            (None, Channel::Secure) => 443,
            (None, Channel::Plain) => 80,
        };
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Some(Self {
            channel,
            host: parse_host(host)?,
            port,
            path,
        })
    }

    /// True when it goes through TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.channel == Channel::Secure
    }
}

fn parse_host(text: &str) -> Option<Domain> {
    if let Some(inner) = text.strip_prefix('[') {
        let ip: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(Domain::literal(ip.into()));
    }
    match text.parse() {
        Ok(ip) => Some(Domain::literal(ip)),
        Err(_) => Domain::parse(text).ok()?.to_ascii().ok(),
    }
}

/// The path may hold a secret.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_a_port_and_a_path() {
        let read = |text: &str| {
            Url::parse(text).map(|url| format!("{} {} {}", url.host, url.port, url.path))
        };
        let good = [
            ("https://hooks.test/a?b=c", "hooks.test 443 /a?b=c"),
            ("HTTP://Hooks.test:8080", "hooks.test 8080 /"),
            ("https://hooks.test?x", "hooks.test 443 /?x"),
            ("http://127.0.0.1:9/x", "[127.0.0.1] 9 /x"),
            ("https://[::1]:9/x", "[IPv6:::1] 9 /x"),
            ("https://[::1]/", "[IPv6:::1] 443 /"),
        ];
        for (text, want) in good {
            assert_eq!(read(text).as_deref(), Some(want));
        }
        let bad = [
            "hooks.test/a",
            "ftp://hooks.test/",
            "https://user:secret@hooks.test/",
            "https://hooks.test/a b",
            "https://hooks.test/#x",
            "https://hooks.test:0/",
            "https://hooks.test:99999/",
            "https:///x",
            "https://hooks.test/\r\nHost: x",
        ];
        for text in bad {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
