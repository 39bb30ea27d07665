//! Where a server listens, and what each listener differs in from the others.

#[cfg(feature = "tls")]
use std::sync::Arc;

use super::{Builder, Spec};
use crate::access::AccessRules;
use crate::net::Network;
use crate::server::IntoService;
use crate::server::handle::ListenerKind;

impl Builder {
    /// TLS for all listeners: plain ones offer STARTTLS from then on.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Serves on `address`, `host:port`; port 0 takes a free one. STARTTLS is
    /// offered when the builder has TLS.
    pub fn listen(self, address: impl Into<String>, service: impl IntoService + 'static) -> Self {
        self.add(Some(address.into()), ListenerKind::Plain, service)
    }

    /// Serves on `address` without offering STARTTLS, whatever TLS there is.
    pub fn listen_plain(
        self,
        address: impl Into<String>,
        service: impl IntoService + 'static,
    ) -> Self {
        self.add(Some(address.into()), ListenerKind::NoTls, service)
    }

    /// Serves on `address` within TLS from the first octet (RFC 8314).
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        self,
        address: impl Into<String>,
        service: impl IntoService + 'static,
    ) -> Self {
        self.add(Some(address.into()), ListenerKind::Implicit, service)
    }

    /// The listener named last stands behind these proxies: they alone may
    /// connect, and say for whom by the PROXY protocol, version 1 or 2. Empty
    /// for none.
    pub fn behind(mut self, proxies: impl IntoIterator<Item = Network>) -> Self {
        match self.services.last_mut() {
            Some(spec) => spec.proxies = proxies.into_iter().collect(),
            None => self.too_early = Some("behind"),
        }
        self
    }

    /// The listener named last has TLS of its own, in place of the builder's: one
    /// that asks for client certificates, say.
    #[cfg(feature = "tls")]
    pub fn with_tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        match self.services.last_mut() {
            Some(spec) => spec.tls = Some(config),
            None => self.too_early = Some("with_tls"),
        }
        self
    }

    /// Who may connect to the listener named last; everybody by default.
    pub fn admitting(mut self, access: AccessRules) -> Self {
        match self.services.last_mut() {
            Some(spec) => spec.access = access,
            None => self.too_early = Some("admitting"),
        }
        self
    }

    /// Serves within the process only:
    /// [`RunningServer::connect`](crate::server::RunningServer::connect) reaches it.
    pub fn serve(self, service: impl IntoService + 'static) -> Self {
        self.add(None, ListenerKind::Plain, service)
    }

    fn add(
        mut self,
        address: Option<String>,
        kind: ListenerKind,
        service: impl IntoService + 'static,
    ) -> Self {
        self.services.push(Spec {
            address,
            kind,
            proxies: Vec::new(),
            access: AccessRules::default(),
            #[cfg(feature = "tls")]
            tls: None,
            service: Box::new(service),
        });
        self
    }
}
