#![no_main]
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use libfuzzer_sys::fuzz_target;
use mailcore::address::Domain;
use mailcore::mailbox::{FlagChange, Flags, Uid, UidSet};
use mailcore::testing::VirtualClock;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_imap::client::{
    Access, Answer, AppendOptions, By, Changes, Client, ClientConfig, ClientError, ClientSession,
    Command, Connector, Credentials, Event, Item, PasswordUse, Question, RemoteName, Security,
};
use mailcore_imap::types::{SearchKey, SearchProgram, StatusItem};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A server that says this, in pieces, and hears everything.
struct Said {
    octets: Vec<u8>,
    at: usize,
}

impl AsyncRead for Said {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let rest = &this.octets[this.at..];
        let piece = &rest[..rest.len().min(buf.remaining()).min(100)];
        buf.put_slice(piece);
        this.at += piece.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Said {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Does with a connection what can be done.
async fn use_it(client: &mut Client) -> Result<(), ClientError> {
    let inbox = RemoteName::new("INBOX");
    let uids = UidSet::range(Uid::MIN, Uid::MIN);
    client.login(&Credentials::password("a", "b")).await?;
    client.mailboxes(&[StatusItem::Messages, StatusItem::Size]).await?;
    client.select(&inbox, Access::ReadWrite, &Changes::ModSeqs).await?;
    let program = SearchProgram { keys: vec![SearchKey::All] };
    client.search(By::Uid, &program).await?;
    client.fetch(&uids, &[Item::Flags, Item::Envelope, Item::Structure]).messages().await?;
    client.download(Uid::MIN, &mut tokio::io::sink()).await?;
    client.store(&uids, &FlagChange::Add(Flags::NONE), None).await?;
    client.append(&inbox, &AppendOptions::default(), 5, &mut &b"octet"[..]).await?;
    client.wait_for_news().await?;
    client.move_to(&uids, &inbox).await?;
    client.noop().await.map(drop)
}

/// What a session tells of a server that says this in pieces of one size.
fn told(octets: &[u8], size: usize) -> String {
    let config = ClientConfig::new().security(Security::Plaintext);
    let mut session = ClientSession::new(config);
    let mut told = String::new();
    let mut pieces = std::iter::once(&b"* OK hello\r\n"[..]).chain(octets.chunks(size));
    for name in ["FETCH", "SEARCH", "LIST"] {
        let _ = session.start(Command::new(name));
    }
    loop {
        match session.step(Monotonic::default()) {
            Step::Ask(Question::Event(event)) => {
                match event {
                    // These come as they come.
                    Event::Body(octets) => octets.iter().for_each(|b| told.push(char::from(*b))),
                    event => told.push_str(&format!("{event:?}\n")),
                }
                session.answer(Answer::Go);
            }
            Step::Ask(_) | Step::Read { .. } => match pieces.next() {
                Some(piece) => session.receive(piece),
                None => return told,
            },
            Step::Send(_) => {}
            _ => return told,
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    assert_eq!(told(octets, 3), told(octets, usize::MAX));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut config = ClientConfig::new()
            .security(Security::Plaintext)
            .password_use(PasswordUse::EvenInClear);
        config.limits.response = 1_000;
        config.limits.literal = 200;
        config.limits.items = 5;
        let connector = Connector::new(config, Arc::new(VirtualClock::new()));
        let host = Domain::parse("mail.example").expect("a name");
        let said = Said { octets: octets.to_vec(), at: 0 };
        let Ok(mut client) = connector.over(said, &host).await else { return };
        for _ in 0..3 {
            let Err(error) = use_it(&mut client).await else { return };
            assert_eq!(client.is_closed(), !error.is_session_alive(), "{error}");
            if client.is_closed() {
                return;
            }
        }
    });
});
