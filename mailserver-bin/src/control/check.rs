//! `mailserver check`: reads every octet of every message in every mailbox and
//! in the queue, as any client would, and names what can't be read. A store on
//! disk also compares its log with its index.
//!
//! Only accounts of the directory are read as a client would: the mail of a
//! removed account is nobody's to read, but in the log it is checked.

use std::sync::Arc;

use mailcore::mailbox::UidSet;
use mailcore::message::{Message, READ_CHUNK};
use mailcore::seams::{DirectoryWrite, StoreError};
use mailcore::server::Stores;
use mailcore_store::embedded::EmbeddedStore;

use super::queue;

/// Problems named one by one; more are counted.
const MAX_NAMED: usize = 1_000;

/// What was looked at and found.
#[derive(Debug, Default)]
struct Tally {
    mailboxes: u64,
    messages: u64,
    octets: u64,
    queued: u64,
    problems: Vec<String>,
    more: u64,
}

/// Checks everything; an error names all damage.
pub(crate) async fn all(
    directory: &dyn DirectoryWrite,
    stores: &Stores,
    embedded: Option<Arc<EmbeddedStore>>,
) -> Result<Vec<String>, String> {
    let accounts = directory.accounts(None).await;
    let mut tally = Tally::default();
    for summary in accounts.map_err(|error| error.to_string())? {
        let account = summary.account;
        let name = account.address.to_string();
        if let Err(error) = mailboxes(stores, &account.id, &name, &mut tally).await {
            tally.found(format!("{name}: {error}"));
        }
    }
    for summary in queue::all(stores, usize::MAX).await? {
        tally.queued += 1;
        let entry = summary.entry;
        if let Err(error) = octets(&entry.message, &mut tally).await {
            tally.found(format!("queue {}: {error}", entry.id));
        }
    }
    if let Some(store) = embedded {
        log(store, &mut tally).await?;
    }
    tally.report()
}

/// Reads the log and compares it with the index.
async fn log(store: Arc<EmbeddedStore>, tally: &mut Tally) -> Result<(), String> {
    let report = tokio::task::spawn_blocking(move || store.check())
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    for damage in &report.damage {
        tally.found(format!("damage in the log: {damage}"));
    }
    let named = report.problems.len() as u64;
    report
        .problems
        .into_iter()
        .for_each(|problem| tally.found(problem));
    tally.more += report.problem_count.saturating_sub(named);
    Ok(())
}

async fn mailboxes(
    stores: &Stores,
    account: &mailcore::account::AccountId,
    name: &str,
    tally: &mut Tally,
) -> Result<(), StoreError> {
    for entry in stores.storage.list(account).await? {
        if entry.id.is_none() {
            continue;
        }
        let mailbox = stores.storage.open(account, &entry.name).await?;
        tally.mailboxes += 1;
        for info in mailbox.messages(&UidSet::all()).await? {
            tally.messages += 1;
            let read = match mailbox.message(info.uid).await {
                Ok(message) => octets(&message, tally).await,
                Err(error) => Err(error),
            };
            let problem = match read {
                // Expunged since it was listed.
                Err(StoreError::NotFound) => continue,
                Err(error) => error.to_string(),
                Ok(size) if size != info.size => {
                    format!("{size} octets instead of {}", info.size)
                }
                Ok(_) => continue,
            };
            tally.found(format!("{name} {} UID {}: {problem}", entry.name, info.uid));
        }
    }
    Ok(())
}

/// Reads all of a message; how much there was.
async fn octets(message: &Message, tally: &mut Tally) -> Result<u64, StoreError> {
    let mut at = 0;
    while at < message.len() {
        let chunk = message.read(at..at + READ_CHUNK as u64).await?;
        if chunk.is_empty() {
            break;
        }
        at += chunk.len() as u64;
        tally.octets += chunk.len() as u64;
    }
    Ok(at)
}

impl Tally {
    fn found(&mut self, problem: String) {
        if self.problems.len() < MAX_NAMED {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn report(self) -> Result<Vec<String>, String> {
        let looked_at = format!(
            "{} messages in {} mailboxes and {} in the queue, {} octets read",
            self.messages, self.mailboxes, self.queued, self.octets
        );
        if self.problems.is_empty() {
            return Ok(vec![looked_at, "all data is sound".to_owned()]);
        }
        let mut lines = self.problems;
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        Err(format!("damage found\n{}\n{looked_at}", lines.join("\n")))
    }
}
