//! Events become rows: each is kept as it is, and changes what is told of its
//! message, its recipient or its session.

use std::collections::HashMap;

use mailcore::event::{Event, EventCursor, EventName, StoredEvent};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::json;

const HOUR: i64 = 3_600_000;
/// Characters of a reply that are kept beside its recipient; the event has all.
const REPLY: usize = 500;

/// Where to read on in the outbox.
pub(super) fn cursor(connection: &Connection) -> rusqlite::Result<EventCursor> {
    connection.query_row("SELECT cursor FROM journal", [], |row| {
        Ok(EventCursor(row.get::<_, i64>(0)?.cast_unsigned()))
    })
}

/// Adds events and moves the cursor, in one transaction.
pub(super) fn append(connection: &mut Connection, events: &[StoredEvent]) -> rusqlite::Result<()> {
    let Some(last) = events.last() else {
        return Ok(());
    };
    let batch = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut appending = Appending {
        batch: &batch,
        counts: HashMap::new(),
    };
    for event in events {
        appending.event(event)?;
    }
    appending.write_counts()?;
    batch
        .prepare_cached("UPDATE journal SET cursor = ?1")?
        .execute([last.cursor.0.cast_signed()])?;
    batch.commit()
}

/// One transaction.
struct Appending<'a> {
    batch: &'a Transaction<'a>,
    /// By hour, domain and kind: how many, and their octets.
    counts: HashMap<(i64, String, &'static str), (i64, i64)>,
}

