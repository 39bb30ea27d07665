//! [`MemoryServer`]: a whole mail server within a test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;

use super::accounts::{Accounts, id};
use super::builder::{MemoryServerBuilder, Time};
use super::capture::{Answer, Capture};
use super::error::KitError;
use super::expect::{Exactly, Expectation, Nothing, One};
use super::faults::Faults;
use super::ledger::{Ledger, Refused};
use super::mail::CapturedMail;
use super::mailbox::KitMailbox;
use super::matchers::Matcher;
use super::scope::Scope;
use super::talk;
use crate::account::Secret;
use crate::address::{Address, Domain};
use crate::mailbox::UidSet;
use crate::queue::Operation;
use crate::seams::{Clock, SpoolQuery, Storage};
use crate::server::{ConnectError, RunningServer, Stores};
use crate::testing::VirtualClock;

/// How long virtual time goes on for something that does not end.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A mail server within a test: every address of its domains has a mailbox,
/// every login is right, mail to other hosts is captured, and what comes can be
/// waited for. Without a port nothing leaves the process.
///
/// ```ignore
/// let server = MemoryServer::builder("app.test")
///     .stores(MemoryStore::with)
///     .serve(Smtp::mx())
///     .serve(Imap::new())
///     .start()
///     .await?;
/// app_under_test(server.connect_smtp()?).await;
/// let mail = server.expect_mail(to("ann@app.test")).await;
/// assert_eq!(mail.subject, "welcome");
/// ```
#[derive(Debug)]
pub struct MemoryServer {
    running: RunningServer,
    kit: Kit,
}

/// What the test has beside the server.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) accounts: Arc<Accounts>,
    pub(super) capture: Arc<Capture>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stores: Stores,
    pub(super) time: Time,
    pub(super) faults: Option<Faults>,
}

impl MemoryServer {
    /// Begins a server for the addresses of a domain.
    pub fn builder(domain: &str) -> MemoryServerBuilder {
        MemoryServerBuilder::new(domain)
    }

    pub(super) fn new(running: RunningServer, kit: Kit) -> Self {
        Self { running, kit }
    }

    /// The server itself: its services, queue, events, and `submit`.
    pub fn running(&self) -> &RunningServer {
        &self.running
    }

