//! SPF records (RFC 7208 sections 4.5, 5 and 6), read as a whole before any of
//! it is followed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mailcore::net::Network;
use thiserror::Error;

use super::SpfResult;
use super::macros::{MacroString, Use};

const VERSION: &str = "v=spf1";

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// In the order in which they are tried.
    pub directives: Vec<Directive>,
    /// Where to go on when none of them decides.
    pub redirect: Option<MacroString>,
    /// Where the words for a `fail` are.
    pub explanation: Option<MacroString>,
}

/// A mechanism and what it means when it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// What it means.
    pub qualifier: Qualifier,
    /// What it looks at.
    pub mechanism: Mechanism,
}

/// The result of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

impl From<Qualifier> for SpfResult {
    fn from(qualifier: Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}

/// What a directive looks at. A name that is not given is that of the domain
/// being checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// Always matches.
    All,
    /// Another domain's record passes.
    Include(MacroString),
    /// The client is one of a name's addresses.
    A(Option<MacroString>, Prefixes),
    /// The client is one of a name's mail exchangers.
    Mx(Option<MacroString>, Prefixes),
    /// The client's own name is within a name.
    Ptr(Option<MacroString>),
    /// The client is in a network.
    Ip(Network),
    /// A name has an address.
    Exists(MacroString),
}

/// How many bits of an address count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    /// Of an IPv4 address.
    pub v4: u8,
    /// Of an IPv6 address.
    pub v6: u8,
}

impl Prefixes {
    /// All of them.
    const WHOLE: Self = Self { v4: 32, v6: 128 };

    /// Whether `a` and `b` are the same as far as these bits go.
    pub fn are_equal(self, a: IpAddr, b: IpAddr) -> bool {
        let prefix = match a {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        };
        Network::of(a, prefix).is_some_and(|network| network.contains(b))
    }
}

/// Why a record can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A character that no record has.
    #[error("the character {0:?} can't be in a record")]
    Character(char),
    /// Octets that are not ASCII.
    #[error("it is not ASCII")]
    NotAscii,
    /// Neither a mechanism nor a modifier.
    #[error("{0:?} is no term")]
    Term(String),
    /// An argument that is missing, wrong or one too many.
    #[error("the argument of {0:?} is wrong")]
    Argument(String),
    /// A macro that is none.
    #[error("a macro in {0:?} is wrong")]
    Macro(String),
    /// A name that does not end like one.
    #[error("{0:?} does not end in a macro or a top-level label")]
    DomainSpec(String),
    /// A modifier given twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
}

/// True when a TXT record is an SPF record, well-formed or not (RFC 7208
/// section 4.5).
pub fn is_record(txt: &[u8]) -> bool {
    let Some((version, rest)) = txt.split_at_checked(VERSION.len()) else {
        return false;
    };
    version.eq_ignore_ascii_case(VERSION.as_bytes()) && matches!(rest.first(), None | Some(b' '))
}

impl Record {
    /// Reads a TXT record for which [`is_record`] holds.
    ///
    /// # Errors
    /// [`RecordError`]: all of the record counts for nothing then.
    pub fn parse(txt: &[u8]) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(txt).map_err(|_| RecordError::NotAscii)?;
        if !text.is_ascii() {
            return Err(RecordError::NotAscii);
        }
        let mut record = Self {
            directives: Vec::new(),
            redirect: None,
            explanation: None,
        };
        // The version is the first.
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            record.take(term)?;
        }
        Ok(record)
    }

    fn take(&mut self, term: &str) -> Result<(), RecordError> {
        let name_end = (term.find(|c: char| !is_name_char(c))).unwrap_or(term.len());
        let (name, rest) = term.split_at_checked(name_end).unwrap_or((term, ""));
        let Some(value) = rest.strip_prefix('=') else {
            self.directives.push(directive(term)?);
            return Ok(());
        };
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(RecordError::Term(term.into()));
        }
        let (place, called) = match name {
            name if name.eq_ignore_ascii_case("redirect") => (&mut self.redirect, "redirect"),
            name if name.eq_ignore_ascii_case("exp") => (&mut self.explanation, "exp"),
            _ => {
                // RFC 7208 section 6: ignored, but well-formed.
                MacroString::parse(value, Use::Anything)?;
                return Ok(());
            }
        };
        if place.is_some() {
            return Err(RecordError::Twice(called));
        }
        *place = Some(MacroString::parse(value, Use::DomainSpec)?);
        Ok(())
    }

    /// True when `all` is among the mechanisms: no redirect is followed then
    /// (RFC 7208 section 6.1).
    pub fn has_all(&self) -> bool {
        let mut directives = self.directives.iter();
        directives.any(|directive| directive.mechanism == Mechanism::All)
    }
}

