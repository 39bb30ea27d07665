//! Events as JSON (RFC 8259).

use std::fmt::Write as _;

use crate::event::{Event, StoredEvent};
use crate::message::DateTime;
use crate::time::Timestamp;

/// A body with as many of `events` as have room, at least one; and how many.
pub(super) fn write(webhook: &str, events: &[StoredEvent], most: usize) -> (String, usize) {
    let mut body = String::from("{\"webhook\":");
    push_text(webhook, &mut body);
    body.push_str(",\"events\":[");
    let mut count = 0;
    for stored in events {
        let before = body.len();
        if count > 0 {
            body.push(',');
        }
        push_event(stored, &mut body);
        if count > 0 && body.len() > most {
            body.truncate(before);
            break;
        }
        count += 1;
    }
    body.push_str("]}");
    (body, count)
}

fn push_event(stored: &StoredEvent, out: &mut String) {
    let event = &stored.event;
    // Writing to memory does not fail.
    let _ = write!(
        out,
        "{{\"id\":\"{:032x}\",\"cursor\":{},\"time\":\"{}\",\"name\":",
        event.id.0,
        stored.cursor.0,
        rfc3339(event.at)
    );
    push_text(event.name.as_str(), out);
    if let Some(trace) = event.trace {
        let _ = write!(out, ",\"trace\":\"{trace}\"");
    }
    if let Some(account) = &event.account {
        out.push_str(",\"account\":");
        push_text(account.as_str(), out);
    }
    out.push_str(",\"fields\":{");
    push_fields(event, out);
    out.push_str("}}");
}

/// A name that occurs twice is written once, its values on lines of their own.
fn push_fields(event: &Event, out: &mut String) {
    let mut written: Vec<&str> = Vec::new();
    for (name, _) in &event.fields {
        if written.contains(&name.as_str()) {
            continue;
        }
        let values = event.fields.iter().filter(|(other, _)| other == name);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        if !written.is_empty() {
            out.push(',');
        }
        push_text(name, out);
        out.push(':');
        push_text(&values.join("\n"), out);
        written.push(name);
    }
}

/// RFC 8259 section 7.
fn push_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// `2026-11-22T01:44:00.000Z` (RFC 3339).
fn rfc3339(at: Timestamp) -> String {
    let moment = DateTime::utc(at);
    let (date, millis) = (
        moment.date(),
        moment.timestamp().millis().rem_euclid(86_400_000),
    );
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        date.year(),
        date.month(),
        date.day(),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;
    use crate::event::{EventCursor, EventId, EventName, TraceId};

    #[test]
    fn an_event_is_an_object_whatever_its_fields_hold() {
        let event = Event {
            id: EventId(255),
            at: Timestamp::from_millis(1_767_225_601_002),
            name: EventName::MessageNew,
            trace: Some(TraceId(1)),
            account: Some(AccountId::new("a@x.test")),
            fields: Vec::new(),
        };
        let event = event
            .with("to", "\"a\\\u{1}\u{85}\n\"ä@x.test")
            .with("expanded", "a")
            .with("expanded", "b");
        let stored = StoredEvent {
            cursor: EventCursor(7),
            event,
        };
        let (body, count) = write("ours", &[stored.clone(), stored], 300);
        assert_eq!(count, 1);
        assert_eq!(
            body,
            "{\"webhook\":\"ours\",\"events\":[{\"id\":\"000000000000000000000000000000ff\",\
             \"cursor\":7,\"time\":\"2026-01-01T00:00:01.002Z\",\"name\":\"MessageNew\",\
             \"trace\":\"00000000000000000000000000000001\",\"account\":\"a@x.test\",\
             \"fields\":{\"to\":\"\\\"a\\\\\\u0001\\u0085\\n\\\"ä@x.test\",\"expanded\":\"a\\nb\"}}]}"
        );
    }
}
