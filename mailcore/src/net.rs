//! From sockets to machines: listeners, the one tokio driver, TLS, shutdown.
//!
//! Protocol rules are not here: a [`Service`] brings its
//! [`Machine`](crate::wire::Machine).

#[cfg(feature = "acme")]
mod acme;
mod connection;
#[cfg(feature = "dns")]
mod dns;
mod drive;
mod gate;
#[cfg(feature = "http")]
mod http_client;
mod http_proxy;
mod listener;
mod meter;
mod network;
mod own_name;
mod pace;
mod proxy_protocol;
mod shutdown;
#[cfg(feature = "tls")]
mod tls;
mod toll;

#[cfg(feature = "acme")]
pub use acme::{
    Acme, AcmeConfig, AcmeError, AcmeFolder, AcmeSeams, AcmeStore, Challenge, ChallengeStore,
    DnsPublisher, ExternalAccount, KeyChoice, Tended,
};
pub use connection::{Connection, Service};
#[cfg(feature = "dnssec")]
pub use dns::{AnchorError, TrustAnchors};
#[cfg(feature = "dns")]
pub use dns::{HickoryResolver, HickoryResolverBuilder, ResolverError};
pub use drive::{Ending, Host, drive};
pub(crate) use gate::peer_group;
pub use gate::{Gate, Place};
#[cfg(feature = "http")]
pub(crate) use http_client::Channel;
#[cfg(feature = "http")]
pub use http_client::{HttpError, HttpLimits, HttpsClient, OwnNetwork, is_public};
pub use http_proxy::{HttpProxy, HttpProxyError, ProxyDialer};
pub use listener::Listener;
#[cfg(feature = "tls")]
pub(crate) use listener::ListenerTls;
pub(crate) use listener::{ListenerParts, Serving, finish};
pub use meter::Meter;
pub use network::{Network, NetworkError};
pub use own_name::{NameFinding, check_own_name};
pub use pace::Bandwidth;
pub use shutdown::{Shutdown, ShutdownSwitch};
#[cfg(feature = "tls")]
pub use tls::{
    ACME_TLS_ALPN, ClientCertificates, FixedCertificate, NamedCertificates,
    ReplaceableCertificates, ServerTls, TlsAcceptor, TlsConfigError, client_bindings,
    server_config,
};
#[cfg(feature = "x509")]
pub use tls::{CertificateError, CertificateFacts};
