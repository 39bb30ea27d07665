//! Texts with `{field}` in them.

use super::condition::value;
use crate::address::Domain;
use crate::event::Event;
use crate::message::DateTime;

/// What every template may name beside the event's own fields.
pub(super) const ALWAYS: [&str; 8] = [
    "event", "time", "id", "trace", "account", "rule", "hostname", "more",
];

/// Stands where a field has no value.
const NOTHING: &str = "-";

/// A text, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

/// Everything that a template may tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) event: &'a Event,
    pub(super) rule: &'a str,
    pub(super) hostname: &'a Domain,
    /// Events that were collected beside this one.
    pub(super) more: u64,
}

impl Template {
    /// `{field}` stands for a field, `{{` and `}}` for braces. `None` for a
    /// brace that stands alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at_checked(at)?;
            plain.push_str(before);
            if let Some(after) = after.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = after.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let (field, after) = after.strip_prefix('{')?.split_once('}')?;
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Field(field.trim().to_owned()));
                rest = after;
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Some(Self(pieces))
    }

    /// The fields that it names.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(field) => Some(field.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with the fields' values, at most `most` octets of it.
    pub(super) fn fill(&self, facts: Facts<'_>, most: usize) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Field(field) => text.push_str(&facts.value(field)),
            }
            if text.len() > most {
                text.truncate(text.floor_char_boundary(most));
                break;
            }
        }
        text
    }
}

impl Facts<'_> {
    fn value(&self, field: &str) -> String {
        let of_event = value(self.event, field).filter(|value| !value.is_empty());
        let of_all = || match field {
            "time" => Some(DateTime::utc(self.event.at).to_string()),
            "id" => Some(format!("{:032x}", self.event.id.0)),
            "rule" => Some(self.rule.to_owned()),
            "hostname" => Some(self.hostname.to_string()),
            "more" => Some(self.more.to_string()),
            _ => None,
        };
        of_event
            .or_else(of_all)
            .unwrap_or_else(|| NOTHING.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, EventName};
    use crate::time::Timestamp;

    #[test]
    fn fields_are_filled_in_and_braces_can_be_written() {
        let event = Event {
            id: EventId(1),
            at: Timestamp::EPOCH,
            name: EventName::DiskLow,
            trace: None,
            account: None,
            fields: vec![("available".into(), "7".into())],
        };
        let hostname = Domain::parse("mx.test").unwrap();
        let facts = Facts {
            event: &event,
            rule: "disk",
            hostname: &hostname,
            more: 2,
        };
        let fill = |text: &str| Template::parse(text).map(|it| it.fill(facts, 60));
        assert_eq!(
            fill("{event} on {hostname}: {available}{{}} {account} {more}").as_deref(),
            Some("DiskLow on mx.test: 7{} - 2")
        );
        assert_eq!(fill(&"ä".repeat(99)).unwrap().len(), 60);
        for bad in ["{", "}", "a } b", "{available"] {
            assert_eq!(fill(bad), None, "{bad}");
        }
    }
}