    /// A domain of its own for one test.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            server: self,
            domain: Some(self.kit.accounts.new_scope(self.domain())),
        }
    }

    /// Everything there is, as a scope.
    fn all(&self) -> Scope<'_> {
        Scope {
            server: self,
            domain: None,
        }
    }

    /// The first domain.
    pub fn domain(&self) -> &Domain {
        let first = self.kit.accounts.setup.domains.first();
        first.expect("the builder was given one")
    }

    /// The server's time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.kit.time.clock()
    }

    /// Lets time go by: in virtual time at once, from one task's deadline to the
    /// next.
    pub async fn run_for(&self, time: Duration) {
        match self.virtual_clock() {
            Some(clock) => clock.run_until_quiet_for(time).await,
            None => {
                let clock = self.clock();
                clock.sleep_until(clock.monotonic().after(time)).await;
            }
        }
    }

    /// Awaits `what` while time goes by as it has to: in virtual time a server
    /// that pauses, or an application under test that does, would wait forever.
    /// What does not end within a month of virtual time panics.
    pub async fn while_time_passes<T>(&self, what: impl Future<Output = T>) -> T {
        let Some(clock) = self.virtual_clock() else {
            return what.await;
        };
        let end = clock.steady().after(MONTH);
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                biased;
                output = &mut what => return output,
                () = clock.step() => {}
            }
            assert!(
                clock.steady() < end,
                "not done after a month of virtual time"
            );
        }
    }

    /// As [`RunningServer::connect_smtp`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_smtp(&self) -> Result<DuplexStream, ConnectError> {
        self.running.connect_smtp()
    }

    /// As [`RunningServer::connect_submission`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_submission(&self) -> Result<DuplexStream, ConnectError> {
        self.running.connect_submission()
    }

    /// As [`RunningServer::connect_imap`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_imap(&self) -> Result<DuplexStream, ConnectError> {
        self.running.connect_imap()
    }

    /// As [`RunningServer::connect_pop3`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_pop3(&self) -> Result<DuplexStream, ConnectError> {
        self.running.connect_pop3()
    }

    /// As [`RunningServer::connect_managesieve`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect_managesieve(&self) -> Result<DuplexStream, ConnectError> {
        self.running.connect_managesieve()
    }

    /// The bound address of a service that listens: `smtp`, `submission`, `imap`.
    pub fn address(&self, protocol: &str) -> Option<SocketAddr> {
        self.running.address(protocol)
    }

    /// Brings a message in by SMTP; the reply to it. `from` may be empty; line
    /// ends may be LF.
    ///
    /// # Errors
    /// [`KitError::Refused`] with the reply, [`KitError::Connect`].
    pub async fn send(&self, from: &str, to: &str, message: &str) -> Result<String, KitError> {
        let sent = talk::send(self.connect_smtp()?, from, to, message);
        self.while_time_passes(sent).await
    }

    /// As [`Scope::expect_mail`], for the whole server.
    #[track_caller]
    pub fn expect_mail(&self, matcher: Matcher) -> Expectation<'_, One> {
        self.all().expect_mail(matcher)
    }

    /// As [`Scope::expect_outgoing`], for the whole server.
    #[track_caller]
    pub fn expect_outgoing(&self, matcher: Matcher) -> Expectation<'_, One> {
        self.all().expect_outgoing(matcher)
    }

    /// As [`Scope::expect_count`], for the whole server.
    #[track_caller]
    pub fn expect_count(&self, matcher: Matcher, count: usize) -> Expectation<'_, Exactly> {
        self.all().expect_count(matcher, count)
    }

    /// As [`Scope::expect_none`], for the whole server.
    #[track_caller]
    pub fn expect_none(&self, matcher: Matcher) -> Expectation<'_, Nothing> {
        self.all().expect_none(matcher)
    }

    /// As [`Scope::expect_no_outgoing`], for the whole server.
    #[track_caller]
    pub fn expect_no_outgoing(&self, matcher: Matcher) -> Expectation<'_, Nothing> {
        self.all().expect_no_outgoing(matcher)
    }

    /// Everything that came to mailboxes, in order.
    pub fn mail(&self) -> Vec<CapturedMail> {
        self.all().mail()
    }

    /// Everything that was sent to other hosts, in order.
    pub fn outgoing(&self) -> Vec<CapturedMail> {
        self.all().outgoing()
    }

    /// Everything that was refused, in order.
    pub fn refused(&self) -> Vec<Refused> {
        self.all().refused()
    }

    /// How the hosts of a domain answer from now on: mail to them is captured
    /// unless they do otherwise. A name that is no domain panics.
    pub fn answer_outgoing(&self, domain: &str, answer: Answer) {
        let domain = Domain::parse(domain);
        let domain = domain.unwrap_or_else(|error| panic!("no domain: {error}"));
        self.kit.capture.answer(domain, answer);
    }

    /// As [`Scope::mailbox`].
    ///
    /// # Errors
    /// As there.
    pub fn mailbox(&self, account: &str, mailbox: &str) -> Result<KitMailbox<'_>, KitError> {
        self.all().mailbox(account, mailbox)
    }

    /// Makes an account, or gives one another password.
    ///
    /// # Errors
    /// [`KitError::Address`].
    pub fn set_password(&self, address: &str, password: &str) -> Result<(), KitError> {
        let parsed = Address::parse(address);
        let address = parsed.map_err(|source| KitError::Address {
            text: address.to_owned(),
            source,
        })?;
        self.kit.accounts.add(&address, Some(Secret::new(password)));
        Ok(())
    }

    /// Removes all mail of one account.
    ///
    /// # Errors
    /// [`KitError::Store`].
    pub async fn purge_account(&self, account: &str) -> Result<(), KitError> {
        self.all().purge_account(account).await
    }

    /// As right after the start: no mail in mailboxes or queue, nothing captured
    /// or refused, the builder's accounts alone, every host takes mail. Time,
    /// open sessions and what filters remember in the store's state go on.
    ///
    /// # Errors
    /// [`KitError::Store`].
    pub async fn reset(&self) -> Result<(), KitError> {
        self.kit.capture.reset();
        self.purge_domain(None).await?;
        self.kit.accounts.reset();
        Ok(())
    }

    /// What can go wrong in the server: without
    /// [`MemoryServerBuilder::faults`] nothing, and this panics.
    pub fn faults(&self) -> &Faults {
        let faults = self.kit.faults.as_ref();
        faults.expect("no plan; give the builder one: .faults(&plan)")
    }

    /// Ends the server in order.
    pub async fn shutdown(self) {
        self.running.shutdown().await;
    }

    pub(super) fn virtual_clock(&self) -> Option<&VirtualClock> {
        match &self.kit.time {
            Time::Virtual(clock) => Some(clock),
            Time::Real(_) => None,
        }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.kit.ledger
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.kit.accounts
    }

    pub(super) fn storage(&self) -> &Arc<dyn Storage> {
        &self.kit.stores.storage
    }

    pub(super) async fn purge_address(&self, address: &Address) -> Result<(), KitError> {
        let (storage, account) = (self.storage(), id(address));
        // The innermost first.
        for entry in storage.list(&account).await?.into_iter().rev() {
            if entry.id.is_none() {
                continue;
            }
            if entry.name.is_inbox() {
                let inbox = storage.open(&account, &entry.name).await?;
                inbox.remove(&UidSet::all()).await?;
            } else {
                storage.delete(&account, &entry.name).await?;
            }
        }
        self.ledger().forget_account(&account);
        Ok(())
    }

    pub(super) async fn purge_domain(&self, domain: Option<&Domain>) -> Result<(), KitError> {
        self.purge_queue(domain).await?;
        for address in self.kit.accounts.all(domain) {
            self.purge_address(&address).await?;
        }
        self.ledger().forget(domain);
        Ok(())
    }

    /// Removes what waits in the queue: all, or what a domain sends or gets.
    async fn purge_queue(&self, domain: Option<&Domain>) -> Result<(), KitError> {
        let Some(queue) = self.running.queue() else {
            return Ok(());
        };
        let mut query = SpoolQuery::default();
        loop {
            let page = self.kit.stores.spool.list(&query).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            query.after = Some(last.entry.id);
            let wanted = page.iter().filter(|line| {
                let entry = &line.entry;
                let mut to = entry.progress.recipients.iter();
                domain.is_none_or(|it| {
                    let sends = entry
                        .reverse_path
                        .address()
                        .is_some_and(|from| from.domain() == it);
                    sends || to.any(|to| to.recipient.address.domain() == it)
                })
            });
            let ids: Vec<_> = wanted.map(|line| line.entry.id).collect();
            queue.operate_all(&ids, &Operation::Delete).await?;
        }
    }
}
