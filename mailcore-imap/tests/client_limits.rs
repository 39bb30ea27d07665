//! What the client bears of a server that tells too much, or something else.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::mailbox::{Uid, UidSet};
use mailcore::seams::SystemClock;
use mailcore_imap::client::{
    Access, Changes, Client, ClientConfig, ClientError, Connector, Item, Limits, Listing, News,
    ProtocolFault, RemoteName, Security,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, split};

/// Answers each command with the next of `answers`, in which `TAG` is its tag.
async fn serve(stream: DuplexStream, answers: Vec<String>) {
    let (read, mut write) = split(stream);
    let mut lines = BufReader::new(read).lines();
    let greeting = b"* OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC] hello\r\n";
    let _ = write.write_all(greeting).await;
    for answer in answers {
        let Ok(Some(line)) = lines.next_line().await else {
            return;
        };
        let tag = line.split(' ').next().unwrap();
        let answer = answer.replace("TAG", tag);
        // A client that had enough does not hear it out.
        let _ = write.write_all(answer.as_bytes()).await;
    }
}

async fn client<const N: usize>(limits: Limits, answers: [&str; N]) -> Client {
    let (near, far) = tokio::io::duplex(4096);
    let answers = answers.iter().map(ToString::to_string).collect();
    tokio::spawn(serve(far, answers));
    let mut config = ClientConfig::new().security(Security::Plaintext);
    config.limits = limits;
    let connector = Connector::new(config, Arc::new(SystemClock::new()));
    let host = Domain::parse("mail.example").unwrap();
    connector.over(near, &host).await.unwrap()
}

fn limits(items: usize, held: usize) -> Limits {
    let mut limits = Limits::default();
    (limits.items, limits.held) = (items, held);
    limits
}

fn is_too_much<T: std::fmt::Debug>(result: Result<T, ClientError>) {
    match result {
        Err(ClientError::Protocol(ProtocolFault::TooMuch { .. })) => {}
        other => panic!("{other:?}"),
    }
}

const INBOX: &str = "INBOX";

#[tokio::test]
async fn a_list_over_the_limits_is_an_error_and_never_cut_short() {
    let row = "* LIST () \"/\" a\r\n";
    let list = format!("{}TAG OK done\r\n", row.repeat(5));
    let mut served = client(limits(5, 1 << 20), [&list]).await;
    let listed = served.list(Listing::All, "", "*").await.unwrap();
    assert_eq!(listed.len(), 5);
    let mut served = client(limits(4, 1 << 20), [&list]).await;
    is_too_much(served.list(Listing::All, "", "*").await);
    assert!(served.is_closed());
    let mut served = client(limits(100, 5 * (row.len() - 2) - 1), [&list]).await;
    is_too_much(served.list(Listing::All, "", "*").await);
}

#[tokio::test]
async fn messages_collected_are_counted_in_octets_too() {
    let long = "x".repeat(1_000);
    let row = format!("* 1 FETCH (UID 1 FLAGS ({long}))\r\n");
    let fetched = format!("{}TAG OK done\r\n", row.repeat(10));
    let uids = UidSet::range(Uid::MIN, Uid::MIN);
    let mut served = client(limits(100, 9_000), [&fetched]).await;
    is_too_much(served.fetch(&uids, &[Item::Flags]).messages().await);
    // Taken one by one, they are as many as they are.
    let mut served = client(limits(2, 100), [&fetched]).await;
    let mut fetching = served.fetch(&uids, &[Item::Flags]);
    let mut count = 0;
    while fetching.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 10);
}

#[tokio::test]
async fn what_changed_is_told_whole_or_not_at_all() {
    let selected = "* 3 EXISTS\r\n* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS ())\r\n\
        * VANISHED (EARLIER) 3:4\r\n* VANISHED (EARLIER) 5\r\nTAG OK [READ-WRITE] open\r\n";
    let inbox = RemoteName::new(INBOX);
    let mut served = client(limits(6, 1 << 20), [selected]).await;
    let opened = served.select(&inbox, Access::ReadWrite, &Changes::None);
    let opened = opened.await.unwrap();
    assert_eq!(opened.changed.len(), 2);
    assert_eq!(opened.vanished.to_string(), "3:5");
    let mut served = client(limits(2, 1 << 20), [selected]).await;
    is_too_much(
        served
            .select(&inbox, Access::ReadWrite, &Changes::None)
            .await,
    );
}

#[tokio::test]
async fn news_over_the_octets_that_are_held_go_oldest_first() {
    let long = "x".repeat(1_000);
    let news =
        format!("* 1 FETCH (FLAGS ({long}))\r\n* 7 EXISTS\r\n* 1 FETCH (FLAGS ({long}))\r\n");
    let mut served = client(limits(10, 1_500), [&format!("{news}TAG OK done\r\n")]).await;
    let told = served.noop().await.unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told.first(), Some(&News::Lost));
}

/// What a download of message 7 writes when it is answered like this.
async fn downloaded(answer: &str) -> (Result<Option<u64>, ClientError>, String) {
    let mut served = client(Limits::default(), [&format!("{answer}TAG OK done\r\n")]).await;
    let (seven, mut sink) = (Uid::new(7).unwrap(), Vec::new());
    let written = served.download(seven, &mut sink).await;
    (written, String::from_utf8(sink).unwrap())
}

#[tokio::test]
async fn the_octets_of_one_message_are_written_once() {
    for answer in [
        "* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n* 1 FETCH (UID 7 BODY[] {3}\r\ndef)\r\n",
        "* 1 FETCH (BODY[] {3}\r\nabc UID 7)\r\n* 1 FETCH (BODY[] {3}\r\ndef UID 7)\r\n",
        "* 1 FETCH (UID 7 BODY[] {3}\r\nabc BODY[] {3}\r\ndef)\r\n",
        "* 1 FETCH (UID 7 BODY[] \"abc\" BODY[] \"def\" BODY[TEXT] \"g\")\r\n",
        "* 2 FETCH (UID 8 BODY[] {3}\r\nxyz)\r\n* 1 FETCH (UID 7 BODY[HEADER] {3}\r\nxyz BODY[] {3}\r\nabc)\r\n",
        "* 1 FETCH (UID 7 BODY[]<0> {1}\r\nx)\r\n* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n* 3 FETCH (UID 9 FLAGS ())\r\n",
    ] {
        let (written, octets) = downloaded(answer).await;
        assert_eq!(
            (written.unwrap(), octets.as_str()),
            (Some(3), "abc"),
            "{answer}"
        );
    }
    let (written, octets) = downloaded("* 2 FETCH (UID 8 BODY[] {3}\r\nxyz)\r\n").await;
    assert_eq!((written.unwrap(), octets.as_str()), (None, ""));
}

#[tokio::test]
async fn octets_that_turn_out_to_be_another_message_s_are_an_error() {
    let (written, _) = downloaded("* 1 FETCH (BODY[] {3}\r\nabc UID 8)\r\n").await;
    assert!(
        matches!(written, Err(ClientError::Protocol(_))),
        "{written:?}"
    );
}
