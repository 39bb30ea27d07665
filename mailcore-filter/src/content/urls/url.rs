//! One URL: [`Url`], read as a browser would go there (WHATWG URL section 4.4,
//! RFC 3986).

use std::fmt;

use super::super::html::LinkKind;
use super::UrlHost;

/// Octets of a URL that are looked at; browsers and servers end near here.
pub(super) const MAX_URL: usize = 2 * 1024;

/// A place that a message leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Url {
    /// How it is reached.
    pub scheme: Scheme,
    /// Whom it leads to.
    pub host: UrlHost,
    /// The port, where it names one.
    pub port: Option<u16>,
    /// The path with query and fragment, as written; of an address its local part.
    pub path: String,
    /// Where in the message it stood first.
    pub origin: Origin,
    /// What it does to be taken for another.
    pub tricks: Tricks,
}

/// How a URL is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// `http:`, and names of hosts without a scheme.
    Http,
    /// `https:`.
    Https,
    /// `ftp:`.
    Ftp,
    /// `mailto:`, and addresses without a scheme.
    Mailto,
}

impl Scheme {
    /// As written before the colon, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ftp => "ftp",
            Self::Mailto => "mailto",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Http, Self::Https, Self::Ftp, Self::Mailto];
        all.into_iter()
            .find(|it| text.eq_ignore_ascii_case(it.as_str()))
    }
}

/// Where in a message a URL stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// In the text.
    Text,
    /// In the markup.
    Link(LinkKind),
    /// In another URL, which leads on to it.
    Within,
}

/// What a URL does to be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Trick {
    /// `http://bank.example@evil.example/`: a name before the host.
    UserInfo,
    /// A host in percent-encoding.
    EncodedHost,
    /// An address as one number, or in octal or hexadecimal.
    OddAddress,
    /// Labels divided by other than the ASCII full stop.
    OddDots,
    /// Letters that only look otherwise: full-width ones, circled ones.
    OddLetters,
    /// A name in other letters than ASCII's.
    International,
    /// Backslashes in place of slashes, or too few or many slashes.
    OddSlashes,
    /// A port that web servers for people don't have.
    OddPort,
    /// It carries another one, which it may lead on to.
    Carries,
    /// The text of the link names another organization.
    Mismatch,
}

impl Trick {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::UserInfo,
        Self::EncodedHost,
        Self::OddAddress,
        Self::OddDots,
        Self::OddLetters,
        Self::International,
        Self::OddSlashes,
        Self::OddPort,
        Self::Carries,
        Self::Mismatch,
    ];

    /// In one word: `user-info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserInfo => "user-info",
            Self::EncodedHost => "encoded-host",
            Self::OddAddress => "odd-address",
            Self::OddDots => "odd-dots",
            Self::OddLetters => "odd-letters",
            Self::International => "international",
            Self::OddSlashes => "odd-slashes",
            Self::OddPort => "odd-port",
            Self::Carries => "carries",
            Self::Mismatch => "mismatch",
        }
    }
}

/// A set of [`Trick`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tricks(u16);

impl Tricks {
    /// True when `trick` is among them.
    pub fn has(self, trick: Trick) -> bool {
        self.0 & 1 << trick as u16 != 0
    }

    /// Those that are, in the order of [`Trick::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Trick> {
        Trick::ALL.into_iter().filter(move |it| self.has(*it))
    }

    pub(super) fn note(&mut self, trick: Trick) {
        self.0 |= 1 << trick as u16;
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Url {
    /// Reads a URL with a scheme; none for one that leads to no host.
    ///
    /// ```
    /// use mailcore_filter::content::{Trick, Url};
    ///
    /// let url = Url::parse("http:\\\\www.bank.example@0x7f.1/login").unwrap();
    /// assert_eq!(url.to_string(), "http://127.0.0.1/login");
    /// assert!(url.tricks.has(Trick::UserInfo) && url.tricks.has(Trick::OddAddress));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_at(text, Origin::Text)
    }

    pub(super) fn parse_at(text: &str, origin: Origin) -> Option<Self> {
        let text = text.get(..text.floor_char_boundary(MAX_URL))?;
        let (scheme, rest) = text.split_once(':')?;
        let scheme = Scheme::parse(scheme)?;
        if scheme == Scheme::Mailto {
            let address = rest.split('?').next()?;
            let decoded = super::percent_decode(address);
            return Self::address(std::str::from_utf8(&decoded).ok()?, origin);
        }
        Self::after_scheme(scheme, rest, origin)
    }

    /// `//host/path`, in which a browser takes any number of slashes and
    /// backslashes.
    pub(super) fn after_scheme(scheme: Scheme, rest: &str, origin: Origin) -> Option<Self> {
        let mut tricks = Tricks::default();
        let is_slash = |it: char| matches!(it, '/' | '\\');
        let after = rest.trim_start_matches(is_slash);
        if !rest.starts_with("//") || rest.len() - after.len() != 2 {
            tricks.note(Trick::OddSlashes);
        }
        let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(end)?;
        if path.starts_with('\\') {
            tricks.note(Trick::OddSlashes);
        }
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => {
                tricks.note(Trick::UserInfo);
                host
            }
            None => authority,
        };
        let (host, port) = split_port(host);
        let port = port.and_then(|it| it.parse::<u16>().ok());
        if port.is_some_and(|it| !matches!(it, 80 | 443 | 8080 | 8443 | 21)) {
            tricks.note(Trick::OddPort);
        }
        Some(Self {
            scheme,
            host: UrlHost::parse(host, &mut tricks)?,
            port,
            path: match path {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            origin,
            tricks,
        })
    }

    /// `user@example.com`.
    pub(super) fn address(text: &str, origin: Origin) -> Option<Self> {
        let (local_part, domain) = text.rsplit_once('@')?;
        let mut tricks = Tricks::default();
        let host = UrlHost::parse(domain, &mut tricks)?;
        let sound = !local_part.is_empty() && local_part.len() <= 64 && host.name().is_some();
        sound.then(|| Self {
            scheme: Scheme::Mailto,
            host,
            port: None,
            path: local_part.to_owned(),
            origin,
            tricks,
        })
    }

    /// The path without query and fragment.
    pub fn path_only(&self) -> &str {
        let end = self.path.find(['?', '#']).unwrap_or(self.path.len());
        self.path.get(..end).unwrap_or_default()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Mailto {
            return write!(f, "mailto:{}@{}", self.path, self.host);
        }
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => (host, Some(port)),
        _ => (host, None),
    }
}
