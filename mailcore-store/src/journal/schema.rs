//! The tables and views, and how an older file becomes one of today's.

/// `PRAGMA application_id` of our files: `mcjo`.
pub(super) const APPLICATION_ID: i64 = 0x6d63_6a6f;

/// What makes version 1 of nothing, version 2 of version 1, and so on. Steps are
/// only ever added.
pub(super) const STEPS: &[&str] = &[VERSION_1, VERSION_2];

/// Finds what happened to an entry of the queue.
const VERSION_2: &str = "
CREATE INDEX events_queue ON events (json_extract(fields, '$.queue'))
    WHERE json_extract(fields, '$.queue') IS NOT NULL;
";

const VERSION_1: &str = "
CREATE TABLE journal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    cursor INTEGER NOT NULL
) STRICT;
INSERT INTO journal VALUES (1, 0);

CREATE TABLE messages (
    trace TEXT PRIMARY KEY,
    received_at INTEGER NOT NULL,
    protocol TEXT,
    peer TEXT,
    helo TEXT,
    account TEXT,
    login TEXT,
    sender TEXT NOT NULL COLLATE NOCASE,
    subject TEXT,
    message_id TEXT,
    size INTEGER,
    recipients INTEGER,
    result TEXT NOT NULL,
    reason TEXT,
    notice_about TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_received ON messages (received_at);
CREATE INDEX messages_sender ON messages (sender, received_at);
CREATE INDEX messages_account ON messages (account, received_at) WHERE account IS NOT NULL;
CREATE INDEX messages_message_id ON messages (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE recipients (
    trace TEXT NOT NULL,
    address TEXT NOT NULL COLLATE NOCASE,
    status TEXT NOT NULL,
    code TEXT,
    reply TEXT,
    remote TEXT,
    account TEXT,
    mailbox TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (trace, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipients_address ON recipients (address, trace);
CREATE INDEX recipients_waiting ON recipients (status, changed_at)
    WHERE status IN ('queued', 'deferred', 'held');

CREATE TABLE sessions (
    session TEXT PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    protocol TEXT,
    peer TEXT,
    account TEXT,
    login TEXT,
    result TEXT NOT NULL,
    reason TEXT,
    octets_in INTEGER,
    octets_out INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_started ON sessions (started_at);
CREATE INDEX sessions_account ON sessions (account, started_at) WHERE account IS NOT NULL;

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    cursor INTEGER NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    trace TEXT,
    account TEXT,
    fields TEXT NOT NULL
) STRICT;
CREATE INDEX events_at ON events (at);
CREATE INDEX events_trace ON events (trace) WHERE trace IS NOT NULL;

CREATE TABLE statistics (
    hour INTEGER NOT NULL,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    PRIMARY KEY (hour, domain, kind)
) STRICT, WITHOUT ROWID;

CREATE VIEW message_log AS
SELECT strftime('%Y-%m-%d %H:%M:%S', m.received_at / 1000, 'unixepoch') AS received,
    m.trace, m.protocol, m.peer, m.login, m.sender, m.subject, m.size, m.result, m.reason,
    r.address AS recipient, r.status, r.code, r.reply, r.remote, r.mailbox, r.attempts,
    strftime('%Y-%m-%d %H:%M:%S', r.changed_at / 1000, 'unixepoch') AS changed,
    m.message_id, m.received_at
FROM messages m LEFT JOIN recipients r USING (trace);

CREATE VIEW yesterday AS
SELECT * FROM message_log
WHERE received_at >= CAST(strftime('%s', 'now', 'start of day', '-1 day') AS INTEGER) * 1000
  AND received_at < CAST(strftime('%s', 'now', 'start of day') AS INTEGER) * 1000;

CREATE VIEW waiting AS
SELECT r.address AS recipient, r.status, r.attempts, r.code, r.reply, r.remote,
    strftime('%Y-%m-%d %H:%M:%S', r.changed_at / 1000, 'unixepoch') AS changed,
    m.sender, m.subject,
    strftime('%Y-%m-%d %H:%M:%S', m.received_at / 1000, 'unixepoch') AS received, r.trace
FROM recipients r LEFT JOIN messages m USING (trace)
WHERE r.status IN ('queued', 'deferred', 'held');

CREATE VIEW session_log AS
SELECT strftime('%Y-%m-%d %H:%M:%S', started_at / 1000, 'unixepoch') AS started,
    strftime('%Y-%m-%d %H:%M:%S', ended_at / 1000, 'unixepoch') AS ended,
    protocol, peer, login, account, result, reason, octets_in, octets_out, session, started_at
FROM sessions;

CREATE VIEW event_log AS
SELECT strftime('%Y-%m-%d %H:%M:%S', at / 1000, 'unixepoch') AS time,
    name, trace, account, fields, at, number
FROM events;

CREATE VIEW daily AS
SELECT strftime('%Y-%m-%d', hour / 1000, 'unixepoch') AS day,
    domain, kind, sum(count) AS count, sum(octets) AS octets
FROM statistics GROUP BY 1, 2, 3;
";
