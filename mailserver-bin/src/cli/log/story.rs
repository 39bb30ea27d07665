//! What happened to one message, from its arrival to its end, in words.
//!
//! Works on what there is: events may have been dropped by age, and some
//! messages have no beginning here.

use std::collections::BTreeMap;

use mailcore::event::{Event, EventName, StoredEvent, TraceId};
use mailcore::seams::JournalQuery;
use mailcore_store::journal::JournalReader;

use super::super::CliError;
use super::newest;
use crate::{logging, when};

/// Events told of one message; a message to thousands has more.
const EVENTS: usize = 20_000;
/// Notices about notices followed.
const DEPTH: usize = 4;

/// Whether dialogues with other hosts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transcripts {
    Told,
    LeftOut,
}

/// The story of a message, with those of the notices about it.
pub(super) async fn of(
    reader: &JournalReader,
    trace: TraceId,
    transcripts: Transcripts,
) -> Result<Vec<String>, CliError> {
    let mut story = Vec::new();
    let mut next = vec![(trace, 0)];
    while let Some((trace, depth)) = next.pop() {
        let mut query = JournalQuery::default();
        query.trace = Some(trace);
        let mut events = newest(reader, query, EVENTS).await?;
        events.reverse();
        if depth > 0 && !events.is_empty() {
            story.push(String::new());
            story.push(format!("the notice {trace}:"));
        }
        story.extend(told(&events, transcripts));
        if depth < DEPTH {
            let notices = events.iter().filter_map(|it| notice(&it.event));
            next.extend(notices.map(|trace| (trace, depth + 1)));
        }
    }
    Ok(story)
}

/// The track of the notice that an event tells of.
fn notice(event: &Event) -> Option<TraceId> {
    let text = event.field("notice")?;
    u128::from_str_radix(text, 16).ok().map(TraceId)
}

/// The events of one message, and where its recipients stand.
fn told(events: &[StoredEvent], transcripts: Transcripts) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ends: BTreeMap<&str, &'static str> = BTreeMap::new();
    for event in events.iter().map(|it| &it.event) {
        lines.push(format!("{}  {}", when::shown(event.at), sentence(event)));
        lines.extend(details(event, transcripts));
        let to = event.field("to").unwrap_or_default();
        let end = match event.name {
            EventName::MessageQueued => "in the queue",
            EventName::MessageQuarantined => "in quarantine",
            EventName::QuarantineDeleted => "deleted from quarantine",
            EventName::MessageNew => "delivered",
            EventName::RecipientDelivered => match event.field("remote") {
                Some(_) => "relayed",
                None => "delivered",
            },
            EventName::RecipientDeferred => "deferred",
            EventName::RecipientFailed => "failed",
            EventName::RecipientRefused => "refused",
            EventName::RecipientExpanded => "expanded",
            EventName::QueueChange => match event.field("operation") {
                Some("held") => "on hold",
                Some("released") => "in the queue",
                _ => continue,
            },
            _ => continue,
        };
        for address in to.split(' ').filter(|it| !it.is_empty()) {
            ends.insert(address, end);
        }
    }
    if !ends.is_empty() {
        let ends: Vec<String> = ends
            .iter()
            .map(|(who, end)| format!("{who} {end}"))
            .collect();
        lines.push(format!("so far: {}", ends.join(", ")));
    }
    lines
}

