//! Runs every command of the client against a server whose account is empty, in
//! clear, and says what came of it: `try_client PORT USER PASSWORD`.
//! `tests/interop/imap_client.py` runs it against Dovecot.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "an example that reports by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::mailbox::{FlagChange, Flags, Keyword, SpecialUse, SystemFlag, Uid, UidSet};
use mailcore::message::DateTime;
use mailcore::seams::{Clock, SystemClock, TcpDialer};
use mailcore::testing::FixedResolver;
use mailcore_imap::client::{
    Access, AppendOptions, By, Changes, Client, ClientConfig, ClientError, Code, Connector,
    Credentials, Data, FetchEvent, Item, Listing, News, PasswordUse, RemoteName, Security,
};
use mailcore_imap::types::{PartPath, SearchKey, SearchProgram, StatusItem};

fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
    let keywords = keywords.iter().map(|text| Keyword::new(text).unwrap());
    let mut flags = Flags::from_parts(0, keywords);
    system.iter().for_each(|flag| flags.insert(*flag));
    flags
}

/// Megabytes and tricky octets, so that pieces end anywhere.
fn long_mail() -> String {
    let head = "From: \"A, \\\"B\\\" (c)\" <a@x.test>\r\nTo: team: b@x.test, \u{fc}@x.test;\r\n\
                Subject: {3}\r\n BODY[] {5}\r\nMessage-ID: <1@x.test>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
                MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
                --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n\
                --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner\r\n--b\r\n\r\n";
    let lines = "a1 OK not yet\r\n* 7 EXISTS\r\n)\r\n".repeat(100_000);
    format!("{head}{lines}--b--\r\n")
}

async fn connect(port: u16, user: &str, password: &str) -> Result<Client, ClientError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = ClientConfig::new()
        .security(Security::Plaintext)
        .password_use(PasswordUse::EvenInClear);
    let resolver = Arc::new(FixedResolver::new());
    let connector = Connector::new(config, clock).network(resolver, Arc::new(TcpDialer::default()));
    let host: Domain = "[127.0.0.1]".parse().unwrap();
    let mut client = connector.connect(&host, Some(port)).await?;
    client.login(&Credentials::password(user, password)).await?;
    Ok(client)
}

async fn mailboxes(client: &mut Client) -> Result<(), ClientError> {
    let (work, sent) = (
        RemoteName::new("Arbeit \u{fc} & \"B\""),
        RemoteName::new("Gesendet"),
    );
    client.create(&work, None).await?;
    client.create(&sent, Some(SpecialUse::Sent)).await?;
    client.subscribe(&work).await?;
    let items = [
        StatusItem::Messages,
        StatusItem::UidNext,
        StatusItem::UidValidity,
    ];
    let all = client.mailboxes(&items).await?;
    let of = |name: &RemoteName| all.iter().find(|it| it.listed.name == *name).unwrap();
    assert!(of(&work).subscribed && !of(&sent).subscribed);
    assert!(of(&work).counters.as_ref().unwrap().uid_validity.is_some());
    assert_eq!(client.list(Listing::All, "", "*").await?.len(), all.len());
    let names: Vec<_> = all.iter().map(|it| it.listed.name.clone()).collect();
    assert_eq!(client.status_of(&names, &items).await?.len(), all.len());
    let later = RemoteName::new("Sp\u{e4}ter");
    client.rename(&work, &later).await?;
    client.unsubscribe(&work).await?;
    client.delete(&later).await?;
    client.delete(&sent).await?;
    println!(
        "mailboxes: {} listed, {:?}",
        all.len(),
        client.namespace().await?.personal
    );
    println!("id: {:?}", client.id(&[("name", "mailcore")]).await?);
    println!("quota: {:?}", client.quota_of(&RemoteName::inbox()).await?);
    Ok(())
}

async fn put_and_read(client: &mut Client) -> Result<(), ClientError> {
    let (inbox, text) = (RemoteName::inbox(), long_mail());
    let date = DateTime::parse_imap(b"17-Jul-1996 02:44:25 -0700");
    let options = AppendOptions::new(flags(&[SystemFlag::Flagged], &["$Work"]), date);
    let size = text.len() as u64;
    let mut octets = text.as_bytes();
    let put = client.append(&inbox, &options, size, &mut octets);
    let (validity, uid) = put.await?.unwrap();
    let short = "Subject: b\r\n\r\n";
    let options = AppendOptions::default();
    client
        .append(&inbox, &options, short.len() as u64, &mut short.as_bytes())
        .await?;
    let opened = client
        .select(&inbox, Access::ReadWrite, &Changes::ModSeqs)
        .await?;
    assert_eq!((opened.exists, opened.uid_validity), (2, Some(validity)));
    let items = [
        Item::Flags,
        Item::InternalDate,
        Item::Size,
        Item::Envelope,
        Item::Structure,
        Item::ModSeq,
        Item::EmailId,
        Item::ThreadId,
        Item::SaveDate,
        Item::message(),
        Item::header(),
        Item::Binary(PartPath(vec![1])),
    ];
    let uids: UidSet = [uid].into_iter().collect();
    let mut fetching = client.fetch(&uids, &items);
    let (mut bodies, mut told) = (Vec::new(), None);
    while let Some(event) = fetching.next().await? {
        match event {
            FetchEvent::Begins { key, .. } => bodies.push((key, Vec::new())),
            FetchEvent::Octets(octets) => bodies.last_mut().unwrap().1.extend_from_slice(&octets),
            FetchEvent::Message(message) => told = Some(message),
            _ => {}
        }
    }
    let whole = bodies.iter().find(|(key, _)| key.is_whole()).unwrap();
    assert!(whole.1 == text.as_bytes(), "the message came back changed");
    let part = bodies.iter().find(|(key, _)| key.section == "1");
    assert!(part.is_none_or(|(_, octets)| octets == b"hello"));
    let told = told.unwrap();
    assert_eq!(
        told.internal_date.map(DateTime::timestamp),
        date.map(DateTime::timestamp)
    );
    assert_eq!(told.flags, Some(flags(&[SystemFlag::Flagged], &["$Work"])));
    let envelope = told.envelope.as_ref().unwrap();
    assert_eq!(envelope.subject.as_deref(), Some(&b"{3} BODY[] {5}"[..]));
    assert_eq!(envelope.to.len(), 4);
    assert!(told.structure.as_ref().unwrap().at(&[2, 1]).is_some());
    println!(
        "fetch: {} bodies, {} octets, {told:?}",
        bodies.len(),
        whole.1.len()
    );
    Ok(())
}

