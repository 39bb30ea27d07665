//! [`Office`]: a whole server in a rough world, to be restarted at will.
#![expect(
    clippy::expect_used,
    reason = "a test helper: what is not as expected ends the test"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::address::{Address, ReversePath};
use mailcore::envelope::Envelope;
use mailcore::event::{EventCursor, StoredEvent};
use mailcore::mailbox::{MailboxName, UidSet};
use mailcore::queue::RetrySchedule;
use mailcore::seams::{
    Directory, DirectoryWrite, DomainKind, Resolution, SpoolQuery, SpoolSummary, Storage,
};
use mailcore::server::{RunningServer, Server, Stores, SubmitError};
use mailcore::testing::SeededEntropy;
use mailcore::testing::disk::SimulatedDisk;
use mailcore::testing::faults::FaultyCommit;
use mailcore_smtp::client::{RemoteAgent, RemoteConfig, RemoteSeams};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use tempfile::TempDir;

use super::still::still;
use super::{Resident, Rough};
use crate::{Dialogue, PASSWORD, StoreKind, base64};

/// What an office is made from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its host name.
    pub hostname: String,
    /// Its domain.
    pub domain: String,
    /// Where it keeps its mail; on disk means a simulated one.
    pub store: StoreKind,
    /// When it tries again.
    pub schedule: RetrySchedule,
}

impl Setup {
    /// `mx.` of a domain, with the schedule that servers have.
    pub fn of(domain: &str, store: StoreKind) -> Self {
        Self {
            hostname: format!("mx.{domain}"),
            domain: domain.to_owned(),
            store,
            schedule: RetrySchedule::default(),
        }
    }
}

/// A server for one domain with the account `alice`, and what stands behind it.
#[derive(Debug)]
pub struct Office {
    /// Its store, as the plan lets it be.
    pub commit: Arc<FaultyCommit>,
    /// Who is served.
    pub directory: MemoryDirectory,
    /// Its stores, without faults.
    pub stores: Stores,
    setup: Setup,
    ip: IpAddr,
    server: Option<RunningServer>,
    entropy: Arc<SeededEntropy>,
    cabinet: Cabinet,
    /// Whom a restart caught between delivery and its record.
    pub(super) interrupted: BTreeSet<String>,
}

/// What outlives a server.
#[derive(Debug)]
enum Cabinet {
    Memory,
    Disk {
        disk: SimulatedDisk,
        store: Arc<EmbeddedStore>,
        folder: TempDir,
    },
}

impl Rough {
    /// Opens an office, found by MX.
    pub async fn office(&self, setup: Setup) -> Office {
        let ip = self.streets.next_address();
        self.zone.add_mx(&setup.domain, 10, &setup.hostname);
        self.zone.add_address(&setup.hostname, ip);
        let clock = Arc::new(self.plan.clock().clone());
        let entropy = self.plan.entropy();
        let directory = MemoryDirectory::with(
            PasswordHashing::fast_for_tests(),
            clock.clone(),
            entropy.clone(),
        )
        .expect("a directory");
        let domain = setup.domain.parse().expect("a domain");
        let added = directory.add_domain(&domain, DomainKind::Local).await;
        added.expect("the domain");
        let (stores, cabinet) = match setup.store {
            StoreKind::Memory => {
                let store = Arc::new(MemoryStore::with(clock, entropy.clone()));
                (store.into(), Cabinet::Memory)
            }
            StoreKind::Embedded => {
                let disk = SimulatedDisk::new(self.plan.seed());
                let folder = tempfile::tempdir().expect("a folder");
                self.open(disk, folder)
            }
        };
        let mut office = Office {
            commit: self.plan.commit(stores.commit.clone()),
            directory,
            stores,
            setup,
            ip,
            server: None,
            entropy,
            cabinet,
            interrupted: BTreeSet::new(),
        };
        office.account("alice").await;
        self.start(&mut office).await;
        office
    }

