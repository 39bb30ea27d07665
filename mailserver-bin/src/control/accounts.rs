//! Commands on accounts.

use clap::{Args, Subcommand, ValueEnum};
use mailcore::account::AccountId;
use mailcore::address::Address;
use mailcore::seams::{
    AccountChange, AccountRecord, Administration, DirectoryWrite, KeepCopy, Redirect, Role, Sending,
};
use serde::{Deserialize, Serialize};

use super::account_settings;
use super::admin::{Admin, parse_address, parse_domain, said, words};
use super::aligned;
use crate::config::parse_size;

/// What takes a limit or an address away.
const NONE: &str = "none";

/// Commands that change what accounts are, rather than which there are.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AccountRequest {
    /// Shows what holds for an account
    Show {
        /// `ann@example.com`
        address: String,
    },
    /// Changes what holds for an account
    Set {
        /// `ann@example.com`
        address: String,
        /// Settings by name, as `pop3.folder=Archive`; with nothing behind the
        /// sign they are taken away
        #[arg(value_name = "KEY=VALUE")]
        #[serde(default)]
        settings: Vec<String>,
        #[command(flatten)]
        options: Options,
        /// What it may administer: `none`, `all`, or domains with commas between
        #[arg(long, value_name = "DOMAINS")]
        admin: Option<String>,
    },
    /// Gives an account another primary address; the old one becomes an alias
    Rename {
        /// `ann@example.com`
        address: String,
        /// A free address, or an alias of this account
        new: String,
    },
    /// Removes an account; its mail stays in the store
    Close {
        /// `ann@example.com`
        address: String,
        /// The account that its addresses and aliases reach from now on
        #[arg(long, value_name = "ADDRESS")]
        aliases_to: Option<String>,
    },
}

