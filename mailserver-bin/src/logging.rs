//! The log: tracing to standard error, and the store's events as lines of it.

use std::fmt::Write;
use std::time::Duration;

use mailcore::event::{Event, EventCursor, EventName};
use mailcore::server::RunningServer;
use tracing_subscriber::EnvFilter;

/// Overrides the configured level.
const VARIABLE: &str = "MAILSERVER_LOG";

/// How long new events may wait to be written.
const FOLLOW_PAUSE: Duration = Duration::from_millis(50);

/// Starts logging. Called once, before anything is logged.
pub(crate) fn start(level: &str) {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&level).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

/// Writes every event after `begin` to the log. Ends with the server.
pub(crate) async fn follow(server: &RunningServer, begin: EventCursor) {
    let Some(mut events) = server.events(begin) else {
        return;
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(stored) => match &stored.event.name {
                EventName::RecipientFailed
                | EventName::MessageRefused
                | EventName::EventsOmitted
                | EventName::Gap
                | EventName::JobFailed
                | EventName::StoreDamaged
                | EventName::CertificateExpiring
                | EventName::QueueStuck
                | EventName::CrashReported
                | EventName::WebhookGaveUp => {
                    tracing::warn!("{}", line(&stored.event, Ids::Short));
                }
                // Logins were logged by the services already, lists by who asks them.
                EventName::DnsListOff
                | EventName::DnsListOn
                | EventName::FlagsSet
                | EventName::FlagsClear
                | EventName::Login
                | EventName::LoginFailed
                | EventName::Logout => {
                    tracing::debug!("{}", line(&stored.event, Ids::Short));
                }
                _ => tracing::info!("{}", line(&stored.event, Ids::Short)),
            },
            Err(error) => tracing::warn!(%error, "can't read events"),
        }
        if events.buffered() == 0 {
            // Under load one read then fetches many events, not one.
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }
}

/// How much of an id a line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// 12 hex digits are the time in milliseconds, the next 8 tell messages of
    /// that moment apart.
    Short,
    /// All of it.
    Whole,
}

/// An event as one line: what happened, then its fields.
pub(crate) fn line(event: &Event, ids: Ids) -> String {
    let mut line = verb(&event.name).to_owned();
    if let Some(trace) = event.trace {
        let trace = trace.to_string();
        let shown = match ids {
            Ids::Short => trace.get(..20).unwrap_or(&trace),
            Ids::Whole => &trace,
        };
        push(&mut line, "id", shown);
    }
    if let Some(account) = &event.account {
        push(&mut line, "account", account.as_str());
    }
    for (name, value) in &event.fields {
        push(&mut line, name, value);
    }
    line
}

fn verb(name: &EventName) -> &str {
    match name {
        EventName::MessageReceived => "received",
        EventName::MessageRefused => "refused",
        EventName::RecipientRefused => "recipient refused",
        EventName::RecipientExpanded => "expanded",
        EventName::MessageQueued => "queued",
        EventName::MessageQuarantined => "quarantined",
        EventName::QuarantineReleased => "released from quarantine",
        EventName::QuarantineDeleted => "deleted from quarantine",
        EventName::MessageNew => "filed",
        EventName::MessageAppend => "appended",
        EventName::MessageExpunge => "expunged",
        EventName::RecipientDelivered => "delivered",
        EventName::RecipientDeferred => "deferred",
        EventName::RecipientFailed => "failed",
        EventName::NoticeSent => "notice sent",
        EventName::LetterSent => "rules wrote a letter",
        EventName::RulesFailed => "rules failed",
        EventName::QueueChange => "changed by an operator",
        EventName::Login => "login",
        EventName::Logout => "logout",
        EventName::LoginFailed => "login failed",
        EventName::EventsOmitted => "omitted",
        EventName::JobDone => "job done",
        EventName::JobFailed => "job failed",
        other => other.as_str(),
    }
}

/// Adds `name=value`, quoted where it holds anything but plain words, so that
/// no value can pass for another field or another line.
fn push(line: &mut String, name: &str, value: &str) {
    let plain = !value.is_empty()
        && value
            .chars()
            .all(|c| c.is_alphanumeric() || "@.<>-_+:/[]".contains(c));
    // Writing to memory does not fail.
    let _ = if plain {
        write!(line, " {name}={value}")
    } else {
        write!(line, " {name}={value:?}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::event::{EventId, TraceId};
    use mailcore::time::Timestamp;

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        let event = Event {
            id: EventId(1),
            at: Timestamp::EPOCH,
            name: EventName::RecipientFailed,
            trace: Some(TraceId(u128::MAX)),
            account: None,
            fields: Vec::new(),
        };
        let event = event
            .with("to", "a@b.test")
            .with("status", "5.1.1 gone\r\nINFO forged");
        assert_eq!(
            line(&event, Ids::Short),
            "failed id=ffffffffffffffffffff to=a@b.test status=\"5.1.1 gone\\r\\nINFO forged\""
        );
    }
}
