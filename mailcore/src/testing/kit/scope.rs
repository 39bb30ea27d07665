//! [`Scope`]: one test's share of a server.

use std::path::Path;

use super::error::KitError;
use super::expect::{Exactly, Expectation, Nothing, One};
use super::ledger::{Refused, Side};
use super::mail::CapturedMail;
use super::mailbox::KitMailbox;
use super::matchers::Matcher;
use super::server::MemoryServer;
use crate::address::{Address, Domain};

/// A domain of a server's own for one test: it sees the mail that comes to this
/// domain or is sent by it, and nothing else. Tests that run at the same time
/// share a server that way.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    pub(super) server: &'a MemoryServer,
    /// `None` for everything.
    pub(super) domain: Option<Domain>,
}

impl<'a> Scope<'a> {
    /// This scope's domain.
    pub fn domain(&self) -> &Domain {
        self.domain.as_ref().unwrap_or_else(|| self.server.domain())
    }

    /// An address in this scope's domain.
    pub fn address(&self, local_part: &str) -> Address {
        let address = Address::new(local_part, self.domain().clone());
        address.unwrap_or_else(|error| panic!("{local_part:?} is no local part: {error}"))
    }

    /// Waits for a message in a mailbox.
    #[track_caller]
    pub fn expect_mail(&self, matcher: Matcher) -> Expectation<'a, One> {
        Expectation::new(self.clone(), Side::Here, matcher, One)
    }

    /// Waits for a message that is sent to another host.
    #[track_caller]
    pub fn expect_outgoing(&self, matcher: Matcher) -> Expectation<'a, One> {
        Expectation::new(self.clone(), Side::Elsewhere, matcher, One)
    }

    /// Waits for so many messages in mailboxes. Met as soon as they are there,
    /// failed when there are more at that time.
    #[track_caller]
    pub fn expect_count(&self, matcher: Matcher, count: usize) -> Expectation<'a, Exactly> {
        Expectation::new(self.clone(), Side::Here, matcher, Exactly(count))
    }

    /// No such message comes to a mailbox, of those that no expectation has had.
    /// Looks at what has come; with [`Expectation::within`], waits so long.
    #[track_caller]
    pub fn expect_none(&self, matcher: Matcher) -> Expectation<'a, Nothing> {
        Expectation::new(self.clone(), Side::Here, matcher, Nothing).within(Default::default())
    }

    /// No such message is sent to another host; as [`Scope::expect_none`].
    #[track_caller]
    pub fn expect_no_outgoing(&self, matcher: Matcher) -> Expectation<'a, Nothing> {
        let nothing = Expectation::new(self.clone(), Side::Elsewhere, matcher, Nothing);
        nothing.within(Default::default())
    }

    /// Everything that came to mailboxes, in order.
    pub fn mail(&self) -> Vec<CapturedMail> {
        self.on(Side::Here)
    }

    /// Everything that was sent to other hosts, in order.
    pub fn outgoing(&self) -> Vec<CapturedMail> {
        self.on(Side::Elsewhere)
    }

    /// Everything that was refused, in order.
    pub fn refused(&self) -> Vec<Refused> {
        self.server.ledger().refused(self.domain.as_ref())
    }

    fn on(&self, side: Side) -> Vec<CapturedMail> {
        let mail = self.server.ledger().mail(side, self.domain.as_ref());
        mail.into_iter()
            .map(|(mail, _)| mail.as_ref().clone())
            .collect()
    }

    /// A mailbox to put messages into or take them out of: of an address, or of
    /// a local part in this scope's domain. Made when it is missing.
    ///
    /// # Errors
    /// [`KitError::Address`] and [`KitError::MailboxName`].
    pub fn mailbox(&self, account: &str, mailbox: &str) -> Result<KitMailbox<'a>, KitError> {
        KitMailbox::new(self.server, &self.address_of(account)?, mailbox)
    }

    /// An address as it is, or a local part in this scope's domain.
    fn address_of(&self, text: &str) -> Result<Address, KitError> {
        let wrong = |source| KitError::Address {
            text: text.to_owned(),
            source,
        };
        match text.contains('@') {
            true => Address::parse(text).map_err(wrong),
            false => Address::new(text, self.domain().clone()).map_err(wrong),
        }
    }

    /// Removes all mail of one account, mailboxes included, and forgets that it
    /// came.
    ///
    /// # Errors
    /// [`KitError::Store`].
    pub async fn purge_account(&self, account: &str) -> Result<(), KitError> {
        let address = self.address_of(account)?;
        self.server.purge_address(&address).await
    }

    /// Removes all mail of this scope: in mailboxes, in the queue, captured. Its
    /// accounts stay.
    ///
    /// # Errors
    /// [`KitError::Store`].
    pub async fn purge(&self) -> Result<(), KitError> {
        self.server.purge_domain(self.domain.as_ref()).await
    }

    /// As [`MemoryServer::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, from: &str, to: &str, message: &str) -> Result<String, KitError> {
        let (from, to) = (self.path_of(from)?, self.address_of(to)?.to_string());
        self.server.send(&from, &to, message).await
    }

    fn path_of(&self, text: &str) -> Result<String, KitError> {
        match text {
            "" => Ok(String::new()),
            text => self.address_of(text).map(|it| it.to_string()),
        }
    }

    /// Puts every `.eml` file of a folder into INBOX of an account; how many.
    ///
    /// # Errors
    /// As [`KitMailbox::add_folder`].
    pub async fn preload(
        &self,
        account: &str,
        folder: impl AsRef<Path>,
    ) -> Result<usize, KitError> {
        self.mailbox(account, "INBOX")?.add_folder(folder).await
    }
}