fn sentence(event: &Event) -> String {
    let field = |name| event.field(name);
    let to = field("to").unwrap_or("somebody");
    match &event.name {
        EventName::MessageReceived => received("received", event),
        EventName::MessageRefused => {
            let stage = field("stage").unwrap_or("some stage");
            let text = received(&format!("refused at {stage}"), event);
            text + &field("status")
                .map(|it| format!(": {it}"))
                .unwrap_or_default()
        }
        EventName::RecipientRefused => format!("recipient {to} refused{}", said(event)),
        EventName::MessageQueued => queued(event),
        EventName::MessageNew => filed(event, to),
        EventName::RecipientExpanded => {
            format!("{to} became {}", field("into").unwrap_or("others"))
        }
        EventName::RecipientDelivered => match field("remote") {
            Some(_) => format!("relayed to {to}{}", said(event)),
            None => format!("delivered to {to}"),
        },
        EventName::RecipientDeferred => {
            let next = field("next").and_then(moment);
            let next = next.map(|at| format!("; next try {at}"));
            format!("{to} deferred{}{}", said(event), next.unwrap_or_default())
        }
        EventName::RecipientFailed => format!("{to} failed for good{}", said(event)),
        EventName::NoticeSent => {
            let notice = field("notice").unwrap_or("unknown");
            format!("notice sent to {to}, with an id of its own: {notice}")
        }
        EventName::LetterSent => {
            let letter = field("letter").unwrap_or("unknown");
            format!("rules wrote to {to}, with an id of its own: {letter}")
        }
        EventName::RulesFailed => {
            let error = field("error").unwrap_or("for an unknown reason");
            format!("the rules of {to} failed, the message was kept: {error}")
        }
        EventName::QueueChange => changed(event, to),
        EventName::MessageQuarantined => {
            let reason = field("reason").unwrap_or("no reason");
            let id = field("queue").unwrap_or("unknown");
            match field("place") {
                Some("admin") => {
                    format!("in quarantine as {id} for {to}, for administrators alone: {reason}")
                }
                _ => format!("in quarantine as {id} for {to}: {reason}"),
            }
        }
        EventName::QuarantineReleased => format!("released from quarantine for {to}{}", by(event)),
        EventName::QuarantineDeleted => format!("deleted from quarantine for {to}{}", by(event)),
        EventName::MessageExpunge | EventName::MessageRestore => {
            logging::line(event, logging::Ids::Whole)
        }
        other => match other.as_str() {
            "DeliveryAttempt" => attempted(event),
            _ => logging::line(event, logging::Ids::Whole),
        },
    }
}

/// From whom, for whom, by which way.
fn received(how: &str, event: &Event) -> String {
    let field = |name| event.field(name);
    let mut text = format!("{how} from <{}>", field("from").unwrap_or_default());
    if let Some(to) = field("to") {
        text.push_str(&format!(" for {to}"));
    }
    if let Some(with) = field("with") {
        text.push_str(&format!(" by {with}"));
    }
    match (field("peer"), field("helo")) {
        (Some(peer), Some(helo)) => text.push_str(&format!(" from {peer} (calls itself {helo})")),
        (Some(peer), None) => text.push_str(&format!(" from {peer}")),
        _ => {}
    }
    for (name, before) in [
        ("tls", "TLS"),
        ("login", "login"),
        ("size", "octets"),
        ("message-id", "Message-ID"),
        ("subject", "subject"),
    ] {
        if let Some(value) = field(name) {
            text.push_str(&format!(", {before} {value}"));
        }
    }
    text
}

fn queued(event: &Event) -> String {
    let field = |name| event.field(name);
    let mut text = format!("queued as {}", field("queue").unwrap_or("unknown"));
    if let Some(to) = field("to") {
        text.push_str(&format!(" for {to}"));
    }
    if field("held").is_some() {
        text.push_str(", on hold until an operator releases it");
    }
    if let Some(trace) = field("resent") {
        text.push_str(&format!(
            ", a kept copy sent once more; the first was {trace}"
        ));
    }
    text
}

/// Who did something to mail in quarantine.
fn by(event: &Event) -> &'static str {
    match event.field("by") {
        Some("recipient") => " by its recipient",
        Some("admin") => " by an administrator",
        Some("age") => ", since it was there for its time",
        Some("limit") => ", since there was too much",
        _ => "",
    }
}

/// What an operator did.
fn changed(event: &Event, to: &str) -> String {
    let what = match event.field("operation") {
        Some("held") => "put on hold",
        Some("released") => "released, to be tried now,",
        Some("retried") => "set to be tried now",
        Some("returned") => "returned to the sender",
        Some("deleted") => "deleted",
        Some("rerouted") => "sent elsewhere",
        other => other.unwrap_or("changed"),
    };
    let queue = event.field("queue").unwrap_or("unknown");
    let named = to.split(' ').count();
    let all = event.field("recipients").and_then(|text| text.parse().ok());
    let more = match all.unwrap_or(named).saturating_sub(named) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what} by an operator: {queue} for {to}{more}")
}

