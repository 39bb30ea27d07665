//! The client against the server, each command once, over a stream within the
//! process.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test reports by panicking, and lists by length"
)]

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Identity};
use mailcore::address::Domain;
use mailcore::mailbox::{FlagChange, Flags, Keyword, SpecialUse, SystemFlag, Uid, UidSet};
use mailcore::message::DateTime;
use mailcore::net::{Connection, Service, ShutdownSwitch};
use mailcore::seams::{AuthError, AuthRequest, Authenticator, Clock, Proof, SystemClock};
use mailcore_imap::client::{
    Access, AppendOptions, By, Changes, Client, ClientConfig, ClientError, Code, Connector,
    Credentials, Data, FetchEvent, Item, Listing, News, PasswordUse, RemoteName, Security,
};
use mailcore_imap::server::ImapServer;
use mailcore_imap::session::Config;
use mailcore_imap::types::{SearchKey, SearchProgram, StatusItem};
use mailcore_store::memory::MemoryStore;

/// Everybody's password is `secret`.
#[derive(Debug)]
struct Everyone;

#[async_trait::async_trait]
impl Authenticator for Everyone {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        match &request.proof {
            Proof::Password(password) if password.expose() == b"secret" => Ok(Identity {
                account: AccountId::new(&request.login),
                login: request.login.as_str().into(),
            }),
            _ => Err(AuthError::Invalid),
        }
    }
}

struct World {
    server: Arc<ImapServer>,
    clock: Arc<dyn Clock>,
    switch: ShutdownSwitch,
    shutdown: mailcore::net::Shutdown,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let config = Config::new("mail.example");
        let server = ImapServer::new(config, store.clone(), store, Arc::new(Everyone));
        let (switch, shutdown) = ShutdownSwitch::new();
        Self {
            server: Arc::new(server),
            clock: Arc::new(SystemClock::new()),
            switch,
            shutdown,
        }
    }

    async fn connect(&self) -> Client {
        let (near, far) = tokio::io::duplex(4_096);
        let connection = Connection {
            stream: Box::new(far),
            peer: None,
            local: None,
            tls: None,
            #[cfg(feature = "tls")]
            starttls: None,
            shutdown: self.shutdown.clone(),
            clock: Arc::clone(&self.clock),
            write_timeout: Duration::from_secs(60),
            meter: mailcore::net::Meter::default(),
        };
        let server = Arc::clone(&self.server);
        tokio::spawn(async move { server.serve(connection).await });
        let config = ClientConfig::new()
            .security(Security::Plaintext)
            .password_use(PasswordUse::EvenInClear);
        let connector = Connector::new(config, Arc::clone(&self.clock));
        let host: Domain = "mail.example".parse().unwrap();
        connector.over(near, &host).await.unwrap()
    }

    async fn ann(&self) -> Client {
        let mut client = self.connect().await;
        let credentials = Credentials::password("ann", "secret");
        client.login(&credentials).await.unwrap();
        client
    }
}

fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
    let keywords = keywords.iter().map(|text| Keyword::new(text).unwrap());
    let mut flags = Flags::from_parts(0, keywords);
    system.iter().for_each(|flag| flags.insert(*flag));
    flags
}

async fn append(client: &mut Client, name: &RemoteName, text: &str) -> Uid {
    let size = text.len() as u64;
    let options = AppendOptions::default();
    let mut text = text.as_bytes();
    let appended = client.append(name, &options, size, &mut text);
    appended.await.unwrap().unwrap().1
}

fn uid(value: u32) -> Uid {
    Uid::new(value).unwrap()
}

#[tokio::test]
async fn a_wrong_password_is_told_from_other_faults() {
    let world = World::new();
    let mut client = world.connect().await;
    let error = client
        .login(&Credentials::password("ann", "wrong"))
        .await
        .unwrap_err();
    assert!(error.is_bad_login() && error.is_session_alive(), "{error}");
    assert_eq!(error.code(), Some(&Code::AuthenticationFailed));
    client
        .login(&Credentials::password("ann", "secret"))
        .await
        .unwrap();
    assert!(client.is_logged_in() && client.capabilities().has_uidplus());
    client.logout().await;
}