    fn open(&self, disk: SimulatedDisk, folder: TempDir) -> (Stores, Cabinet) {
        let mut options = EmbeddedOptions::default();
        options.clock = Arc::new(self.plan.clock().clone());
        options.entropy = self.plan.entropy();
        options.file_system = Arc::new(disk.clone());
        options.log.segment_size = 256 << 10;
        options.log.zero_fill = 32 << 10;
        let root = folder.path().join("store");
        std::fs::create_dir_all(&root).expect("a folder for the index");
        let store = Arc::new(EmbeddedStore::open(&root, options).expect("the store opens"));
        let cabinet = Cabinet::Disk {
            disk,
            store: Arc::clone(&store),
            folder,
        };
        (still(store.into()), cabinet)
    }

    async fn start(&self, office: &mut Office) {
        let setup = &office.setup;
        let seams = RemoteSeams {
            resolver: self.dns.clone(),
            dialer: self.dialer.clone(),
            clock: Arc::new(self.plan.clock().clone()),
            entropy: office.entropy.clone(),
        };
        let hostname = setup.hostname.parse().expect("a host name");
        let mut config = RemoteConfig::default();
        config.own.names = vec![setup.hostname.parse().expect("a host name")];
        config.own.addresses = vec![office.ip];
        let agent = RemoteAgent::builder(hostname, seams).config(config).build();
        let server = Server::builder(&setup.hostname)
            .stores(Stores {
                commit: office.commit.clone(),
                ..office.stores.clone()
            })
            .directory(Arc::new(office.directory.clone()))
            .authenticator(Arc::new(office.directory.clone()))
            .agent("smtp", agent)
            .clock(Arc::new(self.plan.clock().clone()))
            .entropy(office.entropy.clone())
            .retry_schedule(setup.schedule.clone())
            .serve(Smtp::mx())
            .serve(Smtp::submission())
            .start()
            .await
            .expect("the server starts");
        let smtp = server.service("smtp").expect("SMTP");
        self.streets.settle(office.ip, Resident::Office(smtp));
        office.server = Some(server);
    }

    /// Ends an office without a goodbye and starts it again on what its store
    /// has; one on disk loses its power meanwhile.
    pub async fn restart(&self, office: &mut Office) {
        self.plan
            .note("office", &office.setup.hostname, 0, "killed");
        let queued = office.queue().await.into_iter().filter(|row| row.leased);
        for row in queued {
            let recipients = row.entry.progress.recipients.iter();
            let names = recipients.map(|queued| queued.recipient.address.to_string());
            office.interrupted.extend(names);
        }
        self.streets.settle(office.ip, Resident::Nobody);
        // So that a connection which ends with the server is not taken for one
        // that broke with its last reply.
        self.plan.clock().advance(Duration::from_millis(1));
        office.server = None;
        self.plan.rest().await;
        let cabinet = std::mem::replace(&mut office.cabinet, Cabinet::Memory);
        if let Cabinet::Disk {
            disk,
            store,
            folder,
        } = cabinet
        {
            disk.cut_after(0);
            store.close();
            drop(store);
            let disk = disk.power_on(self.plan.draw("power", self.plan.record().len() as u64));
            (office.stores, office.cabinet) = self.open(disk, folder);
        }
        let full = office.commit.is_full();
        office.commit = self.plan.commit(office.stores.commit.clone());
        if full {
            office.commit.fill();
        }
        self.start(office).await;
    }
}

impl Office {
    /// The server.
    pub fn server(&self) -> &RunningServer {
        self.server.as_ref().expect("it runs")
    }

    /// Where it is.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Adds an account.
    pub async fn account(&mut self, user: &str) {
        let address = self.address(user);
        let password = Secret::new(PASSWORD);
        let added = self.directory.add_account(&address, &password).await;
        added.expect("the account");
    }

