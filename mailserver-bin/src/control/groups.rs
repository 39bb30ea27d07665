//! Commands on groups of accounts.

use clap::Subcommand;
use mailcore::account::AccountId;
use mailcore::seams::{Directory, GroupKind, GroupName, Groups, Resolution};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, said, words};

/// What can be asked of groups.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GroupRequest {
    /// Adds a group: an address, or a name for access rights alone
    Add {
        /// `board@example.com`, `staff`
        group: String,
        /// Only senders who logged in here may write to it
        #[arg(long)]
        closed: bool,
    },
    /// Lists the groups
    List,
    /// Shows a group and who is in it
    Show {
        /// The group
        group: String,
    },
    /// Lets anybody write to a group
    Open {
        /// The group
        group: String,
    },
    /// Lets only senders who logged in here write to a group
    Close {
        /// The group
        group: String,
    },
    /// Removes a group
    Remove {
        /// The group
        group: String,
    },
    /// Who is in a group
    #[command(subcommand)]
    Member(Member),
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Member {
    /// Puts accounts in a group
    Add {
        /// The group
        group: String,
        /// Addresses of accounts
        #[arg(required = true)]
        accounts: Vec<String>,
    },
    /// Takes accounts out of a group
    Remove {
        /// The group
        group: String,
        /// Addresses of accounts
        #[arg(required = true)]
        accounts: Vec<String>,
    },
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn group(&self, request: GroupRequest) -> Result<Vec<String>, String> {
        let groups: &dyn Groups = &*self.directory;
        match request {
            GroupRequest::Add { group, closed } => {
                let name = parse(&group)?;
                let kind = match closed {
                    true => GroupKind::Closed,
                    false => GroupKind::Open,
                };
                said(
                    groups.add_group(&name, kind).await,
                    format!("group {name} added"),
                )
            }
            GroupRequest::List => {
                let all = groups.all_groups().await.map_err(words)?;
                Ok(all.iter().map(ToString::to_string).collect())
            }
            GroupRequest::Show { group } => self.show_group(&parse(&group)?).await,
            GroupRequest::Open { group } => {
                let name = parse(&group)?;
                let changed = groups.change_group(&name, GroupKind::Open).await;
                said(changed, format!("group {name} is open"))
            }
            GroupRequest::Close { group } => {
                let name = parse(&group)?;
                let changed = groups.change_group(&name, GroupKind::Closed).await;
                said(changed, format!("group {name} is closed"))
            }
            GroupRequest::Remove { group } => {
                let name = parse(&group)?;
                let removed = groups.remove_group(&name).await;
                said(removed, format!("group {name} removed"))
            }
            GroupRequest::Member(Member::Add { group, accounts }) => {
                let (name, accounts) = (parse(&group)?, self.accounts(&accounts).await?);
                let count = groups.add_accounts(&name, &accounts).await;
                Ok(vec![format!("{} added to {name}", count.map_err(words)?)])
            }
            GroupRequest::Member(Member::Remove { group, accounts }) => {
                let (name, accounts) = (parse(&group)?, self.accounts(&accounts).await?);
                let count = groups.remove_accounts(&name, &accounts).await;
                Ok(vec![format!(
                    "{} taken out of {name}",
                    count.map_err(words)?
                )])
            }
        }
    }

    async fn show_group(&self, name: &GroupName) -> Result<Vec<String>, String> {
        let found = self.directory.group(name).await.map_err(words)?;
        let group = found.ok_or_else(|| format!("{name} does not exist; add it first"))?;
        let kind = match group.kind {
            GroupKind::Closed => "closed",
            GroupKind::Open => "open",
        };
        let mut lines = vec![
            format!("group {name}"),
            format!("kind {kind}"),
            format!("rights {}", group.name.acl_identifier()),
        ];
        for member in group.members {
            let account = self.directory.account(&member).await.map_err(words)?;
            lines.extend(account.map(|it| format!("member {}", it.address)));
        }
        Ok(lines)
    }

    /// The accounts at these addresses.
    async fn accounts(&self, addresses: &[String]) -> Result<Vec<AccountId>, String> {
        let mut accounts = Vec::new();
        for text in addresses {
            let address = parse_address(text)?;
            match self.directory.resolve(&address).await.map_err(words)? {
                Resolution::Account(id) => accounts.push(id),
                _ => return Err(format!("{address} is not an account")),
            }
        }
        Ok(accounts)
    }
}

fn parse(text: &str) -> Result<GroupName, String> {
    GroupName::parse(text).map_err(words)
}