#[tokio::test]
async fn a_password_is_not_sent_in_clear() {
    let (near, mut far) = tokio::io::duplex(4_096);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = ClientConfig::new().security(Security::Plaintext);
    let host: Domain = "mail.example".parse().unwrap();
    let connector = Connector::new(config, clock);
    let connect = connector.over(near, &host);
    let greet = async {
        use tokio::io::AsyncWriteExt;
        far.write_all(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n")
            .await
            .unwrap();
        far
    };
    let (client, _far) = tokio::join!(connect, greet);
    let error = client
        .unwrap()
        .login(&Credentials::password("ann", "secret"))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::PasswordInClear));
}

#[tokio::test]
async fn mailboxes_are_made_listed_renamed_and_removed() {
    let world = World::new();
    let mut client = world.ann().await;
    let (work, sent) = (RemoteName::new("Arbeit/Ü & B"), RemoteName::new("Sent"));
    client.create(&work, None).await.unwrap();
    client.create(&sent, Some(SpecialUse::Sent)).await.unwrap();
    client.subscribe(&work).await.unwrap();
    append(&mut client, &work, "Subject: a\r\n\r\nb\r\n").await;
    let items = [
        StatusItem::Messages,
        StatusItem::UidNext,
        StatusItem::Deleted,
    ];
    let all = client.mailboxes(&items).await.unwrap();
    let of = |name: &RemoteName| all.iter().find(|it| it.listed.name == *name).unwrap();
    assert_eq!(of(&sent).listed.special_use(), Some(SpecialUse::Sent));
    assert!(of(&work).subscribed && !of(&sent).subscribed);
    assert_eq!(of(&work).counters.as_ref().unwrap().messages, Some(1));
    assert_eq!(of(&work).listed.delimiter, Some('/'));

    let plain = client.list(Listing::All, "", "Arbeit/%").await.unwrap();
    assert_eq!((plain.len(), &plain[0].name), (1, &work));
    let subscribed = client.list(Listing::Subscribed, "", "*").await.unwrap();
    assert!(subscribed.iter().any(|it| it.name == work));
    let names = [work.clone(), "nowhere".into(), sent.clone()];
    let counted = client.status_of(&names, &items).await.unwrap();
    assert_eq!(counted.len(), 2);
    assert_eq!(counted[&work].uid_next, Some(uid(2)));
    let one = client.status(&sent, &[StatusItem::Messages]).await.unwrap();
    assert_eq!(one.messages, Some(0));

    let later = RemoteName::new("Later");
    client.rename(&work, &later).await.unwrap();
    client.unsubscribe(&work).await.unwrap();
    client.delete(&later).await.unwrap();
    let error = client.delete(&later).await.unwrap_err();
    assert_eq!(error.code(), Some(&Code::Nonexistent));
    let personal = client.namespace().await.unwrap().personal;
    assert_eq!(personal[0].1, Some('/'));
    assert!(client.quota_of(&sent).await.unwrap().is_empty());
    let server = client.id(&[("name", "mailcore")]).await.unwrap();
    assert!(!server.is_empty());
    assert!(!client.enable("NO-SUCH-THING").await.unwrap());
    // From here on names travel as they are.
    assert!(client.enable("UTF8=ACCEPT").await.unwrap());
    client.create(&work, None).await.unwrap();
    let plain = client.list(Listing::All, "", "*").await.unwrap();
    assert!(plain.iter().any(|it| it.name == work));
    assert!(client.enable("CONDSTORE").await.unwrap());
    client.noop().await.unwrap();
    client.logout().await;
}

