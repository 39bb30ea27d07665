//! A storage of one's own: the tickets of an application as mailboxes. Each
//! ticket is one, its comments are the messages in it, and what a mail client
//! adds to it is a comment more.
//!
//! Everything that is not mail (queue, events) is in a store of ours beside it.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use mailcore::account::AccountId;
use mailcore::mailbox::{
    MailboxEntry, MailboxId, MailboxName, MailboxStatus, MessageInfo, ModSeq, Uid, UidSet,
    UidValidity,
};
use mailcore::message::Message;
use mailcore::seams::{Appended, Mailbox, NewMessage, QuotaLimit, Storage, StoreError, Watch};
use mailcore::server::{RunningServer, Server, Stores};
use mailcore::time::Timestamp;
use mailcore_imap::server::Imap;
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;
use tokio::sync::watch;

/// When comments were made: this application doesn't say.
const EPOCH: Timestamp = Timestamp::from_secs(0);

/// A table of the application's: a ticket's title and its comments.
type Table = Vec<(&'static str, Vec<String>)>;

#[derive(Debug, Clone)]
struct Tickets {
    table: Arc<Mutex<Table>>,
    changed: watch::Sender<ModSeq>,
}

/// One ticket, or the INBOX, which every account has and nothing is in.
#[derive(Debug)]
struct Ticket {
    tickets: Tickets,
    at: Option<usize>,
}

impl Tickets {
    fn new(table: Table) -> Self {
        let table = Arc::new(Mutex::new(table));
        let changed = watch::Sender::new(ModSeq::MIN);
        Self { table, changed }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for Tickets {
    async fn list(&self, _: &AccountId) -> Result<Vec<MailboxEntry>, StoreError> {
        let mut entries = vec![MailboxEntry::new(MailboxName::inbox(), MailboxId(0))];
        for (id, (title, _)) in (1..).zip(self.table().iter()) {
            let name = MailboxName::parse(title).map_err(|error| StoreError::io(*title, error))?;
            entries.push(MailboxEntry::new(name, MailboxId(id)));
        }
        Ok(entries)
    }

    async fn open(
        &self,
        _: &AccountId,
        name: &MailboxName,
    ) -> Result<Arc<dyn Mailbox>, StoreError> {
        let at = self.table().iter().position(|it| it.0 == name.as_str());
        if at.is_none() && !name.is_inbox() {
            return Err(StoreError::NoSuchMailbox);
        }
        let tickets = self.clone();
        Ok(Arc::new(Ticket { tickets, at }))
    }
}

impl Ticket {
    fn id(&self) -> MailboxId {
        MailboxId(self.at.map_or(0, |at| at as u64 + 1))
    }

    fn comment(&self, text: String) -> Option<Uid> {
        let mut table = self.tickets.table();
        let (_, comments) = table.get_mut(self.at?)?;
        comments.push(text);
        Uid::new(u32::try_from(comments.len()).ok()?)
    }

    fn comments(&self) -> Vec<String> {
        let table = self.tickets.table();
        let ticket = self.at.and_then(|at| table.get(at));
        ticket.map_or(Vec::new(), |(_, comments)| comments.clone())
    }
}

#[async_trait]
impl Mailbox for Ticket {
    async fn status(&self) -> Result<MailboxStatus, StoreError> {
        let rows = self.messages(&UidSet::all()).await?;
        Ok(MailboxStatus::of(self.id(), UidValidity::MIN, &rows, None))
    }

    async fn messages(&self, uids: &UidSet) -> Result<Vec<MessageInfo>, StoreError> {
        let comments = self.comments();
        let row = |(uid, text): (u32, &String)| {
            let uid = Uid::new(uid).filter(|uid| uids.contains(*uid))?;
            Some(MessageInfo::new(uid, text.len() as u64, EPOCH))
        };
        Ok((1..).zip(&comments).filter_map(row).collect())
    }

    async fn message(&self, uid: Uid) -> Result<Message, StoreError> {
        let text = self.comments().into_iter().nth(uid.value() as usize - 1);
        text.map(Message::from_bytes).ok_or(StoreError::NotFound)
    }

    async fn append(
        &self,
        messages: Vec<NewMessage>,
        _: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut appended = Vec::new();
        for new in messages {
            let text = new.message.read_all(1 << 20).await?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let uid = self
                .comment(text)
                .ok_or(StoreError::Unsupported("mail about no ticket"))?;
            appended.push(Appended {
                mailbox: self.id(),
                uid_validity: UidValidity::MIN,
                uid,
                modseq: MessageInfo::new(uid, 0, EPOCH).modseq,
            });
        }
        self.tickets
            .changed
            .send_modify(|count| *count = count.next());
        Ok(appended)
    }

    fn watch(&self) -> Watch {
        self.tickets.changed.subscribe()
    }
}

async fn start(tickets: Tickets, address: &str) -> Result<RunningServer, Box<dyn Error>> {
    let users = MemoryDirectory::for_tests(&[("ann@desk.test", "secret")]).await?;
    let stores = Stores::beside(Arc::new(tickets), MemoryStore::new()).await?;
    let builder = Server::builder("mail.desk.test").stores(stores);
    let builder = builder.accounts(users).listen(address, Imap::new());
    Ok(builder.start().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let comment = "From: bob@shop.test\r\nSubject: Fire\r\n\r\nIt burns.\r\n".to_owned();
    let tickets = Tickets::new(vec![("17 The printer is on fire", vec![comment])]);
    let server = start(tickets, "127.0.0.1:1143").await?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailcore::seams::SystemClock;
    use mailcore_imap::client::{
        Access, AppendOptions, Changes, Client, ClientConfig, Connector, Credentials, PasswordUse,
        RemoteName, Security,
    };

    async fn client(server: &RunningServer) -> Client {
        let config = ClientConfig::new()
            .security(Security::Plaintext)
            .password_use(PasswordUse::EvenInClear);
        let connector = Connector::new(config, Arc::new(SystemClock::new()));
        let stream = server.connect("imap").unwrap();
        let host = "mail.desk.test".parse().unwrap();
        let mut client = connector.over(stream, &host).await.unwrap();
        let login = Credentials::password("ann@desk.test", "secret");
        client.login(&login).await.unwrap();
        client
    }

    #[tokio::test]
    async fn a_ticket_is_read_and_answered_by_imap() {
        let comment = "Subject: Fire\r\n\r\nIt burns.\r\n".to_owned();
        let tickets = Tickets::new(vec![("17 The printer is on fire", vec![comment])]);
        let server = start(tickets.clone(), "127.0.0.1:0").await.unwrap();
        let mut client = client(&server).await;
        let name = RemoteName::from("17 The printer is on fire");
        let (mut text, options) = (
            "Subject: Re: Fire\r\n\r\nOut.\r\n".as_bytes(),
            AppendOptions::default(),
        );
        let size = text.len() as u64;
        client
            .append(&name, &options, size, &mut text)
            .await
            .unwrap();
        let opened = client.select(&name, Access::ReadOnly, &Changes::None);
        assert_eq!(opened.await.unwrap().exists, 2);
        let mut read = Vec::new();
        client.download(Uid::MIN, &mut read).await.unwrap();
        assert!(read.ends_with(b"It burns.\r\n"), "{read:?}");
        assert!(tickets.table()[0].1[1].ends_with("Out.\r\n"));
        client.logout().await;
        server.shutdown().await;
    }
}