impl Appending<'_> {
    fn event(&mut self, stored: &StoredEvent) -> rusqlite::Result<()> {
        let event = &stored.event;
        let trace = event.trace.map(|trace| trace.to_string());
        let added = self
            .batch
            .prepare_cached(
                "INSERT INTO events (id, cursor, at, name, trace, account, fields) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                event.id.0.to_be_bytes(),
                stored.cursor.0.cast_signed(),
                event.at.millis(),
                event.name.as_str(),
                trace,
                event.account.as_ref().map(|account| account.as_str()),
                json::write(&event.fields),
            ])?;
        if added == 0 {
            return Ok(());
        }
        match (&event.name, &trace) {
            (EventName::Login | EventName::Logout | EventName::LoginFailed, _) => {
                self.session(event)
            }
            (EventName::EventsOmitted, _) => {
                let refusals = number(event, "refusals").unwrap_or(0);
                self.count(event, "", "refused", (refusals, 0));
                Ok(())
            }
            (EventName::MessageAppend, _) => {
                self.count(event, "", "appended", (1, size(event)));
                Ok(())
            }
            (_, Some(trace)) => self.mail(event, trace),
            (_, None) => Ok(()),
        }
    }

    fn mail(&mut self, event: &Event, trace: &str) -> rusqlite::Result<()> {
        match event.name {
            EventName::MessageReceived => self.received(event, trace),
            EventName::MessageRefused => self.refused(event, trace),
            EventName::RecipientRefused => {
                self.known(event, trace, "refused")?;
                self.count(event, "", "refused", (1, 0));
                self.recipient(event, trace, "refused", Over::Accepted)
            }
            EventName::MessageQueued | EventName::MessageQuarantined => self.queued(event, trace),
            EventName::QuarantineReleased | EventName::QuarantineDeleted => {
                self.quarantine_left(event, trace)
            }
            EventName::MessageNew => {
                self.delivered(event, trace, "delivered")?;
                self.known(event, trace, "unknown")?;
                self.recipient(event, trace, "delivered", Over::All)
            }
            EventName::RecipientDelivered => {
                let kind = match event.field("remote") {
                    Some(_) => "relayed",
                    None => "delivered",
                };
                self.delivered(event, trace, kind)?;
                self.known(event, trace, "unknown")?;
                self.recipient(event, trace, "delivered", Over::All)
            }
            EventName::RecipientDeferred => {
                self.count(event, "", "deferred", (1, 0));
                self.known(event, trace, "unknown")?;
                self.recipient(event, trace, "deferred", Over::All)
            }
            EventName::RecipientFailed => {
                self.count(event, "", "failed", (1, 0));
                self.known(event, trace, "unknown")?;
                self.recipient(event, trace, "failed", Over::All)
            }
            EventName::RecipientExpanded => {
                let text = [event.field("to"), event.field("into")];
                let text: Vec<&str> = text.into_iter().flatten().collect();
                self.known(event, trace, "unknown")?;
                self.aside(event, trace, "expanded", &text.join(" "))
            }
            EventName::NoticeSent => self.notice(event, trace),
            EventName::QueueChange => self.held(event, trace),
            _ => Ok(()),
        }
    }

    /// A message is ours now. What was guessed of it from its recipients is
    /// replaced.
    fn received(&mut self, event: &Event, trace: &str) -> rusqlite::Result<()> {
        self.batch
            .prepare_cached(
                "INSERT INTO messages (trace, received_at, protocol, peer, helo, account, login, \
                 sender, subject, message_id, size, recipients, result) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'accepted') \
                 ON CONFLICT (trace) DO UPDATE SET received_at = excluded.received_at, \
                 protocol = excluded.protocol, peer = excluded.peer, helo = excluded.helo, \
                 account = excluded.account, login = excluded.login, sender = excluded.sender, \
                 subject = excluded.subject, message_id = excluded.message_id, \
                 size = excluded.size, recipients = excluded.recipients, result = 'accepted', \
                 reason = NULL",
            )?
            .execute(params![
                trace,
                event.at.millis(),
                event.field("with"),
                event.field("peer"),
                event.field("helo"),
                event.account.as_ref().map(|account| account.as_str()),
                event.field("login"),
                event.field("from").unwrap_or_default(),
                event.field("subject"),
                event.field("message-id"),
                number(event, "size"),
                number(event, "recipients"),
            ])?;
        for address in addresses(event.field("to").unwrap_or_default()) {
            self.batch
                .prepare_cached(
                    "INSERT INTO recipients (trace, address, status, changed_at) \
                     VALUES (?1, ?2, 'accepted', ?3) ON CONFLICT DO NOTHING",
                )?
                .execute(params![trace, address, event.at.millis()])?;
        }
        for (name, text) in &event.fields {
            if name == "expanded" || name == "discarded" {
                self.aside(event, trace, name, text)?;
            }
        }
        self.count(event, "", "received", (1, size(event)));
        if let Some(domain) = event.field("login").and_then(domain) {
            self.count(event, domain, "sent", (1, size(event)));
        }
        Ok(())
    }

    /// A recipient whose copy went another way: its address, then those that it
    /// became.
    fn aside(
        &mut self,
        event: &Event,
        trace: &str,
        status: &str,
        text: &str,
    ) -> rusqlite::Result<()> {
        let mut words = addresses(text);
        let Some(address) = words.next() else {
            return Ok(());
        };
        let into: Vec<&str> = words.collect();
        self.batch
            .prepare_cached(
                "INSERT INTO recipients (trace, address, status, reply, changed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 status = excluded.status, reply = excluded.reply, \
                 changed_at = excluded.changed_at \
                 WHERE status IN ('accepted', 'queued', 'deferred', 'held')",
            )?
            .execute(params![
                trace,
                address,
                status,
                (!into.is_empty()).then(|| into.join(" ")),
                event.at.millis()
            ])
            .map(drop)
    }

    fn refused(&mut self, event: &Event, trace: &str) -> rusqlite::Result<()> {
        self.known(event, trace, "refused")?;
        let reason = event.field("status");
        // RCPT may have told of the message before, and knew less.
        self.batch
            .prepare_cached(
                "UPDATE messages SET reason = ?2, subject = ?3, message_id = ?4, size = ?5, \
                 recipients = ?6 WHERE trace = ?1 AND result = 'refused'",
            )?
            .execute(params![
                trace,
                reason,
                event.field("subject"),
                event.field("message-id"),
                number(event, "size"),
                number(event, "recipients"),
            ])?;
        let (code, reply) = status(event);
        for address in addresses(event.field("to").unwrap_or_default()) {
            self.batch
                .prepare_cached(
                    "INSERT INTO recipients (trace, address, status, code, reply, changed_at) \
                     VALUES (?1, ?2, 'refused', ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![trace, address, code, reply, event.at.millis()])?;
        }
        self.count(event, "", "refused", (1, size(event)));
        Ok(())
    }

    fn queued(&mut self, event: &Event, trace: &str) -> rusqlite::Result<()> {
        self.known(event, trace, "unknown")?;
        let status = match event.field("held") {
            Some(_) => "held",
            None if event.name == EventName::MessageQuarantined => "quarantined",
            None => "queued",
        };
        for address in addresses(event.field("to").unwrap_or_default()) {
            self.batch
                .prepare_cached(
                    "INSERT INTO recipients (trace, address, status, changed_at) \
                     VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
                     status = excluded.status, changed_at = excluded.changed_at \
                     WHERE status = 'accepted'",
                )?
                .execute(params![trace, address, status, event.at.millis()])?;
        }
        Ok(())
    }

    /// An operator stopped recipients, or let them go on; other changes have
    /// events of their own.
    fn held(&mut self, event: &Event, trace: &str) -> rusqlite::Result<()> {
        let (status, before) = match event.field("operation") {
            Some("held") => ("held", "('accepted', 'queued', 'deferred')"),
            Some("released" | "rerouted") => ("queued", "('held')"),
            _ => return Ok(()),
        };
        let sql = format!(
            "UPDATE recipients SET status = ?3, changed_at = ?4 \
             WHERE trace = ?1 AND address = ?2 AND status IN {before}"
        );
        for address in addresses(event.field("to").unwrap_or_default()) {
            self.batch.prepare_cached(&sql)?.execute(params![
                trace,
                address,
                status,
                event.at.millis()
            ])?;
        }
        Ok(())
    }

    /// Recipients' copies left the quarantine.
    fn quarantine_left(&mut self, event: &Event, trace: &str) -> rusqlite::Result<()> {
        let status = match event.name {
            EventName::QuarantineReleased => "queued",
            _ => "deleted",
        };
        for address in addresses(event.field("to").unwrap_or_default()) {
            self.batch
                .prepare_cached(
                    "UPDATE recipients SET status = ?3, changed_at = ?4 \
                     WHERE trace = ?1 AND address = ?2 AND status = 'quarantined'",
                )?
                .execute(params![trace, address, status, event.at.millis()])?;
        }
        Ok(())
    }

    /// Makes a row for a message that is only known by what became of a
    /// recipient: its own event was dropped, or is still to come.
    fn known(&mut self, event: &Event, trace: &str, result: &str) -> rusqlite::Result<()> {
        self.batch
            .prepare_cached(
                "INSERT INTO messages (trace, received_at, protocol, peer, helo, account, login, \
                 sender, result, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                trace,
                event.at.millis(),
                event.field("with"),
                event.field("peer"),
                event.field("helo"),
                // A mailbox's event names the mailbox's account, not the sender's.
                event
                    .field("login")
                    .and(event.account.as_ref())
                    .map(|it| it.as_str()),
                event.field("login"),
                event.field("from").unwrap_or_default(),
                result,
                (result == "refused")
                    .then(|| event.field("status"))
                    .flatten(),
            ])
            .map(drop)
    }

    /// What became of the recipient that `to` names.
    fn recipient(
        &mut self,
        event: &Event,
        trace: &str,
        to_be: &str,
        over: Over,
    ) -> rusqlite::Result<()> {
        let Some(address) = event.field("to") else {
            return Ok(());
        };
        let (code, reply) = status(event);
        let sql = match over {
            Over::All => {
                "INSERT INTO recipients (trace, address, status, code, reply, remote, account, \
                 mailbox, attempts, changed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET \
                 status = excluded.status, code = coalesce(excluded.code, code), \
                 reply = coalesce(excluded.reply, reply), remote = excluded.remote, \
                 account = coalesce(excluded.account, account), \
                 mailbox = coalesce(excluded.mailbox, mailbox), \
                 attempts = max(attempts, excluded.attempts), changed_at = excluded.changed_at"
            }
            Over::Accepted => {
                "INSERT INTO recipients (trace, address, status, code, reply, remote, account, \
                 mailbox, attempts, changed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET \
                 status = excluded.status, code = excluded.code, reply = excluded.reply, \
                 changed_at = excluded.changed_at WHERE status = 'accepted'"
            }
        };
        let mailbox = event.field("mailbox");
        self.batch
            .prepare_cached(sql)?
            .execute(params![
                trace,
                address,
                to_be,
                code,
                reply,
                event.field("remote"),
                mailbox.and(event.account.as_ref()).map(|it| it.as_str()),
                mailbox,
                number(event, "attempt").unwrap_or(0),
                event.at.millis(),
            ])
            .map(drop)
    }

    /// Counts a delivery, unless this recipient's was counted: what the queue
    /// files is told of by the store and by the queue.
    fn delivered(
        &mut self,
        event: &Event,
        trace: &str,
        kind: &'static str,
    ) -> rusqlite::Result<()> {
        let Some(to) = event.field("to") else {
            return Ok(());
        };
        let known: Option<String> = self
            .batch
            .prepare_cached("SELECT status FROM recipients WHERE trace = ?1 AND address = ?2")?
            .query_row([trace, to], |row| row.get(0))
            .optional()?;
        if known.is_some_and(|status| status == "delivered") {
            return Ok(());
        }
        self.count(event, "", kind, (1, size(event)));
        // Domains of our own only: those of others are without number.
        if let (Some(_), Some(domain)) = (&event.account, domain(to)) {
            self.count(event, domain, kind, (1, size(event)));
        }
        Ok(())
    }

    /// A notice is a message of its own.
    fn notice(&mut self, event: &Event, about: &str) -> rusqlite::Result<()> {
        let Some(trace) = event.field("notice") else {
            return Ok(());
        };
        self.batch
            .prepare_cached(
                "INSERT INTO messages (trace, received_at, protocol, sender, recipients, result, \
                 notice_about) VALUES (?1, ?2, 'notice', '', 1, 'accepted', ?3) \
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![trace, event.at.millis(), about])?;
        self.batch
            .prepare_cached(
                "INSERT INTO recipients (trace, address, status, changed_at) \
                 VALUES (?1, ?2, 'queued', ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![trace, event.field("to"), event.at.millis()])?;
        self.count(event, "", "notices", (1, 0));
        Ok(())
    }

    fn session(&mut self, event: &Event) -> rusqlite::Result<()> {
        let at = event.at.millis();
        // A failed login is a session that began and ended at once.
        let own = format!("{:032x}", event.id.0);
        let session = event.field("session").unwrap_or(&own);
        let (result, started, ended, kind) = match event.name {
            EventName::Login => ("open", at, None, Some("logins")),
            EventName::Logout => {
                let started = number(event, "started").unwrap_or(at);
                ("ended", started, Some(at), None)
            }
            _ => ("failed", at, Some(at), Some("failed logins")),
        };
        self.batch
            .prepare_cached(
                "INSERT INTO sessions (session, started_at, ended_at, protocol, peer, account, \
                 login, result, reason, octets_in, octets_out) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, \
                 result = excluded.result, octets_in = excluded.octets_in, \
                 octets_out = excluded.octets_out WHERE excluded.result = 'ended'",
            )?
            .execute(params![
                session,
                started,
                ended,
                event.field("protocol"),
                event.field("peer"),
                event.account.as_ref().map(|account| account.as_str()),
                event.field("login"),
                result,
                event.field("status"),
                number(event, "octets_in"),
                number(event, "octets_out"),
            ])?;
        if let Some(kind) = kind {
            self.count(event, "", kind, (1, 0));
            if let Some(domain) = event.field("login").and_then(domain) {
                self.count(event, domain, kind, (1, 0));
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        event: &Event,
        domain: &str,
        kind: &'static str,
        (count, octets): (i64, i64),
    ) {
        let hour = event.at.millis().div_euclid(HOUR) * HOUR;
        let sum = self
            .counts
            .entry((hour, domain.to_lowercase(), kind))
            .or_default();
        sum.0 = sum.0.saturating_add(count);
        sum.1 = sum.1.saturating_add(octets);
    }

    fn write_counts(self) -> rusqlite::Result<()> {
        let mut add = self.batch.prepare_cached(
            "INSERT INTO statistics (hour, domain, kind, count, octets) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
             count = count + excluded.count, octets = octets + excluded.octets",
        )?;
        for ((hour, domain, kind), (count, octets)) in self.counts {
            add.execute(params![hour, domain, kind, count, octets])?;
        }
        Ok(())
    }
}

/// Which statuses a recipient's new one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Any.
    All,
    /// None but that of a recipient of whom nothing more is known.
    Accepted,
}

fn number(event: &Event, name: &str) -> Option<i64> {
    event.field(name)?.parse().ok()
}

fn size(event: &Event) -> i64 {
    number(event, "size").unwrap_or(0)
}

fn domain(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}

/// `status` is a code and words: `5.1.1 no such user`.
fn status(event: &Event) -> (Option<&str>, Option<String>) {
    let Some(text) = event.field("status") else {
        return (None, None);
    };
    match text.split_once(' ') {
        Some((code, words)) => (Some(code), Some(words.chars().take(REPLY).collect())),
        None => (Some(text), None),
    }
}

/// Addresses with spaces between; a quoted local part may hold spaces, too.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == ' ' && !quoted
    })
    .filter(|address| !address.is_empty())
}
