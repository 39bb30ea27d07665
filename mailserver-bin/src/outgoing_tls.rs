//! What other hosts must show before they get mail, put together from the
//! configuration.

use std::path::Path;
use std::sync::Arc;

use mailcore::net::{HttpsClient, ProxyDialer};
use mailcore::seams::{Clock, Dialer, Resolver, State, SystemClock, TcpDialer};
use mailcore_smtp::client::{MtaSts, TlsPolicies, TlsReport, verified_config};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::{Config, MtaStsUse};
use crate::tls::{TlsError, provider};

/// The authorities that are believed: the usual ones and those of the
/// configuration.
pub(crate) fn roots(config: &Config) -> Result<RootCertStore, TlsError> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    if let Some(path) = &config.outgoing_tls.roots {
        for certificate in read(path)? {
            roots.add(certificate)?;
        }
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| TlsError::Pem {
            path: path.display().to_string(),
            source,
        })
}

/// What the server's own HTTPS to hosts of the Internet is called by: the
/// configured proxy, where there is one.
pub(crate) fn web_dialer(config: &Config, resolver: &Arc<dyn Resolver>) -> Arc<dyn Dialer> {
    let dialer = Arc::new(TcpDialer::default());
    match &config.outgoing.proxy {
        Some(proxy) => {
            let proxy = proxy.clone();
            Arc::new(ProxyDialer::new(proxy, Arc::clone(resolver), dialer))
        }
        None => dialer,
    }
}

/// The policies of all hosts that have none of their own.
pub(crate) fn policies(
    config: &Config,
    resolver: &Arc<dyn Resolver>,
    state: &Arc<dyn State>,
    report: Arc<TlsReport>,
) -> Result<Arc<TlsPolicies>, TlsError> {
    let settings = &config.outgoing_tls;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let roots = roots(config)?;
    let mut policies = TlsPolicies::new(provider(), roots.clone())
        .map_err(|error| rustls::Error::General(error.to_string()))?
        .dane(settings.dane)
        .report(Arc::clone(&report));
    if settings.mta_sts == MtaStsUse::On {
        let web = HttpsClient::new(
            Arc::clone(resolver),
            web_dialer(config, resolver),
            Arc::clone(&clock),
            verified_config(provider(), roots)?,
        );
        let web = Arc::new(web.own_network(settings.own_network));
        let sts = MtaSts::new(Arc::clone(state), web, clock).report(report);
        policies = policies.mta_sts(Arc::new(sts));
    }
    for (domain, rule) in &settings.rules {
        policies = policies.rule(domain.clone(), *rule);
    }
    Ok(Arc::new(policies))
}
