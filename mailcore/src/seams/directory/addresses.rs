//! [`Addresses`]: every served address in one listing, and the text form in
//! which it travels, one address a line.

use std::fmt::{self, Debug};
use std::str::FromStr;

use async_trait::async_trait;

use super::DirectoryError;
use crate::address::{Address, Domain};

/// Every address served here, whatever it stands for.
#[async_trait]
pub trait Addresses: Debug + Send + Sync {
    /// Addresses that match, in address order.
    async fn search(&self, query: &AddressQuery) -> Result<Vec<ServedAddress>, DirectoryError>;

    /// Switches one address on or off without removing it. Off, it is unknown
    /// to the mail path: mail for it is refused and nobody sends as it. Logins
    /// are not affected.
    async fn set_address(
        &self,
        address: &Address,
        state: AddressState,
    ) -> Result<(), DirectoryError> {
        let _ = (address, state);
        Err(DirectoryError::Unsupported("switch addresses"))
    }

    /// Takes a listing over, all of it or nothing: adds aliases that are not
    /// there, and switches each address as its line says. A line without
    /// targets names an address that exists. How many lines changed something.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] names the lines that can't be taken.
    async fn import(&self, lines: &[AddressLine]) -> Result<usize, DirectoryError> {
        let _ = lines;
        Err(DirectoryError::Unsupported("import addresses"))
    }
}

/// Which addresses to list; by default all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AddressQuery {
    /// Of this domain.
    pub domain: Option<Domain>,
    /// With this text in them, without regard to case.
    pub contains: Option<String>,
    /// After this one: the next page.
    pub after: Option<Address>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// An address and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedAddress {
    /// The address.
    pub address: Address,
    /// What it stands for.
    pub stands: Stands,
    /// Whether it is served now.
    pub state: AddressState,
}

/// What a served address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stands {
    /// An account, as its primary address.
    Account,
    /// These addresses.
    Alias(Vec<Address>),
    /// A distribution list.
    List,
    /// A group.
    Group,
}

/// Whether an address is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressState {
    /// It is.
    #[default]
    On,
    /// It is kept, and unknown to the mail path.
    Off,
}

/// A line of the text form: `ADDRESS`, or `ADDRESS = TARGET, TARGET` for an
/// alias, with `!` before an address that is switched off.
///
/// ```
/// # use mailcore::seams::{AddressLine, AddressState};
/// let line: AddressLine = "!sales@example.com = ann@example.com, bob@example.com".parse()?;
/// assert_eq!((line.state, line.targets.len()), (AddressState::Off, 2));
/// assert_eq!(line.to_string().parse(), Ok(line));
/// # Ok::<(), mailcore::seams::AddressLineError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressLine {
    /// The address.
    pub address: Address,
    /// Where an alias leads; empty for what is no alias.
    pub targets: Vec<Address>,
    /// Whether it is served.
    pub state: AddressState,
}

/// Why a text is no [`AddressLine`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\": {source}")]
pub struct AddressLineError {
    text: String,
    source: crate::address::AddressError,
}

impl From<ServedAddress> for AddressLine {
    fn from(served: ServedAddress) -> Self {
        Self {
            address: served.address,
            targets: match served.stands {
                Stands::Alias(targets) => targets,
                _ => Vec::new(),
            },
            state: served.state,
        }
    }
}

impl fmt::Display for AddressLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.state == AddressState::Off {
            f.write_str("!")?;
        }
        match self.address.to_string() {
            plain if plain.starts_with('!') => {
                let (local_part, domain) = (self.address.local_part(), self.address.domain());
                write!(f, "\"{local_part}\"@{domain}")?;
            }
            plain => f.write_str(&plain)?,
        }
        for (place, target) in self.targets.iter().enumerate() {
            let between = if place == 0 { " =" } else { "," };
            write!(f, "{between} {target}")?;
        }
        Ok(())
    }
}

impl FromStr for AddressLine {
    type Err = AddressLineError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let line = line.trim();
        // `!` may begin a local part (RFC 5321 `Atom`): such an address is
        // written quoted here.
        let (state, rest) = match line.strip_prefix('!') {
            Some(rest) => (AddressState::Off, rest),
            None => (AddressState::On, line),
        };
        let mut parts = split(rest);
        let address = parse(parts.next().unwrap_or_default())?;
        Ok(Self {
            address,
            targets: parts.map(parse).collect::<Result<_, _>>()?,
            state,
        })
    }
}

fn parse(text: &str) -> Result<Address, AddressLineError> {
    Address::parse(text.trim()).map_err(|source| AddressLineError {
        text: text.trim().to_owned(),
        source,
    })
}

/// The parts between ` = ` and the commas that are not quoted. An `=` within a
/// local part has no space around it.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let (first, targets) = match outside_quotes(line, " = ").next() {
        Some(at) => (
            line.get(..at).unwrap_or_default(),
            line.get(at + 3..).unwrap_or_default(),
        ),
        None => (line, ""),
    };
    let mut from = 0;
    let mut cuts: Vec<usize> = outside_quotes(targets, ",").collect();
    if !targets.is_empty() {
        cuts.push(targets.len());
    }
    let targets = cuts.into_iter().map(move |at| {
        let part = targets.get(from..at).unwrap_or_default();
        from = at + 1;
        part
    });
    std::iter::once(first).chain(targets)
}

/// Where `needle` occurs outside of quoted strings.
fn outside_quotes<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter_map(move |(at, c)| {
        let hit = !quoted && text.get(at..).is_some_and(|rest| rest.starts_with(needle));
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        hit.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_went() {
        for text in [
            "ann@x.test",
            "!ann@x.test",
            "all@x.test = ann@x.test, \"a, = b\"@x.test",
            "\"odd = one\"@x.test = a=b@x.test",
            "!\"!a\"@x.test",
        ] {
            let line: AddressLine = text.parse().unwrap();
            assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (text, part) in [
            ("", "\"\""),
            ("ann", "\"ann\""),
            ("a@x.test = ", "\"a@x.test =\""),
            ("a@x.test = b@x.test, ,c@x.test", "\"\""),
        ] {
            let error = text.parse::<AddressLine>().unwrap_err().to_string();
            assert!(error.starts_with(part), "{text:?}: {error}");
        }
    }
}
