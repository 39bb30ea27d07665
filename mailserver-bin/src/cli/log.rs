//! `mailserver log`: what happened, from the journal. Reads the file itself, so
//! that it works whether the server runs or not.

use mailcore::account::AccountId;
use mailcore::event::{EventName, StoredEvent, TraceId};
use mailcore::queue::QueueId;
use mailcore::seams::{JournalPage, JournalQuery};
use mailcore::time::Timestamp;
use mailcore_store::journal::JournalReader;

mod story;

use tokio::runtime::Runtime;

use super::CliError;
use crate::config::Config;
use crate::data::DataDir;
use crate::{logging, out, when};

use story::Transcripts;

/// Events asked for at a time.
const PAGE: usize = 500;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tells what happened to one message: by the id that its sender was told,
    /// or by its id in the queue
    #[arg(long, value_name = "ID", conflicts_with_all = ["trace", "message_id", "queue"])]
    explain: Option<String>,
    /// The same by its Message-ID
    #[arg(long, value_name = "ID", conflicts_with = "queue")]
    message_id: Option<String>,
    /// The same by its id in the queue
    #[arg(long, value_name = "ID")]
    queue: Option<String>,
    /// With what was said between this server and others
    #[arg(long)]
    transcripts: bool,
    /// About messages from this sender; "" for notices
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// About messages to this recipient
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// About messages from or to this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// About one message: the id that its sender was told, "accepted as ID"
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// About or by this account
    #[arg(long)]
    account: Option<String>,
    /// Of this kind: MessageReceived, RecipientFailed, Login
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// With this text in a subject, a status or another value
    #[arg(long)]
    text: Option<String>,
    /// Not before: "2026-11-22", "2026-11-22 05:00" (UTC), or "2h", "7d" ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The newest so many
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Prints what fits, oldest first, or the story of a message.
pub(super) fn run(config: &Config, args: &Args) -> Result<(), CliError> {
    let query = args.query()?;
    let named = args.explain.is_some() || query.message_id.is_some() || query.queue.is_some();
    let (reader, runtime) = open(config)?;
    if named && !args.json {
        let lines = runtime.block_on(args.stories(&reader, query))?;
        out::lines(&lines);
        return Ok(());
    }
    let mut events = runtime.block_on(newest(&reader, query, args.limit))?;
    events.reverse();
    let lines: Vec<String> = events
        .iter()
        .map(|stored| {
            if args.json {
                json(stored)
            } else {
                line(stored)
            }
        })
        .collect();
    out::lines(&lines);
    Ok(())
}

fn open(config: &Config) -> Result<(JournalReader, Runtime), CliError> {
    let path = DataDir::new(&config.data).journal(config.journal.path.as_deref());
    let reader = JournalReader::open(&path).map_err(CliError::failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(CliError::failed)?;
    Ok((reader, runtime))
}

/// What happened to a message so far.
pub(super) fn story(config: &Config, trace: TraceId) -> Result<Vec<String>, CliError> {
    let (reader, runtime) = open(config)?;
    runtime.block_on(story::of(&reader, trace, Transcripts::LeftOut))
}

async fn newest(
    reader: &JournalReader,
    mut query: JournalQuery,
    limit: usize,
) -> Result<Vec<StoredEvent>, CliError> {
    let mut all = Vec::new();
    loop {
        query.limit = PAGE.min(limit.saturating_sub(all.len()));
        let page = reader.query(&query).await.map_err(CliError::failed)?;
        let JournalPage { events, next, .. } = page;
        all.extend(events);
        match next {
            Some(next) if all.len() < limit => query.before = Some(next),
            _ => return Ok(all),
        }
    }
}

impl Args {
    /// The story of each message that is meant, oldest first.
    async fn stories(
        &self,
        reader: &JournalReader,
        mut query: JournalQuery,
    ) -> Result<Vec<String>, CliError> {
        let mut events = newest(reader, query.clone(), self.limit).await?;
        if events.is_empty()
            && let (Some(trace), true) = (query.trace.take(), self.explain.is_some())
        {
            // Not an id that a sender was told: perhaps one of the queue.
            query.queue = Some(QueueId(trace.0));
            events = newest(reader, query, self.limit).await?;
        }
        let mut traces: Vec<TraceId> = Vec::new();
        for trace in events.iter().rev().filter_map(|it| it.event.trace) {
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
        let transcripts = match self.transcripts {
            true => Transcripts::Told,
            false => Transcripts::LeftOut,
        };
        let mut lines = Vec::new();
        for trace in traces {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(format!("message {trace}"));
            lines.extend(story::of(reader, trace, transcripts).await?);
        }
        match lines.is_empty() {
            true => Err(CliError::Failed(
                "the journal has nothing of this message; it may be too old, or its id mistyped"
                    .to_owned(),
            )),
            false => Ok(lines),
        }
    }

    fn query(&self) -> Result<JournalQuery, CliError> {
        let mut query = JournalQuery::default();
        query.sender.clone_from(&self.from);
        query.recipient.clone_from(&self.to);
        query.address.clone_from(&self.address);
        query.text.clone_from(&self.text);
        query.account = self.account.as_deref().map(AccountId::new);
        query.name = self.event.as_deref().map(EventName::parse);
        let id = self.trace.as_deref().or(self.explain.as_deref());
        query.trace = id.map(trace).transpose()?;
        query.message_id.clone_from(&self.message_id);
        let queue = self.queue.as_deref().map(trace).transpose()?;
        query.queue = queue.map(|id| QueueId(id.0));
        query.from = self.since.as_deref().map(moment).transpose()?;
        query.until = self.until.as_deref().map(moment).transpose()?;
        Ok(query)
    }
}

pub(super) fn trace(text: &str) -> Result<TraceId, CliError> {
    let digits = text.len() == 32;
    let parsed = u128::from_str_radix(text, 16).ok().filter(|_| digits);
    parsed.map(TraceId).ok_or_else(|| {
        let why = format!("{text:?} is not an id: it has 32 digits, 0-9 and a-f");
        CliError::Usage(why)
    })
}

fn moment(text: &str) -> Result<Timestamp, CliError> {
    let now = mailcore::seams::Clock::now(&mailcore::seams::SystemClock::new());
    when::parse(text, now).ok_or_else(|| {
        CliError::Usage(format!(
            "{text:?} is not a time; write \"2026-11-22\", \"2026-11-22 05:00\" or \"2h\""
        ))
    })
}

fn line(stored: &StoredEvent) -> String {
    let at = when::shown(stored.event.at);
    format!("{at} {}", logging::line(&stored.event, logging::Ids::Whole))
}

fn json(stored: &StoredEvent) -> String {
    let event = &stored.event;
    let mut fields = serde_json::Map::new();
    for (name, value) in &event.fields {
        // A name may occur twice; then its values are an array.
        match fields.get_mut(name) {
            None => {
                fields.insert(name.clone(), value.clone().into());
            }
            Some(serde_json::Value::Array(values)) => values.push(value.clone().into()),
            Some(first) => {
                *first = vec![first.take(), serde_json::Value::from(value.clone())].into();
            }
        }
    }
    serde_json::json!({
        "time": when::shown(event.at),
        "ms": event.at.millis(),
        "event": event.name.as_str(),
        "trace": event.trace.map(|trace| trace.to_string()),
        "account": event.account.as_ref().map(|account| account.as_str()),
        "fields": fields,
    })
    .to_string()
}
