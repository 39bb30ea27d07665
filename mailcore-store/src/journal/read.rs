//! Queries: conditions become SQL, all but the text, whose upper and lower case
//! SQLite knows for ASCII only.

use mailcore::account::AccountId;
use mailcore::event::{Event, EventCursor, EventId, EventName, StoredEvent, TraceId};
use mailcore::seams::{JournalKey, JournalPage, JournalQuery};
use mailcore::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::json;

/// A statement as it grows.
struct Select {
    conditions: String,
    values: Vec<Value>,
    /// Narrowed down to some messages, whose events are found by their traces.
    by_trace: bool,
}

impl Select {
    fn of(query: &JournalQuery) -> Self {
        let mut select = Self {
            conditions: String::new(),
            values: Vec::new(),
            by_trace: false,
        };
        let text = |text: &str| Value::Text(text.to_owned());
        if let Some(trace) = query.trace {
            select.traces("e.trace = ?", vec![text(&trace.to_string())]);
        }
        if let Some(id) = &query.message_id {
            // People copy it with its angle brackets or without.
            let bare = id.trim_start_matches('<').trim_end_matches('>');
            let sql = "e.trace IN (SELECT trace FROM messages WHERE message_id IN (?, ?))";
            select.traces(sql, vec![text(&format!("<{bare}>")), text(bare)]);
        }
        if let Some(id) = query.queue {
            let sql = "e.trace IN (SELECT trace FROM events \
                       WHERE json_extract(fields, '$.queue') = ? \
                       AND json_extract(fields, '$.queue') IS NOT NULL)";
            select.traces(sql, vec![text(&id.to_string())]);
        }
        if let Some(sender) = &query.sender {
            let sql = "e.trace IN (SELECT trace FROM messages WHERE sender = ?)";
            select.traces(sql, vec![text(sender)]);
        }
        if let Some(recipient) = &query.recipient {
            let sql = "e.trace IN (SELECT trace FROM recipients WHERE address = ?)";
            select.traces(sql, vec![text(recipient)]);
        }
        if let Some(address) = &query.address {
            let sql = "e.trace IN (SELECT trace FROM messages WHERE sender = ? \
                       UNION SELECT trace FROM recipients WHERE address = ?)";
            select.traces(sql, vec![text(address), text(address)]);
        }
        if let Some(name) = &query.name {
            select.and("e.name = ?", vec![text(name.as_str())]);
        }
        if let Some(account) = &query.account {
            select.and("e.account = ?", vec![text(account.as_str())]);
        }
        let at = select.at();
        if let Some(from) = query.from {
            select.and(&format!("{at} >= ?"), vec![Value::Integer(from.millis())]);
        }
        if let Some(until) = query.until {
            select.and(&format!("{at} < ?"), vec![Value::Integer(until.millis())]);
        }
        if let Some(before) = query.before {
            let number = Value::Integer(before.number.cast_signed());
            let values = vec![Value::Integer(before.at.millis()), number];
            select.and(&format!("({at}, e.number) < (?, ?)"), values);
        }
        select
    }

    /// The time, as a column whose index is used unless messages narrow the
    /// choice more.
    fn at(&self) -> &'static str {
        if self.by_trace { "+e.at" } else { "e.at" }
    }

    fn and(&mut self, sql: &str, values: Vec<Value>) {
        self.conditions.push_str(if self.values.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        self.conditions.push_str(sql);
        self.values.extend(values);
    }

    fn traces(&mut self, sql: &str, values: Vec<Value>) {
        self.by_trace = true;
        self.and(sql, values);
    }

    fn sql(&self) -> String {
        format!(
            "SELECT e.number, e.at, e.cursor, e.id, e.name, e.trace, e.account, e.fields \
             FROM events e{} ORDER BY {} DESC, e.number DESC",
            self.conditions,
            self.at()
        )
    }
}

/// The events that fit, newest first.
pub(super) fn page(connection: &Connection, query: &JournalQuery) -> rusqlite::Result<JournalPage> {
    if query.limit == 0 {
        return Ok(JournalPage::default());
    }
    let select = Select::of(query);
    let text = query.text.as_ref().map(|text| text.to_lowercase());
    let mut statement = connection.prepare_cached(&select.sql())?;
    let mut rows = statement.query(params_from_iter(&select.values))?;
    let mut events = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (key, event) = read(connection, row)?;
        let fits = |text: &String| {
            let mut values = event.event.fields.iter().map(|(_, value)| value);
            values.any(|value| value.to_lowercase().contains(text))
        };
        if !text.as_ref().is_none_or(fits) {
            continue;
        }
        if events.len() >= query.limit {
            return Ok(JournalPage::new(events, last));
        }
        last = Some(key);
        events.push(event);
    }
    Ok(JournalPage::new(events, None))
}

fn read(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<(JournalKey, StoredEvent)> {
    let at = Timestamp::from_millis(row.get(1)?);
    let key = JournalKey {
        at,
        number: row.get::<_, i64>(0)?.cast_unsigned(),
    };
    let trace: Option<String> = row.get(5)?;
    let account: Option<String> = row.get(6)?;
    let event = Event {
        id: EventId(u128::from_be_bytes(row.get(3)?)),
        at,
        name: EventName::parse(&row.get::<_, String>(4)?),
        trace: trace.and_then(|hex| u128::from_str_radix(&hex, 16).ok().map(TraceId)),
        account: account.map(|account| AccountId::new(&account)),
        fields: json::read(connection, &row.get::<_, String>(7)?)?,
    };
    let cursor = EventCursor(row.get::<_, i64>(2)?.cast_unsigned());
    Ok((key, StoredEvent { cursor, event }))
}