#[tokio::test]
async fn messages_are_put_and_read_as_they_were() {
    let world = World::new();
    let mut client = world.ann().await;
    let inbox = RemoteName::inbox();
    let date = DateTime::parse_imap(b"17-Jul-1996 02:44:25 -0700");
    let options = AppendOptions::new(flags(&[SystemFlag::Flagged], &["$Work"]), date);
    let text = format!(
        "Subject: \u{fc}ber\r\nMessage-ID: <1@x>\r\n\r\n{}",
        "line\r\n".repeat(30_000)
    );
    let size = text.len() as u64;
    let put = client
        .append(&inbox, &options, size, &mut text.as_bytes())
        .await;
    let (validity, first) = put.unwrap().unwrap();
    let second = append(&mut client, &inbox, "Subject: b\r\n\r\n").await;

    let opened = client
        .select(&inbox, Access::ReadWrite, &Changes::ModSeqs)
        .await
        .unwrap();
    assert_eq!((opened.exists, opened.uid_validity), (2, Some(validity)));
    assert_eq!(opened.uid_next, Some(uid(3)));
    assert!(opened.highest_modseq.is_some() && opened.access == Access::ReadWrite);
    assert!(opened.permanent_flags.unwrap().new_keywords);

    let items = [
        Item::Flags,
        Item::InternalDate,
        Item::Size,
        Item::Envelope,
        Item::Structure,
        Item::ModSeq,
        Item::EmailId,
        Item::SaveDate,
        Item::message(),
    ];
    let mut fetching = client.fetch(&UidSet::all(), &items);
    let (mut read, mut seen) = (Vec::new(), Vec::new());
    while let Some(event) = fetching.next().await.unwrap() {
        match event {
            FetchEvent::Octets(octets) if seen.is_empty() => read.extend_from_slice(&octets),
            FetchEvent::Message(message) => seen.push(*message),
            _ => {}
        }
    }
    assert_eq!(read, text.as_bytes());
    assert_eq!(seen.len(), 2);
    let message = &seen[0];
    assert_eq!((message.uid, message.size), (Some(first), Some(size)));
    let moment = |date: Option<DateTime>| date.map(DateTime::timestamp);
    assert_eq!(moment(message.internal_date), moment(date));
    assert_eq!(
        message.flags,
        Some(flags(&[SystemFlag::Flagged], &["$Work"]))
    );
    let envelope = message.envelope.as_ref().unwrap();
    assert_eq!(envelope.message_id.as_deref(), Some(&b"<1@x>"[..]));
    assert!(message.structure.is_some() && message.modseq.is_some());

    let mut written = Vec::new();
    assert_eq!(
        client.download(first, &mut written).await.unwrap(),
        Some(size)
    );
    assert_eq!(written, text.as_bytes());
    assert_eq!(client.download(uid(99), &mut written).await.unwrap(), None);

    assert_eq!(second, uid(2));
    client.logout().await;
}

#[tokio::test]
async fn messages_are_found_marked_copied_moved_and_removed() {
    let world = World::new();
    let mut client = world.ann().await;
    let (inbox, other) = (RemoteName::inbox(), RemoteName::new("Other"));
    client.create(&other, None).await.unwrap();
    let first = append(&mut client, &inbox, "Subject: \u{fc}ber\r\n\r\nlong enough").await;
    let second = append(&mut client, &inbox, "Subject: b\r\n\r\n").await;
    let opened = client
        .select(&inbox, Access::ReadWrite, &Changes::ModSeqs)
        .await
        .unwrap();
    let text = "\u{fc}ber".to_owned();
    let subject = SearchKey::Header {
        name: "Subject".to_owned(),
        text,
    };
    let keys = vec![SearchKey::And(vec![
        subject,
        SearchKey::Not(Box::new(SearchKey::Flag(SystemFlag::Deleted))),
    ])];
    let either = SearchKey::Or(Box::new(keys[0].clone()), Box::new(SearchKey::Smaller(20)));
    for (keys, wanted) in [(keys, "1"), (vec![either], "1:2"), (Vec::new(), "1:2")] {
        let found = client
            .search(By::Uid, &SearchProgram { keys })
            .await
            .unwrap();
        assert_eq!(found.numbers.to_string(), wanted);
    }

    let before = opened.highest_modseq.unwrap();
    let both = UidSet::range(first, second);
    let seen = FlagChange::Add(flags(&[SystemFlag::Seen], &[]));
    assert!(client.store(&both, &seen, None).await.unwrap().is_empty());
    let refused = client
        .store(&both, &FlagChange::Replace(Flags::NONE), Some(before))
        .await;
    assert_eq!(refused.unwrap(), both);
    let changed = client.fetch_changed(&UidSet::all(), &[Item::Flags], before);
    assert_eq!(changed.messages().await.unwrap().len(), 2);
    let from = client.fetch_from(second, &[]).messages().await.unwrap();
    assert_eq!(from.len(), 1);

    let copied = client.copy(&both, &other).await.unwrap();
    let pairs: Vec<_> = copied[0].pairs().collect();
    assert_eq!(pairs, [(first, uid(1)), (second, uid(2))]);
    let moved = client
        .move_to(&UidSet::range(second, second), &other)
        .await
        .unwrap();
    assert_eq!(moved[0].pairs().count(), 1);
    let error = client.copy(&both, &"nowhere".into()).await.unwrap_err();
    assert_eq!(error.code(), Some(&Code::TryCreate));
    client.remove(&both).await.unwrap();
    client.expunge().await.unwrap();
    client.unselect().await.unwrap();
    let opened = client
        .select(&other, Access::ReadOnly, &Changes::None)
        .await
        .unwrap();
    assert_eq!((opened.exists, opened.access), (3, Access::ReadOnly));
    client.close().await.unwrap();
    client.logout().await;
}

