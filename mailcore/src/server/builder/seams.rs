//! What a server is made of: the seams, each given once or one by one.

use std::future::Future;
use std::sync::Arc;

use super::{AgentSource, Builder};
use crate::intake::{HookAgent, HookError, ReceivedMail};
use crate::route::SuppressionList;
use crate::schedule::Job;
use crate::seams::{
    Authenticator, Clock, DeliveryAgent, Dialer, Directory, DirectoryWrite, Entropy, Filter,
    Journal, RecipientCheck, Resolver, Router, Rules,
};
use crate::server::{IntoAgent, Stores};

/// The name under which routers know the agent for other hosts.
const REMOTE_AGENT: &str = "smtp";

impl Builder {
    /// Where mail is kept: without one, only closures receive.
    pub fn stores(mut self, stores: impl Into<Stores>) -> Self {
        self.stores = Some(stores.into());
        self
    }

    /// Who is served here and who is who, where one thing knows both.
    pub fn accounts<T: Directory + Authenticator + 'static>(self, accounts: Arc<T>) -> Self {
        let directory = Arc::clone(&accounts);
        self.directory(directory).authenticator(accounts)
    }

    /// Who is served here.
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Who is who.
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Where mail goes; without one, the directory says.
    pub fn router(mut self, router: Arc<dyn Router>) -> Self {
        self.router = Some(router);
        self
    }

    /// Sends nothing to those on this list, whatever the router says. Without
    /// one, no list is looked at.
    pub fn suppression(mut self, list: SuppressionList) -> Self {
        self.suppression = Some(list);
        self
    }

    /// An agent under the name that routes use; `smtp` reaches other hosts.
    pub fn agent(mut self, name: &str, agent: Arc<dyn DeliveryAgent>) -> Self {
        self.agents.push((name.into(), AgentSource::Made(agent)));
        self
    }

    /// How mail reaches other hosts: the agent `smtp`, made when the server's
    /// name and seams are known.
    pub fn outgoing(mut self, agent: impl IntoAgent + 'static) -> Self {
        let source = AgentSource::Config(Box::new(agent));
        self.agents.push((REMOTE_AGENT.into(), source));
        self
    }

    /// Who looks names up for [`Builder::outgoing`]. Without one, the system's
    /// name servers are asked, given mailcore's feature `dns`.
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// How [`Builder::outgoing`] connects: a test's dialer, say.
    pub fn dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = dialer;
        self
    }

    /// Hands mail for `address` to a closure. The sender is told that it
    /// arrived when the closure has returned `Ok`. It is called for each message,
    /// several at a time, so it clones what it shares with the host:
    ///
    /// ```
    /// # use mailcore::server::Server;
    /// let (orders, _receiver) = tokio::sync::mpsc::channel(16);
    /// let builder = Server::builder("mx.example.com").deliver_to("orders@example.com", move |mail| {
    ///     let orders = orders.clone();
    ///     async move {
    ///         let sent = orders.send((mail.from(), mail.text())).await;
    ///         sent.map_err(|error| HookError::TryLater(error.to_string()))
    ///     }
    /// });
    /// # use mailcore::intake::HookError;
    /// # drop(builder);
    /// ```
    pub fn deliver_to<F, T>(mut self, address: impl Into<String>, call: F) -> Self
    where
        F: Fn(ReceivedMail) -> T + Send + Sync + 'static,
        T: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        // The limit is set when all limits are known.
        let agent = HookAgent::new(0, call);
        self.hooks.push((address.into(), agent));
        self
    }

    /// One more filter, asked after those before it.
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filters.push(filter);
        self
    }

    /// Asks the hosts of relayed domains for recipients, where a domain's rules
    /// say so ([`keys::CALLOUT`](crate::route::keys::CALLOUT)): the agent that
    /// takes the mail there. Needs stores, which keep what was said.
    pub fn recipient_check(mut self, check: Arc<dyn RecipientCheck>) -> Self {
        self.recipient_check = Some(check);
        self
    }

    /// The recipients' own rules.
    pub fn rules(mut self, rules: Arc<dyn Rules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Closes accounts, where a rule of [`Builder::abuse`] asks for it
    /// ([`Consequence::CloseAccount`](crate::abuse::Consequence)).
    pub fn account_closer(mut self, directory: Arc<dyn DirectoryWrite>) -> Self {
        self.account_closer = Some(directory);
        self
    }

    /// Keeps the store's events in a journal, too, for people to ask.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Another clock: a test's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of chance: a test's.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Work to be done at set times, as long as the server runs. With stores,
    /// what ran when outlives a restart.
    /// [`RunningServer::scheduler`](crate::server::RunningServer::scheduler) takes
    /// more jobs: those that need the running server.
    pub fn job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }
}
