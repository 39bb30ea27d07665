//! [`Client`]: one connection to a server, with a method for each command.
//!
//! Here are logging in and what holds in every state; mailboxes are in
//! [`super::mailboxes`], messages in [`super::messages`], their octets in
//! [`super::fetch`] and [`super::append`].

use std::collections::BTreeSet;

use mailcore::wire::{Machine, TlsInfo};

use super::Capabilities;
use super::auth::{self, Credentials, Mechanism, Proof};
use super::command::{Command, Kind};
use super::config::{Limits, PasswordUse};
use super::connection::{Connection, Found as Next, Source};
use super::error::{ClientError, ProtocolFault};
use super::name::NameForm;
use super::news::{Kept, News};
use super::response::{Condition, Data, Status};
use super::session::{CommandId, Event};

/// One connection. Methods wait for the server's answer; what comes in between
/// and answers nothing is kept for [`Client::take_news`].
///
/// A method whose future is dropped leaves its command under way: the next one
/// waits for its end first. An APPEND that is dropped ends the session.
#[derive(Debug)]
pub struct Client {
    pub(super) connection: Connection,
    host: String,
    news: Kept,
    /// Entries and octets collected for the command under way.
    pub(super) collected: (usize, usize),
    enabled: BTreeSet<String>,
    /// A command whose results are handed out one by one.
    pub(super) open: Option<CommandId>,
}

impl Client {
    pub(super) async fn new(connection: Connection, host: String) -> Result<Self, ClientError> {
        let mut client = Self {
            connection,
            host,
            news: Kept::default(),
            collected: (0, 0),
            enabled: BTreeSet::new(),
            open: None,
        };
        client.know_capabilities().await?;
        Ok(client)
    }

    /// What the server offers now.
    pub fn capabilities(&self) -> &Capabilities {
        self.connection.session.capabilities()
    }

