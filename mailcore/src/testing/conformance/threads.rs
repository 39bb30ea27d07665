//! Checks of threads (RFC 8474 section 5.2).

use std::sync::Arc;

use crate::mailbox::{ThreadId, Uid, UidSet};
use crate::message::{Message, Summary};
use crate::seams::{Mailbox, NewMessage, QuotaLimit, Storage};

use super::fixtures::{create, inbox, message, name, uid};
use super::run;

pub(super) async fn run_all(make: &impl AsyncFn() -> Arc<dyn Storage>) {
    if !make().await.abilities().thread_id {
        return;
    }
    run!(&make().await;
        replies_are_in_one_thread,
        order_of_arrival_does_not_matter,
        copies_keep_their_thread,
        messages_without_ids_are_alone,
    );
}

fn with_header(header: &str) -> NewMessage {
    let octets = format!("{header}\r\n\r\ntext\r\n");
    NewMessage {
        summary: Arc::new(Summary::scan(octets.as_bytes())),
        message: Message::from_bytes(octets),
        ..message("")
    }
}

async fn add(mailbox: &Arc<dyn Mailbox>, headers: &[&str]) -> Vec<ThreadId> {
    let messages = headers.iter().map(|it| with_header(it)).collect();
    let appended = mailbox.append(messages, QuotaLimit::NONE).await;
    let uids: Vec<Uid> = appended.expect("append").iter().map(|it| it.uid).collect();
    let mut threads = Vec::new();
    for uid in uids {
        threads.push(thread(mailbox, uid).await);
    }
    threads
}

async fn thread(mailbox: &Arc<dyn Mailbox>, uid: Uid) -> ThreadId {
    let rows = mailbox.messages(&UidSet::range(uid, uid)).await;
    let rows = rows.expect("messages");
    rows[0].thread_id.expect("every message has a thread")
}

async fn replies_are_in_one_thread(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let first = add(
        &mailbox,
        &[
            "Message-ID: <a@x>",
            "Message-ID: <b@x>\r\nReferences: <a@x>",
            "Message-ID: <c@x>\r\nIn-Reply-To: <b@x>",
            "Message-ID: <other@x>",
        ],
    )
    .await;
    assert_eq!([first[1], first[2]], [first[0]; 2], "replies of one change");
    assert_ne!(first[3], first[0]);
    let later = add(
        &create(storage, "other").await,
        &[
            "Message-ID: <d@x>\r\nIn-Reply-To: <c@x>",
            "Message-ID: <e@x>\r\nReferences: <a@x> <b@x> <c@x> <d@x>",
        ],
    )
    .await;
    assert_eq!(later, [first[0]; 2], "in another mailbox");
}

async fn order_of_arrival_does_not_matter(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let reply = "Message-ID: <b@x>\r\nReferences: <a@x>";
    let threads = add(&mailbox, &[reply]).await;
    assert_eq!(add(&mailbox, &["Message-ID: <a@x>"]).await, threads);
    assert_eq!(add(&mailbox, &[reply]).await, threads, "once more");
}

async fn copies_keep_their_thread(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let target = create(storage, "target").await;
    let headers = [
        "Message-ID: <a@x>",
        "Message-ID: <b@x>\r\nReferences: <a@x>",
    ];
    let threads = add(&mailbox, &headers).await;
    let uids = UidSet::range(uid(2), uid(2));
    let copied = mailbox.copy(&uids, &name("target"), QuotaLimit::NONE).await;
    copied.expect("copy");
    mailbox.move_to(&uids, &name("target")).await.expect("move");
    for value in [1, 2] {
        assert_eq!(thread(&target, uid(value)).await, threads[1]);
    }
}

async fn messages_without_ids_are_alone(storage: &Arc<dyn Storage>) {
    let mailbox = inbox(storage).await;
    let threads = add(&mailbox, &["Subject: one", "Subject: two"]).await;
    assert_ne!(threads[0], threads[1]);
}
