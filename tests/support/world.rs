//! Houses (whole servers) in a world of their own: its DNS, its network, its
//! clock.
#![expect(
    clippy::expect_used,
    reason = "a test helper: what is not as expected ends the test"
)]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::account::Secret;
use mailcore::route::SuppressionList;
use mailcore::seams::{
    AccountChange, Administration, BoxStream, Clock, DialError, Dialer, DirectoryWrite, DomainKind,
    Entropy, OsEntropy, QuotaLimit, SystemClock,
};
use mailcore::server::{RunningServer, Server, ServiceHandle, Stores};
use mailcore::testing::{FixedResolver, VirtualClock};
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_smtp::client::{RemoteAgent, RemoteSeams};
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use mailcore_store::journal::SqliteJournal;
use tempfile::TempDir;

use crate::Dialogue;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";

/// Which store a house keeps its mail in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// In memory.
    Memory,
    /// On disk.
    Embedded,
}

/// DNS, network and time for some houses.
#[derive(Debug)]
pub struct World {
    /// Names.
    pub resolver: Arc<FixedResolver>,
    network: Arc<Network>,
    clock: Arc<dyn Clock>,
}

impl World {
    /// A world in real time.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// A world whose time stands still until the test moves it.
    pub fn in_virtual_time() -> (Self, VirtualClock) {
        let clock = VirtualClock::new();
        (Self::with_clock(Arc::new(clock.clone())), clock)
    }

    fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            resolver: Arc::new(FixedResolver::new()),
            network: Arc::default(),
            clock,
        }
    }

    /// A server for `domain` and its users, reachable at the next address and
    /// found by MX.
    pub async fn house(
        &self,
        hostname: &str,
        domain: &str,
        users: &[&str],
        kind: StoreKind,
    ) -> House {
        let directory = MemoryDirectory::with(
            PasswordHashing::fast_for_tests(),
            Arc::clone(&self.clock),
            Arc::new(OsEntropy),
        )
        .expect("a directory");
        let domain_name = domain.parse().expect("a domain");
        directory
            .add_domain(&domain_name, DomainKind::Local)
            .await
            .expect("the domain");
        for user in users {
            let address = format!("{user}@{domain}").parse().expect("an address");
            directory
                .add_account(&address, &Secret::new(PASSWORD))
                .await
                .expect("the account");
        }
        let ip = self.network.next_address();
        self.resolver.add_mx(domain, 10, hostname);
        self.resolver.add_address(hostname, ip);
        let folder = TempDir::new().expect("a folder");
        let plan = Plan {
            hostname: hostname.to_owned(),
            domain: domain.to_owned(),
            ip,
            directory,
            kind,
            folder,
        };
        self.open(plan, EmbeddedOptions::default()).await
    }

    /// Ends a house without a goodbye and opens it again on the same disk.
    pub async fn reopen(&self, house: House) -> House {
        self.reopen_with(house, EmbeddedOptions::default()).await
    }

    /// As [`World::reopen`], with other options for the store on disk.
    pub async fn reopen_with(&self, house: House, options: EmbeddedOptions) -> House {
        let House {
            server,
            stores,
            plan,
        } = house;
        self.network.cut(plan.ip);
        drop((server, stores));
        // The tasks of the old server end at their next await.
        tokio::task::yield_now().await;
        self.open(plan, options).await
    }

    async fn open(&self, plan: Plan, options: EmbeddedOptions) -> House {
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let stores = match plan.kind {
            StoreKind::Memory => Arc::new(MemoryStore::with(
                Arc::clone(&self.clock),
                Arc::clone(&entropy),
            ))
            .into(),
            StoreKind::Embedded => open_embedded(&plan.folder.path().join("store"), &options).await,
        };
        let seams = RemoteSeams {
            resolver: self.resolver.clone(),
            dialer: self.network.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&entropy),
        };
        let agent =
            RemoteAgent::builder(plan.hostname.parse().expect("a host name"), seams).build();
        let journal = SqliteJournal::open(&plan.journal()).expect("a journal");
        let server = Server::builder(&plan.hostname)
            .journal(Arc::new(journal))
            .stores(stores.clone())
            .suppression(SuppressionList::new(Arc::clone(&stores.state)))
            .directory(Arc::new(plan.directory.clone()))
            .authenticator(Arc::new(plan.directory.clone()))
            .agent("smtp", Arc::clone(&agent) as _)
            .recipient_check(agent)
            .clock(Arc::clone(&self.clock))
            .serve(Smtp::mx())
            .serve(Smtp::submission())
            .serve(Imap::new())
            .serve(Pop3::new())
            .start()
            .await
            .expect("the server starts");
        let smtp = server.service("smtp").expect("SMTP");
        self.network.connect_house(plan.ip, smtp);
        House {
            server,
            stores,
            plan,
        }
    }

    /// Makes a house unreachable: connections to it are refused.
    pub fn cut(&self, house: &House) {
        self.network.cut(house.plan.ip);
    }

    /// Undoes [`World::cut`].
    pub fn mend(&self, house: &House) {
        let smtp = house.server.service("smtp").expect("SMTP");
        self.network.connect_house(house.plan.ip, smtp);
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Opens the store; a store whose former owner is still letting go of it is
/// waited for.
async fn open_embedded(folder: &Path, options: &EmbeddedOptions) -> Stores {
    for _ in 0..500 {
        if let Ok(store) = EmbeddedStore::open(folder, options.clone()) {
            return Arc::new(store).into();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Arc::new(EmbeddedStore::open(folder, options.clone()).expect("the store opens")).into()
}

/// What a house is rebuilt from.
#[derive(Debug)]
struct Plan {
    hostname: String,
    domain: String,
    ip: IpAddr,
    directory: MemoryDirectory,
    kind: StoreKind,
    folder: TempDir,
}

impl Plan {
    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }
}

/// A whole server.
#[derive(Debug)]
pub struct House {
    /// The server.
    pub server: RunningServer,
    /// Where its mail is.
    pub stores: Stores,
    plan: Plan,
}

impl House {
    /// A greeted SMTP or submission session.
    pub async fn smtp(&self, protocol: &str) -> Dialogue {
        let mut smtp = Dialogue::new(self.server.connect(protocol).expect("the service runs"));
        smtp.expect("220 ").await;
        smtp.ask("EHLO client.test", "250").await;
        smtp
    }

    /// A logged-in IMAP session.
    pub async fn imap(&self, user: &str) -> Dialogue {
        let mut imap = Dialogue::new(self.server.connect("imap").expect("the service runs"));
        imap.expect("* OK").await;
        imap.ask_all(
            &format!("1 LOGIN {user}@{} \"{PASSWORD}\"", self.plan.domain),
            "1 OK",
        )
        .await;
        imap
    }

    /// A logged-in POP3 session that takes headers as they are.
    pub async fn pop3(&self, user: &str) -> Dialogue {
        let mut pop3 = Dialogue::new(self.server.connect("pop3").expect("the service runs"));
        pop3.expect("+OK").await;
        pop3.ask("UTF8", "+OK").await;
        pop3.ask(&format!("USER {user}@{}", self.plan.domain), "+OK")
            .await;
        pop3.ask(&format!("PASS {PASSWORD}"), "+OK").await;
        pop3
    }

    /// Limits what an account may hold from now on.
    pub async fn quota(&self, user: &str, limit: QuotaLimit) {
        let address = format!("{user}@{}", self.plan.domain);
        let change = AccountChange {
            quota: Some(limit.octets),
            quota_messages: Some(limit.messages),
            ..AccountChange::default()
        };
        self.plan
            .directory
            .change_account(&address.parse().expect("an address"), &change)
            .await
            .expect("the quota");
    }

    /// Who is served.
    pub fn directory(&self) -> &MemoryDirectory {
        &self.plan.directory
    }

    /// Where what happened is kept.
    pub fn journal(&self) -> PathBuf {
        self.plan.journal()
    }

    /// How many messages a mailbox holds.
    pub async fn count(&self, user: &str, mailbox: &str) -> u32 {
        let mut imap = self.imap(user).await;
        let lines = imap
            .ask_all(&format!("s STATUS {mailbox} (MESSAGES)"), "s OK")
            .await;
        let digits: String = lines
            .first()
            .map(|line| line.chars().filter(char::is_ascii_digit).collect())
            .unwrap_or_default();
        digits.parse().expect("a count")
    }

    /// Ends it in order.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }

    /// Ends it in order; its files stay as long as what is returned.
    pub async fn close(self) -> TempDir {
        self.server.shutdown().await;
        self.plan.folder
    }
}

/// Addresses and who listens there.
#[derive(Debug, Default)]
struct Network {
    houses: Mutex<HashMap<IpAddr, Option<Arc<ServiceHandle>>>>,
}

impl Network {
    fn next_address(&self) -> IpAddr {
        let mut houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        let host = u8::try_from(houses.len() + 1).expect("a small world");
        let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, host));
        houses.insert(ip, None);
        ip
    }

    fn connect_house(&self, ip: IpAddr, smtp: Arc<ServiceHandle>) {
        self.houses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ip, Some(smtp));
    }

    fn cut(&self, ip: IpAddr) {
        self.houses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ip, None);
    }
}

#[async_trait]
impl Dialer for Network {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        let house = self
            .houses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&address.ip())
            .cloned()
            .flatten();
        match house.and_then(|smtp| smtp.connect()) {
            Some(stream) => Ok(Box::new(stream)),
            None => Err(DialError::Io {
                address,
                source: io::ErrorKind::ConnectionRefused.into(),
            }),
        }
    }
}