    /// Makes an alias.
    pub async fn alias(&self, user: &str, to: &[&str]) {
        let to: Vec<Address> = to.iter().map(|to| address(to)).collect();
        let added = self.directory.add_alias(&self.address(user), &to).await;
        added.expect("the alias");
    }

    fn address(&self, user: &str) -> Address {
        address(&format!("{user}@{}", self.setup.domain))
    }

    /// Sends a small message from alice within the process.
    pub async fn submit(&self, to: &[impl AsRef<str>]) -> Result<(), SubmitError> {
        let message = b"Subject: hello\r\nMessage-ID: <1@a.test>\r\n\r\nhello\r\n";
        self.submit_message(to, message).await
    }

    /// Sends a message from alice within the process.
    pub async fn submit_message(
        &self,
        to: &[impl AsRef<str>],
        message: &[u8],
    ) -> Result<(), SubmitError> {
        let sender = ReversePath::Address(self.address("alice"));
        let to = to.iter().map(|to| address(to.as_ref()));
        let envelope = Envelope::new(sender, to);
        self.server().submit(envelope, message.to_vec()).await?;
        Ok(())
    }

    /// A greeted session.
    pub async fn smtp(&self, protocol: &str) -> Dialogue {
        let mut smtp = Dialogue::new(self.server().connect(protocol).expect("the service runs"));
        smtp.expect("220 ").await;
        smtp.ask("EHLO client.test", "250").await;
        smtp
    }

    /// A submission session of alice.
    pub async fn alice(&self) -> Dialogue {
        let mut smtp = self.smtp("submission").await;
        let login = format!("\0alice@{}\0{PASSWORD}", self.setup.domain);
        smtp.ask(&format!("AUTH PLAIN {}", base64(login.as_bytes())), "235")
            .await;
        smtp
    }

    /// Everything in the queue.
    pub async fn queue(&self) -> Vec<SpoolSummary> {
        let (mut all, mut query) = (Vec::new(), SpoolQuery::default());
        loop {
            let page = self.stores.spool.list(&query).await.expect("the queue");
            let Some(last) = page.last() else { return all };
            query.after = Some(last.entry.id);
            all.extend(page);
        }
    }

    /// Everything that happened.
    pub async fn events(&self) -> Vec<StoredEvent> {
        self.events_after(EventCursor::default()).await
    }

    /// What happened after a cursor.
    pub async fn events_after(&self, mut cursor: EventCursor) -> Vec<StoredEvent> {
        let mut all = Vec::new();
        loop {
            let page = self.stores.outbox.read(cursor, 1_000).await;
            let page = page.expect("the events");
            let Some(last) = page.last() else { return all };
            cursor = last.cursor;
            all.extend(page);
        }
    }

    /// The messages in a user's INBOX.
    pub async fn inbox(&self, user: &str) -> Vec<String> {
        let resolved = self.directory.resolve(&self.address(user)).await;
        let Ok(Resolution::Account(account)) = resolved else {
            return Vec::new();
        };
        let storage: &Arc<dyn Storage> = &self.stores.storage;
        let Ok(inbox) = storage.open(&account, &MailboxName::inbox()).await else {
            return Vec::new();
        };
        let rows = inbox.messages(&UidSet::all()).await.expect("its rows");
        let mut texts = Vec::with_capacity(rows.len());
        for row in rows {
            let message = inbox.message(row.uid).await.expect("the message");
            let octets = message.read_all(u64::MAX).await.expect("its octets");
            texts.push(String::from_utf8_lossy(&octets).into_owned());
        }
        texts
    }

    /// A schedule for long runs with few attempts: quick at first, then hourly,
    /// given up after `days`.
    pub fn schedule(days: u64) -> RetrySchedule {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let waits = vec![minutes(5), minutes(30), minutes(120), minutes(240)];
        RetrySchedule::new(waits, Duration::from_secs(days * 86_400)).expect("a schedule")
    }
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}
