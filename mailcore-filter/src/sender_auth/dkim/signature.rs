//! The DKIM-Signature field (RFC 6376 section 3.5).

use std::time::Duration;

use mailcore::address::Domain;
use mailcore::time::Timestamp;

use super::canonical::Canonicalization;
use super::tag_list::TagList;
use super::{Algorithm, DkimProblem};

/// Names of fields read of one signature.
const MOST_FIELDS: usize = 256;

/// A signature, read and checked for what needs no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Who signs.
    pub domain: Domain,
    /// Under which name the key is.
    pub selector: Domain,
    /// For whom (the tag `i`), when that is told.
    pub identity: Option<String>,
    /// The signed fields' names, in order.
    pub fields: Vec<String>,
    /// The header's form.
    pub header_form: Canonicalization,
    /// The body's form.
    pub body_form: Canonicalization,
    /// Octets of the body that are signed; all unless told.
    pub body_length: Option<u64>,
    /// The body's hash.
    pub body_hash: Vec<u8>,
    /// The signature.
    pub octets: Vec<u8>,
    /// When it was made.
    pub made: Option<Timestamp>,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
}

impl Signature {
    /// Reads the value of a field, folds included.
    ///
    /// # Errors
    /// What makes it no signature that can be checked.
    pub fn parse(value: &[u8]) -> Result<Self, DkimProblem> {
        let tags = TagList::parse(value).map_err(DkimProblem::Syntax)?;
        if tags.require("v")? != "1" {
            return Err(DkimProblem::BadTag("v"));
        }
        let mut signature = Self::of_tags(&tags, Manner::Dkim)?;
        signature.identity = identity(&tags, &signature.domain)?;
        Ok(signature)
    }

    /// What DKIM's and ARC's signatures have in common (RFC 8617 section 4.1.2).
    pub(in crate::sender_auth) fn of_tags(
        tags: &TagList<'_>,
        manner: Manner,
    ) -> Result<Self, DkimProblem> {
        let algorithm = Algorithm::parse(tags.require("a")?)?;
        let domain = name(tags.require("d")?).ok_or(DkimProblem::BadTag("d"))?;
        let selector = name(tags.require("s")?).ok_or(DkimProblem::BadTag("s"))?;
        let mut methods = tags.values("q").into_iter().flatten().peekable();
        if methods.peek().is_some() && !methods.any(|it| it == "dns/txt") {
            return Err(DkimProblem::BadTag("q"));
        }
        let (header_form, body_form) = forms(tags, manner)?;
        let (made, expires) = (time(tags, "t")?, time(tags, "x")?);
        if let (Some(made), Some(expires)) = (made, expires)
            && expires <= made
        {
            return Err(DkimProblem::BadTag("x"));
        }
        let octets = |name: &'static str| {
            tags.require(name)?;
            let octets = tags.octets(name).filter(|it| !it.is_empty());
            octets.ok_or(DkimProblem::BadTag(name))
        };
        Ok(Self {
            algorithm,
            identity: None,
            domain,
            selector,
            fields: fields(tags, manner)?,
            header_form,
            body_form,
            body_length: length(tags)?,
            body_hash: octets("bh")?,
            octets: octets("b")?,
            made,
            expires,
        })
    }

    /// The name under which DNS has the key.
    pub fn key_name(&self) -> Option<Domain> {
        key_name(&self.domain, &self.selector)
    }

    /// The part of the identity after the last `@`.
    pub(super) fn identity_domain(&self) -> Option<&str> {
        let identity = self.identity.as_deref()?;
        identity.rsplit_once('@').map(|(_, domain)| domain)
    }
}

/// Whose signature it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender_auth) enum Manner {
    Dkim,
    /// Sealers' software leaves out the form, which it has as relaxed, and
    /// signs what it likes, without From even: the chain says nothing of it.
    Arc,
}

/// `c=header/body`
fn forms(
    tags: &TagList<'_>,
    manner: Manner,
) -> Result<(Canonicalization, Canonicalization), DkimProblem> {
    let bad = || DkimProblem::BadTag("c");
    let text = match (tags.get("c"), manner) {
        (Some(text), _) => text,
        (None, Manner::Dkim) => "simple/simple",
        (None, Manner::Arc) => "relaxed/relaxed",
    };
    let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
    let form = |text| Canonicalization::parse(text).ok_or_else(bad);
    Ok((form(header)?, form(body)?))
}

/// `h=`, with From among them (RFC 6376 section 5.4).
fn fields(tags: &TagList<'_>, manner: Manner) -> Result<Vec<String>, DkimProblem> {
    tags.require("h")?;
    let names = tags.values("h").into_iter().flatten();
    let names: Vec<String> = names.take(MOST_FIELDS + 1).map(String::from).collect();
    if names.len() > MOST_FIELDS {
        return Err(DkimProblem::BadTag("h"));
    }
    if manner == Manner::Arc {
        return Ok(names);
    }
    if names.iter().any(String::is_empty) {
        return Err(DkimProblem::BadTag("h"));
    }
    if !names.iter().any(|name| name.eq_ignore_ascii_case("from")) {
        return Err(DkimProblem::FromNotSigned);
    }
    Ok(names)
}

/// `i=`, whose domain is the signing one or below it.
fn identity(tags: &TagList<'_>, domain: &Domain) -> Result<Option<String>, DkimProblem> {
    let Some(identity) = tags.get("i") else {
        return Ok(None);
    };
    let within = identity.rsplit_once('@').is_some_and(|(_, of)| {
        let of = of.to_ascii_lowercase();
        of.strip_suffix(domain.as_str())
            .is_some_and(|above| above.is_empty() || above.ends_with('.'))
    });
    if within {
        Ok(Some(identity.to_owned()))
    } else {
        Err(DkimProblem::BadTag("i"))
    }
}

fn length(tags: &TagList<'_>) -> Result<Option<u64>, DkimProblem> {
    let Some(text) = tags.get("l") else {
        return Ok(None);
    };
    if text.is_empty() || text.len() > 76 || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(DkimProblem::BadTag("l"));
    }
    // More than any message has: more than this one has.
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

pub(in crate::sender_auth) fn time(
    tags: &TagList<'_>,
    name: &'static str,
) -> Result<Option<Timestamp>, DkimProblem> {
    let Some(text) = tags.get(name) else {
        return Ok(None);
    };
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(DkimProblem::BadTag(name));
    }
    // More than 12 digits are for ever (RFC 6376 section 3.5).
    let seconds: u64 = if text.len() > 12 {
        999_999_999_999
    } else {
        text.parse().unwrap_or(0)
    };
    Ok(Some(
        Timestamp::from_millis(0).after(Duration::from_secs(seconds)),
    ))
}

/// The name under which DNS has a domain's key.
pub(in crate::sender_auth) fn key_name(domain: &Domain, selector: &Domain) -> Option<Domain> {
    Domain::for_lookup(&format!("{selector}._domainkey.{domain}")).ok()
}

/// A domain name, not an address.
pub(in crate::sender_auth) fn name(text: &str) -> Option<Domain> {
    let domain = Domain::parse(text).ok()?.to_ascii().ok()?;
    domain.as_ip().is_none().then_some(domain)
}
