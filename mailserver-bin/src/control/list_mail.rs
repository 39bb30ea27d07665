//! Commands on what lists do with mail: how it looks, what waits for a moderator,
//! whose mail comes back.

use clap::Subcommand;
use mailcore::address::{Address, Domain};
use mailcore::deliver::list::{Bounces, HeldPosts, ListSeams, ListSettings};
use mailcore::queue::QueueId;
use mailcore::seams::{ListRecord, Lists, Scope, Settings};
use serde::{Deserialize, Serialize};

use super::admin::{Admin, parse_address, said, words};
use super::{aligned, lists};
use crate::when::shown;

/// What can be asked.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ListMail {
    /// Shows or changes how lists' mail looks and what is done about members
    Setting {
        /// `news@example.com`, `@example.com` for all lists there, `all`
        #[arg(value_name = "LISTS")]
        which: String,
        /// Which setting; all are shown without one
        name: Option<String>,
        /// Its value; `default` takes it away
        value: Option<String>,
    },
    /// What waits for moderators
    Pending {
        /// Of this list alone
        list: Option<String>,
    },
    /// Lets a message out that waits
    Approve {
        /// `news@example.com`
        list: String,
        /// Its number, as `pending` shows it
        number: String,
    },
    /// Drops a message that waits, and tells its sender where he is known
    Reject {
        /// `news@example.com`
        list: String,
        /// Its number, as `pending` shows it
        number: String,
        /// Why, for the sender
        #[arg(long)]
        reason: Option<String>,
    },
    /// The members whose mail failed, and since when they get none
    Bounces {
        /// `news@example.com`
        list: String,
    },
    /// Sends mail again to a member whose mail failed
    Resume {
        /// `news@example.com`
        list: String,
        /// Who
        member: String,
    },
}

impl ListMail {
    /// True when it can't be answered from the directory alone.
    pub(crate) fn needs_store(&self) -> bool {
        !matches!(self, Self::Setting { .. })
    }
}

/// Which lists a setting is for.
enum Which {
    All,
    Of(Domain),
    One(Address),
}

impl Which {
    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            _ if text == "all" => Ok(Self::All),
            Some(domain) => Domain::parse(domain).map(Self::Of).map_err(words),
            None => parse_address(text).map(Self::One),
        }
    }

    /// Where the directory keeps it.
    fn place(&self, name: &str) -> (Scope, String) {
        match self {
            Self::All => (Scope::Global, ListSettings::key(name, None)),
            Self::Of(domain) => (Scope::Domain(domain.clone()), ListSettings::key(name, None)),
            Self::One(list) => (
                Scope::Domain(list.domain().clone()),
                ListSettings::key(name, Some(list)),
            ),
        }
    }
}

impl Admin {
    /// Carries one command out.
    pub(super) async fn list_mail(&self, request: ListMail) -> Result<Vec<String>, String> {
        match request {
            ListMail::Setting { which, name, value } => {
                self.list_setting(&which, name, value).await
            }
            ListMail::Pending { list } => self.pending(list.as_deref()).await,
            ListMail::Approve { list, number } => {
                let (record, id) = (self.list_record(&list).await?, parse_id(&number)?);
                let held = HeldPosts::new(self.list_seams()?);
                let done = held.approve(&record, id).await.map_err(words)?;
                told(done, format!("{id} goes out to {}", record.address))
            }
            ListMail::Reject {
                list,
                number,
                reason,
            } => {
                let (record, id) = (self.list_record(&list).await?, parse_id(&number)?);
                let held = HeldPosts::new(self.list_seams()?);
                let done = held.reject(&record, id, reason.as_deref()).await;
                told(done.map_err(words)?, format!("{id} dropped"))
            }
            ListMail::Bounces { list } => self.bounces(&self.list_record(&list).await?).await,
            ListMail::Resume { list, member } => {
                let (list, member) = (
                    self.list_record(&list).await?.address,
                    parse_address(&member)?,
                );
                let bounces = Bounces::new(self.list_seams()?.state);
                let forgotten = bounces.forget(&list, &member).await;
                forgotten.map_err(words)?;
                Ok(vec![format!("{member} gets mail of {list} again")])
            }
        }
    }

    async fn list_setting(
        &self,
        which: &str,
        name: Option<String>,
        value: Option<String>,
    ) -> Result<Vec<String>, String> {
        let which = Which::parse(which)?;
        if let Which::One(list) = &which {
            lists::found(&*self.directory, list).await?;
        }
        let settings: &dyn Settings = &*self.directory;
        let Some((name, value)) = name.clone().zip(value) else {
            let mut rows = Vec::new();
            for known in ListSettings::KEYS {
                if name.as_deref().is_some_and(|name| name != known) {
                    continue;
                }
                let (scope, key) = which.place(known);
                let own = settings.value(&scope, &key).await.map_err(words)?;
                let value = own.map_or("default".to_owned(), |it| it.to_string());
                rows.push(vec![known.to_owned(), value]);
            }
            return match rows.is_empty() {
                true => Err(no_setting(&name.unwrap_or_default())),
                false => Ok(aligned(&rows)),
            };
        };
        let (scope, key) = which.place(&name);
        if value == "default" {
            if !ListSettings::KEYS.contains(&name.as_str()) {
                return Err(no_setting(&name));
            }
            let taken = settings.set(&scope, &key, None).await;
            return said(taken, format!("{name} is as it is by default"));
        }
        let mut tried = ListSettings::default();
        tried.set(&name, &value).map_err(words)?;
        let set = settings.set(&scope, &key, Some(&value)).await;
        said(set, format!("{name} is {value}"))
    }

    async fn pending(&self, list: Option<&str>) -> Result<Vec<String>, String> {
        let all = match list {
            Some(list) => vec![self.list_record(list).await?.address],
            None => self.directory.all_lists().await.map_err(words)?,
        };
        let held = HeldPosts::new(self.list_seams()?);
        let mut rows = Vec::new();
        for list in all {
            for post in held.of(&list).await.map_err(words)? {
                rows.push(vec![
                    list.to_string(),
                    post.id.to_string(),
                    shown(post.at),
                    post.sender,
                    post.subject,
                ]);
            }
        }
        Ok(aligned(&rows))
    }

    async fn bounces(&self, list: &ListRecord) -> Result<Vec<String>, String> {
        let bounces = Bounces::new(self.list_seams()?.state);
        let members = bounces.of(&list.address).await.map_err(words)?;
        let row = |it: mailcore::deliver::list::BouncingMember| {
            let since = it
                .suspended
                .map(|at| format!("no mail since {}", shown(at)));
            vec![
                it.address.to_string(),
                format!("{} days", it.days),
                shown(it.last),
                it.status,
                since.unwrap_or_default(),
            ]
        };
        Ok(aligned(&members.into_iter().map(row).collect::<Vec<_>>()))
    }

    async fn list_record(&self, list: &str) -> Result<ListRecord, String> {
        lists::found(&*self.directory, &parse_address(list)?).await
    }

    fn list_seams(&self) -> Result<ListSeams, String> {
        let seams = self.lists.clone();
        seams.ok_or_else(|| "the store is not open".to_owned())
    }
}

fn no_setting(name: &str) -> String {
    let error = ListSettings::default().set(name, "");
    error
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

fn parse_id(text: &str) -> Result<QueueId, String> {
    let id = text.parse();
    id.map_err(|_| format!("{text:?} is no number of a message; see `mailserver list pending`"))
}

fn told(done: bool, words: String) -> Result<Vec<String>, String> {
    match done {
        true => Ok(vec![words]),
        false => Err("it waits no more; see `mailserver list pending`".to_owned()),
    }
}
