//! Commands on served addresses, whatever they stand for.

use mailcore::seams::{AddressLine, AddressQuery, AddressState, Addresses, ServedAddress, Stands};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, parse_domain, said, words};
use super::aligned;

/// What can be asked of addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AddressRequest {
    /// Those with a text in them, of a domain.
    List {
        text: Option<String>,
        domain: Option<String>,
    },
    /// One a line, as `Import` takes them.
    Export { domain: Option<String> },
    /// Takes such lines over, all or none.
    Import { lines: String },
    /// Switches an address on.
    Enable { address: String },
    /// Switches an address off.
    Disable { address: String },
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn address(&self, request: AddressRequest) -> Result<Vec<String>, String> {
        match request {
            AddressRequest::List { text, domain } => {
                let found = self.found(text, domain).await?;
                Ok(aligned(&found.iter().map(row).collect::<Vec<_>>()))
            }
            AddressRequest::Export { domain } => {
                let found = self.found(None, domain).await?;
                let lines = found.into_iter().map(AddressLine::from);
                Ok(lines.map(|line| line.to_string()).collect())
            }
            AddressRequest::Import { lines } => self.import(&lines).await,
            AddressRequest::Enable { address } => self.switch(&address, AddressState::On).await,
            AddressRequest::Disable { address } => self.switch(&address, AddressState::Off).await,
        }
    }

    async fn found(
        &self,
        text: Option<String>,
        domain: Option<String>,
    ) -> Result<Vec<ServedAddress>, String> {
        let mut query = AddressQuery::default();
        query.domain = domain.as_deref().map(parse_domain).transpose()?;
        query.contains = text;
        self.directory.search(&query).await.map_err(words)
    }

    async fn switch(&self, address: &str, state: AddressState) -> Result<Vec<String>, String> {
        let address = parse_address(address)?;
        let word = match state {
            AddressState::On => "on",
            AddressState::Off => "off",
        };
        let switched = self.directory.set_address(&address, state).await;
        said(switched, format!("address {address} switched {word}"))
    }

    async fn import(&self, text: &str) -> Result<Vec<String>, String> {
        let mut lines: Vec<AddressLine> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                return Err(format!("line {}: it is empty", number + 1));
            }
            let line = line.parse();
            lines.push(line.map_err(|error| format!("line {}: {error}", number + 1))?);
        }
        let count = self.directory.import(&lines).await.map_err(words)?;
        Ok(vec![format!(
            "{count} of {} lines changed something",
            lines.len()
        )])
    }
}

fn row(served: &ServedAddress) -> Vec<String> {
    let stands = match &served.stands {
        Stands::Account => "account".to_owned(),
        Stands::Alias(targets) => {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            format!("alias of {}", targets.join(" "))
        }
        Stands::List => "list".to_owned(),
        Stands::Group => "group".to_owned(),
        _ => String::new(),
    };
    let mut row = vec![served.address.to_string(), stands];
    row.extend((served.state == AddressState::Off).then(|| "off".to_owned()));
    row
}
