//! One server in memory and virtual time, built as a test needs it: with
//! filters, rules, closures and agents of its own.
#![expect(
    clippy::expect_used,
    reason = "a test helper: what is not as expected ends the test"
)]

use std::sync::Arc;
use std::time::Duration;

use mailcore::account::{AccountId, Secret};
use mailcore::address::{Address, Domain};
use mailcore::mailbox::{MailboxName, UidSet};
use mailcore::seams::{
    AccountChange, Administration, DirectoryWrite, DomainKind, OsEntropy, Storage,
};
use mailcore::server::{Builder, RunningServer, Server};
use mailcore::testing::VirtualClock;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};

use crate::{Dialogue, PASSWORD};

/// A server for `a.test` and what stands behind it.
#[derive(Debug)]
pub struct Desk {
    /// The server.
    pub server: RunningServer,
    /// Who is served.
    pub directory: MemoryDirectory,
    /// Its time.
    pub clock: VirtualClock,
    store: Arc<MemoryStore>,
}

/// What stands behind a desk that is being made.
#[derive(Debug)]
pub struct Behind {
    /// Who is served.
    pub directory: MemoryDirectory,
    /// What is kept.
    pub store: Arc<MemoryStore>,
    /// Its time.
    pub clock: VirtualClock,
}

impl Desk {
    /// A desk for these users; `furnish` adds to the builder.
    pub async fn new(users: &[&str], furnish: impl FnOnce(Builder) -> Builder) -> Self {
        Self::over(users, |builder, _| furnish(builder)).await
    }

    /// As [`Desk::new`], for what is made of the seams.
    pub async fn over(users: &[&str], furnish: impl FnOnce(Builder, Behind) -> Builder) -> Self {
        let clock = VirtualClock::new();
        let seam = Arc::new(clock.clone());
        let entropy = Arc::new(OsEntropy);
        let hashing = PasswordHashing::fast_for_tests();
        let directory =
            MemoryDirectory::with(hashing, seam.clone(), entropy.clone()).expect("a directory");
        let domain: Domain = "a.test".parse().expect("a domain");
        directory
            .add_domain(&domain, DomainKind::Local)
            .await
            .expect("the domain");
        for user in users {
            directory
                .add_account(&Self::address(user), &Secret::new(PASSWORD))
                .await
                .expect("the account");
        }
        let store = Arc::new(MemoryStore::with(seam.clone(), entropy));
        let builder = Server::builder("mx.a.test")
            .clock(seam)
            .directory(Arc::new(directory.clone()))
            .authenticator(Arc::new(directory.clone()))
            .stores(Arc::clone(&store))
            .serve(Smtp::mx())
            .serve(Smtp::lmtp());
        let behind = Behind {
            directory: directory.clone(),
            store: Arc::clone(&store),
            clock: clock.clone(),
        };
        let server = furnish(builder, behind)
            .start()
            .await
            .expect("the server starts");
        Self {
            server,
            directory,
            clock,
            store,
        }
    }

    /// What it keeps.
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// The same, to be shared.
    pub fn shared_store(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.store)
    }

    /// The address of a user here.
    pub fn address(user: &str) -> Address {
        format!("{user}@a.test").parse().expect("an address")
    }

    /// Makes `alias` stand for `to`.
    pub async fn alias(&self, alias: &str, to: &[&str]) {
        let to: Vec<Address> = to
            .iter()
            .map(|to| to.parse().expect("an address"))
            .collect();
        self.directory
            .add_alias(&Self::address(alias), &to)
            .await
            .expect("the alias");
    }

    /// Gives an account a quota, in octets.
    pub async fn quota(&self, user: &str, octets: u64) {
        self.directory
            .change_account(
                &Self::address(user),
                &AccountChange {
                    quota: Some(Some(octets)),
                    ..AccountChange::default()
                },
            )
            .await
            .expect("the quota");
    }

    /// A greeted SMTP session.
    pub async fn smtp(&self) -> Dialogue {
        let mut smtp = Dialogue::new(self.server.connect("smtp").expect("the service runs"));
        smtp.expect("220 ").await;
        smtp.ask("EHLO client.test", "250").await;
        smtp
    }

    /// Lets `seconds` go by.
    pub async fn wait(&self, seconds: u64) {
        self.clock.run_for(Duration::from_secs(seconds)).await;
    }

    /// The messages in a mailbox, as texts.
    pub async fn messages(&self, user: &str, mailbox: &str) -> Vec<String> {
        let name = MailboxName::parse(mailbox).expect("a name");
        let account = self.account(user).await;
        let Ok(folder) = self.store.open(&account, &name).await else {
            return Vec::new();
        };
        let rows = folder.messages(&UidSet::all()).await.expect("its rows");
        let mut texts = Vec::new();
        for row in rows {
            let message = folder.message(row.uid).await.expect("the message");
            let octets = message.read_all(u64::MAX).await.expect("its octets");
            texts.push(String::from_utf8_lossy(&octets).into_owned());
        }
        texts
    }

    /// The account of a user here.
    pub async fn account(&self, user: &str) -> AccountId {
        use mailcore::seams::{Directory, Resolution};
        match self.directory.resolve(&Self::address(user)).await {
            Ok(Resolution::Account(id)) => id,
            other => panic_on(&other),
        }
    }
}

#[expect(clippy::panic, reason = "see above")]
fn panic_on(what: &impl std::fmt::Debug) -> ! {
    panic!("not an account: {what:?}")
}
