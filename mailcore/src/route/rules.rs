//! [`DomainRules`]: how a served domain's mail is taken, read from the
//! directory's settings.
//!
//! The rules are settings of the domain ([`Scope::Domain`]), or of everybody
//! where one rule is to hold for all domains: they need no table of their own,
//! an alias domain has its home's, and they go when the domain goes.
//!
//! [`Scope::Domain`]: crate::seams::Scope::Domain

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::handler::AddressHandler;
use super::host::{HostRoute, Protocol};
use crate::address::Address;
use crate::seams::HostCheck;

/// The keys of the settings that rules are made of.
pub mod keys {
    /// An address that gets what is for nobody; read by the directory.
    pub const CATCH_ALL: &str = "route.catch-all";
    /// A host that what is for nobody is handed to.
    pub const UNKNOWN_TO: &str = "route.unknown-to";
    /// `yes`: a relay domain takes mail for addresses with a handler only.
    pub const LISTED_ONLY: &str = "route.listed-only";
    /// `yes`: a relay domain's host is asked for each recipient.
    pub const CALLOUT: &str = "route.callout";
    /// Octets that a message may have.
    pub const MAX_SIZE: &str = "route.max-size";
    /// `smtp` or `lmtp`: what a relay domain's host speaks.
    pub const PROTOCOL: &str = "route.protocol";
    /// The host by which mail from this domain to others leaves.
    pub const OUTBOUND: &str = "route.outbound";
    /// The character between a user and a detail, or `none`; read by the
    /// directory.
    pub const SEPARATOR: &str = "route.separator";
    /// Aliases by pattern, a line for each; read by the directory.
    pub const PATTERNS: &str = "route.patterns";
    /// What stands before the local part in the key of a handler.
    pub const HANDLER: &str = "handler.";
}

/// The key of the setting that holds the handler of `address`: `None` for a
/// local part that no setting's key can hold.
pub fn handler_key(address: &Address) -> Option<String> {
    let folded = address.folded();
    let local_part = folded.local_part();
    let plain = !local_part.contains(char::is_whitespace);
    plain.then(|| format!("{}{local_part}", keys::HANDLER))
}

/// How a served domain's mail is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DomainRules {
    /// The host that what is for nobody here is handed to: some of the
    /// domain's mailboxes are there.
    pub unknown_to: Option<HostRoute>,
    /// Which addresses of a relay domain are taken.
    pub recipients: Recipients,
    /// Whether a relay domain's host is asked for recipients.
    pub host_check: HostCheck,
    /// Octets that a message may have.
    pub max_size: Option<u64>,
    /// What a relay domain's host speaks.
    pub protocol: Protocol,
    /// The host by which mail from this domain to others leaves.
    pub outbound: Option<HostRoute>,
    /// Where a detail begins.
    pub sub_addresses: SubAddresses,
    /// By local part in lower case.
    pub handlers: HashMap<Arc<str>, AddressHandler>,
}

/// Which addresses of a relay domain are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recipients {
    /// All.
    #[default]
    Any,
    /// Those with a handler.
    Listed,
}

/// What separates a user from a detail (RFC 5233 section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubAddresses {
    /// This character.
    After(char),
    /// Nothing: there are no details.
    Off,
}

impl Default for SubAddresses {
    fn default() -> Self {
        Self::After('+')
    }
}

impl SubAddresses {
    /// What a setting's value says.
    pub fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars();
        match (text, letters.next(), letters.next()) {
            ("none", ..) => Some(Self::Off),
            (_, Some(one), None) if one.is_ascii_punctuation() && one != '@' => {
                Some(Self::After(one))
            }
            _ => None,
        }
    }

    /// The user without the detail, when there is one.
    pub fn user_of(self, local_part: &str) -> Option<&str> {
        let Self::After(separator) = self else {
            return None;
        };
        let (user, _) = local_part.split_once(separator)?;
        (!user.is_empty()).then_some(user)
    }
}

