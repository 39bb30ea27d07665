//! Commands on the queue: what waits, why, and what to do with it.

use mailcore::queue::{EntryState, OperateError, Operation, QueueId, QueueRunner};
use mailcore::seams::{SpoolQuery, SpoolSummary};
use mailcore::server::Stores;

use super::{QueueChange, aligned};
use crate::when;

/// Entries read at a time.
const PAGE: usize = 200;
/// Entries listed; the rest is only counted.
const MAX_LISTED: usize = 10_000;

/// A line for each entry.
pub(crate) async fn list(stores: &Stores) -> Result<Vec<String>, String> {
    let mut rows = Vec::new();
    for summary in all(stores, MAX_LISTED).await? {
        let entry = &summary.entry;
        let to: Vec<String> = entry
            .progress
            .recipients
            .iter()
            .map(|to| to.recipient.address.to_string())
            .collect();
        rows.push(vec![
            entry.id.to_string(),
            state(&summary),
            when::shown(entry.received_at),
            format!("{} octets", entry.message.len()),
            format!("<{}>", entry.reverse_path),
            to.join(","),
        ]);
    }
    let total = stores.spool.counts().await.map_err(words)?.queued();
    let mut lines = aligned(&rows);
    lines.push(format!("{total} in the queue"));
    Ok(lines)
}

/// Everything about one entry but its content.
pub(crate) async fn show(stores: &Stores, id: &str) -> Result<Vec<String>, String> {
    let id = parse(id)?;
    let entry = stores.spool.entry(id).await.map_err(words)?;
    let entry = entry.ok_or_else(|| absent(id))?;
    let progress = &entry.progress;
    let mut lines = vec![
        format!("id            {id}"),
        format!("trace         {}", entry.trace),
        format!("from          <{}>", entry.reverse_path),
        format!("size          {} octets", entry.message.len()),
        format!("received      {}", when::shown(entry.received_at)),
        format!("attempts      {}", progress.attempts),
        format!("next attempt  {}", when::shown(progress.next_attempt)),
        format!("expires       {}", when::shown(progress.expires_at)),
        format!("state         {}", progress.state.kind()),
    ];
    for to in &progress.recipients {
        lines.push(format!("to            <{}>", to.recipient.address));
        if let Some(failure) = &to.last_failure {
            lines.push(format!("  last failure  {}", failure.status));
        }
    }
    Ok(lines)
}

/// Changes one entry, or all.
pub(crate) async fn change(
    stores: &Stores,
    queue: &QueueRunner,
    change: QueueChange,
    id: Option<&str>,
) -> Result<Vec<String>, String> {
    if let Some(id) = id {
        let id = parse(id)?;
        return match queue.operate(id, operation(change)).await {
            Ok(()) => Ok(vec![format!("1 {}", done(change))]),
            Err(OperateError::NotFound) => Err(absent(id)),
            Err(error) => Err(error.to_string()),
        };
    }
    let (mut changed, mut busy) = (0, 0);
    for summary in all(stores, usize::MAX).await? {
        match queue.operate(summary.entry.id, operation(change)).await {
            Ok(()) => changed += 1,
            // Delivered since it was listed.
            Err(OperateError::NotFound) => {}
            Err(OperateError::Running) => busy += 1,
            Err(error) => return Err(error.to_string()),
        }
    }
    let mut lines = vec![format!("{changed} {}", done(change))];
    if busy > 0 {
        lines.push(format!(
            "{busy} left alone: being delivered now, try again in a moment"
        ));
    }
    Ok(lines)
}

fn operation(change: QueueChange) -> Operation {
    match change {
        QueueChange::Retry => Operation::Retry,
        QueueChange::Hold => Operation::Hold,
        QueueChange::Release => Operation::Release,
        QueueChange::Bounce => Operation::Bounce,
        QueueChange::Delete => Operation::Delete,
    }
}

fn done(change: QueueChange) -> &'static str {
    match change {
        QueueChange::Retry => "to be tried now",
        QueueChange::Hold => "put on hold",
        QueueChange::Release => "released",
        QueueChange::Bounce => "returned to the sender",
        QueueChange::Delete => "deleted",
    }
}

fn state(summary: &SpoolSummary) -> String {
    let progress = &summary.entry.progress;
    if summary.leased {
        "delivering".to_owned()
    } else {
        match progress.state {
            EntryState::Held => "on hold".to_owned(),
            EntryState::Bad { .. } => "bad".to_owned(),
            _ => format!("next {}", when::shown(progress.next_attempt)),
        }
    }
}

pub(super) async fn all(stores: &Stores, limit: usize) -> Result<Vec<SpoolSummary>, String> {
    let mut found: Vec<SpoolSummary> = Vec::new();
    loop {
        let after = found.last().map(|summary| summary.entry.id);
        let query = query(after, PAGE.min(limit - found.len()));
        let page = stores.spool.list(&query).await.map_err(words)?;
        let ended = page.len() < query.limit;
        found.extend(page);
        if ended || found.len() >= limit {
            return Ok(found);
        }
    }
}

fn query(after: Option<QueueId>, limit: usize) -> SpoolQuery {
    let mut query = SpoolQuery::default();
    query.after = after;
    query.limit = limit;
    query
}

fn parse(text: &str) -> Result<QueueId, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a queue id; see `mailserver queue list`"))
}

fn absent(id: QueueId) -> String {
    format!("{id} is not in the queue")
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
