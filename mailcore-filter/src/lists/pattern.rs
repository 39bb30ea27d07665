//! [`Pattern`]: which mail addresses a rule is about, and [`PatternMap`], which
//! finds the narrowest one.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use mailcore::address::{Address, AddressError, Domain};
use thiserror::Error;

/// Mail addresses, compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// `<>`: the null reverse path (RFC 5321 section 4.5.5).
    Null,
    /// `user@example.com`: this one.
    Address(Address),
    /// `example.com`, `@example.com` or `*@example.com`: all of this domain.
    Domain(Domain),
    /// `.example.com` or `*.example.com`: all of this domain and of those below
    /// it.
    Below(Domain),
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}; write user@example.com, example.com, .example.com, or <>")]
pub struct PatternError(#[from] AddressError);

/// U-labels and A-labels are one name (RFC 5890 section 2.3.2.1).
fn domain_key(domain: &Domain) -> Domain {
    domain.to_ascii().unwrap_or_else(|_| domain.clone())
}

fn address_key(address: &Address) -> Address {
    let folded = address.folded();
    Address::new(folded.local_part(), domain_key(folded.domain())).unwrap_or(folded)
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "<>" {
            return Ok(Self::Null);
        }
        let text = text.strip_prefix("*@").unwrap_or(text);
        let text = match text.strip_prefix('*') {
            Some(below) if below.starts_with('.') => below,
            _ => text,
        };
        if let Some(domain) = text.strip_prefix('.') {
            return Ok(Self::Below(domain_key(&Domain::parse(domain)?)));
        }
        let domain = text.strip_prefix('@').unwrap_or(text);
        if domain.contains('@') {
            return Ok(Self::Address(address_key(&Address::parse(text)?)));
        }
        Ok(Self::Domain(domain_key(&Domain::parse(domain)?)))
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Below(domain) => write!(f, ".{domain}"),
        }
    }
}

/// A value for each of many patterns.
#[derive(Debug, Clone)]
pub(super) struct PatternMap<T> {
    values: HashMap<Pattern, T>,
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
        }
    }
}

impl<T: Copy> PatternMap<T> {
    /// The old value, when there was one.
    pub(super) fn insert(&mut self, pattern: Pattern, value: T) -> Option<T> {
        self.values.insert(pattern, value)
    }

    /// The value of the narrowest pattern: the address itself, its domain, the
    /// nearest domain above. `None` is the null reverse path.
    pub(super) fn narrowest(&self, address: Option<&Address>) -> Option<T> {
        if self.values.is_empty() {
            return None;
        }
        let Some(address) = address.map(address_key) else {
            return self.values.get(&Pattern::Null).copied();
        };
        let domain = address.domain().clone();
        let own = self.values.get(&Pattern::Address(address)).copied();
        own.or_else(|| self.narrowest_of(domain))
    }

    /// The same of a name: itself, else the nearest above.
    pub(super) fn narrowest_of(&self, name: Domain) -> Option<T> {
        if self.values.is_empty() {
            return None;
        }
        let name = domain_key(&name);
        let own = [Pattern::Domain(name.clone())];
        let above = std::iter::successors(Some(name), |domain| {
            let (_, above) = domain.as_str().split_once('.')?;
            Domain::parse(above).ok()
        });
        own.into_iter()
            .chain(above.map(Pattern::Below))
            .find_map(|pattern| self.values.get(&pattern).copied())
    }

    /// Changes every value.
    pub(super) fn each(&mut self, change: impl FnMut(&mut T)) {
        self.values.values_mut().for_each(change);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_pattern_decides() {
        let mut map = PatternMap::default();
        for (value, pattern) in [
            ".example.com",
            "example.com",
            "User@Example.com",
            ".deep.example.com",
            "<>",
            "*@bücher.example",
        ]
        .into_iter()
        .enumerate()
        {
            map.insert(pattern.parse().unwrap(), value);
        }
        for (address, want) in [
            ("other@sub.example.com", Some(0)),
            ("other@EXAMPLE.com", Some(1)),
            ("USER@example.com", Some(2)),
            ("x@deep.example.com", Some(3)),
            ("x@a.b.deep.example.com", Some(3)),
            ("x@notexample.com", None),
            ("x@com", None),
            ("x@xn--bcher-kva.example", Some(5)),
            ("x@[192.0.2.1]", None),
        ] {
            let parsed = Address::parse(address).unwrap();
            assert_eq!(map.narrowest(Some(&parsed)), want, "{address}");
        }
        assert_eq!(map.narrowest(None), Some(4));
    }

    #[test]
    fn what_is_no_pattern_says_how_to_write_one() {
        for bad in ["", ".", "@", "a b@x.test", "x..test", "a@b@c"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }
}