/// A setting that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the setting {key} can't be \"{value}\"; {reason}")]
pub struct RuleError {
    key: String,
    value: String,
    reason: String,
}

impl DomainRules {
    /// Takes one setting over; keys that are nobody's here are left alone.
    ///
    /// # Errors
    /// What is wrong with its value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), RuleError> {
        self.put(key, value).map_err(|reason| RuleError {
            key: key.to_owned(),
            value: value.to_owned(),
            reason,
        })
    }

    fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        let host = || {
            value
                .parse::<HostRoute>()
                .map_err(|error| error.to_string())
        };
        match key {
            keys::CATCH_ALL => {
                Address::parse(value).map_err(|error| error.to_string())?;
            }
            keys::UNKNOWN_TO => self.unknown_to = Some(host()?),
            keys::OUTBOUND => self.outbound = Some(host()?),
            keys::MAX_SIZE => {
                let size = value.parse().map_err(|_| "write a number of octets");
                self.max_size = Some(size?);
            }
            keys::LISTED_ONLY => {
                self.recipients = yes_or_no(value, Recipients::Listed, Recipients::Any)?;
            }
            keys::CALLOUT => {
                self.host_check = yes_or_no(value, HostCheck::Asked, HostCheck::NotAsked)?;
            }
            keys::PROTOCOL => {
                self.protocol = match value {
                    "smtp" => Protocol::Smtp,
                    "lmtp" => Protocol::Lmtp,
                    _ => return Err("write smtp or lmtp".to_owned()),
                };
            }
            keys::SEPARATOR => {
                let separator = SubAddresses::parse(value);
                self.sub_addresses = separator.ok_or("write one sign, such as +, or none")?;
            }
            _ => {
                if let Some(local_part) = key.strip_prefix(keys::HANDLER) {
                    let handler = value.parse::<AddressHandler>();
                    let handler = handler.map_err(|error| error.to_string())?;
                    self.handlers.insert(local_part.into(), handler);
                }
            }
        }
        Ok(())
    }

    /// The handler of an address: its own, else that of the address without
    /// its detail.
    pub fn handler(&self, address: &Address) -> Option<&AddressHandler> {
        if self.handlers.is_empty() {
            return None;
        }
        let folded = address.folded();
        let local_part = folded.local_part();
        self.handlers.get(local_part).or_else(|| {
            let user = self.sub_addresses.user_of(local_part)?;
            self.handlers.get(user)
        })
    }
}

fn yes_or_no<T>(value: &str, yes: T, no: T) -> Result<T, String> {
    match value {
        "yes" => Ok(yes),
        "no" => Ok(no),
        _ => Err("write yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_settings_and_wrong_ones_are_named() {
        let mut rules = DomainRules::default();
        for (key, value) in [
            (keys::UNKNOWN_TO, "inner.test:2525"),
            (keys::LISTED_ONLY, "yes"),
            (keys::CALLOUT, "yes"),
            (keys::MAX_SIZE, "1000"),
            (keys::SEPARATOR, "-"),
            ("handler.ann", "discard"),
            ("filter.spam.threshold", "anything"),
        ] {
            rules.set(key, value).unwrap();
        }
        assert_eq!(rules.recipients, Recipients::Listed);
        assert_eq!(rules.host_check, HostCheck::Asked);
        let address = |text: &str| text.parse::<Address>().unwrap();
        assert!(rules.handler(&address("Ann-list@x.test")).is_some());
        assert!(rules.handler(&address("anna@x.test")).is_none());
        let error = rules
            .set(keys::LISTED_ONLY, "maybe")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "the setting route.listed-only can't be \"maybe\"; write yes or no"
        );
        assert!(rules.set(keys::SEPARATOR, "@").is_err());
        assert_eq!(SubAddresses::parse("none"), Some(SubAddresses::Off));
    }
}
