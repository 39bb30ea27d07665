//! Mail addresses as SMTP writes them: [`Domain`], [`Address`], [`ReversePath`]
//! and [`ForwardPath`] (RFC 5321 section 4.1.2, with UTF-8 per RFC 6531).
//!
//! Header addresses (display names, groups, comments) are not here: they belong
//! to [`crate::message`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Octets allowed in a local part (RFC 5321 section 4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Octets allowed in a domain (RFC 5321 section 4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// Why a text is not an address, in words for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing where an address was expected.
    #[error("the address is empty; write it as local-part@domain")]
    Empty,
    /// There is no `@`.
    #[error("the address has no domain; write it as local-part@domain")]
    NoDomain,
    /// The local part breaks RFC 5321 section 4.1.2 `Local-part`.
    #[error("the local part is not valid (RFC 5321 section 4.1.2)")]
    LocalPart,
    /// The local part is over [`MAX_LOCAL_PART`] octets.
    #[error("the local part is longer than {MAX_LOCAL_PART} octets")]
    LocalPartTooLong,
    /// The domain breaks RFC 5321 section 4.1.2 `Domain` or `address-literal`.
    #[error("the domain is not valid (RFC 5321 section 4.1.2)")]
    Domain,
    /// The domain is over [`MAX_DOMAIN`] octets.
    #[error("the domain is longer than {MAX_DOMAIN} octets")]
    DomainTooLong,
    /// A path is not enclosed in angle brackets.
    #[error("the path must be enclosed in < and >")]
    Brackets,
}

/// A domain name or address literal, compared without regard to ASCII case.
///
/// `Domain = sub-domain *("." sub-domain)`, or `"[" address "]"`. The text is
/// kept lower-cased; a trailing dot is dropped. U-labels are kept as given
/// (RFC 6531), use [`Domain::to_ascii`] for DNS.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Parses a domain or address literal.
    ///
    /// # Errors
    /// [`AddressError::Domain`] or [`AddressError::DomainTooLong`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::DomainTooLong);
        }
        if text.starts_with('[') {
            return match literal_ip(text) {
                Some(_) => Ok(Self(text.to_ascii_lowercase().into())),
                None => Err(AddressError::Domain),
            };
        }
        if text.is_empty() || !text.split('.').all(is_label) {
            return Err(AddressError::Domain);
        }
        Ok(Self(lowercase(text).into()))
    }

    /// A name to ask DNS about, whose labels may hold any printable ASCII (RFC
    /// 2181 section 11): SPF makes such names of what a message says. It need
    /// be no domain of an address, and may not become one.
    ///
    /// # Errors
    /// [`AddressError::Domain`] or [`AddressError::DomainTooLong`].
    pub fn for_lookup(name: &str) -> Result<Self, AddressError> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > MAX_DOMAIN {
            return Err(AddressError::DomainTooLong);
        }
        let fits = |label: &str| {
            matches!(label.len(), 1..=63) && label.bytes().all(|octet| matches!(octet, b' '..=b'~'))
        };
        if !name.split('.').all(fits) {
            return Err(AddressError::Domain);
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// The domain of an address literal for `ip` (RFC 5321 section 4.1.3).
    pub fn literal(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self(format!("[{v4}]").into()),
            IpAddr::V6(v6) => Self(format!("[ipv6:{v6}]").into()),
        }
    }

    /// The text, lower-cased.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address, when this is an address literal.
    pub fn as_ip(&self) -> Option<IpAddr> {
        literal_ip(&self.0)
    }

    /// True when every character is ASCII.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The domain in the form that DNS takes: A-labels (RFC 5891).
    ///
    /// # Errors
    /// [`AddressError::Domain`] when a label has no A-label form.
    pub fn to_ascii(&self) -> Result<Domain, AddressError> {
        if self.is_ascii() {
            return Ok(self.clone());
        }
        idna::domain_to_ascii_cow(self.0.as_bytes(), idna::AsciiDenyList::URL)
            .map(|text| Self(text.as_ref().into()))
            .map_err(|_| AddressError::Domain)
    }
}

fn lowercase(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.to_lowercase()
    }
}

