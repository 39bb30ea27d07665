//! Mailboxes as wholes: LIST, STATUS, CREATE and their like.

use std::collections::{BTreeMap, VecDeque};

use mailcore::mailbox::SpecialUse;

use super::command::Command;
use super::commands::{Client, outcome};
use super::connection::Found as Next;
use super::error::ClientError;
use super::name::RemoteName;
use super::news::News;
use super::response::{Condition, Counters, Data, ListedMailbox, Namespaces, QuotaRoot};
use super::session::Event;
use crate::types::StatusItem;

/// A mailbox of an account, as [`Client::mailboxes`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountMailbox {
    /// Name, delimiter, attributes.
    pub listed: ListedMailbox,
    /// True when the user subscribes to it.
    pub subscribed: bool,
    /// Its counters, where they were asked for and it can be opened.
    pub counters: Option<Counters>,
}

/// Which mailboxes a plain LIST tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// `LIST`: all.
    All,
    /// `LSUB`: those subscribed to.
    Subscribed,
}

impl Client {
    /// All mailboxes of the account, with what they are for, whether they are
    /// subscribed to, and the counters in `items`. In one round where the
    /// server knows RFC 5258 and RFC 5819, otherwise by LIST, LSUB and STATUS.
    ///
    /// # Errors
    /// When the server refuses to list; a mailbox whose counters it refuses
    /// comes without them.
    pub async fn mailboxes(
        &mut self,
        items: &[StatusItem],
    ) -> Result<Vec<AccountMailbox>, ClientError> {
        let (mut found, mut counted) = if self.offers("LIST-EXTENDED") {
            self.list_extended(items).await?
        } else {
            (self.list_and_lsub().await?, BTreeMap::new())
        };
        let uncounted = found.iter().filter(|mailbox| {
            !items.is_empty()
                && mailbox.listed.is_selectable()
                && !counted.contains_key(&mailbox.listed.name)
        });
        let uncounted: Vec<_> = uncounted.map(|it| it.listed.name.clone()).collect();
        if !uncounted.is_empty() {
            counted.extend(self.status_of(&uncounted, items).await?);
        }
        for mailbox in &mut found {
            mailbox.counters = counted.remove(&mailbox.listed.name);
        }
        Ok(found)
    }

    fn offers(&self, extension: &str) -> bool {
        self.capabilities().has(extension) || self.capabilities().is_rev2()
    }

    async fn list_extended(
        &mut self,
        items: &[StatusItem],
    ) -> Result<(Vec<AccountMailbox>, BTreeMap<RemoteName, Counters>), ClientError> {
        let mut returned = vec!["SUBSCRIBED".to_owned(), "CHILDREN".to_owned()];
        if self.offers("SPECIAL-USE") {
            returned.push("SPECIAL-USE".to_owned());
        }
        let items = self.known(items);
        if self.offers("LIST-STATUS") && !items.is_empty() {
            returned.push(format!("STATUS {}", listed(&items)));
        }
        let returned = format!("RETURN ({})", returned.join(" "));
        let command = Command::new("LIST").raw("\"\" \"*\"").raw(returned);
        let (mut found, mut counted) = (Vec::new(), BTreeMap::new());
        let mine = |news| {
            match news {
                News::Data(Data::List(listed)) => {
                    let subscribed = listed.has("\\Subscribed");
                    found.push(AccountMailbox {
                        listed,
                        subscribed,
                        counters: None,
                    });
                }
                News::Data(Data::Status(name, counters)) => {
                    counted.insert(name, counters);
                }
                other => return Some(other),
            }
            None
        };
        self.run(command, mine).await?;
        Ok((found, counted))
    }

    async fn list_and_lsub(&mut self) -> Result<Vec<AccountMailbox>, ClientError> {
        let listed = self.list(Listing::All, "", "*").await?;
        // Some servers have no subscriptions at all.
        let subscribed = match self.list(Listing::Subscribed, "", "*").await {
            Ok(subscribed) => subscribed,
            Err(ClientError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let names: std::collections::BTreeSet<_> =
            subscribed.into_iter().map(|listed| listed.name).collect();
        let mailbox = |listed: ListedMailbox| AccountMailbox {
            subscribed: names.contains(&listed.name),
            listed,
            counters: None,
        };
        Ok(listed.into_iter().map(mailbox).collect())
    }

    /// LIST or LSUB: the mailboxes that match `pattern` under `reference`.
    /// `*` matches everything, `%` one level.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn list(
        &mut self,
        listing: Listing,
        reference: &str,
        pattern: &str,
    ) -> Result<Vec<ListedMailbox>, ClientError> {
        let name = match listing {
            Listing::All => "LIST",
            Listing::Subscribed => "LSUB",
        };
        let form = self.names();
        let wire = |text: &str| RemoteName::new(text).encode(form);
        let pattern = String::from_utf8_lossy(&wire(pattern)).into_owned();
        let command = Command::new(name)
            .string(&String::from_utf8_lossy(&wire(reference)))
            .string(&pattern);
        let mut found = Vec::new();
        let mine = |news| match news {
            News::Data(Data::List(listed) | Data::Lsub(listed)) => {
                found.push(listed);
                None
            }
            other => Some(other),
        };
        self.run(command, mine).await?;
        Ok(found)
    }

    /// Those of `items` that the server can be asked for.
    fn known(&self, items: &[StatusItem]) -> Vec<StatusItem> {
        let offered = self.capabilities();
        let known = |item: &&StatusItem| match item {
            StatusItem::HighestModSeq => offered.has_condstore(),
            StatusItem::Size => offered.has("STATUS=SIZE") || offered.is_rev2(),
            StatusItem::Deleted => offered.is_rev2(),
            StatusItem::MailboxId => offered.has("OBJECTID"),
            _ => true,
        };
        items.iter().filter(known).copied().collect()
    }

    /// STATUS: a mailbox's counters, without opening it. Items that the server
    /// does not know are left out.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn status(
        &mut self,
        name: &RemoteName,
        items: &[StatusItem],
    ) -> Result<Counters, ClientError> {
        let command = self.status_command(name, items);
        let mut found = None;
        let mine = |news| match news {
            News::Data(Data::Status(_, counters)) => {
                found = Some(counters);
                None
            }
            other => Some(other),
        };
        self.run(command, mine).await?;
        Ok(found.unwrap_or_default())
    }

