//! Commands on aliases by pattern and on masked addresses.

use std::fmt::Write as _;

use clap::Subcommand;
use mailcore::account::AccountId;
use mailcore::address::{Address, Domain};
use mailcore::route::{keys, masked_local_part};
use mailcore::seams::{
    Addresses, Directory, DirectoryError, DirectoryWrite, OsEntropy, Resolution, Scope, Settings,
};
use serde::{Deserialize, Serialize};

use super::addresses::AddressRequest;
use super::admin::{Admin, parse_address, parse_domain, said, words};
use super::aligned;

/// What stands before a masked address in the key of its note.
const MASKED: &str = "masked.";
/// Addresses drawn before none is found free.
const DRAWS: usize = 20;

/// What can be asked of aliases by pattern.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PatternRequest {
    /// Adds an alias for every local part that fits: `sales-*`, or a regular
    /// expression between two `/`, whose groups are `$1` in targets
    Add {
        /// `example.com`
        domain: String,
        /// `sales-*`, `/(.+)-ops/`
        pattern: String,
        /// Where its mail goes
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Lists a domain's patterns in their order
    List {
        /// `example.com`
        domain: String,
    },
    /// Removes a pattern
    Remove {
        /// `example.com`
        domain: String,
        /// As it was added
        pattern: String,
    },
}

/// What can be asked of masked addresses.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MaskedRequest {
    /// Makes up an address that reaches an account and that it may send as
    Add {
        /// `ann@example.com`
        account: String,
        /// Whom it is for
        #[arg(long, default_value = "")]
        note: String,
        /// Of this domain instead of the account's own
        #[arg(long)]
        domain: Option<String>,
    },
    /// Lists an account's masked addresses and whom they are for
    List {
        /// `ann@example.com`
        account: String,
    },
    /// Serves one again
    Enable {
        /// `quiet.harbor4711@example.com`
        address: String,
    },
    /// Stops serving one without removing it
    Disable {
        /// `quiet.harbor4711@example.com`
        address: String,
    },
    /// Removes one
    Remove {
        /// `ann@example.com`
        account: String,
        /// `quiet.harbor4711@example.com`
        address: String,
    },
}

impl Admin {
    /// Carries one command on patterns out.
    pub(super) async fn pattern(&self, request: PatternRequest) -> Result<Vec<String>, String> {
        match request {
            PatternRequest::Add {
                domain,
                pattern,
                targets,
            } => {
                let domain = parse_domain(&domain)?;
                let mut text = self.patterns(&domain).await?.join("\n");
                let _ = write!(text, "\n{pattern} = {}", targets.join(", "));
                self.set_patterns(domain, text.trim()).await?;
                Ok(vec![format!("pattern {pattern} added")])
            }
            PatternRequest::List { domain } => self.patterns(&parse_domain(&domain)?).await,
            PatternRequest::Remove { domain, pattern } => {
                let domain = parse_domain(&domain)?;
                let mut lines = self.patterns(&domain).await?;
                let before = lines.len();
                let named =
                    |line: &String| line.rsplit_once(" = ").is_some_and(|(it, _)| it == pattern);
                lines.retain(|line| !named(line));
                if lines.len() == before {
                    return Err(format!("{domain} has no pattern {pattern}"));
                }
                self.set_patterns(domain, &lines.join("\n")).await?;
                Ok(vec![format!("pattern {pattern} removed")])
            }
        }
    }

    async fn patterns(&self, domain: &Domain) -> Result<Vec<String>, String> {
        let scope = Scope::Domain(domain.clone());
        let held = self.directory.value(&scope, keys::PATTERNS).await;
        let held = held.map_err(words)?.unwrap_or_default();
        Ok(held.lines().map(str::to_owned).collect())
    }

    async fn set_patterns(&self, domain: Domain, text: &str) -> Result<(), String> {
        let value = (!text.is_empty()).then_some(text);
        let scope = Scope::Domain(domain);
        let set = self.directory.set(&scope, keys::PATTERNS, value).await;
        set.map_err(words)
    }

    /// Carries one command on masked addresses out.
    pub(super) async fn masked(&self, request: MaskedRequest) -> Result<Vec<String>, String> {
        match request {
            MaskedRequest::Add {
                account,
                note,
                domain,
            } => {
                let account = parse_address(&account)?;
                let domain = match domain {
                    Some(domain) => parse_domain(&domain)?,
                    None => account.domain().clone(),
                };
                self.add_masked(&account, &domain, &note).await
            }
            MaskedRequest::List { account } => {
                let id = self.account_id(&parse_address(&account)?).await?;
                self.list_masked(id).await
            }
            MaskedRequest::Enable { address } => {
                self.address(AddressRequest::Enable { address }).await
            }
            MaskedRequest::Disable { address } => {
                self.address(AddressRequest::Disable { address }).await
            }
            MaskedRequest::Remove { account, address } => {
                let id = self.account_id(&parse_address(&account)?).await?;
                let address = parse_address(&address)?;
                let (scope, key) = (Scope::Account(id), format!("{MASKED}{address}"));
                let note = self.directory.value(&scope, &key).await.map_err(words)?;
                note.ok_or_else(|| format!("{account} has no masked address {address}"))?;
                let removed = self.directory.remove_alias(&address).await;
                removed.map_err(words)?;
                let forgotten = self.directory.set(&scope, &key, None).await;
                said(forgotten, format!("masked address {address} removed"))
            }
        }
    }

    async fn add_masked(
        &self,
        account: &Address,
        domain: &Domain,
        note: &str,
    ) -> Result<Vec<String>, String> {
        let id = self.account_id(account).await?;
        for _ in 0..DRAWS {
            let local_part = masked_local_part(&OsEntropy);
            let address = Address::new(&local_part, domain.clone()).map_err(words)?;
            // A catch-all knows every address: only what is listed is taken.
            let to = std::slice::from_ref(account);
            match self.directory.add_alias(&address, to).await {
                Err(DirectoryError::Exists(_)) => continue,
                other => other.map_err(words)?,
            }
            let (scope, key) = (Scope::Account(id), format!("{MASKED}{address}"));
            if let Err(error) = self.directory.set(&scope, &key, Some(note)).await {
                // Without its note nobody would find it again.
                let removed = self.directory.remove_alias(&address).await;
                return Err(removed.err().unwrap_or(error).to_string());
            }
            return Ok(vec![address.to_string()]);
        }
        Err("no free address was found; try again".to_owned())
    }

    async fn list_masked(&self, id: AccountId) -> Result<Vec<String>, String> {
        let held = self.directory.values(&Scope::Account(id)).await;
        let mut rows = Vec::new();
        for (key, note) in held.map_err(words)? {
            let Some(address) = key.strip_prefix(MASKED) else {
                continue;
            };
            let mut query = mailcore::seams::AddressQuery::default();
            query.contains = Some(address.to_owned());
            query.limit = Some(1);
            let served = self.directory.search(&query).await.map_err(words)?;
            let state = match served.first().map(|it| it.state) {
                Some(mailcore::seams::AddressState::On) => "on",
                Some(mailcore::seams::AddressState::Off) => "off",
                None => "gone",
            };
            rows.push(vec![address.to_owned(), state.to_owned(), note.to_string()]);
        }
        Ok(aligned(&rows))
    }

    pub(super) async fn account_id(&self, address: &Address) -> Result<AccountId, String> {
        match self.directory.resolve(address).await.map_err(words)? {
            Resolution::Account(id) => Ok(id),
            _ => Err(format!("{address} is no account")),
        }
    }
}