/// `Let-dig [Ldh-str]`; `_` is let through since real hosts carry it in EHLO
/// and MX names, and labels may hold UTF-8 (RFC 6531 section 3.3).
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || is_utf8_atom(c))
}

fn is_utf8_atom(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

fn literal_ip(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => {
            inner.get(5..)?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl FromStr for Domain {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.strip_prefix("[ipv6:") {
            Some(rest) => write!(f, "[IPv6:{rest}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// `local-part@domain`: what RFC 5321 calls a Mailbox.
///
/// The local part is held without quoting and with its case; [`fmt::Display`]
/// quotes it where the grammar asks for that. Equality is exact on the local
/// part, as only the owner of a domain may fold it (RFC 5321 section 2.4); a
/// [`Directory`](crate::seams::Directory) uses [`Address::folded`] for its own
/// domains.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local_part: Arc<str>,
    domain: Domain,
}

impl Address {
    /// An address from its two halves; the local part is given unquoted.
    ///
    /// # Errors
    /// [`AddressError::LocalPart`] for an empty local part or one with control
    /// characters, [`AddressError::LocalPartTooLong`].
    pub fn new(local_part: &str, domain: Domain) -> Result<Self, AddressError> {
        if local_part.is_empty() || local_part.chars().any(char::is_control) {
            return Err(AddressError::LocalPart);
        }
        if local_part.len() > MAX_LOCAL_PART {
            return Err(AddressError::LocalPartTooLong);
        }
        Ok(Self {
            local_part: local_part.into(),
            domain,
        })
    }

    /// Parses `Mailbox = Local-part "@" ( Domain / address-literal )`.
    ///
    /// # Errors
    /// An [`AddressError`] that says which half is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (local_part, domain) = split_mailbox(text)?;
        let domain = Domain::parse(domain)?;
        match local_part.strip_prefix('"') {
            Some(rest) => Self::new(&unquote(rest)?, domain),
            None if is_dot_string(local_part) => Self::new(local_part, domain),
            None => Err(AddressError::LocalPart),
        }
    }

    /// The local part, unquoted.
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// True when both halves are ASCII, so that no SMTPUTF8 is needed.
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii() && self.domain.is_ascii()
    }

    /// The same address with the local part in lower case: the key under which
    /// a server looks up its own addresses.
    pub fn folded(&self) -> Self {
        Self {
            local_part: lowercase(&self.local_part).into(),
            domain: self.domain.clone(),
        }
    }
}

/// Splits at the `@` that ends the local part; an `@` within quotes does not.
fn split_mailbox(text: &str) -> Result<(&str, &str), AddressError> {
    let at = if text.starts_with('"') {
        let mut escaped = false;
        let close = text
            .char_indices()
            .skip(1)
            .find(|&(_, c)| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            })
            .map(|(i, _)| i)
            .ok_or(AddressError::LocalPart)?;
        close + 1
    } else {
        text.find('@').ok_or(AddressError::NoDomain)?
    };
    let (local_part, rest) = text.split_at(at);
    match rest.strip_prefix('@') {
        Some(domain) => Ok((local_part, domain)),
        None => Err(AddressError::NoDomain),
    }
}

/// `Dot-string = Atom *("."  Atom)`, with UTF-8 atoms (RFC 6531 section 3.3).
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| {
        !atom.is_empty()
            && atom.chars().all(|c| {
                c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_utf8_atom(c)
            })
    })
}

/// Undoes `Quoted-string`; `rest` starts after the opening quote.
fn unquote(rest: &str) -> Result<String, AddressError> {
    let inner = rest.strip_suffix('"').ok_or(AddressError::LocalPart)?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => chars.next().ok_or(AddressError::LocalPart)?,
            '"' => return Err(AddressError::LocalPart),
            other => other,
        };
        if c.is_control() {
            return Err(AddressError::LocalPart);
        }
        out.push(c);
    }
    Ok(out)
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local_part) {
            return write!(f, "{}@{}", self.local_part, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local_part.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

/// Where a failure notice goes: an address, or nobody (RFC 5321 section 4.5.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReversePath {
    /// `<>`: never answered, so that notices cannot loop.
    Null,
    /// The sender's address.
    Address(Address),
}

impl ReversePath {
    /// Parses `Reverse-path = Path / "<>"`, brackets included.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match path_interior(text)? {
            "" => Ok(Self::Null),
            inner => Address::parse(inner).map(Self::Address),
        }
    }

    /// The address, unless the path is null.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// True for `<>`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// Shows the bare address, nothing for the null path: `<{}>` makes the path.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Where a message goes: an address, or this host's postmaster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, in any case (RFC 5321 section 4.1.1.3).
    Postmaster,
    /// A recipient's address.
    Address(Address),
}