#[tokio::test]
async fn news_come_while_idling_and_a_dropped_wait_loses_none() {
    let world = World::new();
    let mut client = world.ann().await;
    let mut other = world.ann().await;
    let inbox = RemoteName::inbox();
    client
        .select(&inbox, Access::ReadWrite, &Changes::None)
        .await
        .unwrap();
    // The wait is begun and given up; what comes then is heard by the next one.
    tokio::select! {
        biased;
        news = client.wait_for_news() => panic!("{news:?}"),
        () = async { for _ in 0..20 { tokio::task::yield_now().await } } => {}
    }
    append(&mut other, &inbox, "Subject: a\r\n\r\n").await;
    let news = client.wait_for_news().await.unwrap();
    assert!(news.contains(&News::Data(Data::Exists(1))), "{news:?}");
    let uids: UidSet = [uid(1)].into_iter().collect();
    assert_eq!(
        client
            .fetch(&uids, &[Item::Flags])
            .messages()
            .await
            .unwrap()
            .len(),
        1
    );
    client.logout().await;
    other.logout().await;
}

#[tokio::test]
async fn a_fetch_given_up_in_the_middle_does_not_disturb_what_follows() {
    let world = World::new();
    let mut client = world.ann().await;
    let inbox = RemoteName::inbox();
    let text = format!("Subject: a\r\n\r\n{}", "x".repeat(300_000));
    append(&mut client, &inbox, &text).await;
    append(&mut client, &inbox, "Subject: b\r\n\r\n").await;
    client
        .select(&inbox, Access::ReadOnly, &Changes::None)
        .await
        .unwrap();
    let mut fetching = client.fetch(&UidSet::all(), &[Item::message()]);
    assert!(matches!(
        fetching.next().await.unwrap(),
        Some(FetchEvent::Begins { .. })
    ));
    drop(fetching);
    let found = client
        .fetch(&UidSet::all(), &[Item::Size])
        .messages()
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    let error = client
        .append(&inbox, &AppendOptions::default(), 10, &mut &b"short"[..])
        .await;
    assert!(matches!(error, Err(ClientError::Source(_))));
    assert!(client.is_closed());
    assert!(matches!(client.noop().await, Err(ClientError::Closed)));
    let mut again = world.ann().await;
    let opened = again
        .select(&inbox, Access::ReadOnly, &Changes::None)
        .await
        .unwrap();
    assert_eq!(opened.exists, 2);
    drop(world.switch);
}

