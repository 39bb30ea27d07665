//! Commands on the Sieve scripts that the directory keeps.

use mailcore::account::AccountId;
use mailcore::seams::{Directory, DirectoryError, Scope, ScriptKind, Scripts};
use mailcore_sieve::host::{AFTER, BEFORE};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, parse_domain, words};
use super::aligned;

/// Whose scripts are meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScriptOwner {
    /// Everybody's.
    Global,
    /// A domain's.
    Domain(String),
    /// An account's, by its address.
    Account(String),
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SieveRequest {
    pub(crate) owner: ScriptOwner,
    pub(crate) action: SieveAction,
}

/// What is to be done there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SieveAction {
    /// The scripts, one a line.
    List,
    /// The text of one.
    Show { name: String },
    /// Adds or replaces one, whose text compiles.
    Put { name: String, text: String },
    /// Mail goes by it from now on.
    Activate { name: String },
    /// Mail goes by none.
    Deactivate,
    /// Removes one.
    Remove { name: String },
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn sieve(&self, request: SieveRequest) -> Result<Vec<String>, String> {
        let owner = self.script_owner(&request.owner).await?;
        let scripts = Directory::scripts(&*self.directory).ok_or("no scripts are kept here")?;
        let kind = ScriptKind::Sieve;
        match request.action {
            SieveAction::List => listed(scripts, &owner).await,
            SieveAction::Show { name } => {
                let text = scripts.script(&owner, kind, &name).await;
                let text = text.map_err(|error| missing(error, &name))?;
                Ok(text.lines().map(str::to_owned).collect())
            }
            SieveAction::Put { name, text } => {
                let put = scripts.put_script(&owner, kind, &name, &text).await;
                put.map_err(words)?;
                Ok(vec![format!(
                    "script {name} is kept{}",
                    when(&owner, &name)
                )])
            }
            SieveAction::Activate { name } => {
                no_scope(&owner)?;
                let set = scripts.set_active(&owner, kind, Some(&name)).await;
                set.map_err(|error| missing(error, &name))?;
                Ok(vec![format!("mail goes by {name} from now on")])
            }
            SieveAction::Deactivate => {
                no_scope(&owner)?;
                let set = scripts.set_active(&owner, kind, None).await;
                set.map_err(words)?;
                Ok(vec!["mail goes by no script from now on".to_owned()])
            }
            SieveAction::Remove { name } => {
                let removed = scripts.delete_script(&owner, kind, &name).await;
                removed.map_err(|error| missing(error, &name))?;
                Ok(vec![format!("script {name} removed")])
            }
        }
    }

    async fn script_owner(&self, owner: &ScriptOwner) -> Result<Scope, String> {
        match owner {
            ScriptOwner::Global => Ok(Scope::Global),
            ScriptOwner::Domain(domain) => {
                let domain = parse_domain(domain)?;
                let served = self.directory.domain(&domain).await.map_err(words)?;
                match served {
                    Some(_) => Ok(Scope::Domain(domain)),
                    None => Err(format!("{domain} is not served here")),
                }
            }
            ScriptOwner::Account(address) => {
                let id: AccountId = self.account_id(&parse_address(address)?).await?;
                Ok(Scope::Account(id))
            }
        }
    }
}

async fn listed(scripts: &dyn Scripts, owner: &Scope) -> Result<Vec<String>, String> {
    let entries = scripts.script_entries(owner, ScriptKind::Sieve).await;
    let rows: Vec<Vec<String>> = entries
        .map_err(words)?
        .into_iter()
        .map(|entry| {
            let mut row = vec![entry.name.to_string(), format!("{} octets", entry.size)];
            let runs = match owner {
                Scope::Account(_) => entry.is_active,
                _ => [BEFORE, AFTER].contains(&&*entry.name),
            };
            row.extend(runs.then(|| "active".to_owned()));
            row
        })
        .collect();
    Ok(aligned(&rows))
}

/// When a script is run that was just put.
fn when(owner: &Scope, name: &str) -> &'static str {
    match owner {
        Scope::Account(_) => "; mail goes by it once it is the active one",
        _ if name == BEFORE => " and runs before the accounts' own",
        _ if name == AFTER => " and runs after the accounts' own",
        _ => " for others to include (:global)",
    }
}

fn no_scope(owner: &Scope) -> Result<(), String> {
    match owner {
        Scope::Account(_) => Ok(()),
        _ => Err(format!(
            "what is called \"{BEFORE}\" or \"{AFTER}\" runs for all accounts, the rest is there \
             to be included; put it under that name, or remove it"
        )),
    }
}

fn missing(error: DirectoryError, name: &str) -> String {
    match error {
        DirectoryError::NotFound(_) => format!("there is no script {name}"),
        other => other.to_string(),
    }
}
