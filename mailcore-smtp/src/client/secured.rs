//! [`Secured`]: what was decided about TLS to one host, and what came of it.

use mailcore::seams::DeliveryJob;
use mailcore::status::{Failure, Status};

use super::config::TlsPolicy;
use super::connection::{Connection, TlsConfigs};
use super::error::SessionError;
use super::remote_agent::RemoteAgent;
use super::targets::Target;

/// How the connection to one host is to be secured.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) policy: TlsPolicy,
    pub(super) configs: TlsConfigs,
    #[cfg(feature = "tls")]
    pub(super) watch: super::tls_policy::Watch,
}

/// Decides about one host: by its domain's policies where `base`, which stands
/// in the configuration, leaves that open.
pub(super) async fn plan(
    agent: &RemoteAgent,
    target: &Target,
    job: &DeliveryJob,
    base: TlsPolicy,
) -> Result<Secured, Failure> {
    #[cfg(feature = "tls")]
    if let Some(policies) = agent.tls.policies.clone()
        && base == TlsPolicy::Opportunistic
    {
        return policies.plan(agent, target, job).await;
    }
    let _ = (target, job);
    Ok(Secured {
        policy: base,
        configs: agent.tls.clone(),
        #[cfg(feature = "tls")]
        watch: super::tls_policy::Watch::default(),
    })
}

/// What a host's lack of TLS means for the message: where the message itself asks
/// for TLS it goes back once no host has it (RFC 8689 section 4.2.1); what the
/// domain or the configuration asks for, and notices, wait.
pub(super) fn required(job: &DeliveryJob, failure: Failure) -> Failure {
    if !job.params.require_tls || job.reverse_path.is_null() {
        return failure;
    }
    Failure {
        status: Status::permanent(7, 10, failure.status.text),
        ..failure
    }
}

impl Secured {
    /// Tells of a session that is ready.
    pub(super) fn opened(&self, connection: &mut Connection) {
        #[cfg(feature = "tls")]
        self.watch.opened(connection);
        #[cfg(not(feature = "tls"))]
        let _ = connection;
    }

    /// Tells of one that did not come about.
    pub(super) fn failed(&self, error: &SessionError) {
        #[cfg(feature = "tls")]
        self.watch.failed(error);
        #[cfg(not(feature = "tls"))]
        let _ = error;
    }
}
