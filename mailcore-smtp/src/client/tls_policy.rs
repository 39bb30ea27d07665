//! [`TlsPolicies`]: what each host must show before it gets mail, by DANE,
//! MTA-STS, the configuration and what the message asks for.
//!
//! DANE outranks MTA-STS (RFC 8461 section 2); the configuration sets a floor
//! below both, or lifts them; REQUIRETLS raises what is left, and
//! `TLS-Required: No` lowers it (RFC 8689). Only where nothing asks for TLS is
//! anything sent in clear.

use std::collections::HashMap;
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::message::READ_CHUNK;
use mailcore::seams::{DeliveryJob, DnsError, DnssecStatus, Resolver, Tlsa};
use mailcore::status::{Failure, Status};
use memchr::memmem;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;

use super::config::TlsPolicy;
use super::connection::{Connection, TlsConfigs};
use super::dane;
use super::error::{SessionError, TlsFaultKind};
use super::mta_sts::{MtaSts, StsMode, StsPolicy};
use super::remote_agent::{RemoteAgent, RemoteAgentBuilder};
use super::secured::{Secured, required};
use super::targets::Target;
use super::tls::{Judgement, Observation, judged_by, server_name};
use super::tls_report::{PolicyKind, Session, SessionCount, TlsReport};

/// Whether TLSA records are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dane {
    /// Where DNS answers are validated: only then do they count.
    #[default]
    WhereSecure,
    /// Never.
    Off,
}

/// What the configuration asks of a domain's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsRule {
    /// Nothing: the domain's own policies are passed over, too.
    None,
    /// TLS with any certificate.
    Encrypted,
    /// TLSA records that name the certificate.
    Dane,
    /// A certificate that is valid for the host's name, or named by DANE.
    Verified,
}

/// What hosts must show, decided for each connection.
#[derive(Debug)]
pub struct TlsPolicies {
    provider: Arc<CryptoProvider>,
    judge: Arc<WebPkiServerVerifier>,
    dane: Dane,
    sts: Option<Arc<MtaSts>>,
    rules: HashMap<Domain, TlsRule>,
    report: Option<Arc<TlsReport>>,
}

impl TlsPolicies {
    /// DANE where DNS is secure, no MTA-STS, no rules. `roots` are those of
    /// [`verified_config`](super::verified_config).
    ///
    /// # Errors
    /// When there are no roots.
    pub fn new(
        provider: Arc<CryptoProvider>,
        roots: RootCertStore,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let roots = Arc::new(roots);
        let judge = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?;
        Ok(Self {
            provider,
            judge,
            dane: Dane::default(),
            sts: None,
            rules: HashMap::new(),
            report: None,
        })
    }

    /// Whether TLSA records are looked for.
    #[must_use]
    pub fn dane(mut self, dane: Dane) -> Self {
        self.dane = dane;
        self
    }

    /// Follows the policies that this finds.
    #[must_use]
    pub fn mta_sts(mut self, sts: Arc<MtaSts>) -> Self {
        self.sts = Some(sts);
        self
    }

    /// Asks this of the hosts of `domain` and its subdomains.
    #[must_use]
    pub fn rule(mut self, domain: Domain, rule: TlsRule) -> Self {
        // Hosts are found by the ASCII form of their domain.
        self.rules.insert(domain.to_ascii().unwrap_or(domain), rule);
        self
    }

    /// Counts sessions there.
    #[must_use]
    pub fn report(mut self, report: Arc<TlsReport>) -> Self {
        self.report = Some(report);
        self
    }

    /// The rule of the domain, or of the nearest one above that has one.
    fn rule_of(&self, domain: &Domain) -> Option<TlsRule> {
        let mut name = domain.as_str();
        loop {
            let known = Domain::parse(name).ok();
            if let Some(rule) = known.and_then(|domain| self.rules.get(&domain)) {
                return Some(*rule);
            }
            name = name.split_once('.')?.1;
        }
    }

    pub(super) async fn plan(
        &self,
        agent: &RemoteAgent,
        target: &Target,
        job: &DeliveryJob,
    ) -> Result<Secured, Failure> {
        let domain = target.trust.domain.as_ref().unwrap_or(&target.host);
        let rule = self.rule_of(domain);
        let found = match rule {
            Some(TlsRule::None) => Ok(Found::nothing()),
            _ => self.find(&agent.resolver(), target).await,
        };
        let decided = found.and_then(|found| decide(found, rule, job.params.require_tls, target));
        let unmet = match &decided {
            Ok(decided) => decided.level.policy() != TlsPolicy::Opportunistic,
            Err(_) => true,
        };
        // RFC 8689 section 5: the message is worth more than its secrecy. What
        // the configuration asks for stays.
        let lifted =
            unmet && rule.is_none() && !job.params.require_tls && asks_for_no_tls(job).await;
        let (decided, lifted) = match decided {
            _ if lifted => (Decided::nothing(), true),
            decided => (
                decided.map_err(|why| self.refused(why, target, domain, job))?,
                false,
            ),
        };
        job.transcript.note(format_args!(
            "TLS policy for {}: {}",
            target.host,
            if lifted {
                "opportunistic, as TLS-Required: No asks"
            } else {
                decided.level.words()
            }
        ));
        self.secured(agent, target, decided, lifted)
    }

