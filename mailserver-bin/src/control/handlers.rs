//! Commands on what holds for single addresses before anything else does.

use clap::{Args, Subcommand};
use mailcore::address::{Address, Domain};
use mailcore::route::{AddressHandler, handler_key, keys};
use mailcore::seams::{Directory, Scope, Settings};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, parse_domain, said, words};
use super::aligned;
use super::rules::speaks_smtp;
use crate::config::parse_size;

/// What can be asked of handlers.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HandlerRequest {
    /// Sets what is done with an address's mail, in place of what was set;
    /// without options it only puts the address on the list of a domain that
    /// takes listed ones
    Set {
        /// `orders@example.com`
        address: String,
        #[command(flatten)]
        handler: Box<Handler>,
    },
    /// Shows what is done with an address's mail
    Show {
        /// `orders@example.com`
        address: String,
    },
    /// Lists the addresses that have a handler
    List {
        /// Only of this domain
        domain: Option<String>,
    },
    /// Takes an address's handler away
    Remove {
        /// `orders@example.com`
        address: String,
    },
}

/// What can be set for an address.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Handler {
    /// Deliver to this address instead; may be given again
    #[arg(long, value_name = "ADDRESS", group = "place")]
    to: Vec<String>,
    /// Hand it to this host instead
    #[arg(long, value_name = "HOST[:PORT]", group = "place")]
    host: Option<String>,
    /// Give it to an agent of this server instead
    #[arg(long, value_name = "NAME", group = "place")]
    agent: Option<String>,
    /// File it to this mailbox of its account
    #[arg(long, value_name = "NAME", group = "place")]
    mailbox: Option<String>,
    /// Take it and drop it
    #[arg(long, group = "place")]
    discard: bool,
    /// Refuse it with these words
    #[arg(long, value_name = "WORDS", group = "place")]
    refuse: Option<String>,
    /// Send a copy to this address; may be given again
    #[arg(long, value_name = "ADDRESS")]
    copy: Vec<String>,
    /// Octets that a message may have: `20MB`
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// Take no attachments
    #[arg(long)]
    no_attachments: bool,
}

impl Handler {
    fn parse(self) -> Result<AddressHandler, String> {
        let size = self.max_size.map(|text| {
            let size = parse_size(&text);
            size.ok_or_else(|| format!("\"{text}\" is not a size"))
        });
        if let Some(host) = &self.host {
            speaks_smtp(host)?;
        }
        let mut lines: Vec<String> = Vec::new();
        let mut add = |word: &str, values: &mut dyn Iterator<Item = String>| {
            // A line is one word and its value: nothing may add another.
            lines.extend(values.map(|it| format!("{word} {}", it.replace(['\r', '\n'], " "))));
        };
        add("to", &mut self.to.into_iter());
        add("host", &mut self.host.into_iter());
        add("agent", &mut self.agent.into_iter());
        add("mailbox", &mut self.mailbox.into_iter());
        add("refuse", &mut self.refuse.into_iter());
        add("copy", &mut self.copy.into_iter());
        let size = size.transpose()?.map(|size| size.to_string());
        add("max-size", &mut size.into_iter());
        lines.extend(self.discard.then(|| "discard".to_owned()));
        lines.extend(self.no_attachments.then(|| "no-attachments".to_owned()));
        lines.join("\n").parse().map_err(words)
    }
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn handler(&self, request: HandlerRequest) -> Result<Vec<String>, String> {
        match request {
            HandlerRequest::Set { address, handler } => {
                let address = parse_address(&address)?;
                let handler = handler.parse()?.to_string();
                // An empty value says nothing and is there all the same.
                let set = self.put_handler(&address, Some(&handler)).await;
                said(set, format!("handler of {address} set"))
            }
            HandlerRequest::Show { address } => {
                let (scope, key) = place(&parse_address(&address)?)?;
                let held = self.directory.value(&scope, &key).await.map_err(words)?;
                let held = held.ok_or_else(|| format!("{address} has no handler"))?;
                Ok(held.lines().map(str::to_owned).collect())
            }
            HandlerRequest::List { domain } => {
                let domain = domain.as_deref().map(parse_domain).transpose()?;
                self.handlers(domain).await
            }
            HandlerRequest::Remove { address } => {
                let address = parse_address(&address)?;
                let removed = self.put_handler(&address, None).await;
                said(removed, format!("handler of {address} removed"))
            }
        }
    }

    async fn put_handler(&self, address: &Address, handler: Option<&str>) -> Result<(), String> {
        let (scope, key) = place(address)?;
        let set = self.directory.set(&scope, &key, handler).await;
        set.map_err(words)
    }

    async fn handlers(&self, only: Option<Domain>) -> Result<Vec<String>, String> {
        let domains = match only {
            Some(domain) => vec![domain],
            None => {
                let all = self.directory.domains().await.map_err(words)?;
                all.into_iter().map(|record| record.domain).collect()
            }
        };
        let mut rows = Vec::new();
        for domain in domains {
            let scope = Scope::Domain(domain.clone());
            for (key, value) in self.directory.values(&scope).await.map_err(words)? {
                if let Some(local_part) = key.strip_prefix(keys::HANDLER) {
                    let address = Address::new(local_part, domain.clone()).map_err(words)?;
                    rows.push(vec![address.to_string(), value.replace('\n', "; ")]);
                }
            }
        }
        Ok(aligned(&rows))
    }
}

/// Where the handler of an address is kept.
fn place(address: &Address) -> Result<(Scope, String), String> {
    let key = handler_key(address);
    let key = key.ok_or("an address with a space in it can't have a handler")?;
    Ok((Scope::Domain(address.domain().clone()), key))
}
