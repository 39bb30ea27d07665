//! Whose mail is signed: the author's domain, unless it or the author wants none.

use mailcore::address::{Address, Domain};
use mailcore::message::{Header, HeaderAddress, parse_addresses};
use mailcore::seams::{Directory, DirectoryError, Resolution, Scope};

use super::keyring::Known;
use super::signer::SIGNING_SETTING;

/// Labels above an author's domain that are looked at.
const MOST_LABELS: usize = 8;

/// Who says to have written a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Author {
    pub(super) domain: Domain,
    /// `None` for a local part that no account has.
    pub(super) address: Option<Address>,
}

impl Author {
    /// The first in the From field.
    pub(super) fn of(header: &[u8]) -> Option<Self> {
        Self::named_in(header, "From")
    }

    /// True when the Sender field names another domain than `signs`: From is a
    /// claim then, that nobody here has checked (RFC 5322 section 3.6.2).
    pub(super) fn is_claimed(header: &[u8], known: &Known, signs: &Domain) -> bool {
        Self::named_in(header, "Sender")
            .is_some_and(|sender| signing_domain(known, &sender.domain).as_ref() != Some(signs))
    }

    fn named_in(header: &[u8], field: &str) -> Option<Self> {
        let field = Header::new(header).first(field)?;
        let addresses = parse_addresses(field.raw, 1);
        let mailbox = addresses.iter().find_map(HeaderAddress::mailbox)?;
        let domain = Domain::parse(std::str::from_utf8(&mailbox.host).ok()?).ok()?;
        let address = String::from_utf8(mailbox.address()).ok();
        Some(Self {
            domain: domain.to_ascii().ok()?,
            address: address.and_then(|text| Address::parse(&text).ok()),
        })
    }
}

/// The domain itself, or the nearest above it, that has keys to sign with. A
/// receiver finds the author's domain in that of the signature (RFC 7489 section
/// 3.1.1).
pub(super) fn signing_domain(known: &Known, domain: &Domain) -> Option<Domain> {
    let mut name = domain.as_str();
    for _ in 0..MOST_LABELS {
        let found = Domain::parse(name).ok()?;
        if !known.active(&found).is_empty() {
            return Some(found);
        }
        name = name.split_once('.')?.1;
    }
    None
}

/// Whether a signature is wanted: both the domain and the author's account may
/// say no.
pub(super) async fn is_wanted(
    directory: &dyn Directory,
    domain: &Domain,
    author: &Author,
) -> Result<bool, DirectoryError> {
    if let Some(settings) = directory.settings() {
        let scope = Scope::Domain(domain.clone());
        let set = settings.setting(&scope, SIGNING_SETTING).await?;
        if set.is_some_and(|set| &*set.value == "off") {
            return Ok(false);
        }
    }
    let Some(address) = &author.address else {
        return Ok(true);
    };
    let Resolution::Account(id) = directory.resolve(address).await? else {
        return Ok(true);
    };
    let account = directory.account(&id).await?;
    Ok(account.is_none_or(|account| account.options.domain_signature))
}