/// A server that offers `offered` alone and answers everything; what it hears.
async fn old_server(stream: tokio::io::DuplexStream, offered: &str) -> Vec<String> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let (mut stream, mut heard) = (BufReader::new(stream), Vec::new());
    let greeting = format!("* PREAUTH [CAPABILITY IMAP4rev1 {offered}] hello\r\n");
    stream.write_all(greeting.as_bytes()).await.unwrap();
    let said_again = "* OK [COPYUID 1 1:2 5:6] moved\r\n".repeat(1_000);
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 0 {
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        let data = match command.split(' ').next().unwrap() {
            "LIST" => {
                "* LIST (\\Noselect) \".\" Shared\r\n* LIST () \".\" INBOX\r\n* LIST () \".\" INBOX.a\r\n"
            }
            "LSUB" => "* LSUB () \".\" INBOX.a\r\n",
            "STATUS" => "* STATUS INBOX.a (MESSAGES 3)\r\n",
            "LOGOUT" => "* BYE\r\n",
            "UID" if command.starts_with("UID MOVE") => &said_again,
            _ => "",
        };
        let end = match command {
            // Says no to this one alone.
            "STATUS INBOX (MESSAGES)" => format!("{tag} NO cannot\r\n"),
            _ => format!("{data}{tag} OK\r\n"),
        };
        stream.write_all(end.as_bytes()).await.unwrap();
        heard.push(command.to_owned());
        line.clear();
    }
    heard
}

#[tokio::test]
async fn what_a_server_lacks_is_done_another_way_or_not_at_all() {
    let host: Domain = "old.example".parse().unwrap();
    let config = ClientConfig::new().security(Security::Plaintext);
    let connector = Connector::new(config, Arc::new(SystemClock::new()));
    let both = UidSet::range(uid(1), uid(2));

    let (near, far) = tokio::io::duplex(4_096);
    let heard = tokio::spawn(old_server(far, "UIDPLUS"));
    let mut client = connector.over(near, &host).await.unwrap();
    assert!(client.is_logged_in());
    let all = client
        .mailboxes(&[StatusItem::Messages, StatusItem::HighestModSeq])
        .await
        .unwrap();
    let found: Vec<_> = all
        .iter()
        .map(|it| {
            (
                it.listed.name.as_str(),
                it.subscribed,
                it.counters.is_some(),
            )
        })
        .collect();
    let wanted = [
        ("Shared", false, false),
        ("INBOX", false, false),
        ("INBOX.a", true, true),
    ];
    assert_eq!(found, wanted);
    client.move_to(&both, &"INBOX.a".into()).await.unwrap();
    assert!(
        client
            .quota_of(&RemoteName::inbox())
            .await
            .unwrap()
            .is_empty()
    );
    let error = client.unselect().await.unwrap_err();
    assert!(matches!(error, ClientError::NotOffered("UNSELECT")));
    client.logout().await;
    let wanted = [
        "LIST \"\" \"*\"",
        "LSUB \"\" \"*\"",
        "STATUS INBOX (MESSAGES)",
        "STATUS INBOX.a (MESSAGES)",
        "UID COPY 1:2 INBOX.a",
        "UID STORE 1:2 +FLAGS.SILENT (\\Deleted)",
        "UID EXPUNGE 1:2",
        "LOGOUT",
    ];
    assert_eq!(heard.await.unwrap(), wanted);

    // Without UIDPLUS, an EXPUNGE would take what others marked.
    let (near, far) = tokio::io::duplex(4_096);
    let heard = tokio::spawn(old_server(far, ""));
    let mut client = connector.over(near, &host).await.unwrap();
    assert!(client.move_to(&both, &"INBOX.a".into()).await.is_err());
    assert!(client.uid_expunge(&both).await.is_err());
    client.logout().await;
    assert_eq!(heard.await.unwrap(), ["LOGOUT"]);
}

#[tokio::test]
async fn a_server_that_tells_again_and_again_what_it_moved_is_heard_once() {
    let host: Domain = "chatty.example".parse().unwrap();
    let config = ClientConfig::new().security(Security::Plaintext);
    let connector = Connector::new(config, Arc::new(SystemClock::new()));
    let (near, far) = tokio::io::duplex(4_096);
    let server = tokio::spawn(old_server(far, "MOVE"));
    let mut client = connector.over(near, &host).await.unwrap();
    let both = UidSet::range(uid(1), uid(2));
    let moved = client.move_to(&both, &"INBOX.a".into()).await.unwrap();
    assert_eq!(moved.len(), 1);
    client.logout().await;
    server.await.unwrap();
}
