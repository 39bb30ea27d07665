//! What happened to mail and who logged in, as another program reads it from
//! the journal's file.

use std::path::Path;
use std::time::Duration;

use mailcore_tests::{PASSWORD, StoreKind, World};
use rusqlite::{Connection, OpenFlags, types::Value};

const MESSAGE: &str = "From: a@b.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <m1@b.test>\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\n\r\nhello\r\n";

/// Columns with `|` between.
fn sql(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let read = statement.query_map([], |row| {
        let cells = (0..columns).map(|at| {
            Ok(match row.get(at)? {
                Value::Null => String::new(),
                Value::Integer(number) => number.to_string(),
                Value::Text(text) => text,
                other => format!("{other:?}"),
            })
        });
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    read.unwrap().map(Result::unwrap).collect()
}

/// The queries that the manual shows.
fn manual() -> Vec<String> {
    let text = include_str!("../../docs/storage.md");
    let queries = text.split("```sql\n").skip(1);
    let queries = queries.filter_map(|rest| rest.split("```").next());
    let queries: Vec<String> = queries.map(str::to_owned).collect();
    assert_eq!(queries.len(), 3);
    queries
}

/// Runs them on a journal in which nothing happened yesterday.
fn try_manual(path: &Path) {
    for query in manual() {
        let rows = sql(path, &query);
        assert_eq!(rows.is_empty(), query.contains("yesterday"), "{query}");
    }
}

/// Waits until the journal of a server that runs has what the query finds.
async fn appears(path: &Path, query: &str) -> Vec<String> {
    for _ in 0..1_000 {
        let rows = sql(path, query);
        if !rows.is_empty() {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never in the journal: {query}");
}

#[tokio::test]
async fn the_journal_tells_of_mail_refusals_and_logins() {
    let world = World::new();
    let house = world
        .house("mx.a.test", "a.test", &["ann"], StoreKind::Embedded)
        .await;
    let path = house.journal();
    let mut smtp = house.smtp("smtp").await;
    smtp.ask("MAIL FROM:<a@b.test>", "250").await;
    smtp.ask("RCPT TO:<nobody@a.test>", "550").await;
    smtp.ask("RCPT TO:<Ann+x@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    smtp.send_raw(format!("{MESSAGE}.\r\n")).await;
    let reply = smtp.line().await;
    let trace = reply.rsplit(' ').next().unwrap().to_owned();
    // Read by another connection while the server writes.
    let query = format!(
        "SELECT protocol, sender, subject, message_id, recipient, status, mailbox, code \
         FROM message_log WHERE trace = '{trace}' AND recipient LIKE 'ann%' \
         AND status = 'delivered'"
    );
    assert_eq!(
        appears(&path, &query).await,
        ["ESMTP|a@b.test|Grüße|<m1@b.test>|Ann+x@a.test|delivered|INBOX|"]
    );
    let query = format!(
        "SELECT result, status, code, reply FROM message_log \
         WHERE trace = '{trace}' AND recipient = 'nobody@a.test'"
    );
    let refused = appears(&path, &query).await;
    assert!(
        refused[0].starts_with("accepted|refused|5.1.1|"),
        "{refused:?}"
    );

    let mut imap = house.imap("ann").await;
    imap.ask_all("2 LOGOUT", "2 OK").await;
    let mut pop3 = house.pop3("ann").await;
    pop3.ask("NOOP", "+OK").await;
    let mut wrong = house.smtp("submission").await;
    let login = mailcore_tests::base64(b"\0ann@a.test\0not this");
    wrong.ask(&format!("AUTH PLAIN {login}"), "535").await;
    appears(&path, "SELECT 1 FROM sessions WHERE result = 'failed'").await;
    try_manual(&path);
    let folder = house.close().await;
    // The POP3 session was open until the end, and the journal has that, too.
    assert_eq!(
        sql(
            &path,
            "SELECT protocol, login, result FROM session_log ORDER BY started_at, protocol"
        ),
        [
            "imap|ann@a.test|ended",
            "pop3|ann@a.test|ended",
            "submission||failed"
        ]
    );
    let counted = "SELECT octets_in > 20 AND octets_out > 40 AND ended_at >= started_at \
                   FROM sessions WHERE protocol = 'imap'";
    assert_eq!(sql(&path, counted), ["1"]);
    for secret in [PASSWORD, "not this"] {
        let found = format!("SELECT count(*) FROM events WHERE fields LIKE '%{secret}%'");
        assert_eq!(sql(&path, &found), ["0"]);
    }
    drop(folder);
}

#[tokio::test]
async fn a_message_that_goes_on_is_followed_to_its_end() {
    let (world, clock) = World::in_virtual_time();
    let near = world
        .house("mx.a.test", "a.test", &["ann"], StoreKind::Memory)
        .await;
    let far = world
        .house("mx.b.test", "b.test", &["bob"], StoreKind::Memory)
        .await;
    let path = near.journal();
    world.cut(&far);
    let mut out = near.smtp("submission").await;
    let login = mailcore_tests::base64(format!("\0ann@a.test\0{PASSWORD}").as_bytes());
    out.ask(&format!("AUTH PLAIN {login}"), "235").await;
    let to = ["bob@b.test", "nobody@b.test"];
    let message = MESSAGE.replace("From: a@b.test", "From: ann@a.test");
    let reply = out.send_mail("ann@a.test", &to, message.as_bytes()).await;
    assert!(reply.starts_with("250"), "{reply}");
    let recipients = "SELECT recipient, status, attempts, code, remote FROM message_log \
                      WHERE message_id = '<m1@b.test>' ORDER BY recipient";
    let steps = |minutes: u32| {
        let clock = clock.clone();
        async move {
            for _ in 0..minutes {
                clock.run_for(Duration::from_secs(60)).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    let mut waited = Vec::new();
    for _ in 0..200 {
        steps(1).await;
        waited = sql(&path, "SELECT recipient, status FROM waiting ORDER BY 1");
        if waited.iter().all(|row| row.ends_with("deferred")) && waited.len() == 2 {
            break;
        }
    }
    assert_eq!(waited, ["bob@b.test|deferred", "nobody@b.test|deferred"]);
    world.mend(&far);
    for _ in 0..200 {
        steps(1).await;
        if sql(&path, "SELECT 1 FROM waiting").is_empty() {
            break;
        }
    }
    let rows = sql(&path, recipients);
    assert!(rows[0].starts_with("bob@b.test|delivered|"), "{rows:?}");
    assert!(rows[0].ends_with("|2.0.0|mx.b.test"), "{rows:?}");
    assert!(rows[1].starts_with("nobody@b.test|failed|"), "{rows:?}");
    assert!(rows[1].ends_with("|5.1.1|mx.b.test"), "{rows:?}");
    let notice = "SELECT protocol, recipient, status FROM message_log WHERE protocol = 'notice'";
    assert_eq!(sql(&path, notice), ["notice|ann@a.test|delivered"]);
}

#[tokio::test]
async fn ends_without_a_goodbye_neither_lose_nor_repeat_a_row() {
    let world = World::new();
    let mut house = world
        .house("mx.a.test", "a.test", &["ann"], StoreKind::Embedded)
        .await;
    for round in 0..5 {
        let mut smtp = house.smtp("smtp").await;
        for one in 0..10 {
            let message = format!("Subject: {round}.{one}\r\n\r\nx\r\n");
            let from = format!("s{one}@b.test");
            let reply = smtp
                .send_mail(&from, &["ann@a.test"], message.as_bytes())
                .await;
            assert!(reply.starts_with("250"), "{reply}");
        }
        // In the middle of reading, writing, or waiting.
        tokio::time::sleep(Duration::from_millis(round * 150)).await;
        house = world.reopen(house).await;
    }
    let path = house.journal();
    let folder = house.close().await;
    assert_eq!(
        sql(
            &path,
            "SELECT count(*), count(DISTINCT subject) FROM message_log WHERE status = 'delivered'"
        ),
        ["50|50"]
    );
    let counts = "SELECT kind, sum(count) FROM statistics WHERE domain = '' AND kind <> 'logins' \
                  GROUP BY kind ORDER BY kind";
    assert_eq!(sql(&path, counts), ["delivered|50", "received|50"]);
    drop(folder);
}
