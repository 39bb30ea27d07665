//! [`HttpsUrl`]: where an authorization server is asked.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::address::Domain;

/// `https://host[:port]/path`, without user names or fragments (RFC 3986).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl {
    pub(super) host: Domain,
    pub(super) port: u16,
    pub(super) path: String,
}

/// Why a text is not such a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write the whole URL with https, as in https://login.example.com/jwks")]
pub struct HttpsUrlError;

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}{}", self.host, self.port, self.path)
    }
}

impl FromStr for HttpsUrl {
    type Err = HttpsUrlError;

    fn from_str(text: &str) -> Result<Self, HttpsUrlError> {
        let rest = text.strip_prefix("https://").ok_or(HttpsUrlError)?;
        let is_odd = |it: u8| !it.is_ascii_graphic() || b"#@\\\"<>".contains(&it);
        if rest.bytes().any(is_odd) {
            return Err(HttpsUrlError);
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| HttpsUrlError)?),
            None => (authority, 443),
        };
        let host = Domain::parse(host).map_err(|_| HttpsUrlError)?;
        Ok(Self { host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_https_urls_are_taken() {
        let read = |text: &str| text.parse::<HttpsUrl>().map(|it| it.to_string());
        assert_eq!(read("https://a.test").unwrap(), "https://a.test:443/");
        assert_eq!(
            read("https://a.test:8443/x?y=1").unwrap(),
            "https://a.test:8443/x?y=1"
        );
        assert_eq!(read("https://a.test?y").unwrap(), "https://a.test:443/?y");
        for text in [
            "http://a.test/",
            "https://",
            "a.test",
            "https://u@a.test/",
            "https://a:b/",
        ] {
            assert_eq!(read(text), Err(HttpsUrlError), "{text}");
        }
    }
}
