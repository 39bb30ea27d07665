//! An entry as a row of a list, as lines and as JSON.

use mailcore::queue::{EntryState, QueueEntry};
use mailcore::seams::SpoolSummary;
use mailcore::status::Failure;
use mailcore::time::Timestamp;
use serde_json::{Value, json};

use crate::when;

/// The columns of a list.
pub(super) fn row(summary: &SpoolSummary) -> Vec<String> {
    let entry = &summary.entry;
    let progress = &entry.progress;
    let waiting = progress.recipients.iter().map(|to| &to.recipient.address);
    let done = progress.done.iter().map(|to| &to.recipient.address);
    let to: Vec<String> = match progress.state {
        EntryState::Kept { .. } => waiting.chain(done).map(ToString::to_string).collect(),
        _ => waiting.map(ToString::to_string).collect(),
    };
    vec![
        entry.id.to_string(),
        state(summary),
        when::shown(entry.received_at),
        format!("{} octets", entry.message.len()),
        format!("<{}>", entry.reverse_path),
        to.join(","),
    ]
}

fn state(summary: &SpoolSummary) -> String {
    let progress = &summary.entry.progress;
    match &progress.state {
        _ if summary.leased => "delivering".to_owned(),
        EntryState::Waiting => format!("next {}", when::shown(progress.next_attempt)),
        EntryState::Held => "on hold".to_owned(),
        EntryState::Bad { .. } => "bad".to_owned(),
        EntryState::Kept { until } => format!("until {}", when::shown(*until)),
        EntryState::Quarantined => "in quarantine".to_owned(),
    }
}

/// Everything about an entry, for people.
pub(super) fn lines(entry: &QueueEntry) -> Vec<String> {
    let (progress, params) = (&entry.progress, &entry.params);
    let mut lines = Lines(Vec::new());
    lines.put("id", entry.id);
    lines.put("trace", entry.trace);
    lines.put("state", progress.state.kind());
    match &progress.state {
        EntryState::Waiting | EntryState::Held | EntryState::Quarantined => {}
        EntryState::Bad { reason, until } => {
            lines.put("reason", reason);
            lines.put("kept until", when::shown(*until));
        }
        EntryState::Kept { until } => lines.put("kept until", when::shown(*until)),
    }
    lines.put("from", format_args!("<{}>", entry.reverse_path));
    lines.put("size", format_args!("{} octets", entry.message.len()));
    lines.put("received", when::shown(entry.received_at));
    lines.put("attempts", progress.attempts);
    if matches!(progress.state, EntryState::Waiting | EntryState::Held) {
        lines.put("next attempt", when::shown(progress.next_attempt));
        lines.put("expires", when::shown(progress.expires_at));
    }
    if params.priority.value() != 0 {
        lines.put("priority", params.priority.value());
    }
    if let Some(until) = params.hold_until {
        lines.put("not before", when::shown(until));
    }
    if let Some(by) = &params.deliver_by {
        lines.put("deliver by", when::shown(by.deadline));
    }
    if let Some(id) = &params.envelope_id {
        lines.put("envelope id", id);
    }
    if progress.delay_told {
        lines.put("delay told", "yes");
    }
    for to in &progress.recipients {
        lines.put("to", format_args!("<{}>", to.recipient.address));
        if let Some(original) = &to.recipient.original {
            let original = format_args!("{};{}", original.address_type, original.address);
            lines.put("  original", original);
        }
        if let Some(failure) = &to.last_failure {
            lines.put("  last failure", said(failure));
        }
    }
    for done in &progress.done {
        lines.put("to", format_args!("<{}>", done.recipient.address));
        let (how, at) = (done.ended.as_str(), when::shown(done.at));
        lines.put(&format!("  {how}"), format_args!("{at} {}", done.status));
        if let Some(remote) = &done.remote {
            lines.put("  by", remote);
        }
    }
    lines.0
}

/// A failure with who said it.
pub(super) fn said(failure: &Failure) -> String {
    let mut text = String::new();
    if let Some(remote) = &failure.remote {
        text.push_str(&format!("{remote}: "));
    }
    if let Some(code) = failure.reply_code {
        text.push_str(&format!("{code} "));
    }
    text + &failure.status.to_string()
}

struct Lines(Vec<String>);

impl Lines {
    fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push(format!("{name:<13} {value}"));
    }
}

/// An entry of a list, one line.
pub(super) fn json(summary: &SpoolSummary) -> String {
    let mut value = entry_json(&summary.entry);
    if let Some(object) = value.as_object_mut() {
        object.insert("delivering".to_owned(), summary.leased.into());
    }
    value.to_string()
}

/// Everything about an entry. Names and meanings are in `docs/operations.md`
/// and stay; others may be added.
pub(super) fn entry_json(entry: &QueueEntry) -> Value {
    let (progress, params) = (&entry.progress, &entry.params);
    let at = |at: Timestamp| at.millis();
    let waiting = progress.recipients.iter().map(|to| {
        let failure = to.last_failure.as_ref();
        let remote = failure.and_then(|it| it.remote.as_ref());
        json!({
            "address": to.recipient.address.to_string(),
            "result": match failure {
                Some(_) => "deferred",
                None => "untried",
            },
            "status": failure.map(|it| it.status.to_string()),
            "reply": failure.and_then(|it| it.reply_code),
            "remote": remote.map(ToString::to_string),
            "at": null,
        })
    });
    let done = progress.done.iter().map(|done| {
        json!({
            "address": done.recipient.address.to_string(),
            "result": done.ended.as_str(),
            "status": done.status.to_string(),
            "reply": done.reply_code,
            "remote": done.remote.as_ref().map(ToString::to_string),
            "at": at(done.at),
        })
    });
    let (reason, until) = match &progress.state {
        EntryState::Bad { reason, until } => (Some(reason), Some(at(*until))),
        EntryState::Kept { until } => (None, Some(at(*until))),
        EntryState::Waiting | EntryState::Held | EntryState::Quarantined => (None, None),
    };
    json!({
        "id": entry.id.to_string(),
        "trace": entry.trace.to_string(),
        "state": progress.state.kind().as_str(),
        "reason": reason,
        "kept_until": until,
        "from": entry.reverse_path.to_string(),
        "size": entry.message.len(),
        "received": at(entry.received_at),
        "next_attempt": at(progress.next_attempt),
        "expires": at(progress.expires_at),
        "attempts": progress.attempts,
        "priority": params.priority.value(),
        "hold_until": params.hold_until.map(at),
        "deliver_by": params.deliver_by.as_ref().map(|by| at(by.deadline)),
        "envelope_id": params.envelope_id,
        "recipients": waiting.chain(done).collect::<Vec<_>>(),
    })
}