impl ForwardPath {
    /// Parses `Forward-path = Path / "<Postmaster>"`, brackets included.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let inner = path_interior(text)?;
        if inner.eq_ignore_ascii_case("postmaster") {
            return Ok(Self::Postmaster);
        }
        Address::parse(inner).map(Self::Address)
    }

    /// The address, with `Postmaster` completed by `domain`, this server's own.
    pub fn to_address(&self, domain: &Domain) -> Address {
        match self {
            Self::Address(address) => address.clone(),
            Self::Postmaster => Address {
                local_part: "postmaster".into(),
                domain: domain.clone(),
            },
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("Postmaster"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The inside of `<...>`, without a source route: `A-d-l ":"` is accepted and
/// ignored (RFC 5321 section 4.1.2, appendix C).
fn path_interior(text: &str) -> Result<&str, AddressError> {
    let inner = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .ok_or(AddressError::Brackets)?;
    if !inner.starts_with('@') {
        return Ok(inner);
    }
    let (route, mailbox) = inner.split_once(':').ok_or(AddressError::Domain)?;
    for hop in route.split(',') {
        Domain::parse(hop.strip_prefix('@').ok_or(AddressError::Domain)?)?;
    }
    Ok(mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_undone_and_redone() {
        for text in [
            "a.b@example.com",
            "\"a b\"@example.com",
            "\"a\\\"@b\"@x.test",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        // A needless quote goes away: both spell the same address.
        assert_eq!(
            Address::parse("\"ab\"@X.test").unwrap().to_string(),
            "ab@x.test"
        );
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for text in [
            "",
            "a",
            "@x.test",
            "a@",
            "a..b@x.test",
            ".a@x.test",
            "a.@x.test",
            "a b@x.test",
            "a@b@c.test",
            "a@-x.test",
            "a@x..test",
            "\"a@x.test",
            "\"a\r\nb\"@x.test",
            "a@[300.1.1.1]",
            "a@[x]",
            "a@x test",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?} was accepted");
        }
        assert_eq!(
            Address::parse(&format!("{}@x.test", "a".repeat(65))),
            Err(AddressError::LocalPartTooLong)
        );
    }

    #[test]
    fn paths_drop_source_routes_and_know_postmaster() {
        assert_eq!(ReversePath::parse("<>").unwrap(), ReversePath::Null);
        assert_eq!(
            ForwardPath::parse("<PostMaster>").unwrap(),
            ForwardPath::Postmaster
        );
        assert_eq!(
            ForwardPath::parse("<@a.test,@b.test:u@c.test>")
                .unwrap()
                .to_string(),
            "u@c.test"
        );
        assert!(ForwardPath::parse("u@c.test").is_err());
        assert!(ForwardPath::parse("<>").is_err());
    }

    #[test]
    fn literals_hold_addresses_and_domains_fold_case() {
        assert_eq!(
            Domain::parse("[192.0.2.1]").unwrap().as_ip(),
            Some([192, 0, 2, 1].into())
        );
        assert_eq!(
            Domain::parse("[IPv6:2001:db8::1]").unwrap().to_string(),
            "[IPv6:2001:db8::1]"
        );
        assert_eq!(
            Domain::parse("EXAMPLE.Com.").unwrap(),
            Domain::parse("example.com").unwrap()
        );
        assert_eq!(
            Domain::parse("bücher.example")
                .unwrap()
                .to_ascii()
                .unwrap()
                .as_str(),
            "xn--bcher-kva.example"
        );
    }
}