    /// What the domain says about its hosts.
    async fn find(&self, resolver: &dyn Resolver, target: &Target) -> Result<Found, Refusal> {
        let dane = match self.dane {
            Dane::Off => None,
            Dane::WhereSecure => {
                tlsa(resolver, target)
                    .await
                    .map_err(|(name, error)| Refusal::Dns {
                        text: match error {
                            DnsError::Bogus => {
                                format!("the DNSSEC signatures of {name} are not valid")
                            }
                            error => format!("looking up {name} failed: {error}"),
                        },
                    })?
            }
        };
        let sts = match (&self.sts, &target.trust.domain) {
            (Some(sts), Some(domain)) => sts.policy(resolver, domain).await,
            _ => None,
        };
        Ok(Found { dane, sts })
    }

    fn refused(
        &self,
        why: Refusal,
        target: &Target,
        domain: &Domain,
        job: &DeliveryJob,
    ) -> Failure {
        let counted = match &why {
            Refusal::Dns { .. } => {
                Some((PolicyKind::Tlsa(Vec::new()), SessionCount::DnssecInvalid))
            }
            Refusal::NoDane => Some((PolicyKind::Tlsa(Vec::new()), SessionCount::DaneRequired)),
            Refusal::NotInPolicy(policy) => Some((
                PolicyKind::Sts(policy.lines().to_vec()),
                SessionCount::ValidationFailure,
            )),
            // The message asked for more than the domain promises.
            Refusal::NotSecured => None,
        };
        if let (Some(report), Some((kind, count))) = (&self.report, counted) {
            let session = Session::new(domain.clone(), target.host.clone(), kind);
            report.count(&session, count);
        }
        let failure = Failure::local(why.status(&target.host));
        match why {
            // Not known now is not "no".
            Refusal::Dns { .. } => failure,
            _ => required(job, failure),
        }
    }

    fn secured(
        &self,
        agent: &RemoteAgent,
        target: &Target,
        decided: Decided,
        lifted: bool,
    ) -> Result<Secured, Failure> {
        let mut configs: TlsConfigs = agent.tls.clone();
        let mut watch = Watch {
            report: self.report.clone(),
            session: Some(decided.session(target)),
            lifted,
            observed: None,
        };
        let judgement = match &decided.level {
            Level::Dane(records) => {
                let names = records.names.iter();
                Some(Judgement::Dane {
                    records: records.usable.clone(),
                    names: names.filter_map(|name| server_name(name).ok()).collect(),
                })
            }
            Level::Opportunistic(Some(policy)) => {
                let verdict = Arc::new(Observation::default());
                if !policy.covers(&target.host) {
                    verdict.note(TlsFaultKind::Handshake);
                }
                watch.observed = Some(Arc::clone(&verdict));
                Some(Judgement::Observed {
                    judge: self.judge.clone(),
                    verdict,
                })
            }
            _ => None,
        };
        if let Some(judgement) = judgement {
            let name = match &decided.level {
                Level::Dane(records) => records.base.clone(),
                _ => target.host.clone(),
            };
            let config = judged_by(&self.provider, judgement).map_err(|error| {
                Failure::local(Status::transient(
                    3,
                    5,
                    format!("TLS can't be set up: {error}"),
                ))
            })?;
            configs.host = Some((config, name));
        }
        Ok(Secured {
            policy: decided.level.policy(),
            configs,
            watch,
        })
    }
}

impl RemoteAgentBuilder {
    /// Asks of each host what its domain's policies ask. Hosts that the
    /// configuration names with a [`TlsPolicy`] of their own keep that.
    #[must_use]
    pub fn tls_policies(mut self, policies: Arc<TlsPolicies>) -> Self {
        self.tls.policies = Some(policies);
        self
    }
}

/// What was found of a domain.
#[derive(Debug)]
struct Found {
    dane: Option<Records>,
    sts: Option<Arc<StsPolicy>>,
}

impl Found {
    fn nothing() -> Self {
        Self {
            dane: None,
            sts: None,
        }
    }
}

