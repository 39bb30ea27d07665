//! What services are made from.

use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::Holds;
use crate::abuse::Limiter;
use crate::address::Domain;
use crate::event::Recorder;
use crate::event::send_mail::RuleError;
#[cfg(feature = "http")]
use crate::event::webhook::WebhookError;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::net::Service;
use crate::sasl::{InClear, Mechanism, Offer};
use crate::schedule::AddJobError;
use crate::seams::{
    Authenticator, Clock, Commit, Directory, Entropy, Outbox, Spool, State, Storage,
};

/// The seams that one store implements together.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Mailboxes.
    pub storage: Arc<dyn Storage>,
    /// Durable writes.
    pub commit: Arc<dyn Commit>,
    /// The queue.
    pub spool: Arc<dyn Spool>,
    /// Small values.
    pub state: Arc<dyn State>,
    /// Events.
    pub outbox: Arc<dyn Outbox>,
}

impl<T: Storage + Commit + Spool + State + Outbox + 'static> From<T> for Stores {
    fn from(store: T) -> Self {
        Arc::new(store).into()
    }
}

impl<T: Storage + Commit + Spool + State + Outbox + 'static> From<Arc<T>> for Stores {
    fn from(store: Arc<T>) -> Self {
        Self {
            storage: Arc::clone(&store) as _,
            commit: Arc::clone(&store) as _,
            spool: Arc::clone(&store) as _,
            state: Arc::clone(&store) as _,
            outbox: store as _,
        }
    }
}

/// Becomes a service once the seams are known: what a protocol crate's
/// configuration implements.
pub trait IntoService: fmt::Debug + Send {
    /// Makes the service, taking just the seams it uses.
    ///
    /// # Errors
    /// [`StartError::Missing`] from [`Parts`], or what is wrong with the
    /// configuration.
    fn into_service(self: Box<Self>, parts: &Parts) -> Result<Arc<dyn Service>, StartError>;
}

/// The seams of a server that is being started.
#[derive(Debug, Clone)]
pub struct Parts {
    pub(super) hostname: Domain,
    pub(super) intake: Arc<Intake>,
    pub(super) stores: Option<Stores>,
    pub(super) directory: Option<Arc<dyn Directory>>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) mechanisms: Vec<Mechanism>,
    pub(super) in_clear: InClear,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) limits: Limits,
    pub(super) holds: Holds,
    pub(super) limiter: Arc<Limiter>,
    pub(super) receives: Receives,
}

/// Whether there is anybody to take mail for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receives {
    /// A directory, a router or a closure says who.
    Somebody,
    /// A directory says who, and nothing keeps their mail.
    Nowhere,
    /// None of them.
    Nobody,
}

impl Parts {
    /// Whether there is anybody to receive mail for, and a place to keep it: for
    /// services that take mail.
    ///
    /// # Errors
    /// [`StartError::Missing`].
    pub fn recipients(&self) -> Result<(), StartError> {
        match self.receives {
            Receives::Somebody => Ok(()),
            Receives::Nowhere => Err(StartError::Missing {
                seam: "a store for the mail of the directory's accounts",
                method: "stores",
            }),
            Receives::Nobody => Err(StartError::Missing {
                seam: "somebody to receive mail for",
                method: "accounts, Builder::directory, Builder::router or Builder::deliver_to",
            }),
        }
    }

    /// This server's name.
    pub fn hostname(&self) -> &Domain {
        &self.hostname
    }

    /// The way in for mail.
    pub fn intake(&self) -> Arc<Intake> {
        Arc::clone(&self.intake)
    }

    /// Mailboxes.
    ///
    /// # Errors
    /// [`StartError::Missing`] when the builder was given no store.
    pub fn storage(&self) -> Result<Arc<dyn Storage>, StartError> {
        self.stores().map(|stores| Arc::clone(&stores.storage))
    }

    /// Durable writes.
    ///
    /// # Errors
    /// As for [`Parts::storage`].
    pub fn commit(&self) -> Result<Arc<dyn Commit>, StartError> {
        self.stores().map(|stores| Arc::clone(&stores.commit))
    }

    /// The queue.
    ///
    /// # Errors
    /// As for [`Parts::storage`].
    pub fn spool(&self) -> Result<Arc<dyn Spool>, StartError> {
        self.stores().map(|stores| Arc::clone(&stores.spool))
    }

    /// Small values.
    ///
    /// # Errors
    /// As for [`Parts::storage`].
    pub fn state(&self) -> Result<Arc<dyn State>, StartError> {
        self.stores().map(|stores| Arc::clone(&stores.state))
    }