/// Of a `name` (RFC 7208 section 4.6.1).
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn directive(term: &str) -> Result<Directive, RecordError> {
    let (qualifier, text) = match term.chars().next() {
        Some('+') => (Qualifier::Pass, term.get(1..)),
        Some('-') => (Qualifier::Fail, term.get(1..)),
        Some('~') => (Qualifier::SoftFail, term.get(1..)),
        Some('?') => (Qualifier::Neutral, term.get(1..)),
        _ => (Qualifier::Pass, Some(term)),
    };
    let text = text.unwrap_or_default();
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, argument) = text.split_at_checked(end).unwrap_or((text, ""));
    let wrong = || RecordError::Argument(term.into());
    let value = || argument.strip_prefix(':').ok_or_else(wrong);
    let spec = |text: &str| MacroString::parse(text, Use::DomainSpec);
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if argument.is_empty() => Mechanism::All,
        "all" => return Err(wrong()),
        "include" => Mechanism::Include(spec(value()?)?),
        "exists" => Mechanism::Exists(spec(value()?)?),
        "ptr" if argument.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(spec(value()?)?)),
        "a" => {
            let (name, prefixes) = name_and_prefixes(argument).ok_or_else(wrong)?;
            Mechanism::A(name.map(spec).transpose()?, prefixes)
        }
        "mx" => {
            let (name, prefixes) = name_and_prefixes(argument).ok_or_else(wrong)?;
            Mechanism::Mx(name.map(spec).transpose()?, prefixes)
        }
        "ip4" => {
            let network = network(value()?, 32, |text| text.parse::<Ipv4Addr>().ok());
            Mechanism::Ip(network.ok_or_else(wrong)?)
        }
        "ip6" => {
            let network = network(value()?, 128, |text| text.parse::<Ipv6Addr>().ok());
            Mechanism::Ip(network.ok_or_else(wrong)?)
        }
        _ => return Err(RecordError::Term(term.into())),
    };
    Ok(Directive {
        qualifier,
        mechanism,
    })
}

/// `[":" domain-spec] ["/" v4] ["//" v6]`
fn name_and_prefixes(argument: &str) -> Option<(Option<&str>, Prefixes)> {
    let mut prefixes = Prefixes::WHOLE;
    let mut rest = argument;
    if let Some((before, digits)) = rest.rsplit_once("//")
        && is_number(digits)
    {
        prefixes.v6 = prefix(digits, 128)?;
        rest = before;
    }
    if let Some((before, digits)) = rest.rsplit_once('/')
        && is_number(digits)
    {
        prefixes.v4 = prefix(digits, 32)?;
        rest = before;
    }
    match rest {
        "" => Some((None, prefixes)),
        rest => Some((Some(rest.strip_prefix(':')?), prefixes)),
    }
}

/// `address ["/" prefix]`
fn network<T: Into<IpAddr>>(
    text: &str,
    most: u8,
    address: impl FnOnce(&str) -> Option<T>,
) -> Option<Network> {
    let (text, prefix) = match text.split_once('/') {
        Some((text, digits)) => (text, prefix(digits, most)?),
        None => (text, most),
    };
    Network::of(address(text)?.into(), prefix)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// A number without leading zeros, at most `most`.
fn prefix(digits: &str, most: u8) -> Option<u8> {
    let leading = digits.len() > 1 && digits.starts_with('0');
    if !is_number(digits) || leading {
        return None;
    }
    digits.parse().ok().filter(|prefix| *prefix <= most)
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, name: &Option<MacroString>, called| match name {
            Some(name) => write!(f, "{called}:{name}"),
            None => f.write_str(called),
        };
        match self {
            Self::All => f.write_str("all"),
            Self::Include(name) => write!(f, "include:{name}"),
            Self::A(name, prefixes) => {
                named(f, name, "a")?;
                prefixes.fmt(f)
            }
            Self::Mx(name, prefixes) => {
                named(f, name, "mx")?;
                prefixes.fmt(f)
            }
            Self::Ptr(name) => named(f, name, "ptr"),
            Self::Ip(network) if network.address().is_ipv4() => write!(f, "ip4:{network}"),
            Self::Ip(network) => write!(f, "ip6:{network}"),
            Self::Exists(name) => write!(f, "exists:{name}"),
        }
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 != Self::WHOLE.v4 {
            write!(f, "/{}", self.v4)?;
        }
        if self.v6 != Self::WHOLE.v6 {
            write!(f, "//{}", self.v6)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_understood_as_a_whole_or_not_at_all() {
        for good in [
            "v=spf1",
            "V=SPF1  +all  ",
            "v=spf1 a/24//64 mx:b.test//48 ?ptr ~ptr:c.test -all",
            "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{ir}.x.test",
            "v=spf1 redirect=_r.test exp=why.test x-new=a:b/c",
        ] {
            assert!(is_record(good.as_bytes()), "{good}");
            assert!(Record::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "v=spf1 all:x.test",
            "v=spf1 include",
            "v=spf1 a/33",
            "v=spf1 a/024",
            "v=spf1 a//129",
            "v=spf1 a:",
            "v=spf1 ip4:192.0.2",
            "v=spf1 ip4:192.0.2.1/",
            "v=spf1 ip6:192.0.2.1",
            "v=spf1 exp=a.test exp=b.test",
            "v=spf1 -redirect=a.test",
            "v=spf1 nothing",
            "v=spf1 a\tmx",
            "v=spf1 -all\u{7f}",
        ] {
            assert!(Record::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        for other in [
            "v=spf10 -all",
            "v=spf2.0/pra -all",
            "spf1",
            "",
            "v=spf1-all",
        ] {
            assert!(!is_record(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_a_record_or_an_error(octets: Vec<u8>, terms in "[a-z4%{}:/=.~?+0-9 -]{0,60}") {
            let _ = Record::parse(&octets);
            if let Ok(record) = Record::parse(format!("v=spf1 {terms}").as_bytes()) {
                for directive in &record.directives {
                    // What is told of a term reads back as that term.
                    let told = format!("v=spf1 {}", directive.mechanism);
                    let again = Record::parse(told.as_bytes()).unwrap();
                    prop_assert_eq!(&again.directives[0].mechanism, &directive.mechanism);
                }
            }
        }
    }
}
