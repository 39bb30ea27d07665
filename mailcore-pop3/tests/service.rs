//! The service over a store: who holds a maildrop, which folder it is, and what
//! other readers of it change meanwhile.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mailcore::account::{AccountId, Secret};
use mailcore::mailbox::{FlagChange, Flags, MailboxName, SystemFlag, Uid, UidSet};
use mailcore::message::{Content, Message, Summary};
use mailcore::seams::{
    Directory, DirectoryWrite, DomainKind, Mailbox, NewMessage, OsEntropy, QuotaLimit, Scope,
    Storage,
};
use mailcore::server::{RunningServer, Server};
use mailcore::testing::VirtualClock;
use mailcore::time::Timestamp;
use mailcore_pop3::{Folders, Pop3};
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

struct House {
    server: RunningServer,
    store: Arc<MemoryStore>,
    directory: MemoryDirectory,
    account: AccountId,
    clock: VirtualClock,
}

impl House {
    async fn new(services: impl IntoIterator<Item = Pop3>) -> Self {
        let clock = VirtualClock::new();
        let hashing = PasswordHashing::fast_for_tests();
        let time = Arc::new(clock.clone());
        let directory = MemoryDirectory::with(hashing, time.clone(), Arc::new(OsEntropy)).unwrap();
        let domain = "a.test".parse().unwrap();
        directory
            .add_domain(&domain, DomainKind::Local)
            .await
            .unwrap();
        let ann = "ann@a.test".parse().unwrap();
        let account = directory
            .add_account(&ann, &Secret::new("secret"))
            .await
            .unwrap();
        let store = Arc::new(MemoryStore::with(time.clone(), Arc::new(OsEntropy)));
        let mut server = Server::builder("mx.a.test")
            .stores(Arc::clone(&store))
            .directory(Arc::new(directory.clone()))
            .authenticator(Arc::new(directory.clone()))
            .clock(time);
        for pop3 in services {
            server = server.serve(pop3);
        }
        Self {
            server: server.start().await.unwrap(),
            store,
            directory,
            account,
            clock,
        }
    }

    async fn folder(&self, name: &str) -> Arc<dyn Mailbox> {
        let name = MailboxName::parse(name).unwrap();
        if !name.is_inbox() {
            let made = self.store.create(&self.account, &name, None).await;
            made.unwrap();
        }
        self.store.open(&self.account, &name).await.unwrap()
    }

    /// A conversation that is logged in.
    async fn login(&self, login: &str) -> Talk {
        let mut talk = self.connect().await;
        talk.ask(&format!("USER {login}"), "+OK").await;
        talk.ask("PASS secret", "+OK").await;
        talk
    }

    /// A conversation of which the password was right, with what came of it.
    async fn refused(&self, login: &str, reply: &str) {
        let mut talk = self.connect().await;
        talk.ask(&format!("USER {login}"), "+OK").await;
        talk.ask("PASS secret", reply).await;
    }

    async fn connect(&self) -> Talk {
        let mut talk = Talk(BufReader::new(self.server.connect("pop3").unwrap()));
        talk.expect("+OK").await;
        talk
    }
}

async fn fill(folder: &Arc<dyn Mailbox>, texts: &[&'static str]) {
    let new = |text: &&'static str| NewMessage {
        message: Message::new(Content::Inline(Bytes::from_static(text.as_bytes()))),
        summary: Arc::new(Summary::scan(text.as_bytes())),
        flags: Flags::NONE,
        internal_date: Timestamp::from_millis(0),
    };
    let messages = texts.iter().map(new).collect();
    folder.append(messages, QuotaLimit::NONE).await.unwrap();
}

async fn uids(folder: &Arc<dyn Mailbox>) -> String {
    folder.uids().await.unwrap().to_string()
}

struct Talk(BufReader<DuplexStream>);

impl Talk {
    async fn expect(&mut self, begin: &str) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(begin), "{line:?} is not {begin:?}");
        line
    }

    async fn ask(&mut self, line: &str, begin: &str) -> String {
        let octets = format!("{line}\r\n");
        self.0.get_mut().write_all(octets.as_bytes()).await.unwrap();
        self.expect(begin).await
    }

    async fn retrieves(&mut self, number: usize, text: &str) {
        let begin = format!("+OK {} octets", text.len());
        self.ask(&format!("RETR {number}"), &begin).await;
        for line in text.lines() {
            let read = self.expect("").await;
            assert_eq!(read.trim_end(), line, "message {number}");
        }
        self.expect(".").await;
    }
}

#[tokio::test]
async fn a_maildrop_is_held_by_one_session_and_given_back_with_its_connection() {
    let house = House::new([Pop3::new()]).await;
    let first = house.login("ann@a.test").await;
    house.refused("ann@a.test", "-ERR [IN-USE]").await;
    drop(first);
    // The server finds out when it reads.
    let mut talk = house.connect().await;
    loop {
        talk.ask("USER ann@a.test", "+OK").await;
        let reply = talk.ask("PASS secret", "").await;
        if reply.starts_with("+OK") {
            break;
        }
        assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
        tokio::task::yield_now().await;
    }
    talk.ask("QUIT", "+OK").await;
    house.login("ann@a.test").await;
}

