//! Commands on the suppression list: whom nothing is sent to any more.

use mailcore::route::{Suppressed, Suppression, SuppressionList};
use mailcore::seams::{Clock, SystemClock};
use mailcore::server::Stores;
use mailcore::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::admin::words;

/// Entries sent at a time: neither side holds a whole list.
const PAGE: usize = 1_000;

/// What can be asked of the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SuppressRequest {
    /// Puts these on it.
    Add { entries: Vec<Entry> },
    /// Takes these off it.
    Remove { who: Vec<String> },
    /// Some of it, after this one: an [`Entry`] a line.
    Page { after: Option<String> },
}

/// An entry, with times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// An address, or `@` and a domain.
    pub(crate) who: String,
    /// For senders.
    pub(crate) reason: Option<String>,
    /// `None` for now.
    pub(crate) since: Option<i64>,
    /// `None` for until it is taken off.
    pub(crate) until: Option<i64>,
}

impl Entry {
    fn read(self, now: Timestamp) -> Result<Suppression, String> {
        let since = self.since.map_or(now, Timestamp::from_millis);
        let entry = Suppression::new(parse(&self.who)?, since);
        let entry = match self.until {
            Some(until) => entry.until(Timestamp::from_millis(until)),
            None => entry,
        };
        Ok(entry.because(&self.reason.unwrap_or_default()))
    }
}

impl From<Suppression> for Entry {
    fn from(entry: Suppression) -> Self {
        Self {
            who: entry.who.to_string(),
            reason: entry.reason,
            since: Some(entry.since.millis()),
            until: entry.until.map(Timestamp::millis),
        }
    }
}

/// Whom a text means.
pub(crate) fn parse(text: &str) -> Result<Suppressed, String> {
    text.parse()
        .map_err(|error| format!("\"{text}\": {error}; write an address, or @ and a domain"))
}

/// Carries one command out.
pub(super) async fn run(stores: &Stores, request: SuppressRequest) -> Result<Vec<String>, String> {
    let list = SuppressionList::new(std::sync::Arc::clone(&stores.state));
    match request {
        SuppressRequest::Add { entries } => {
            let now = SystemClock::new().now();
            let entries = entries.into_iter().map(|entry| entry.read(now));
            let entries: Vec<Suppression> = entries.collect::<Result<_, _>>()?;
            list.add(&entries).await.map_err(words)?;
            Ok(vec![format!(
                "{} on the suppression list: nothing is sent there any more",
                entries.len()
            )])
        }
        SuppressRequest::Remove { who } => remove(&list, &who).await,
        SuppressRequest::Page { after } => {
            let after = after.as_deref().map(parse).transpose()?;
            let page = list.list(after.as_ref(), PAGE).await.map_err(words)?;
            let lines = page.into_iter().map(|it| {
                let line = serde_json::to_string(&Entry::from(it));
                line.map_err(words)
            });
            lines.collect()
        }
    }
}

async fn remove(list: &SuppressionList, who: &[String]) -> Result<Vec<String>, String> {
    let who: Vec<Suppressed> = who.iter().map(|it| parse(it)).collect::<Result<_, _>>()?;
    let mut absent = Vec::new();
    for who in &who {
        if !list.remove(who).await.map_err(words)? {
            absent.push(format!("{who} is not on the suppression list"));
        }
    }
    match absent.is_empty() {
        true => Ok(vec![format!(
            "{} taken off the suppression list",
            who.len()
        )]),
        false => Err(absent.join("\n")),
    }
}
