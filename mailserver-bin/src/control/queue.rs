//! Commands on the queue: what waits, why, and what to do with it.

mod request;
mod show;
mod summary;

use mailcore::address::{Address, ReversePath};
use mailcore::queue::{EntryStateKind, OperateError, Operation, QueueId, QueueRunner, Whose};
use mailcore::seams::{Clock, SpoolOrder, SpoolQuery, SpoolSummary, SystemClock};
use mailcore::server::Stores;
use mailcore::time::Timestamp;

use super::admin::{parse_address, parse_domain, words};
use super::{Response, aligned};
use crate::config::parse_duration;

pub(crate) use request::{Filter, Kept, Part, QueueRequest, Which};

/// Entries read at a time.
pub(super) const PAGE: usize = 200;
/// Octets of a message sent at a time.
const CONTENT: u64 = 1024 * 1024;

/// Carries one command out.
pub(super) async fn run(
    stores: &Stores,
    queue: &QueueRunner,
    request: QueueRequest,
) -> Result<Response, String> {
    let lines = match request {
        QueueRequest::List(listing) => {
            let query = listing.filter.query()?;
            list(stores, query, listing.limit, listing.json).await?
        }
        QueueRequest::Show(one) => show(stores, &one.id, one.json).await?,
        QueueRequest::Content(part) => return content(stores, &part.id, part.offset).await,
        QueueRequest::Summary { limit, json } => summary::summary(stores, limit, json).await?,
        QueueRequest::Retry(which) => change(stores, queue, which, Operation::Retry).await?,
        QueueRequest::Hold(which) => change(stores, queue, which, Operation::Hold).await?,
        QueueRequest::Release(which) => change(stores, queue, which, Operation::Release).await?,
        QueueRequest::Delete(which) => change(stores, queue, which, Operation::Delete).await?,
        QueueRequest::Bounce { which, reason } => {
            let operation = match reason {
                Some(reason) => Operation::Return { reason },
                None => Operation::Bounce,
            };
            change(stores, queue, which, operation).await?
        }
        QueueRequest::Reroute {
            id,
            to,
            recipient,
            domain,
        } => {
            let whose = whose(recipient.as_deref(), domain.as_deref())?;
            let to = parse_address(&to)?;
            reroute(stores, queue, (&id, &whose), to).await?
        }
        QueueRequest::Kept(kept) => return kept_copies(stores, queue, kept).await,
    };
    Ok(Response::Done(lines))
}

async fn kept_copies(
    stores: &Stores,
    queue: &QueueRunner,
    request: Kept,
) -> Result<Response, String> {
    let lines = match request {
        Kept::List(listing) => {
            let mut query = listing.filter.query()?;
            query.state = Some(EntryStateKind::Kept);
            query.order = SpoolOrder::NewestFirst;
            list(stores, query, listing.limit, listing.json).await?
        }
        Kept::Show(one) => show(stores, &one.id, one.json).await?,
        Kept::Content(part) => return content(stores, &part.id, part.offset).await,
        Kept::Resend { id, to } => {
            let to: Vec<Address> =
                (to.iter().map(|to| parse_address(to))).collect::<Result<_, _>>()?;
            let id = parse(&id)?;
            let sent = queue.resend(id, &to).await.map_err(|error| match error {
                OperateError::NotFound => format!("{id} is not a kept copy"),
                other => other.to_string(),
            })?;
            vec![format!("sent once more as {sent}")]
        }
    };
    Ok(Response::Done(lines))
}

/// A line for each entry, and how many there are in all.
async fn list(
    stores: &Stores,
    query: SpoolQuery,
    limit: usize,
    json: bool,
) -> Result<Vec<String>, String> {
    let state = query.state;
    let mut pages = Pages::new(query);
    let mut found: Vec<SpoolSummary> = Vec::new();
    while found.len() < limit
        && let Some(page) = pages.next(stores, PAGE.min(limit - found.len())).await?
    {
        found.extend(page);
    }
    if json {
        return Ok(found.iter().map(show::json).collect());
    }
    let rows: Vec<Vec<String>> = found.iter().map(show::row).collect();
    let counts = stores.spool.counts().await.map_err(words)?;
    let mut lines = aligned(&rows);
    lines.push(match state {
        Some(EntryStateKind::Kept) => format!("{} copies kept", counts.kept),
        _ => format!("{} in the queue", counts.queued()),
    });
    Ok(lines)
}

/// Everything about one entry but its content.
async fn show(stores: &Stores, id: &str, json: bool) -> Result<Vec<String>, String> {
    let id = parse(id)?;
    let entry = stores.spool.entry(id).await.map_err(words)?;
    let entry = entry.ok_or_else(|| absent(id))?;
    Ok(match json {
        true => vec![show::entry_json(&entry).to_string()],
        false => show::lines(&entry),
    })
}

/// Some octets of an entry's message, as it would be sent.
async fn content(stores: &Stores, id: &str, offset: u64) -> Result<Response, String> {
    let id = parse(id)?;
    let entry = stores.spool.entry(id).await.map_err(words)?;
    let message = &entry.ok_or_else(|| absent(id))?.message;
    let end = message.len().min(offset.saturating_add(CONTENT));
    let mut octets = Vec::new();
    while offset + (octets.len() as u64) < end {
        let at = offset + octets.len() as u64;
        let some = message.read(at..end).await.map_err(words)?;
        if some.is_empty() {
            break;
        }
        octets.extend_from_slice(&some);
    }
    Ok(Response::Octets(octets))
}