#[tokio::test]
async fn a_lost_connection_takes_marks_back_and_quit_makes_them_good() {
    let house = House::new([Pop3::new()]).await;
    let inbox = house.folder("INBOX").await;
    fill(&inbox, &["one\r\n", "two\r\n", "three\r\n"]).await;
    let mut talk = house.login("ann@a.test").await;
    talk.ask("DELE 1", "+OK").await;
    drop(talk);
    let mut talk = house.connect().await;
    loop {
        talk.ask("USER ann@a.test", "+OK").await;
        if talk.ask("PASS secret", "").await.starts_with("+OK 3 ") {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(uids(&inbox).await, "1:3");
    let before = inbox.status().await.unwrap().highest_modseq;
    talk.ask("DELE 1", "+OK").await;
    talk.ask("DELE 3", "+OK").await;
    talk.ask("QUIT", "+OK").await;
    assert_eq!(uids(&inbox).await, "2");
    let after = inbox.status().await.unwrap().highest_modseq;
    assert_eq!(after.value(), before.value() + 1, "one change");
}

#[tokio::test]
async fn a_message_that_another_reader_removed_is_told_gone_and_never_mistaken() {
    let house = House::new([Pop3::new()]).await;
    let inbox = house.folder("INBOX").await;
    fill(&inbox, &["one\r\n", "two\r\n"]).await;
    let mut talk = house.login("ann@a.test").await;
    let first = UidSet::range(Uid::MIN, Uid::MIN);
    let mark = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
    inbox.store(&first, &mark, None).await.unwrap();
    inbox.expunge(&first).await.unwrap();
    fill(&inbox, &["three\r\n"]).await;
    talk.ask("STAT", "+OK 2 ").await;
    talk.ask("RETR 1", "-ERR the message was removed").await;
    talk.ask("RETR 2", "+OK 5 octets").await;
    talk.expect("two").await;
    talk.expect(".").await;
    talk.ask("RETR 3", "-ERR no such message").await;
    talk.ask("DELE 1", "+OK").await;
    talk.ask("QUIT", "+OK").await;
    assert_eq!(uids(&inbox).await, "2:3");
}

#[tokio::test]
async fn what_is_read_ahead_is_what_each_number_names_in_any_order() {
    // The second is read by itself, being large.
    let large: &str = Box::leak("large\r\n".repeat(20_000).into_boxed_str());
    let mut texts = vec!["1\r\n", large];
    for number in 3..=40 {
        texts.push(Box::leak(format!("{number}\r\n").into_boxed_str()));
    }
    let (texts, octets) = (texts, [0, 20, 4_096, u64::MAX]);
    for octets in octets {
        let house = House::new([Pop3::new().read_ahead(octets)]).await;
        let inbox = house.folder("INBOX").await;
        fill(&inbox, &texts).await;
        let mut talk = house.login("ann@a.test").await;
        let in_order = 1..=30;
        for number in in_order.chain([40, 29, 30, 31, 31, 32, 1, 2, 3, 34, 35, 36, 37]) {
            talk.retrieves(number, texts[number - 1]).await;
        }
        talk.ask("DELE 38", "+OK").await;
        talk.ask("RETR 38", "-ERR").await;
        inbox.remove(&UidSet::all()).await.unwrap();
        talk.ask("RETR 5", "-ERR the message was removed").await;
    }
}

#[tokio::test]
async fn the_folder_is_the_one_that_is_set_or_that_the_login_names() {
    let house = House::new([Pop3::new().folders(Folders::ByLogin)]).await;
    fill(&house.folder("INBOX").await, &["one\r\n"]).await;
    fill(&house.folder("Lists/rust").await, &["a\r\n", "b\r\n"]).await;
    let mut talk = house.login("ann+Lists/rust@a.test").await;
    talk.ask("STAT", "+OK 2 ").await;
    house.login("ann@a.test").await.ask("STAT", "+OK 1 ").await;
    house.refused("ann+None@a.test", "-ERR [SYS/PERM]").await;
    talk.ask("QUIT", "+OK").await;

    let settings = house.directory.settings().unwrap();
    let scope = Scope::Account(house.account.clone());
    let folder = Some("Lists/rust");
    settings.set(&scope, "pop3.folder", folder).await.unwrap();
    house.login("ann@a.test").await.ask("STAT", "+OK 2 ").await;
}

#[tokio::test]
async fn a_login_too_soon_after_the_last_is_refused_until_the_time_is_over() {
    let delay = Duration::from_secs(60);
    let house = House::new([Pop3::new().login_delay(delay)]).await;
    house.login("ann@a.test").await.ask("QUIT", "+OK").await;
    house.refused("ann@a.test", "-ERR [LOGIN-DELAY]").await;
    house.clock.advance(delay);
    house.login("ann@a.test").await.ask("QUIT", "+OK").await;
}

#[tokio::test]
async fn of_a_folder_with_more_messages_than_are_known_the_oldest_are_served() {
    let house = House::new([Pop3::new().max_messages(2)]).await;
    let inbox = house.folder("INBOX").await;
    fill(&inbox, &["one\r\n", "two\r\n", "three\r\n"]).await;
    let mut talk = house.login("ann@a.test").await;
    talk.ask("STAT", "+OK 2 10").await;
    talk.ask("DELE 1", "+OK").await;
    talk.ask("QUIT", "+OK").await;
    house
        .login("ann@a.test")
        .await
        .ask("LIST 2", "+OK 2 7")
        .await;
}