fn filed(event: &Event, to: &str) -> String {
    let account = event.account.as_ref().map_or("unknown", |it| it.as_str());
    let mailbox = event.field("mailbox").unwrap_or("a mailbox");
    let uid = event.field("uid").map(|uid| format!(" as UID {uid}"));
    format!(
        "delivered to {to}: in {mailbox} of {account}{}",
        uid.unwrap_or_default()
    )
}

fn attempted(event: &Event) -> String {
    let field = |name| event.field(name);
    let mut text = "attempt".to_owned();
    for (name, before) in [
        ("attempt", ""),
        ("queue", "of "),
        ("agent", "by "),
        ("hop", "to "),
        ("tls", "TLS "),
        ("took_ms", "milliseconds: "),
    ] {
        if let Some(value) = field(name) {
            text.push_str(&format!(" {before}{value}"));
        }
    }
    text
}

/// What was said, and by whom.
fn said(event: &Event) -> String {
    let field = |name| event.field(name);
    let mut text = String::new();
    if let Some(attempt) = field("attempt").or(field("attempts")) {
        text.push_str(&format!(" (attempt {attempt})"));
    }
    let who = field("remote").map(|remote| format!(" {remote} said"));
    let reply = field("reply").map(|code| format!(" {code}"));
    match (who, reply, field("status")) {
        (None, None, None) => text,
        (who, reply, status) => {
            text.push(':');
            text.push_str(&who.unwrap_or_default());
            text.push_str(&reply.unwrap_or_default());
            text.push(' ');
            text.push_str(status.unwrap_or_default());
            text
        }
    }
}

/// What stands in several lines below the sentence.
fn details(event: &Event, transcripts: Transcripts) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in &event.fields {
        match (name.as_str(), &event.name) {
            ("expanded", EventName::MessageReceived) => {
                let (from, into) = value.split_once(' ').unwrap_or((value, "nobody"));
                lines.push(format!("    {from} became {into}"));
            }
            ("discarded", EventName::MessageReceived) => {
                lines.push(format!("    {value} discarded by a filter"));
            }
            ("finding", _) => lines.push(format!("    {}", found(value))),
            ("transcript", _) if transcripts == Transcripts::Told => {
                lines.extend(value.lines().map(|line| format!("    {line}")));
            }
            _ => {}
        }
    }
    lines
}

/// What a test found: stage, test, result, score, time, and in words on what.
fn found(finding: &str) -> String {
    let mut words = finding.splitn(6, ' ');
    let parts = [(); 5].map(|()| words.next());
    let [
        Some(stage),
        Some(test),
        Some(result),
        Some(score),
        Some(took),
    ] = parts
    else {
        return finding.to_owned();
    };
    let on = words.next().map(|on| format!(": {on}")).unwrap_or_default();
    let score = match score {
        "+0" | "-0" => String::new(),
        score => format!(", score {score}"),
    };
    format!("{test} at {stage} said {result}{score} ({took}){on}")
}

/// A moment in milliseconds as people read it; other words as they are.
fn moment(text: &str) -> Option<String> {
    let millis: i64 = text.parse().ok()?;
    Some(when::shown(mailcore::time::Timestamp::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use mailcore::plan::{Finding, Stage};

    use super::*;

    #[test]
    fn a_finding_is_told_with_its_stage_test_result_score_and_time() {
        let finding = Finding::new(Stage::Connect, "dnsbl", "listed")
            .on("192.0.2.9")
            .detail("by zone.test")
            .score(3.0)
            .took(std::time::Duration::from_millis(12));
        assert_eq!(
            found(&finding.to_string()),
            "dnsbl at connect said listed, score +3 (12.0ms): 192.0.2.9 by zone.test"
        );
        let finding = Finding::new(Stage::Mail, "spf", "none");
        assert_eq!(found(&finding.to_string()), "spf at mail said none (0.0ms)");
        assert_eq!(found("cut short"), "cut short");
    }
}
