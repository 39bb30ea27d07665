//! [`Keys`]: the certificates in force, which others replace while the server
//! runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailcore::net::{
    Acme, CertificateFacts, ChallengeStore, ClientCertificates, ReplaceableCertificates, ServerTls,
    Shutdown,
};
use mailcore::seams::{Clock, Resolver, SystemClock};
use mailcore::time::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use rustls_pki_types::CertificateDer;
use tokio::sync::OwnedMutexGuard;

use super::loaded::{SOON, Stamps, stamps};
use super::{Loaded, TlsError, authorities, provider};
use crate::acme;
use crate::config::{ClientCertificateUse, Config, Listener};
use crate::data::DataDir;

/// What listeners show, what they answer to an authority, and how sessions are
/// resumed.
#[derive(Debug)]
pub(crate) struct Keys {
    data: DataDir,
    resolver: Arc<dyn Resolver>,
    shown: Arc<ReplaceableCertificates>,
    challenges: Arc<ChallengeStore>,
    tickets: Arc<dyn ProducesTickets>,
    held: Mutex<Held>,
    /// Held while certificates are read and put in force: what was read by an
    /// older configuration must not take the place of a newer one's.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Held {
    config: Arc<Config>,
    acme: Option<Arc<Acme>>,
    stamps: Stamps,
    leaves: Vec<CertificateDer<'static>>,
}

/// Certificates that were read and are not in force yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    config: Arc<Config>,
    acme: Option<Arc<Acme>>,
    loaded: Loaded,
    _turn: OwnedMutexGuard<()>,
}

impl Keys {
    /// The certificates of the configuration.
    pub(crate) async fn load(
        config: &Config,
        data: &DataDir,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Arc<Self>, TlsError> {
        let challenges = Arc::<ChallengeStore>::default();
        let config = Arc::new(config.clone());
        let acme = acme::acme(&config, data, &resolver, &challenges)?.map(Arc::new);
        let loaded = Loaded::read(&config, data, acme.as_deref(), now()).await?;
        let named = loaded
            .named()
            .ok_or(rustls::Error::NoCertificatesPresented)?;
        for warning in loaded.warnings(&config, now()) {
            tracing::warn!("{warning}");
        }
        Ok(Arc::new(Self {
            data: data.clone(),
            resolver,
            shown: Arc::new(ReplaceableCertificates::new(Arc::new(named))),
            challenges,
            tickets: Ticketer::new()?,
            turn: Arc::default(),
            held: Mutex::new(Held {
                leaves: loaded.leaves(),
                stamps: loaded.stamps,
                config,
                acme,
            }),
        }))
    }

    /// The TLS of listeners that say nothing else.
    pub(crate) fn server_config(&self, config: &Config) -> Result<Arc<ServerConfig>, TlsError> {
        let tls = self.tls(config).tickets(Arc::clone(&self.tickets));
        Ok(tls.config()?)
    }

    /// The TLS of a listener that asks for client certificates.
    pub(crate) fn of_listener(
        &self,
        config: &Config,
        listener: &Listener,
    ) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let clients = match &listener.clients {
            ClientCertificateUse::Off => return Ok(None),
            ClientCertificateUse::Optional(roots) => {
                ClientCertificates::Optional(Arc::new(authorities(roots)?))
            }
            ClientCertificateUse::Required(roots) => {
                ClientCertificates::Required(Arc::new(authorities(roots)?))
            }
        };
        // Of its own: a ticket of another listener was given without them.
        let tls = self.tls(config).tickets(Ticketer::new()?);
        Ok(Some(tls.client_certificates(clients).config()?))
    }

    /// Of a configuration that need not be in force yet.
    fn tls(&self, config: &Config) -> ServerTls {
        let tls = ServerTls::new(provider(), Arc::clone(&self.shown) as _);
        match config.acme {
            Some(_) => tls.challenges(Arc::clone(&self.challenges) as _),
            None => tls,
        }
    }

    /// Where challenges are answered from.
    pub(crate) fn challenges(&self) -> Arc<ChallengeStore> {
        Arc::clone(&self.challenges)
    }

    /// True when an authority is asked for certificates.
    pub(crate) fn has_acme(&self) -> bool {
        self.held().acme.is_some()
    }