async fn change(client: &mut Client) -> Result<(), ClientError> {
    let inbox = RemoteName::inbox();
    let opened = client
        .select(&inbox, Access::ReadWrite, &Changes::ModSeqs)
        .await?;
    let both = client
        .search(By::Uid, &SearchProgram { keys: Vec::new() })
        .await?
        .numbers;
    assert_eq!(both.len(), 2);
    let text = "\u{fc}@x".to_owned();
    let keys = vec![SearchKey::Not(Box::new(SearchKey::Text(text)))];
    assert_eq!(
        client
            .search(By::Number, &SearchProgram { keys })
            .await?
            .numbers
            .len(),
        1
    );
    let seen = FlagChange::Add(flags(&[SystemFlag::Seen], &[]));
    client.store(&both, &seen, None).await?;
    let before = opened.highest_modseq.unwrap();
    let refused = client
        .store(&both, &FlagChange::Replace(Flags::NONE), Some(before))
        .await?;
    assert_eq!(refused, both);
    let changed = client.fetch_changed(&UidSet::all(), &[Item::Flags], before);
    assert_eq!(changed.messages().await?.len(), 2);

    let other = RemoteName::new("Other");
    let error = client.copy(&both, &other).await.unwrap_err();
    assert_eq!(error.code(), Some(&Code::TryCreate));
    client.create(&other, None).await?;
    let copied = client.copy(&both, &other).await?;
    assert_eq!(copied[0].pairs().count(), 2);
    let last = both.ranges().next_back().unwrap().1;
    let moved = client.move_to(&UidSet::range(last, last), &other).await?;
    assert_eq!(moved[0].pairs().count(), 1);
    client.remove(&both).await?;
    client.expunge().await?;
    client.unselect().await?;
    let changes = Changes::Since {
        validity: opened.uid_validity.unwrap(),
        modseq: before,
        known: Some(both),
    };
    let again = client.select(&inbox, Access::ReadOnly, &changes).await?;
    println!(
        "changes: {:?} went, {} changed",
        again.vanished,
        again.changed.len()
    );
    assert_eq!(again.exists, 0);
    client.close().await?;
    client.delete(&other).await
}

async fn wait(client: &mut Client, other: &mut Client) -> Result<(), ClientError> {
    let inbox = RemoteName::inbox();
    client
        .select(&inbox, Access::ReadWrite, &Changes::None)
        .await?;
    let late = tokio::time::timeout(Duration::from_millis(300), client.wait_for_news()).await;
    assert!(late.is_err(), "{late:?}");
    let text = "Subject: c\r\n\r\n";
    let options = AppendOptions::default();
    other
        .append(&inbox, &options, text.len() as u64, &mut text.as_bytes())
        .await?;
    let news = client.wait_for_news().await?;
    assert!(news.contains(&News::Data(Data::Exists(1))), "{news:?}");
    let found = client
        .fetch_from(Uid::MIN, &[Item::Size])
        .messages()
        .await?;
    assert_eq!(found.len(), 1);
    client
        .remove(&found.iter().filter_map(|it| it.uid).collect())
        .await?;
    println!("idle: {news:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, user, password] = arguments.as_slice() else {
        panic!("try_client PORT USER PASSWORD");
    };
    let port = port.parse().unwrap();
    let wrong = connect(port, user, "wrong").await.unwrap_err();
    assert!(wrong.is_bad_login(), "{wrong}");
    println!("wrong password: {wrong}");
    let mut client = connect(port, user, password).await?;
    let offered: Vec<_> = client.capabilities().iter().map(str::to_owned).collect();
    println!("offered: {}", offered.join(" "));
    mailboxes(&mut client).await?;
    put_and_read(&mut client).await?;
    change(&mut client).await?;
    let mut other = connect(port, user, password).await?;
    wait(&mut client, &mut other).await?;
    println!("noop: {:?}", client.noop().await?);
    client.logout().await;
    other.logout().await;
    println!("ok");
    Ok(())
}