/// A host's TLSA records.
#[derive(Debug, Clone)]
struct Records {
    /// The TLSA base domain: asked for by SNI.
    base: Domain,
    /// RFC 7672 section 3.2.3: names of which an authority's certificate must
    /// have one.
    names: Vec<Domain>,
    /// Those that can be used; none asks for TLS with any certificate (RFC
    /// 7672 section 2.2).
    usable: Vec<Tlsa>,
}

/// The TLSA records of a host, when DNS vouches for the way to them (RFC 7672
/// section 2.2.2). An answer that is missing is told with its name.
async fn tlsa(
    resolver: &dyn Resolver,
    target: &Target,
) -> Result<Option<Records>, (Domain, DnsError)> {
    let trust = &target.trust;
    let Ok(host) = target.host.to_ascii() else {
        return Ok(None);
    };
    if !trust.mx.is_secure() || host.as_ip().is_some() {
        return Ok(None);
    }
    // The name at the alias's end comes first, but only where all of the way
    // is signed; a signed alias into an unsigned zone leaves its own name.
    let bases = match &trust.alias {
        None if trust.addresses.is_secure() => vec![host.clone()],
        Some(alias) if trust.addresses.is_secure() => vec![alias.target.clone(), host.clone()],
        Some(alias) if alias.dnssec.is_secure() => vec![host.clone()],
        _ => Vec::new(),
    };
    for base in bases {
        let name = format!("_{}._tcp.{base}", target.address.port());
        let Ok(name) = Domain::parse(&name) else {
            continue;
        };
        match resolver.tlsa(&name).await {
            Ok(found) if found.dnssec == DnssecStatus::Secure => {
                let names = [Some(base.clone()), Some(host), trust.domain.clone()];
                return Ok(Some(Records {
                    usable: dane::usable(&found.records),
                    names: names.into_iter().flatten().collect(),
                    base,
                }));
            }
            Ok(_) | Err(DnsError::NotFound { .. }) => {}
            Err(error) => return Err((name, error)),
        }
    }
    Ok(None)
}

