//! What waits for each destination: how much, for how long, and why.

use std::collections::HashMap;

use mailcore::queue::{EntryState, QueueEntry, QueueRecipient};
use mailcore::seams::SpoolQuery;
use mailcore::server::Stores;
use mailcore::time::Timestamp;
use serde_json::json;

use super::{PAGE, Pages, show};
use crate::control::aligned;
use crate::when;

/// Destinations told apart; what waits for others is counted together.
const DESTINATIONS: usize = 50_000;
const OTHERS: &str = "others";

/// What waits for one destination.
struct Destination {
    waiting: u64,
    held: u64,
    bad: u64,
    oldest: Timestamp,
    next: Option<Timestamp>,
    /// What the youngest entry tried in vain was told.
    failure: Option<String>,
    recipients: u64,
}

/// A line for each destination, the fullest first.
pub(super) async fn summary(
    stores: &Stores,
    limit: usize,
    as_json: bool,
) -> Result<Vec<String>, String> {
    let mut destinations: HashMap<String, Destination> = HashMap::new();
    let mut pages = Pages::new(SpoolQuery::default());
    while let Some(page) = pages.next(stores, PAGE).await? {
        for summary in page {
            count(&mut destinations, &summary.entry);
        }
    }
    let mut fullest: Vec<_> = destinations.into_iter().collect();
    fullest.sort_by(|(a_name, a), (b_name, b)| (b.recipients, a_name).cmp(&(a.recipients, b_name)));
    fullest.truncate(limit);
    if as_json {
        return Ok(fullest.iter().map(|(name, it)| json(name, it)).collect());
    }
    let head = [
        "destination",
        "recipients",
        "waiting",
        "held",
        "bad",
        "oldest",
        "next attempt",
        "last failure",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(fullest.into_iter().map(|(name, it)| {
        vec![
            name,
            it.recipients.to_string(),
            it.waiting.to_string(),
            it.held.to_string(),
            it.bad.to_string(),
            when::shown(it.oldest),
            it.next.map_or_else(|| "-".to_owned(), when::shown),
            it.failure.unwrap_or_default(),
        ]
    }));
    Ok(aligned(&rows))
}

/// An entry counts once for each destination that it has recipients in.
fn count(destinations: &mut HashMap<String, Destination>, entry: &QueueEntry) {
    let progress = &entry.progress;
    let mut here: HashMap<String, (u64, Option<&QueueRecipient>)> = HashMap::new();
    for to in &progress.recipients {
        let name = to.recipient.address.domain().to_string();
        let (count, failed) = here.entry(name).or_default();
        *count += 1;
        if to.last_failure.is_some() {
            *failed = Some(to);
        }
    }
    for (name, (recipients, failed)) in here {
        let full = destinations.len() >= DESTINATIONS && !destinations.contains_key(&name);
        let name = if full { OTHERS.to_owned() } else { name };
        let destination = destinations.entry(name).or_insert(Destination {
            waiting: 0,
            held: 0,
            bad: 0,
            oldest: entry.received_at,
            next: None,
            failure: None,
            recipients: 0,
        });
        destination.recipients += recipients;
        destination.oldest = destination.oldest.min(entry.received_at);
        match progress.state {
            EntryState::Waiting => {
                destination.waiting += 1;
                let next = progress.next_attempt;
                destination.next = Some(destination.next.map_or(next, |it| it.min(next)));
            }
            EntryState::Held => destination.held += 1,
            EntryState::Bad { .. } => destination.bad += 1,
            EntryState::Kept { .. } | EntryState::Quarantined => {}
        }
        let failure = failed.and_then(|to| to.last_failure.as_ref());
        if let Some(failure) = failure {
            destination.failure = Some(show::said(failure));
        }
    }
}

fn json(name: &str, it: &Destination) -> String {
    json!({
        "destination": name,
        "recipients": it.recipients,
        "waiting": it.waiting,
        "held": it.held,
        "bad": it.bad,
        "oldest": it.oldest.millis(),
        "next_attempt": it.next.map(Timestamp::millis),
        "last_failure": it.failure,
    })
    .to_string()
}