/// Does `operation` to those entries that are meant, and where they are chosen by
/// recipient, to those recipients.
async fn change(
    stores: &Stores,
    queue: &QueueRunner,
    which: Which,
    operation: Operation,
) -> Result<Vec<String>, String> {
    if let [id] = &which.ids[..] {
        let id = parse(id)?;
        return match queue.operate(id, operation.clone()).await {
            Ok(()) => Ok(vec![format!("1 {}", done(&operation))]),
            Err(OperateError::NotFound) => Err(absent(id)),
            Err(error) => Err(error.to_string()),
        };
    }
    let whose = whose(which.filter.to.as_deref(), which.filter.domain.as_deref())?;
    let (mut changed, mut running, mut gone) = (0, 0, 0);
    let mut operate = async |ids: Vec<QueueId>| {
        let operated = queue.operate_for(&ids, &whose, &operation).await;
        let operated = operated.map_err(words)?;
        changed += operated.changed;
        running += operated.running;
        gone += operated.gone;
        Ok::<_, String>(())
    };
    if which.ids.is_empty() {
        let mut pages = Pages::new(which.filter.query()?);
        while let Some(page) = pages.next(stores, PAGE).await? {
            operate(page.into_iter().map(|it| it.entry.id).collect()).await?;
        }
    } else {
        let ids = which.ids.iter().map(|id| parse(id));
        operate(ids.collect::<Result<_, _>>()?).await?;
    }
    let mut lines = vec![format!("{changed} {}", done(&operation))];
    if running > 0 {
        lines.push(format!(
            "{running} left alone: being delivered now, try again in a moment"
        ));
    }
    if gone > 0 && !which.ids.is_empty() {
        lines.push(format!("{gone} not in the queue"));
    }
    Ok(lines)
}

/// Whom the conditions mean, of those whom an entry waits for.
fn whose(to: Option<&str>, domain: Option<&str>) -> Result<Whose, String> {
    Ok(match (to, domain) {
        (Some(to), _) => Whose::Address(parse_address(to)?),
        (None, Some(domain)) => Whose::Domain(parse_domain(domain)?),
        (None, None) => Whose::Everybody,
    })
}

async fn reroute(
    stores: &Stores,
    queue: &QueueRunner,
    (id, whose): (&str, &Whose),
    to: Address,
) -> Result<Vec<String>, String> {
    let id = parse(id)?;
    let operation = Operation::Reroute { to };
    let operated = queue.operate_for(&[id], whose, &operation).await;
    let operated = operated.map_err(words)?;
    if operated.running > 0 {
        return Err(OperateError::Running.to_string());
    }
    if operated.gone == 0 {
        return Ok(vec![format!("1 {}", done(&operation))]);
    }
    let there = stores.spool.entry(id).await.map_err(words)?.is_some();
    Err(match whose {
        Whose::Address(address) if there => format!(
            "{address} is not among those whom {id} waits for; see `mailserver queue show {id}`"
        ),
        Whose::Domain(domain) if there => format!(
            "nobody in {domain} is among those whom {id} waits for; see `mailserver queue show {id}`"
        ),
        _ => absent(id),
    })
}

fn done(operation: &Operation) -> &'static str {
    match operation {
        Operation::Retry => "to be tried now",
        Operation::Hold => "put on hold",
        Operation::Release => "released",
        Operation::Bounce | Operation::Return { .. } => "returned to the sender",
        Operation::Reroute { .. } => "sent elsewhere",
        _ => "deleted",
    }
}

/// Entries, a page at a time.
pub(super) struct Pages {
    query: SpoolQuery,
    ended: bool,
}

impl Pages {
    pub(super) fn new(query: SpoolQuery) -> Self {
        Self {
            query,
            ended: false,
        }
    }

    /// `None` when there are no more.
    pub(super) async fn next(
        &mut self,
        stores: &Stores,
        limit: usize,
    ) -> Result<Option<Vec<SpoolSummary>>, String> {
        if self.ended {
            return Ok(None);
        }
        self.query.limit = limit;
        let page = stores.spool.list(&self.query).await.map_err(words)?;
        self.ended = page.len() < limit;
        self.query.after = page.last().map(|it| it.entry.id).or(self.query.after);
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

impl Filter {
    fn query(&self) -> Result<SpoolQuery, String> {
        let mut query = SpoolQuery::default();
        query.state = self.state.map(Into::into);
        query.domain = self.domain.as_deref().map(parse_domain).transpose()?;
        query.recipient = self.to.as_deref().map(parse_address).transpose()?;
        query.sender = match self.from.as_deref() {
            None => None,
            Some("" | "<>") => Some(ReversePath::Null),
            Some(text) => Some(ReversePath::Address(parse_address(text)?)),
        };
        if let Some(text) = &self.older {
            let age = parse_duration(text)
                .ok_or_else(|| format!("--older {text:?} is not a time; write \"2h\" or \"3d\""))?;
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let now = SystemClock::new().now().millis();
            let before = Timestamp::from_millis(now.saturating_sub(age));
            query.received_before = Some(before);
        }
        Ok(query)
    }
}

fn parse(text: &str) -> Result<QueueId, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a queue id; see `mailserver queue list`"))
}

fn absent(id: QueueId) -> String {
    format!("{id} is not in the queue")
}