    /// The TLS in use.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.connection.session.tls()
    }

    /// True once a login succeeded, or was not needed.
    pub fn is_logged_in(&self) -> bool {
        self.connection.session.is_logged_in()
    }

    /// True when the connection is of no more use.
    pub fn is_closed(&self) -> bool {
        self.connection.session.is_closed()
    }

    /// What the server told without being asked, oldest first.
    pub fn take_news(&mut self) -> Vec<News> {
        self.news.take()
    }

    /// Logs in, by the best way that server and credentials share.
    ///
    /// # Errors
    /// [`ClientError::PasswordInClear`] without TLS, unless the configuration
    /// lets passwords go in clear; what the server said when it refuses.
    pub async fn login(&mut self, credentials: &Credentials) -> Result<(), ClientError> {
        self.may_send_secrets()?;
        if let Some(mechanism) = auth::without_showing(credentials, self.capabilities(), self.tls())
        {
            match self.authenticate(mechanism).await {
                // The server's certificate is its name's, and it may keep
                // nothing that this mechanism could be checked against.
                Err(ClientError::Refused { status, .. })
                    if status.condition == Condition::No && self.tls().is_some() => {}
                done => return done,
            }
        }
        let offered = self.capabilities();
        if let Some(mechanism) = auth::choose(credentials, offered, &self.host) {
            return self.authenticate(mechanism).await;
        }
        match &credentials.proof {
            Proof::Password(password) if !offered.has("LOGINDISABLED") => {
                let command = Command::new("LOGIN")
                    .astring(credentials.login.as_bytes())
                    .astring(password.expose())
                    .of_kind(Kind::Login);
                self.run(command, Some).await?;
                self.know_capabilities().await
            }
            _ => {
                let offered: Vec<_> = offered.mechanisms().collect();
                Err(ClientError::NoMechanism(offered.join(", ")))
            }
        }
    }

    /// Logs in by a mechanism of the caller's.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn authenticate(&mut self, mechanism: Box<dyn Mechanism>) -> Result<(), ClientError> {
        self.may_send_secrets()?;
        let command = Command::new("AUTHENTICATE")
            .raw(mechanism.name())
            .of_kind(Kind::Authenticate(mechanism));
        self.run(command, Some).await?;
        self.know_capabilities().await
    }

    fn may_send_secrets(&self) -> Result<(), ClientError> {
        let config = self.connection.session.config();
        let private = self.tls().is_some() || config.password_use == PasswordUse::EvenInClear;
        private.then_some(()).ok_or(ClientError::PasswordInClear)
    }

    /// Asks what the server offers, where it has not said so by itself.
    async fn know_capabilities(&mut self) -> Result<(), ClientError> {
        if self.capabilities().is_empty() {
            self.capability().await?;
        }
        Ok(())
    }

    /// CAPABILITY: what the server offers.
    ///
    /// # Errors
    /// When the session fails.
    pub async fn capability(&mut self) -> Result<&Capabilities, ClientError> {
        let mine = |news| match news {
            News::Data(Data::Capability(_)) => None,
            other => Some(other),
        };
        self.run(Command::new("CAPABILITY"), mine).await?;
        Ok(self.capabilities())
    }

    /// NOOP: hears the news.
    ///
    /// # Errors
    /// When the session fails.
    pub async fn noop(&mut self) -> Result<Vec<News>, ClientError> {
        self.run(Command::new("NOOP"), Some).await?;
        Ok(self.take_news())
    }

    /// ID (RFC 2971): tells who we are, and hears who the server is. Names and
    /// values are at most 30 and 1,024 octets.
    ///
    /// # Errors
    /// When the server does not offer it or refuses.
    pub async fn id(
        &mut self,
        fields: &[(&str, &str)],
    ) -> Result<Vec<(String, Option<String>)>, ClientError> {
        self.need("ID")?;
        let mut command = Command::new("ID");
        if fields.is_empty() {
            command = command.raw("NIL");
        } else {
            command = command.open();
            for (name, value) in fields {
                command = command.string(name).string(value);
            }
            command = command.joined(")");
        }
        let mut answer = Vec::new();
        let mine = |news| match news {
            News::Data(Data::Id(fields)) => {
                answer = fields;
                None
            }
            other => Some(other),
        };
        self.run(command, mine).await?;
        Ok(answer)
    }

    /// ENABLE (RFC 5161), for what the server offers; true when `extension` is
    /// in use then.
    ///
    /// # Errors
    /// When the session fails.
    pub async fn enable(&mut self, extension: &'static str) -> Result<bool, ClientError> {
        let offered = self.capabilities().has("ENABLE") || self.capabilities().is_rev2();
        if !offered || !self.capabilities().has(extension) || self.has_enabled(extension) {
            return Ok(self.has_enabled(extension));
        }
        let mut enabled = Vec::new();
        let mine = |news| match news {
            News::Data(Data::Enabled(names)) => {
                enabled.extend(names);
                None
            }
            other => Some(other),
        };
        self.run(Command::new("ENABLE").raw(extension), mine)
            .await?;
        self.enabled.extend(enabled);
        Ok(self.has_enabled(extension))
    }

    pub(super) fn has_enabled(&self, extension: &str) -> bool {
        self.enabled.contains(extension)
    }

    /// LOGOUT, and the end of the connection. Whether the server says goodbye
    /// does not matter.
    pub async fn logout(mut self) {
        let command = Command::new("LOGOUT").of_kind(Kind::Logout);
        let _ = self.run(command, Some).await;
        self.connection.session.shutdown();
        let _ = self.connection.next(None).await;
    }

    /// Runs a command that this client has no method for. `told` sees the data
    /// that comes meanwhile, and gives back what is no answer to it.
    ///
    /// # Errors
    /// What the server said when it refuses.
    pub async fn command(
        &mut self,
        command: Command,
        told: impl FnMut(News) -> Option<News>,
    ) -> Result<Status, ClientError> {
        self.run(command, told).await
    }

    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    pub(super) fn names(&self) -> NameForm {
        self.connection.session.names()
    }

    pub(super) fn limits(&self) -> Limits {
        self.connection.session.config().limits
    }

    pub(super) fn need(&self, extension: &'static str) -> Result<(), ClientError> {
        let offered = self.capabilities().has(extension);
        offered
            .then_some(())
            .ok_or(ClientError::NotOffered(extension))
    }

    /// Runs a command to its end. `mine` takes what belongs to it and gives
    /// the rest back.
    pub(super) async fn run(
        &mut self,
        command: Command,
        mine: impl FnMut(News) -> Option<News>,
    ) -> Result<Status, ClientError> {
        self.run_with(command, None, mine).await
    }

    pub(super) async fn run_with(
        &mut self,
        command: Command,
        mut source: Option<Source<'_>>,
        mut mine: impl FnMut(News) -> Option<News>,
    ) -> Result<Status, ClientError> {
        self.settle().await?;
        let name = command.name();
        let id = self.connection.session.start(command)?;
        self.open = Some(id);
        self.collected = (0, 0);
        loop {
            // Reborrowed for each round; an Option of a reference is not Copy.
            let source: Option<Source<'_>> = match &mut source {
                Some(source) => Some(&mut **source),
                None => None,
            };
            if let Some(status) = self.step((id, name), source, &mut mine).await? {
                self.open = None;
                return outcome(name, status);
            }
        }
    }

    /// One event. The status when it ends the command.
    async fn step(
        &mut self,
        (id, name): (CommandId, &'static str),
        source: Option<Source<'_>>,
        mine: &mut impl FnMut(News) -> Option<News>,
    ) -> Result<Option<Status>, ClientError> {
        let news = match self.connection.next(source).await? {
            Next::Event(Event::Done(done, status)) if done == id => return Ok(Some(status)),
            Next::Event(Event::Data(data)) => mine(News::Data(data)),
            Next::Event(Event::Status(status)) => mine(News::Status(status)),
            // Octets that nobody waits for any more.
            Next::Event(_) => return Ok(None),
            Next::Nothing => return Err(ClientError::Closed),
        };
        match news {
            Some(news) => self.keep(news),
            None => self.collect(name),
        }
        Ok(None)
    }

    /// Hears the end of what is under way, results not taken included.
    pub(super) async fn settle(&mut self) -> Result<(), ClientError> {
        while self.open.is_some() {
            self.connection.session.done();
            match self.connection.next(None).await? {
                Next::Event(Event::Data(data)) => self.keep(News::Data(data)),
                Next::Event(Event::Status(status)) => self.keep(News::Status(status)),
                Next::Event(_) => {}
                Next::Nothing => self.open = None,
            }
        }
        Ok(())
    }

    /// Keeps for the caller what answers nothing.
    pub(super) fn keep(&mut self, news: News) {
        let weight = self.connection.session.weight();
        let limits = self.limits();
        self.news.keep(news, weight, &limits);
    }

    /// Notes that what came last is collected for `command`: what is over the
    /// limits ends the session. Left out, it would seem not to be there.
    pub(super) fn collect(&mut self, command: &'static str) {
        let Limits { items, held, .. } = self.limits();
        let (entries, octets) = &mut self.collected;
        *entries += 1;
        *octets = octets.saturating_add(self.connection.session.weight());
        if *entries > items || *octets > held {
            let fault = ProtocolFault::TooMuch {
                command,
                items,
                held,
            };
            self.connection.session.fail(fault.into());
        }
    }
}

pub(super) fn outcome(command: &'static str, status: Status) -> Result<Status, ClientError> {
    match status.condition {
        Condition::Ok => Ok(status),
        _ => Err(ClientError::Refused {
            command,
            status: Box::new(status),
        }),
    }
}