    /// Reads what another configuration names. Nothing changes yet, and nobody
    /// else changes anything until what is given back is put in force or dropped.
    pub(crate) async fn prepare(&self, config: &Config) -> Result<Prepared, TlsError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let config = Arc::new(config.clone());
        let acme = acme::acme(&config, &self.data, &self.resolver, &self.challenges)?;
        let loaded = Loaded::read(&config, &self.data, acme.as_ref(), now()).await?;
        Ok(Prepared {
            config,
            acme: acme.map(Arc::new),
            loaded,
            _turn: turn,
        })
    }

    /// Puts it in force, and tells which certificates are new.
    pub(crate) fn apply(&self, prepared: Prepared) -> Vec<String> {
        let Prepared {
            config,
            acme,
            loaded,
            _turn,
        } = prepared;
        for warning in loaded.warnings(&config, now()) {
            tracing::warn!("{warning}");
        }
        if let Some(named) = loaded.named() {
            self.shown.replace(Arc::new(named));
        }
        let mut held = self.held();
        let news = loaded.news(&held.leaves);
        *held = Held {
            leaves: loaded.leaves(),
            stamps: loaded.stamps,
            config,
            acme,
        };
        news
    }

    /// Reads everything again, by the configuration that holds. When something
    /// can't be used, nothing changes.
    pub(crate) async fn reread(&self) -> Result<Vec<String>, TlsError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (config, acme) = {
            let held = self.held();
            (Arc::clone(&held.config), held.acme.clone())
        };
        let loaded = Loaded::read(&config, &self.data, acme.as_deref(), now()).await?;
        Ok(self.apply(Prepared {
            config,
            acme,
            loaded,
            _turn: turn,
        }))
    }

    /// Certificates in force that end soon, or have ended: their names, and when.
    /// What is renewed by itself is not soon as long as there is time for that.
    pub(crate) fn ending(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let held = self.held();
        let facts = held.leaves.iter().map(CertificateFacts::of);
        let ends = |facts: &CertificateFacts| {
            let lasts = facts.not_after.since(facts.not_before);
            facts.not_after <= now.after(SOON.min(lasts / 4))
        };
        let ending = facts.filter_map(Result::ok).filter(ends);
        ending
            .map(|facts| (facts.names.join(", "), facts.not_after))
            .collect()
    }

    /// Gets and renews what is due, and puts it in force; what is worth a line
    /// in the log, or what failed. An operator's own wish is not put off by
    /// failures before.
    pub(crate) async fn tend(&self, wish: Wish) -> Result<String, String> {
        let acme = self.held().acme.clone();
        let tended = match &acme {
            Some(acme) => {
                if wish == Wish::Operator {
                    acme.forget_failures().await;
                }
                acme.tend().await
            }
            None => Default::default(),
        };
        let news = self.reread().await.map_err(|error| error.to_string())?;
        for line in &news {
            tracing::info!("{line}");
        }
        if !tended.failed.is_empty() {
            let failed = tended.failed.iter();
            let lines: Vec<_> = failed.map(|(name, why)| format!("{name}: {why}")).collect();
            return Err(lines.join("; "));
        }
        Ok(match news.is_empty() {
            true => "nothing was due".to_owned(),
            false => news.join("; "),
        })
    }

    /// Reads files anew when somebody changed them, until the shutdown.
    pub(crate) async fn watch(&self, mut shutdown: Shutdown) {
        let clock = SystemClock::new();
        let mut refused = None;
        loop {
            let Some(every) = self.held().config.tls.watch else {
                return;
            };
            tokio::select! {
                () = shutdown.begun() => return,
                () = clock.sleep_until(clock.monotonic().after(every)) => {}
            }
            let (config, before) = {
                let held = self.held();
                (Arc::clone(&held.config), held.stamps.clone())
            };
            let found = stamps(&config);
            // What could not be used is tried again when it is changed again:
            // certificate and key are not replaced in one instant.
            if found == before || refused.as_ref() == Some(&found) {
                continue;
            }
            match self.reread().await {
                Ok(news) => {
                    refused = None;
                    for line in news {
                        tracing::info!("files changed: {line}");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "files changed; the old certificates stay");
                    refused = Some(found);
                }
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who wants certificates to be tended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Timetable,
    Operator,
}

fn now() -> mailcore::time::Timestamp {
    SystemClock::new().now()
}