    fn status_command(&self, name: &RemoteName, items: &[StatusItem]) -> Command {
        let items = listed(&self.known(items));
        Command::new("STATUS")
            .mailbox(name, self.names())
            .raw(items)
    }

    /// STATUS of many mailboxes, several commands at once. Those refused are
    /// left out.
    ///
    /// # Errors
    /// When the session fails.
    pub async fn status_of(
        &mut self,
        names: &[RemoteName],
        items: &[StatusItem],
    ) -> Result<BTreeMap<RemoteName, Counters>, ClientError> {
        let (mut found, mut under_way) = (BTreeMap::new(), VecDeque::new());
        self.collected = (0, 0);
        for name in names.iter().map(Some).chain([None]) {
            let full = under_way.len() >= self.limits().pipeline.max(1);
            // At the end, all of them are heard out.
            while (full || name.is_none()) && !under_way.is_empty() {
                match self.connection.next(None).await? {
                    Next::Event(Event::Done(id, status)) => {
                        under_way.retain(|it| *it != id);
                        if status.condition == Condition::Bad {
                            outcome("STATUS", status)?;
                        }
                        if name.is_some() {
                            break;
                        }
                    }
                    Next::Event(Event::Data(Data::Status(name, counters))) => {
                        found.insert(name, counters);
                        self.collect("STATUS");
                    }
                    Next::Event(Event::Data(data)) => self.keep(News::Data(data)),
                    Next::Event(Event::Status(status)) => self.keep(News::Status(status)),
                    Next::Event(_) => {}
                    Next::Nothing => return Err(ClientError::Closed),
                }
            }
            let Some(name) = name else { break };
            if under_way.is_empty() {
                self.settle().await?;
            }
            let command = self.status_command(name, items);
            let id = self.connection.session.start(command)?;
            under_way.push_back(id);
            self.open = Some(id);
        }
        self.open = None;
        Ok(found)
    }

    /// NAMESPACE (RFC 2342): where the mailboxes are.
    ///
    /// # Errors
    /// When the server does not offer it or refuses.
    pub async fn namespace(&mut self) -> Result<Namespaces, ClientError> {
        if !self.offers("NAMESPACE") {
            return Err(ClientError::NotOffered("NAMESPACE"));
        }
        let mut found = Namespaces::default();
        let mine = |news| match news {
            News::Data(Data::Namespace(namespaces)) => {
                found = namespaces;
                None
            }
            other => Some(other),
        };
        self.run(Command::new("NAMESPACE"), mine).await?;
        Ok(found)
    }

    /// CREATE. With a use where the server lets one be set (RFC 6154 section
    /// 3); elsewhere the use is left out.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn create(
        &mut self,
        name: &RemoteName,
        special_use: Option<SpecialUse>,
    ) -> Result<(), ClientError> {
        let mut command = Command::new("CREATE").mailbox(name, self.names());
        let may = self.capabilities().has("CREATE-SPECIAL-USE");
        if let Some(special_use) = special_use.filter(|_| may) {
            command = command.raw(format_args!("(USE ({}))", special_use.as_str()));
        }
        self.run(command, Some).await.map(drop)
    }

    /// DELETE.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn delete(&mut self, name: &RemoteName) -> Result<(), ClientError> {
        self.of_mailbox("DELETE", name).await
    }

    /// RENAME.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn rename(&mut self, from: &RemoteName, to: &RemoteName) -> Result<(), ClientError> {
        let form = self.names();
        let command = Command::new("RENAME").mailbox(from, form).mailbox(to, form);
        self.run(command, Some).await.map(drop)
    }

    /// SUBSCRIBE.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn subscribe(&mut self, name: &RemoteName) -> Result<(), ClientError> {
        self.of_mailbox("SUBSCRIBE", name).await
    }

    /// UNSUBSCRIBE.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn unsubscribe(&mut self, name: &RemoteName) -> Result<(), ClientError> {
        self.of_mailbox("UNSUBSCRIBE", name).await
    }

    async fn of_mailbox(
        &mut self,
        command: &'static str,
        name: &RemoteName,
    ) -> Result<(), ClientError> {
        let command = Command::new(command).mailbox(name, self.names());
        self.run(command, Some).await.map(drop)
    }

    /// GETQUOTAROOT (RFC 9208): what holds for a mailbox. Nothing where the
    /// server has no quotas.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn quota_of(&mut self, name: &RemoteName) -> Result<Vec<QuotaRoot>, ClientError> {
        if !self.capabilities().has("QUOTA") {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mine = |news| match news {
            News::Data(Data::Quota(root)) => {
                found.push(root);
                None
            }
            News::Data(Data::QuotaRoots(..)) => None,
            other => Some(other),
        };
        let command = Command::new("GETQUOTAROOT").mailbox(name, self.names());
        self.run(command, mine).await?;
        Ok(found)
    }
}

fn listed(items: &[StatusItem]) -> String {
    let names: Vec<_> = items.iter().map(|item| item.as_str()).collect();
    format!("({})", names.join(" "))
}