    fn stores(&self) -> Result<&Stores, StartError> {
        self.stores.as_ref().ok_or(StartError::Missing {
            seam: "a store",
            method: "stores",
        })
    }

    /// Who is who.
    ///
    /// # Errors
    /// [`StartError::Missing`].
    pub fn authenticator(&self) -> Result<Arc<dyn Authenticator>, StartError> {
        let missing = StartError::Missing {
            seam: "an authenticator",
            method: "accounts or Builder::authenticator",
        };
        self.authenticator.clone().ok_or(missing)
    }

    /// How users log in.
    ///
    /// # Errors
    /// As for [`Parts::authenticator`].
    pub fn offer(&self) -> Result<Offer, StartError> {
        let authenticator = self.authenticator()?;
        Ok(Offer::among(&*authenticator, &self.mechanisms)
            .in_clear(self.in_clear)
            .host(self.hostname.as_str())
            .entropy(self.entropy()))
    }

    /// Who is served.
    ///
    /// # Errors
    /// [`StartError::Missing`].
    pub fn directory(&self) -> Result<Arc<dyn Directory>, StartError> {
        self.directory.clone().ok_or(StartError::Missing {
            seam: "a directory",
            method: "accounts or Builder::directory",
        })
    }

    /// Time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Ids and nonces.
    pub fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.entropy)
    }

    /// Takes events that belong to no batch of mail, for the journal.
    pub fn recorder(&self) -> Recorder {
        self.intake.recorder().clone()
    }

    /// What one session at a time may have.
    pub fn holds(&self) -> Holds {
        self.holds.clone()
    }

    /// Counts what is done too often. [`Parts::authenticator`] asks it already.
    pub fn limiter(&self) -> Arc<Limiter> {
        Arc::clone(&self.limiter)
    }

    /// Limits of the whole server.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server's name is not a domain.
    #[error("{name:?} can't be this server's name: {source}")]
    Hostname {
        /// What was given.
        name: String,
        /// Why not.
        source: crate::address::AddressError,
    },
    /// An address given to the builder is not one.
    #[error("{address:?} is not an address: {source}")]
    Address {
        /// What was given.
        address: String,
        /// Why not.
        source: crate::address::AddressError,
    },
    /// A service needs a seam that the builder was not given.
    #[error("{seam} is needed; call Builder::{method}")]
    Missing {
        /// What.
        seam: &'static str,
        /// The builder's method that takes it.
        method: &'static str,
    },
    /// Two agents have one name.
    #[error("two agents are called {name:?}; give each a name of its own in Builder::agent")]
    AgentTwice {
        /// Which.
        name: String,
    },
    /// Two closures are to have the mail of one address.
    #[error("{address} is given to Builder::deliver_to twice; let one closure do both")]
    AddressTwice {
        /// Which.
        address: String,
    },
    /// Two services are to listen at one place.
    #[error(
        "{first} and {second} can't both listen on {address}; \
         give one of them another address in Builder::listen"
    )]
    ListenerTwice {
        /// Which protocol.
        first: &'static str,
        /// And which other one, or the same.
        second: &'static str,
        /// Where.
        address: String,
    },
    /// A method of the builder that is about the listener named last came
    /// before any.
    #[error("Builder::{method} is about the listener before it; call Builder::listen first")]
    NoListener {
        /// The method.
        method: &'static str,
    },
    /// There is no runtime to start on.
    #[error("there is no tokio runtime here; await Builder::start within one")]
    NoRuntime,
    /// A listener needs TLS and the builder was given none.
    #[error("{service} on {address} needs TLS; give a configuration with Builder::tls")]
    NoTls {
        /// Which protocol.
        service: &'static str,
        /// Where.
        address: String,
    },
    /// A listener can't be bound.
    #[error("{service} can't listen on {address}: {source}{}", bind_advice(.source))]
    Bind {
        /// Which protocol.
        service: &'static str,
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// A service that a reload took out of the server can't be started again.
    #[error("this {service} service is no part of the server any more; reload it with one there")]
    Retired {
        /// Which protocol.
        service: &'static str,
    },
    /// A reload can't change this.
    #[error("{what} can't change while the server runs; start it anew for that")]
    Fixed {
        /// What.
        what: &'static str,
    },
    /// A job that can't be taken.
    #[error(transparent)]
    Job(#[from] AddJobError),
    /// A mail rule that can't be used.
    #[error(transparent)]
    MailRule(#[from] RuleError),
    /// A web hook that can't be used.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// A service's configuration is wrong.
    #[error("{service}: {reason}")]
    Service {
        /// Which protocol.
        service: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

/// What to do about an address that the system refuses, where its own words do
/// not say.
fn bind_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::InvalidInput => "; write it as address:port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE or root",
        _ => "",
    }
}
