//! Commands on the quarantine: what is kept apart, and what becomes of it.

mod request;
mod show;

use mailcore::account::AccountId;
use mailcore::address::Address;
use mailcore::quarantine::{Actor, Chosen, QuarantineQuery, QuarantineStore, Section};
use mailcore::queue::QueueId;
use mailcore::seams::{Clock, Directory, Resolution, SystemClock};
use mailcore::time::Timestamp;

use super::admin::{Admin, parse_address, parse_domain, words};
use super::aligned;
use crate::when;

pub(crate) use request::QuarantineRequest;
use request::Whose;

/// Messages read at a time.
const PAGE: usize = 200;

impl Admin {
    /// Carries one command on the quarantine out.
    pub(super) async fn on_quarantine(
        &self,
        request: QuarantineRequest,
    ) -> Result<Vec<String>, String> {
        let store = self.quarantine.as_ref().ok_or("the store is not open")?;
        match request {
            QuarantineRequest::List(listing) => {
                let mut query = QuarantineQuery::of(self.section(&listing.part).await?);
                query.before = listing.before.as_deref().map(moment).transpose()?;
                list(store, query, listing.limit, listing.json).await
            }
            QuarantineRequest::Show { id, json } => {
                let id = parse(&id)?;
                let mail = store.get(id).await.map_err(words)?;
                let mail = mail.ok_or_else(|| format!("{id} is not in quarantine"))?;
                Ok(match json {
                    true => vec![show::json(&mail).to_string()],
                    false => show::lines(&mail),
                })
            }
            // The command line reads messages out of the queue.
            QuarantineRequest::Content(_) => Err("ask the queue for the message".to_owned()),
            QuarantineRequest::Release { ids, whose, to } => {
                self.release(store, (&ids, &whose), &to).await
            }
            QuarantineRequest::Delete { ids, whose } => {
                let chosen = self.chosen(&whose).await?;
                for id in &ids {
                    let deleted = store.delete(parse(id)?, &chosen, &Actor::Admin).await;
                    deleted.map_err(words)?;
                }
                Ok(vec![format!("{} deleted", ids.len())])
            }
            QuarantineRequest::Purge { part, before } => {
                let (section, before) = (self.section(&part).await?, moment(&before)?);
                let purged = store.purge(&section, before, &Actor::Admin).await;
                let purged = purged.map_err(words)?;
                Ok(vec![format!(
                    "{} deleted, {} octets",
                    purged.messages, purged.octets
                )])
            }
        }
    }

    async fn release(
        &self,
        store: &QuarantineStore,
        (ids, whose): (&[String], &Whose),
        to: &[String],
    ) -> Result<Vec<String>, String> {
        let chosen = self.chosen(whose).await?;
        let to: Vec<Address> = (to.iter().map(|to| parse_address(to))).collect::<Result<_, _>>()?;
        let mut lines = Vec::new();
        for id in ids {
            let id = parse(id)?;
            lines.push(match to.is_empty() {
                true => {
                    let queued = store.release(id, &chosen, &Actor::Admin).await;
                    format!("{id} released, in the queue as {}", queued.map_err(words)?)
                }
                false => {
                    let queued = store.send_copy(id, &to).await.map_err(words)?;
                    format!("a copy of {id} is sent on, in the queue as {queued}")
                }
            });
        }
        Ok(lines)
    }

    async fn section(&self, part: &request::Of) -> Result<Section, String> {
        Ok(match (&part.account, &part.domain, part.admin) {
            (Some(account), _, _) => Section::Account(self.account_of(account).await?),
            (None, Some(domain), _) => Section::Domain(parse_domain(domain)?),
            (None, None, true) => Section::Admin,
            (None, None, false) => Section::Everything,
        })
    }

    async fn chosen(&self, whose: &Whose) -> Result<Chosen, String> {
        Ok(match (&whose.recipient, &whose.account) {
            (Some(address), _) => Chosen::Address(parse_address(address)?),
            (None, Some(account)) => Chosen::Account(self.account_of(account).await?),
            (None, None) => Chosen::Everybody,
        })
    }

    async fn account_of(&self, address: &str) -> Result<AccountId, String> {
        let address = parse_address(address)?;
        match self.directory.resolve(&address).await.map_err(words)? {
            Resolution::Account(id) => Ok(id),
            _ => Err(format!("{address} is no account")),
        }
    }
}

async fn list(
    store: &QuarantineStore,
    mut query: QuarantineQuery,
    limit: usize,
    json: bool,
) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    while found.len() < limit {
        query.limit = PAGE.min(limit - found.len());
        let page = store.list(&query).await.map_err(words)?;
        let ended = page.len() < query.limit;
        query.after = page.last().map(|mail| mail.id);
        found.extend(page);
        if ended {
            break;
        }
    }
    if json {
        return Ok(found.iter().map(|it| show::json(it).to_string()).collect());
    }
    let rows: Vec<Vec<String>> = found.iter().map(show::row).collect();
    let mut lines = aligned(&rows);
    lines.push(format!("{} listed", found.len()));
    Ok(lines)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    when::parse(text, SystemClock::new().now()).ok_or_else(|| {
        format!("\"{text}\" is not a moment; write \"2026-11-22\" (UTC), or \"30d\" ago")
    })
}

fn parse(text: &str) -> Result<QueueId, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is not an id of the quarantine; see `mailserver quarantine list`")
    })
}
