//! What a distribution list costs: one message to many local members, from its
//! acceptance to the last mailbox.
//!
//! ```sh
//! cargo run --release -p mailcore-store --example list_delivery -- [DIRECTORY [MEMBERS [OCTETS]]]
//! ```
//! A measurement, not a test: nothing is asserted. Said are the time from the
//! acceptance until every member has the message, and by how much the store's
//! files grew, which tells how often it is kept.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailcore::account::Secret;
use mailcore::address::{Address, Domain, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::event::{EventName, EventStream};
use mailcore::seams::{DirectoryWrite, DomainKind, ListRecord, Lists, Outbox};
use mailcore::server::{RunningServer, Server};
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};

type Fault = Box<dyn Error + Send + Sync>;

/// Members added at a time.
const PAGE: usize = 1_000;
/// How long the last mailbox is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Messages, the first of which makes the mailboxes.
const MESSAGES: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let made = tempfile::tempdir()?;
    let place = arguments
        .next()
        .map_or(made.path().to_owned(), PathBuf::from);
    let number = |text: Option<String>, usual| text.map_or(Ok(usual), |text| text.parse());
    let members = number(arguments.next(), 10_000)?;
    let octets = number(arguments.next(), 10_000)?;
    let store = Arc::new(EmbeddedStore::open(
        place.join("store"),
        EmbeddedOptions::default(),
    )?);
    let list: Address = "all@a.test".parse()?;
    let directory = directory(&list, members).await?;
    let server = Server::builder("mx.a.test")
        .directory(Arc::new(directory))
        .stores(Arc::clone(&store))
        .start()
        .await?;
    for _ in 0..MESSAGES {
        let before = size(&place)?;
        let took = deliver(&server, &store, (&list, members, octets)).await?;
        let grew = size(&place)?.saturating_sub(before);
        println!(
            "{members} members, {octets} octets: {took:.3?} from acceptance to the last mailbox, \
             {grew} octets written, {} a member",
            grew / members.max(1) as u64
        );
    }
    server.shutdown().await;
    Ok(())
}

/// Accounts, and the list of them all.
async fn directory(list: &Address, members: usize) -> Result<MemoryDirectory, Fault> {
    let domain: Domain = list.domain().clone();
    let directory = MemoryDirectory::new(PasswordHashing::fast_for_tests())?;
    directory.add_domain(&domain, DomainKind::Local).await?;
    let secret = Secret::new("of no use here");
    let mut all = Vec::with_capacity(members);
    for number in 0..members {
        let member = Address::new(&format!("u{number}"), domain.clone())?;
        directory.add_account(&member, &secret).await?;
        all.push(member);
    }
    directory.add_list(&ListRecord::new(list.clone())).await?;
    for page in all.chunks(PAGE) {
        directory.add_members(list, page).await?;
    }
    Ok(directory)
}

/// One message; how long it took.
async fn deliver(
    server: &RunningServer,
    store: &Arc<EmbeddedStore>,
    (list, members, octets): (&Address, usize, usize),
) -> Result<Duration, Fault> {
    let outbox: Arc<dyn Outbox> = Arc::clone(store) as _;
    let cursor = *outbox.watch().borrow();
    let mut events = EventStream::after(outbox, cursor);
    // Octets that no store makes smaller.
    let mut seed = Instant::now().elapsed().as_nanos() as u64 | 1;
    let mut message = b"From: x@b.test\r\nSubject: news\r\n\r\n".to_vec();
    while message.len() < octets {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(std::process::id().into());
        message.extend_from_slice(format!("{seed:016x}").as_bytes());
        if message.len() % 70 < 16 {
            message.extend_from_slice(b"\r\n");
        }
    }
    message.extend_from_slice(b"\r\n");
    let sender = ReversePath::Address("x@b.test".parse()?);
    let envelope = Envelope::new(sender, [list.clone()]);
    server.submit(envelope, message).await?;
    let accepted = Instant::now();
    let mut filed = 0;
    while filed < members {
        let event = tokio::time::timeout(PATIENCE, events.next()).await?;
        let event = event.ok_or("the events ended")??.event;
        filed += usize::from(event.name == EventName::MessageNew);
    }
    Ok(accepted.elapsed())
}

/// Octets of all files below a directory.
fn size(place: &Path) -> Result<u64, Fault> {
    let mut octets = 0;
    for file in std::fs::read_dir(place)? {
        let file = file?;
        octets += match file.file_type()?.is_dir() {
            true => size(&file.path())?,
            false => std::os::unix::fs::MetadataExt::blocks(&file.metadata()?) * 512,
        };
    }
    Ok(octets)
}
