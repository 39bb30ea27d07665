//! The journal as its readers see it: by tables, by queries, after crashes.

mod on_disk;

use std::path::PathBuf;
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::event::{Event, EventId, EventName, TraceId};
use mailcore::queue::QueueId;
use tempfile::TempDir;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_795_312_800);

fn event(number: u64, name: EventName) -> StoredEvent {
    StoredEvent {
        cursor: EventCursor(number),
        event: Event {
            id: EventId(u128::from(number) << 80 | 7),
            at: START.after(Duration::from_secs(number)),
            name,
            trace: None,
            account: None,
            fields: Vec::new(),
        },
    }
}

fn mail(number: u64, name: EventName, trace: u128, fields: &[(&str, &str)]) -> StoredEvent {
    let mut stored = event(number, name);
    stored.event.trace = Some(TraceId(trace));
    stored.event = fields
        .iter()
        .fold(stored.event, |event, (name, value)| event.with(name, value));
    stored
}

/// The store's own event of a message filed.
fn filed(number: u64, trace: u128, to: &str) -> StoredEvent {
    let fields = [("mailbox", "INBOX"), ("size", "900"), ("to", to)];
    let mut new = mail(number, EventName::MessageNew, trace, &fields);
    new.event.account = Some(AccountId::new(to));
    new
}

/// A message for one recipient here and one elsewhere, up to its end.
/// An entry's id as events write it.
const QUEUE_9: &str = "00000000000000000000000000000009";

fn story() -> Vec<StoredEvent> {
    let from = ("from", "Bob@b.test");
    let far = ("to", "far@c.test");
    vec![
        mail(
            1,
            EventName::MessageReceived,
            1,
            &[
                from,
                ("to", "sales@a.test far@c.test"),
                ("recipients", "2"),
                ("with", "ESMTPS"),
                ("peer", "192.0.2.1"),
                ("size", "800"),
                ("subject", "Größe der Säule"),
                ("message-id", "<m1@b.test>"),
                ("expanded", "sales@a.test ann@a.test"),
            ],
        ),
        mail(
            2,
            EventName::MessageQueued,
            1,
            &[from, ("queue", QUEUE_9), far],
        ),
        filed(3, 1, "ann@a.test"),
        mail(
            4,
            EventName::RecipientDeferred,
            1,
            &[from, far, ("attempt", "1"), ("status", "4.4.1 no answer")],
        ),
        mail(
            5,
            EventName::RecipientFailed,
            1,
            &[
                from,
                far,
                ("attempt", "2"),
                ("status", "5.1.1 no such user"),
                ("remote", "mx.c.test"),
            ],
        ),
        mail(
            6,
            EventName::NoticeSent,
            1,
            &[
                ("to", "bob@b.test"),
                ("notice", "000000000000000000000000000000ff"),
            ],
        ),
    ]
}

fn ask(set: impl FnOnce(&mut JournalQuery)) -> JournalQuery {
    let mut query = JournalQuery::default();
    set(&mut query);
    query
}

struct Desk {
    _folder: TempDir,
    path: PathBuf,
    journal: SqliteJournal,
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("journal.db");
        let journal = SqliteJournal::open(&path).unwrap();
        Self {
            _folder: folder,
            path,
            journal,
        }
    }

    /// What another program reads, columns with `|` between.
    fn sql(&self, sql: &str) -> Vec<String> {
        rows(&self.path, sql)
    }

    async fn names(&self, query: &JournalQuery) -> Vec<String> {
        let page = self.journal.query(query).await.unwrap();
        let names = page.events.iter().map(|it| it.event.name.as_str());
        names.map(str::to_owned).collect()
    }
}