/// What can be set for an account, or for the new ones of a domain.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Octets it may hold: `500MB`, or `none`
    #[arg(long, value_name = "SIZE")]
    quota: Option<String>,
    /// Messages it may hold, or `none`
    #[arg(long, value_name = "COUNT")]
    messages: Option<String>,
    /// A person's name, or `none`
    #[arg(long)]
    name: Option<String>,
    /// Language of what the server writes: `en`, `ru`, or `none`
    #[arg(long)]
    language: Option<String>,
    /// Whether it may log in
    #[arg(long)]
    login: Option<YesNo>,
    /// Where it may send
    #[arg(long)]
    send: Option<Send>,
    /// Passes its mail on to an address, or `none`
    #[arg(long, value_name = "ADDRESS")]
    redirect: Option<String>,
    /// With --redirect: files mail here, too
    #[arg(long, requires = "redirect")]
    keep_copy: bool,
    /// Whether contact lists show it
    #[arg(long)]
    contacts: Option<YesNo>,
    /// Whether spam is filed apart
    #[arg(long)]
    spam_folder: Option<YesNo>,
    /// Whether its domain's signature is added
    #[arg(long)]
    signature: Option<YesNo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum YesNo {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Send {
    Anywhere,
    Local,
}

impl Options {
    pub(crate) fn change(self) -> Result<AccountChange, String> {
        let yes = |it: Option<YesNo>| it.map(|it| it == YesNo::Yes);
        let copy = match self.keep_copy {
            true => KeepCopy::Yes,
            false => KeepCopy::No,
        };
        let redirect = |text: &str| parse_address(text).map(|to| Redirect { to, copy });
        Ok(AccountChange {
            quota: or_none(self.quota, |text| {
                parse_size(text).ok_or_else(|| format!("\"{text}\" is not a size"))
            })?,
            quota_messages: or_none(self.messages, |text| {
                let count = text.parse();
                count.map_err(|_| format!("\"{text}\" is not a number"))
            })?,
            enabled: yes(self.login),
            display_name: or_none(self.name, |text| Ok(text.into()))?,
            language: or_none(self.language, |text| Ok(text.into()))?,
            sending: self.send.map(|it| match it {
                Send::Anywhere => Sending::Anywhere,
                Send::Local => Sending::LocalOnly,
            }),
            redirect: or_none(self.redirect, redirect)?,
            in_contacts: yes(self.contacts),
            spam_to_folder: yes(self.spam_folder),
            domain_signature: yes(self.signature),
        })
    }
}

fn or_none<T>(
    text: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<Option<T>>, String> {
    match text.as_deref() {
        None => Ok(None),
        Some(NONE) => Ok(Some(None)),
        Some(text) => Ok(Some(Some(parse(text)?))),
    }
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn change_account(
        &self,
        request: AccountRequest,
    ) -> Result<Vec<String>, String> {
        match request {
            AccountRequest::Show { address } => self.show_account(&parse_address(&address)?).await,
            AccountRequest::Set {
                address,
                settings,
                options,
                admin,
            } => {
                let address = parse_address(&address)?;
                let settings = settings.iter().map(|it| account_settings::parse(it));
                let settings: Vec<_> = settings.collect::<Result<_, _>>()?;
                let role = admin.as_deref().map(parse_role).transpose()?;
                let change = options.change()?;
                let changed = self.directory.change_account(&address, &change).await;
                changed.map_err(words)?;
                if change.enabled == Some(false) {
                    self.end_sessions(&self.account_id(&address).await?);
                }
                if !settings.is_empty() {
                    let id = self.account_id(&address).await?;
                    self.set_for_account(id, &settings).await?;
                }
                if let Some(role) = role {
                    let set = self.directory.set_role(&address, &role).await;
                    set.map_err(words)?;
                }
                Ok(vec![format!("account {address} changed")])
            }
            AccountRequest::Rename { address, new } => {
                let (address, new) = (parse_address(&address)?, parse_address(&new)?);
                let renamed = self.directory.rename_account(&address, &new).await;
                said(
                    renamed,
                    format!("account {address} is {new} now; {address} is an alias of it"),
                )
            }
            AccountRequest::Close {
                address,
                aliases_to,
            } => {
                let address = parse_address(&address)?;
                let heir = aliases_to.as_deref().map(parse_address).transpose()?;
                let closed = self.directory.close_account(&address, heir.as_ref());
                let id = closed.await.map_err(words)?;
                self.end_sessions(&id);
                let mut lines = vec![format!(
                    "account {address} closed; its mail stays in the store under {id}"
                )];
                lines.extend(heir.map(|heir| format!("its addresses reach {heir}")));
                Ok(lines)
            }
        }
    }

    /// Ends the sessions of an account that is closed, where a server runs.
    pub(super) fn end_sessions(&self, account: &AccountId) {
        if let Some(limiter) = &self.limiter {
            limiter.end_sessions(account);
        }
    }

    async fn show_account(&self, address: &Address) -> Result<Vec<String>, String> {
        let role = self.directory.role(address).await.map_err(words)?;
        let of_domain = self.directory.accounts(Some(address.domain())).await;
        let wanted = address.folded();
        let account = of_domain
            .map_err(words)?
            .into_iter()
            .map(|summary| summary.account)
            .find(|account| account.address == wanted)
            .ok_or_else(|| format!("{address} does not exist; add it first"))?;
        let mut rows = rows(&account);
        rows.push(row("administers", role_text(&role)));
        rows.extend(self.settings_of(account.id.clone()).await?);
        Ok(aligned(&rows))
    }
}

fn parse_role(text: &str) -> Result<Role, String> {
    match text {
        NONE => Ok(Role::User),
        "all" => Ok(Role::Global),
        domains => {
            let domains = domains.split(',').map(|it| parse_domain(it.trim()));
            domains.collect::<Result<_, _>>().map(Role::Domains)
        }
    }
}

fn role_text(role: &Role) -> String {
    match role {
        Role::Global => "all".to_owned(),
        Role::Domains(domains) => {
            let names: Vec<&str> = domains.iter().map(|it| it.as_str()).collect();
            names.join(", ")
        }
        _ => NONE.to_owned(),
    }
}

fn row(name: &str, value: impl ToString) -> Vec<String> {
    vec![name.to_owned(), value.to_string()]
}

/// What holds for an account, under the names of the options that set it.
pub(super) fn rows(account: &AccountRecord) -> Vec<Vec<String>> {
    let yes = |it: bool| if it { "yes" } else { "no" };
    let or_none = |it: Option<String>| it.unwrap_or_else(|| NONE.to_owned());
    let options = &account.options;
    let redirect = options.redirect.as_ref().map(|it| match it.copy {
        KeepCopy::Yes => format!("{} with a copy kept", it.to),
        KeepCopy::No => it.to.to_string(),
    });
    let send = match options.sending {
        Sending::LocalOnly => "local",
        Sending::Anywhere => "anywhere",
    };
    vec![
        row("address", &account.address),
        row("id", &account.id),
        row("quota", or_none(account.quota.map(|it| it.to_string()))),
        row(
            "messages",
            or_none(account.quota_messages.map(|it| it.to_string())),
        ),
        row(
            "name",
            or_none(options.display_name.as_deref().map(Into::into)),
        ),
        row(
            "language",
            or_none(options.language.as_deref().map(Into::into)),
        ),
        row("login", yes(account.enabled)),
        row("send", send),
        row("redirect", or_none(redirect)),
        row("contacts", yes(options.in_contacts)),
        row("spam-folder", yes(options.spam_to_folder)),
        row("signature", yes(options.domain_signature)),
    ]
}
