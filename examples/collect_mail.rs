//! Collects mail from another server by IMAP: what is new since the last time,
//! each message streamed, nothing deleted before it is safe.
//!
//! The other server runs within the process here; `Connector::connect` calls one
//! elsewhere, by TLS.

use std::error::Error;
use std::sync::Arc;

use mailcore::mailbox::{Uid, UidSet, UidValidity};
use mailcore::seams::SystemClock;
use mailcore::server::{RunningServer, Server};
use mailcore_imap::client::{
    Access, AppendOptions, Changes, Client, ClientConfig, Connector, Credentials, Item,
    PasswordUse, RemoteName, Security,
};
use mailcore_imap::server::Imap;
use mailcore_store::MemoryStore;
use mailcore_store::directory::MemoryDirectory;

/// How far a mailbox was collected: to be kept between two runs.
#[derive(Debug, Default)]
struct Collected {
    validity: Option<UidValidity>,
    last: Option<Uid>,
}

/// Whether what was collected stays on the server.
#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    Keep,
    Delete,
}

/// Collects what is new in `mailbox`.
async fn collect(
    client: &mut Client,
    mailbox: &RemoteName,
    state: &mut Collected,
    after: After,
) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let opened = client
        .select(mailbox, Access::ReadWrite, &Changes::None)
        .await?;
    if opened.uid_validity != state.validity {
        // The UIDs from before name other messages now, or none.
        *state = Collected {
            validity: opened.uid_validity,
            last: None,
        };
    }
    let first = match state.last {
        Some(last) => last.next(),
        None => Some(Uid::MIN),
    };
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    let new = client.fetch_from(first, &[Item::Size]).messages().await?;
    // `*` names the last message even when it is older than `first`.
    let uids: UidSet = new
        .iter()
        .filter_map(|message| message.uid)
        .filter(|uid| *uid >= first)
        .collect();
    let mut mail = Vec::new();
    for uid in uids.iter() {
        // A server of ours would stream it into its queue instead.
        let mut octets = Vec::new();
        if client.download(uid, &mut octets).await?.is_some() {
            mail.push(octets);
        }
        state.last = Some(uid);
    }
    if after == After::Delete && !uids.is_empty() {
        client.remove(&uids).await?;
    }
    Ok(mail)
}

/// Logs in to the server over a stream.
async fn log_in(server: &RunningServer) -> Result<Client, Box<dyn Error>> {
    let config = ClientConfig::new()
        .security(Security::Plaintext)
        .password_use(PasswordUse::EvenInClear);
    let connector = Connector::new(config, Arc::new(SystemClock::new()));
    let stream = server.connect("imap").ok_or("no IMAP")?;
    let mut client = connector.over(stream, &"mail.old.test".parse()?).await?;
    let credentials = Credentials::password("ann@old.test", "secret");
    client.login(&credentials).await?;
    Ok(client)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = MemoryDirectory::for_tests(&[("ann@old.test", "secret")]).await?;
    let server = Server::builder("mail.old.test")
        .stores(Arc::new(MemoryStore::new()))
        .directory(directory.clone())
        .authenticator(directory)
        .serve(Imap::new())
        .start()
        .await?;
    let (inbox, mut state) = (RemoteName::inbox(), Collected::default());
    let mut client = log_in(&server).await?;
    for subject in ["one", "two"] {
        let text = format!("Subject: {subject}\r\n\r\n");
        let (size, mut octets) = (text.len() as u64, text.as_bytes());
        let options = AppendOptions::default();
        client.append(&inbox, &options, size, &mut octets).await?;
        let mail = collect(&mut client, &inbox, &mut state, After::Keep).await?;
        assert_eq!(mail, [text.into_bytes()]);
    }
    let mut from_the_start = Collected::default();
    let mail = collect(&mut client, &inbox, &mut from_the_start, After::Delete).await?;
    println!("collected {} messages", mail.len());
    assert_eq!(mail.len(), 2);
    client.logout().await;
    server.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_new_is_collected_once() {
        super::main().unwrap();
    }
}
