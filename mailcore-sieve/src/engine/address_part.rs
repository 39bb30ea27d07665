//! Parts of addresses (RFC 5228 section 2.7.4, RFC 5233).

use super::CompileError;
use super::compile::{Args, Compile};

/// The part of an address that a test looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressPart {
    All,
    LocalPart,
    Domain,
    /// Before the separator (RFC 5233).
    User,
    /// After the separator.
    Detail,
}

impl AddressPart {
    /// Takes `:all`, `:localpart`, `:domain`, `:user` and `:detail`.
    pub(crate) fn take(cx: &Compile<'_>, args: &mut Args<'_>) -> Result<Self, CompileError> {
        let mut chosen = None;
        for (name, part, extension) in [
            ("all", Self::All, None),
            ("localpart", Self::LocalPart, None),
            ("domain", Self::Domain, None),
            ("user", Self::User, Some("subaddress")),
            ("detail", Self::Detail, Some("subaddress")),
        ] {
            let at = match extension {
                None => args.flag(cx, name)?,
                Some(extension) => args.flag(cx, (name, extension))?,
            };
            if let Some(at) = at
                && chosen.replace(part).is_some()
            {
                let words = format!("`:{name}` and another part of the address: choose one");
                return Err(CompileError::new(at, words));
            }
        }
        Ok(chosen.unwrap_or(Self::All))
    }

    /// The part of an address. There is none of what is no address, nor a detail
    /// where the separator is missing (RFC 5233 section 4).
    pub(crate) fn of(self, address: &str, separator: char) -> Option<&str> {
        if self == Self::All {
            return Some(address);
        }
        let (local, domain) = address.rsplit_once('@')?;
        match self {
            Self::All | Self::LocalPart => Some(local),
            Self::Domain => Some(domain),
            Self::User => Some(local.split_once(separator).map_or(local, |(user, _)| user)),
            Self::Detail => local.split_once(separator).map(|(_, detail)| detail),
        }
    }
}