/// What a host must show.
#[derive(Debug, Clone)]
enum Level {
    /// Nothing; what a policy in mode `testing` would find is noted.
    Opportunistic(Option<Arc<StsPolicy>>),
    /// TLS.
    Encrypted(&'static str),
    /// A certificate that TLSA records name.
    Dane(Records),
    /// A certificate valid for its name.
    Verified(&'static str),
}

impl Level {
    fn policy(&self) -> TlsPolicy {
        match self {
            Self::Opportunistic(_) => TlsPolicy::Opportunistic,
            Self::Encrypted(_) => TlsPolicy::Encrypted,
            Self::Dane(_) => TlsPolicy::Dane,
            Self::Verified(_) => TlsPolicy::Verified,
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Opportunistic(None) => "opportunistic",
            Self::Opportunistic(Some(_)) => "opportunistic, MTA-STS is being tested",
            Self::Dane(_) => "verified by DANE",
            Self::Encrypted(words) | Self::Verified(words) => words,
        }
    }
}

const BY_STS: &str = "verified by MTA-STS";
const BY_RULE: &str = "verified, as the configuration asks";
const BY_MESSAGE: &str = "verified, as REQUIRETLS asks";
const UNUSABLE: &str = "encrypted, since no TLSA record is usable";
const ENCRYPTED_BY_RULE: &str = "encrypted, as the configuration asks";

/// A decision with the policy that reports name.
#[derive(Debug)]
struct Decided {
    level: Level,
    sts: Option<Arc<StsPolicy>>,
}

impl Decided {
    fn nothing() -> Self {
        Self {
            level: Level::Opportunistic(None),
            sts: None,
        }
    }

    fn session(&self, target: &Target) -> Session {
        let kind = match (&self.level, &self.sts) {
            (Level::Dane(records), _) => PolicyKind::Tlsa(records.usable.clone()),
            (Level::Encrypted(UNUSABLE), _) => PolicyKind::Tlsa(Vec::new()),
            (_, Some(policy)) => PolicyKind::Sts(policy.lines().to_vec()),
            _ => PolicyKind::None,
        };
        let domain = target.trust.domain.as_ref().unwrap_or(&target.host);
        Session::new(domain.clone(), target.host.clone(), kind)
    }
}

/// Why a host gets nothing.
#[derive(Debug, Clone)]
enum Refusal {
    /// Whether it has TLSA records can't be known now.
    Dns { text: String },
    /// It is to have TLSA records and has none.
    NoDane,
    /// Its domain's policy does not name it.
    NotInPolicy(Arc<StsPolicy>),
    /// REQUIRETLS, and nothing vouches for the way to it.
    NotSecured,
}

impl Refusal {
    fn status(&self, host: &Domain) -> Status {
        match self {
            Self::Dns { text } => Status::transient(7, 5, text.clone()),
            Self::NoDane => {
                let text = format!("{host} has no usable TLSA records, which are required here");
                Status::transient(7, 5, text)
            }
            Self::NotInPolicy(_) => {
                let text = format!("{host} is no mail host by its domain's MTA-STS policy");
                Status::transient(7, 5, text)
            }
            // RFC 8689 section 4.2.1.
            Self::NotSecured => {
                let text =
                    format!("neither DNSSEC nor MTA-STS vouches for {host}, as REQUIRETLS asks");
                Status::permanent(7, 10, text)
            }
        }
    }
}

/// The strongest of what is asked for.
fn decide(
    found: Found,
    rule: Option<TlsRule>,
    require_tls: bool,
    target: &Target,
) -> Result<Decided, Refusal> {
    let Found { dane, sts } = found;
    let enforced = sts.as_ref().filter(|sts| sts.mode == StsMode::Enforce);
    let mut level = match (dane, enforced) {
        (Some(records), _) if !records.usable.is_empty() => Level::Dane(records),
        (_, Some(policy)) if !policy.covers(&target.host) => {
            return Err(Refusal::NotInPolicy(policy.clone()));
        }
        (_, Some(_)) => Level::Verified(BY_STS),
        (Some(_), None) => Level::Encrypted(UNUSABLE),
        (None, None) => {
            let tested = sts.as_ref().filter(|sts| sts.mode == StsMode::Testing);
            Level::Opportunistic(tested.cloned())
        }
    };
    let verified = level.policy().is_verified();
    match rule {
        Some(TlsRule::Dane) if level.policy() != TlsPolicy::Dane => return Err(Refusal::NoDane),
        Some(TlsRule::Verified) if !verified => level = Level::Verified(BY_RULE),
        Some(TlsRule::Encrypted) if level.policy() == TlsPolicy::Opportunistic => {
            level = Level::Encrypted(ENCRYPTED_BY_RULE);
        }
        _ => {}
    }
    if require_tls && !level.policy().is_verified() {
        if !target.trust.mx.is_secure() {
            return Err(Refusal::NotSecured);
        }
        level = Level::Verified(BY_MESSAGE);
    }
    Ok(Decided { level, sts })
}

/// True when the header says `TLS-Required: No` (RFC 8689 section 5).
async fn asks_for_no_tls(job: &DeliveryJob) -> bool {
    let start = job.message.read(0..READ_CHUNK as u64).await;
    start.is_ok_and(|octets| says_no_tls(&octets))
}

fn says_no_tls(octets: &[u8]) -> bool {
    let end = memmem::find(octets, b"\r\n\r\n").unwrap_or(octets.len());
    let header = octets.get(..end).unwrap_or_default();
    header.split(|octet| *octet == b'\n').any(|line| {
        let Some((name, value)) = line.split_at_checked(b"tls-required:".len()) else {
            return false;
        };
        name.eq_ignore_ascii_case(b"tls-required:")
            && value.trim_ascii().eq_ignore_ascii_case(b"no")
    })
}

/// Tells the counts what came of a session.
#[derive(Debug, Default)]
pub(super) struct Watch {
    report: Option<Arc<TlsReport>>,
    session: Option<Session>,
    lifted: bool,
    observed: Option<Arc<Observation>>,
}

impl Watch {
    pub(super) fn opened(&self, connection: &mut Connection) {
        if self.lifted {
            connection.keep_for_no_other();
        }
        if connection.tls().is_none() {
            return self.count(SessionCount::StarttlsNotSupported);
        }
        let fault = self.observed.as_ref().and_then(|verdict| verdict.fault());
        self.count(fault.map_or(SessionCount::Success, count_of));
    }

    pub(super) fn failed(&self, error: &SessionError) {
        match error {
            SessionError::TlsNotOffered => self.count(SessionCount::StarttlsNotSupported),
            SessionError::TlsFailed(fault) => self.count(count_of(fault.kind)),
            SessionError::Injected => self.count(SessionCount::ValidationFailure),
            // Nothing was learnt of its TLS.
            _ => {}
        }
    }

    fn count(&self, count: SessionCount) {
        if let (Some(report), Some(session)) = (&self.report, &self.session) {
            report.count(session, count);
        }
    }
}

fn count_of(fault: TlsFaultKind) -> SessionCount {
    match fault {
        TlsFaultKind::Expired => SessionCount::CertificateExpired,
        TlsFaultKind::HostMismatch => SessionCount::CertificateHostMismatch,
        TlsFaultKind::NotTrusted => SessionCount::CertificateNotTrusted,
        TlsFaultKind::Tlsa => SessionCount::TlsaInvalid,
        TlsFaultKind::Lost | TlsFaultKind::Handshake => SessionCount::ValidationFailure,
    }
}