fn rows(path: &Path, sql: &str) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let read = statement.query_map([], |row| {
        let cells = (0..columns).map(|at| {
            Ok(match row.get(at)? {
                rusqlite::types::Value::Null => String::new(),
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
        });
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    read.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn one_line_of_sql_tells_what_became_of_a_message() {
    let desk = Desk::new();
    desk.journal.append(&story()).await.unwrap();
    let sql = "SELECT received, sender, subject, recipient, status, code, reply, remote, attempts \
               FROM message_log WHERE message_id = '<m1@b.test>' ORDER BY recipient";
    assert_eq!(
        desk.sql(sql),
        [
            "2026-11-22 02:00:01|Bob@b.test|Größe der Säule|ann@a.test|delivered||||0",
            "2026-11-22 02:00:01|Bob@b.test|Größe der Säule|far@c.test|failed|5.1.1|no such user|mx.c.test|2",
            "2026-11-22 02:00:01|Bob@b.test|Größe der Säule|sales@a.test|expanded||ann@a.test||0",
        ]
    );
    assert_eq!(
        desk.sql("SELECT recipient, status, trace FROM waiting"),
        ["bob@b.test|queued|000000000000000000000000000000ff"]
    );
    assert_eq!(
        desk.sql("SELECT kind, count, octets FROM daily WHERE domain = '' ORDER BY kind"),
        [
            "deferred|1|0",
            "delivered|1|900",
            "failed|1|0",
            "notices|1|0",
            "received|1|800"
        ]
    );
    assert_eq!(
        desk.sql("SELECT kind, count FROM daily WHERE domain = 'a.test'"),
        ["delivered|1"]
    );
}

#[tokio::test]
async fn what_an_operator_holds_shows_as_held_until_it_is_released() {
    let desk = Desk::new();
    let far = ("to", "far@c.test");
    let change = |cursor, operation| {
        mail(
            cursor,
            EventName::QueueChange,
            1,
            &[("operation", operation), ("queue", QUEUE_9), far],
        )
    };
    let status = || desk.sql("SELECT status FROM recipients WHERE address = 'far@c.test'");
    desk.journal.append(&story()[..4]).await.unwrap();
    assert_eq!(status(), ["deferred"]);
    for (cursor, operation, expected) in [
        (7, "retried", "deferred"),
        (8, "held", "held"),
        (9, "retried", "held"),
        (10, "released", "queued"),
    ] {
        let events = [change(cursor, operation)];
        desk.journal.append(&events).await.unwrap();
        assert_eq!(status(), [expected], "{operation}");
    }
    let asked = ask(|it| {
        it.queue = Some(QueueId(9));
    });
    assert_eq!(desk.names(&asked).await.len(), 8);
}

#[tokio::test]
async fn events_read_back_newest_first_page_by_page() {
    let desk = Desk::new();
    let story = story();
    desk.journal.append(&story).await.unwrap();
    let mut query = ask(|it| {
        it.limit = 4;
    });
    let page = desk.journal.query(&query).await.unwrap();
    let mut read = page.events;
    query.before = page.next;
    // What comes meanwhile moves no page.
    desk.journal
        .append(&[event(7, EventName::Gap)])
        .await
        .unwrap();
    let page = desk.journal.query(&query).await.unwrap();
    assert_eq!(page.next, None);
    read.extend(page.events);
    read.reverse();
    assert_eq!(read, story);
}

#[tokio::test]
async fn conditions_narrow_a_query() {
    let desk = Desk::new();
    let mut events = story();
    let mut flags = event(7, EventName::FlagsSet);
    flags.event.account = Some(AccountId::new("ann@a.test"));
    events.push(flags);
    let from = ("from", "eve@d.test");
    let status = ("status", "5.7.1 ist SPÄM");
    events.push(mail(
        8,
        EventName::MessageRefused,
        2,
        &[from, ("to", "ANN@a.test"), status],
    ));
    desk.journal.append(&events).await.unwrap();
    let text = |text: &str| Some(text.to_owned());

    let sender = ask(|it| {
        it.sender = text("EVE@d.test");
    });
    assert_eq!(desk.names(&sender).await, ["MessageRefused"]);
    let recipient = ask(|it| {
        it.recipient = text("ann@A.test");
    });
    assert_eq!(desk.names(&recipient).await.len(), 7);
    let alias = ask(|it| {
        it.address = text("sales@a.test");
    });
    assert_eq!(desk.names(&alias).await.len(), 6);
    let spam = ask(|it| {
        it.text = text("späm");
    });
    assert_eq!(desk.names(&spam).await, ["MessageRefused"]);
    let account = ask(|it| {
        it.account = Some(AccountId::new("ann@a.test"));
    });
    assert_eq!(desk.names(&account).await, ["FlagsSet", "MessageNew"]);
    let trace = ask(|it| {
        it.trace = Some(TraceId(1));
        it.name = Some(EventName::RecipientFailed);
    });
    assert_eq!(desk.names(&trace).await, ["RecipientFailed"]);
    let range = ask(|it| {
        it.from = Some(START.after(Duration::from_secs(3)));
        it.until = Some(START.after(Duration::from_secs(5)));
    });
    assert_eq!(
        desk.names(&range).await,
        ["RecipientDeferred", "MessageNew"]
    );
    let none = ask(|it| {
        it.limit = 0;
    });
    assert!(desk.names(&none).await.is_empty());
}

#[tokio::test]
async fn an_event_that_is_read_twice_counts_once() {
    let desk = Desk::new();
    let story = story();
    // Every way to cut the story, each part repeated from before the cut.
    for cut in 0..story.len() {
        desk.journal.append(&story[..cut]).await.unwrap();
        desk.journal.append(&story[cut / 2..]).await.unwrap();
    }
    assert_eq!(desk.sql("SELECT count(*) FROM events"), ["6"]);
    assert_eq!(
        desk.sql("SELECT sum(count), sum(octets) FROM statistics WHERE domain = ''"),
        ["5|1700"]
    );
    assert_eq!(
        desk.sql("SELECT attempts, status FROM recipients WHERE address = 'far@c.test'"),
        ["2|failed"]
    );
    assert_eq!(desk.journal.cursor().await.unwrap(), EventCursor(6));
}

#[tokio::test]
async fn rows_and_cursor_are_kept_together_or_not_at_all() {
    let desk = Desk::new();
    let story = story();
    desk.journal.append(&story[..2]).await.unwrap();
    // The last step of an append fails, after the rows were written.
    let other = Connection::open(&desk.path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER stop BEFORE UPDATE ON journal BEGIN SELECT raise(ABORT, 'cut'); END",
        )
        .unwrap();
    desk.journal.append(&story[2..]).await.unwrap_err();
    assert_eq!(desk.sql("SELECT count(*) FROM events"), ["2"]);
    assert_eq!(desk.journal.cursor().await.unwrap(), EventCursor(2));
    other.execute_batch("DROP TRIGGER stop").unwrap();
    desk.journal.append(&story[2..]).await.unwrap();
    assert_eq!(desk.sql("SELECT count(*) FROM events"), ["6"]);
}

#[tokio::test]
async fn a_message_whose_own_event_was_dropped_still_has_its_recipients() {
    let desk = Desk::new();
    let story = story();
    desk.journal.append(&story[3..5]).await.unwrap();
    let sql = "SELECT sender, result, recipient, status FROM message_log";
    assert_eq!(desk.sql(sql), ["Bob@b.test|unknown|far@c.test|failed"]);
    // It comes late: it completes what is known and undoes nothing.
    desk.journal.append(&story[..1]).await.unwrap();
    assert_eq!(
        desk.sql("SELECT result, status FROM message_log WHERE recipient = 'far@c.test'"),
        ["accepted|failed"]
    );
}

#[tokio::test]
async fn refusals_say_who_was_refused_and_why() {
    let desk = Desk::new();
    let known = [("from", ""), ("peer", "192.0.2.9"), ("helo", "x")];
    let nobody = [
        &known[..],
        &[("to", "nobody@a.test"), ("status", "5.1.1 no such user")],
    ];
    let spam = [
        &known[..],
        &[
            ("to", "\"a b\"@a.test c@a.test"),
            ("status", "5.7.1 spam"),
            ("size", "70"),
        ],
    ];
    desk.journal
        .append(&[
            mail(1, EventName::RecipientRefused, 5, &nobody.concat()),
            mail(2, EventName::MessageRefused, 5, &spam.concat()),
            mail(3, EventName::EventsOmitted, 6, &[("refusals", "40")]),
        ])
        .await
        .unwrap();
    let sql =
        "SELECT peer, result, reason, recipient, status, code FROM message_log ORDER BY recipient";
    assert_eq!(
        desk.sql(sql),
        [
            "192.0.2.9|refused|5.7.1 spam|\"a b\"@a.test|refused|5.7.1",
            "192.0.2.9|refused|5.7.1 spam|c@a.test|refused|5.7.1",
            "192.0.2.9|refused|5.7.1 spam|nobody@a.test|refused|5.1.1",
        ]
    );
    assert_eq!(desk.sql("SELECT kind, count FROM daily"), ["refused|42"]);
}

#[tokio::test]
async fn sessions_have_a_beginning_and_an_end() {
    let desk = Desk::new();
    let about = [
        ("protocol", "imap"),
        ("peer", "192.0.2.3"),
        ("session", "s1"),
        ("login", "ann@a.test"),
    ];
    let mut login = mail(1, EventName::Login, 0, &about);
    let end = [
        ("started", "1795312801000"),
        ("octets_in", "120"),
        ("octets_out", "4000"),
    ];
    let mut logout = mail(60, EventName::Logout, 0, &[&about[..], &end[..]].concat());
    let failed = [
        ("protocol", "pop3"),
        ("peer", "192.0.2.66"),
        ("status", "user name or password is wrong"),
    ];
    let failed = mail(2, EventName::LoginFailed, 0, &failed);
    login.event.account = Some(AccountId::new("ann@a.test"));
    logout.event.account = login.event.account.clone();
    desk.journal.append(&[login.clone()]).await.unwrap();
    let sql = "SELECT started, ended, protocol, peer, login, result, reason, octets_in, octets_out \
               FROM session_log ORDER BY started_at";
    assert_eq!(
        desk.sql(sql),
        ["2026-11-22 02:00:01||imap|192.0.2.3|ann@a.test|open|||"]
    );
    // The other order, after a crash between them, ends the same.
    desk.journal.append(&[failed, logout, login]).await.unwrap();
    assert_eq!(
        desk.sql(sql),
        [
            "2026-11-22 02:00:01|2026-11-22 02:01:00|imap|192.0.2.3|ann@a.test|ended||120|4000",
            "2026-11-22 02:00:02|2026-11-22 02:00:02|pop3|192.0.2.66||failed|user name or password is wrong||",
        ]
    );
}

#[tokio::test]
async fn each_kind_is_kept_for_its_time() {
    let desk = Desk::new();
    desk.journal.append(&story()).await.unwrap();
    let mut later = mail(
        9,
        EventName::MessageReceived,
        9,
        &[("from", "z@z.test"), ("to", "ann@a.test")],
    );
    later.event.at = START.after(Duration::from_secs(50 * 24 * 3_600));
    desk.journal.append(&[later]).await.unwrap();
    let now = START.after(Duration::from_secs(60 * 24 * 3_600));
    let retention = JournalRetention::default();
    let purged = desk.journal.purge(now, &retention).await.unwrap();
    assert_eq!((purged.events, purged.messages), (6, 0));
    let now = START.after(Duration::from_secs(100 * 24 * 3_600));
    let purged = desk.journal.purge(now, &retention).await.unwrap();
    assert_eq!(
        (purged.events, purged.messages, purged.statistics),
        (1, 2, 0)
    );
    assert_eq!(desk.sql("SELECT trace, address FROM recipients").len(), 1);
    assert_eq!(
        desk.sql("SELECT count(*) FROM statistics WHERE domain = ''"),
        ["6"]
    );
    assert_eq!(desk.journal.cursor().await.unwrap(), EventCursor(9));
}

#[tokio::test]
async fn a_journal_above_its_size_loses_what_is_oldest_and_shrinks() {
    let desk = Desk::new();
    let subject = "long ".repeat(40);
    for page in 0..20 {
        let events: Vec<StoredEvent> = (1..=250)
            .map(|one| {
                let number = page * 250 + one;
                let fields = [
                    ("from", "a@a.test"),
                    ("to", "b@b.test"),
                    ("subject", &subject),
                ];
                mail(number, EventName::MessageReceived, number.into(), &fields)
            })
            .collect();
        desk.journal.append(&events).await.unwrap();
    }
    let before = std::fs::metadata(&desk.path).unwrap().len();
    let limit = 512 * 1024;
    let mut retention = JournalRetention::default();
    retention.octets = Some(limit);
    let purged = desk.journal.purge(START, &retention).await.unwrap();
    assert!(
        purged.events > 1_000 && purged.messages > 1_000,
        "{purged:?}"
    );
    drop(desk.journal);
    let after = std::fs::metadata(&desk.path).unwrap().len();
    assert!(
        after <= limit + 64 * 1024 && after < before,
        "{before} {after}"
    );
    assert_eq!(rows(&desk.path, "SELECT max(number) FROM events"), ["5000"]);
    let kept = rows(&desk.path, "SELECT 5000 - min(number) < 1500 FROM events");
    assert_eq!(kept, ["1"], "the newest are kept");
    assert_eq!(rows(&desk.path, "PRAGMA integrity_check"), ["ok"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_message_is_found_by_its_message_id_and_by_its_id_in_the_queue() {
    let desk = Desk::new();
    desk.journal.append(&story()).await.unwrap();
    let found = async |query: JournalQuery| desk.journal.query(&query).await.unwrap().events;
    for id in ["<m1@b.test>", "m1@b.test"] {
        let mut query = JournalQuery::default();
        query.message_id = Some(id.to_owned());
        let events = found(query).await;
        assert!(events.iter().all(|it| it.event.trace == Some(TraceId(1))));
        assert_eq!(events.len(), 6, "{id}");
    }
    let mut query = JournalQuery::default();
    query.queue = Some(QueueId(9));
    assert_eq!(found(query.clone()).await.len(), 6);
    query.queue = Some(QueueId(8));
    assert_eq!(found(query).await.len(), 0);
    let plan = rows(
        &desk.path,
        "EXPLAIN QUERY PLAN SELECT trace FROM events \
         WHERE json_extract(fields, '$.queue') = 'x' \
         AND json_extract(fields, '$.queue') IS NOT NULL",
    );
    assert!(plan[0].contains("events_queue"), "{plan:?}");
}
