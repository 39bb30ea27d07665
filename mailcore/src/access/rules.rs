//! [`AccessRules`]: who may connect to a listener.

use std::net::IpAddr;
use std::sync::Arc;

use super::TrustedHosts;

/// Who may connect. Whom `deny` names may not, whatever `allow` says; where
/// there is an `allow`, nobody else may.
///
/// A name that DNS does not tell now is nobody's: it lets nobody in, and keeps
/// nobody out.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AccessRules {
    /// The only ones who may; `None` for everybody.
    pub allow: Option<Arc<TrustedHosts>>,
    /// Those who may not.
    pub deny: Option<Arc<TrustedHosts>>,
}

impl AccessRules {
    /// Everybody may.
    pub fn new() -> Self {
        Self::default()
    }

    /// These alone may.
    #[must_use]
    pub fn allow(mut self, hosts: Arc<TrustedHosts>) -> Self {
        self.allow = Some(hosts);
        self
    }

    /// These may not.
    #[must_use]
    pub fn deny(mut self, hosts: Arc<TrustedHosts>) -> Self {
        self.deny = Some(hosts);
        self
    }

    /// Whether a peer may connect.
    pub async fn admits(&self, peer: IpAddr) -> bool {
        if let Some(deny) = &self.deny
            && deny.trusts(peer).await
        {
            return false;
        }
        match &self.allow {
            Some(allow) => allow.trusts(peer).await,
            None => true,
        }
    }
}
