//! `mailserver check`: reads every octet of every message in every mailbox and
//! in the queue, as any client would, and names what can't be read. A store on
//! disk also compares its log with its index.
//!
//! Only accounts of the directory are read as a client would: the mail of a
//! removed account is nobody's to read, but in the log it is checked.

use std::sync::Arc;

use mailcore::mailbox::UidSet;
use mailcore::message::{Message, READ_CHUNK};
use mailcore::queue::EntryStateKind;
use mailcore::seams::{DirectoryWrite, SpoolQuery, StoreError};
use mailcore::server::Stores;
use mailcore_store::embedded::{EmbeddedStore, Loss};

use super::queue::{PAGE, Pages};

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
    /// Octets that are gone or wrong.
    content: bool,
    /// Changes that the log lost.
    changes: bool,
    /// The index is not what the log says.
    index: bool,
}

const CONTENT: &str = "what is named here is not served, everything else is; to mend it, stop the \
     server and put the files named here back from a backup, or the whole data directory where \
     the file named is the newest of the log";
const CHANGES: &str = "keep index.db: it may know changes that the log lost";
const INDEX: &str = "the log is sound and index.db is not: stop the server, remove index.db, \
     index.db-wal and index.db-shm, and start it; the index is built anew from the log";

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
    for state in [
        None,
        Some(EntryStateKind::Kept),
        Some(EntryStateKind::Quarantined),
    ] {
        if let Err(error) = queued(stores, state, &mut tally).await {
            tally.found(format!("queue: {error}"));
        }
    }
    if let Some(store) = embedded
        && let Err(error) = log(store, &mut tally).await
    {
        tally.found(format!("the log is not compared with the index: {error}"));
    }
    tally.report()
}

/// Reads what is in the queue, or the copies of what was.
async fn queued(
    stores: &Stores,
    state: Option<EntryStateKind>,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut query = SpoolQuery::default();
    query.state = state;
    let mut pages = Pages::new(query);
    while let Some(page) = pages.next(stores, PAGE).await? {
        for summary in page {
            tally.queued += u64::from(state.is_none());
            let entry = summary.entry;
            if let Err(error) = octets(&entry.message, tally).await {
                tally.content(format!("queue {}: {error}", entry.id));
            }
        }
    }
    Ok(())
}

/// Reads the log and compares it with the index.
async fn log(store: Arc<EmbeddedStore>, tally: &mut Tally) -> Result<(), String> {
    let report = tokio::task::spawn_blocking(move || store.check())
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    for damage in &report.damage {
        tally.content(format!("damage in the log: {damage}"));
        tally.changes |= !matches!(damage.loss, Loss::Body(..) | Loss::Nothing);
    }
    let named = report.problems.len() as u64;
    for problem in report.problems {
        let body = problem
            .strip_prefix("body ")
            .and_then(|it| it.split_once(": "));
        match body {
            // Named by its mailbox already.
            Some((_, error)) if tally.problems.iter().any(|it| it.ends_with(error)) => {}
            Some((_, error)) => tally.content(format!("a message in no mailbox: {error}")),
            None if problem.starts_with("body ") => tally.content(problem),
            None => {
                tally.index = true;
                tally.found(problem);
            }
        }
    }
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
            tally.content(format!("{name} {} UID {}: {problem}", entry.name, info.uid));
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

    fn content(&mut self, problem: String) {
        self.content = true;
        self.found(problem);
    }

    /// What to do next.
    fn advice(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.content, CONTENT),
            (self.changes, CHANGES),
            (self.index && !self.content, INDEX),
        ]
        .into_iter()
        .filter_map(|(applies, words)| applies.then_some(words))
    }

    fn report(self) -> Result<Vec<String>, String> {
        let looked_at = format!(
            "{} messages in {} mailboxes and {} in the queue, {} octets read",
            self.messages, self.mailboxes, self.queued, self.octets
        );
        if self.problems.is_empty() {
            return Ok(vec![looked_at, "all data is sound".to_owned()]);
        }
        let advice: Vec<&str> = self.advice().collect();
        let mut lines = self.problems;
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines.push(looked_at);
        lines.extend(advice.into_iter().map(str::to_owned));
        Err(format!("damage found\n{}", lines.join("\n")))
    }
}
