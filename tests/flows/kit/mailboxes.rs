//! Mailboxes that are filled before a test.

use mailcore::message::DateTime;
use mailcore::testing::matchers::anything;
use mailcore::time::Timestamp;
use mailcore_tests::Dialogue;

use crate::server;

#[tokio::test]
async fn files_are_put_into_any_mailbox_with_flags_and_date() {
    let server = server().start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("2.eml", "Subject: two\n\nsecond\n"),
        ("1.eml", "Subject: one\r\n\r\nfirst\r\n"),
        ("notes.txt", "no mail"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let date = Timestamp::from_secs(1_000_000_000);
    let archive = server
        .mailbox("ann@app.test", "Archive/2001")
        .unwrap()
        .flagged(["\\Seen", "$Done"])
        .dated(date);
    assert_eq!(archive.add_folder(folder.path()).await.unwrap(), 2);
    let mut imap = Dialogue::new(server.connect_imap().unwrap());
    imap.expect("* OK").await;
    imap.ask_all("1 LOGIN ann@app.test x", "1 OK").await;
    imap.ask_all("2 SELECT Archive/2001", "2 OK").await;
    let lines = imap
        .ask_all("3 FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)", "3 OK")
        .await;
    let date = DateTime::utc(date).to_imap();
    let told: Vec<_> = lines.iter().filter(|it| it.contains("RFC822")).collect();
    assert_eq!(told.len(), 2, "{lines:?}");
    for (line, size) in told.into_iter().zip([23, 24]) {
        for part in ["\\Seen", "$Done", &date, &format!("RFC822.SIZE {size}")] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    // What was put there did not come.
    server.expect_none(anything()).await;
    archive.purge().await.unwrap();
    assert_eq!(archive.count().await.unwrap(), 0);
    server.shutdown().await;
}
