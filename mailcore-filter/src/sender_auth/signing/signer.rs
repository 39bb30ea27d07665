//! [`DomainSigner`]: the signer of mail to other hosts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::address::Domain;
use mailcore::message::Header;
use mailcore::queue::Origin;
use mailcore::seams::{
    Clock, Directory, LeavingMail, Resolver, SentOctets, SignError, Signer, StoreError,
};

use super::cache::{SignatureCache, print};
use super::digest::{DigestError, Digested};
use super::keyring::{KeyRing, Known};
use super::policy::{Author, is_wanted, signing_domain};
use crate::sender_auth::arc::{ArcSealer, ArcVerifier};
use crate::sender_auth::dkim::sign::LIFETIME;
use crate::sender_auth::dkim::{DkimSigner, SigningError};

/// The setting by which a domain has no signatures: `off`.
pub const SIGNING_SETTING: &str = "dkim.sign";

/// Signs what leaves with the keys of a [`KeyRing`].
///
/// Mail from somebody who logged in, from a host of the house, from the host
/// application and of the server itself gets a signature of DKIM with each active
/// key of its author's domain. Mail that strangers sent here and that goes on is
/// theirs: whatever its From field says, it gets no signature of that domain, and
/// a seal of ARC where sealing is on.
///
/// Mail of a domain without a key goes unsigned, as does a message that can't be
/// signed for what it is: waiting would change nothing, and such mail is not lost
/// to a receiver that finds SPF to hold. A store that does not answer puts mail
/// off: it will answer again, and mail without the signature that its domain
/// promises may be refused for good.
#[derive(Debug)]
pub struct DomainSigner {
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    directory: Option<Arc<dyn Directory>>,
    lifetime: Duration,
    seals: Option<Seals>,
    cache: SignatureCache,
}

/// What sealing takes.
#[derive(Debug)]
struct Seals {
    /// Under which name this server's results stand in a message.
    authserv_id: Domain,
    /// Whose key seals when none of the domains that mail came by has one.
    domain: Option<Domain>,
    verifier: ArcVerifier,
}

impl DomainSigner {
    /// Signs with the keys of `ring`; seals nothing.
    pub fn new(ring: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ring,
            clock,
            directory: None,
            lifetime: LIFETIME,
            seals: None,
            cache: SignatureCache::default(),
        }
    }

    /// Asks the directory which domains and accounts want no signature
    /// ([`SIGNING_SETTING`],
    /// [`AccountOptions::domain_signature`](mailcore::seams::AccountOptions)).
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// How long a signature holds, 14 days at most and unless set: who replays
    /// mail is believed as long.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(LIFETIME);
        self
    }

    /// Seals what is passed on for strangers. `authserv_id` is the name under
    /// which this server writes its Authentication-Results; a chain that it says
    /// nothing of is checked anew.
    #[must_use]
    pub fn seals(
        mut self,
        authserv_id: Domain,
        domain: Option<Domain>,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        let verifier = ArcVerifier::new(resolver, Arc::clone(&self.clock));
        self.seals = Some(Seals {
            authserv_id,
            domain,
            verifier,
        });
        self
    }

    async fn lead(
        &self,
        known: &Known,
        mail: &LeavingMail<'_>,
        digested: &Digested,
    ) -> Result<Bytes, SignError> {
        if mail.origin == Origin::Received {
            return Ok(self.seal(known, mail, digested).await);
        }
        let Some(author) = Author::of(&digested.header) else {
            return Ok(Bytes::new());
        };
        let Some(domain) = signing_domain(known, &author.domain)
            .filter(|domain| !Author::is_claimed(&digested.header, known, domain))
        else {
            return Ok(Bytes::new());
        };
        if let Some(directory) = &self.directory {
            let wanted = is_wanted(&**directory, &domain, &author).await;
            let unavailable =
                |_| SignError::Keys(StoreError::Unavailable("the directory does not answer"));
            if !wanted.map_err(unavailable)? {
                return Ok(Bytes::new());
            }
        }
        Ok(self.fields(known, &domain, digested).await)
    }

    /// A signature for each key, RSA's on top.
    async fn fields(&self, known: &Known, domain: &Domain, digested: &Digested) -> Bytes {
        let mut lead = Vec::new();
        for kept in known.active(domain) {
            let Some(key) = self.ring.open(kept) else {
                continue;
            };
            let signer = DkimSigner::new(domain.clone(), kept.entry.selector.clone(), key);
            let signer = signer.lifetime(Some(self.lifetime));
            match signer.sign_digested(digested, self.clock.now()) {
                Ok(field) => lead.extend(field),
                Err(error) => unsigned(domain, &error),
            }
            // A key of RSA takes a millisecond.
            tokio::task::yield_now().await;
        }
        lead.into()
    }

    /// A seal; nothing where there is no key to seal with, or nothing to be
    /// said.
    async fn seal(&self, known: &Known, mail: &LeavingMail<'_>, digested: &Digested) -> Bytes {
        let Some(seals) = &self.seals else {
            return Bytes::new();
        };
        let Some(domain) = seals.domain(known, mail) else {
            return Bytes::new();
        };
        let Some((selector, key)) = known.active(&domain).into_iter().find_map(|kept| {
            let key = self.ring.open(kept)?;
            Some((kept.entry.selector.clone(), key))
        }) else {
            return Bytes::new();
        };
        let sealer = ArcSealer::new(seals.authserv_id.clone(), (domain.clone(), selector), key);
        let Some(chain) = sealer.chain(mail.message, digested, &seals.verifier).await else {
            return Bytes::new();
        };
        match sealer.seal_digested(digested, chain, self.clock.now()) {
            Ok(set) => set.unwrap_or_default().into(),
            Err(error) => {
                unsigned(&domain, &error);
                Bytes::new()
            }
        }
    }
}

impl Seals {
    /// Who seals: the domain by which the message came here, that in whose name
    /// it goes on, the configured one, the server's own.
    fn domain(&self, known: &Known, mail: &LeavingMail<'_>) -> Option<Domain> {
        // What this server put before it; the rest is whoever's.
        let field = Header::new(mail.message.prefix()).first("Delivered-To");
        let came_by = field.and_then(|field| {
            let text = String::from_utf8_lossy(&field.value()).into_owned();
            let (_, domain) = text.trim().rsplit_once('@')?;
            Domain::parse(domain).ok()?.to_ascii().ok()
        });
        let goes_as = mail.reverse_path.address();
        let goes_as = goes_as.and_then(|address| address.domain().to_ascii().ok());
        let configured = self.domain.clone();
        let own = self.authserv_id.to_ascii().ok();
        let names = [came_by, goes_as, configured, own];
        names
            .into_iter()
            .flatten()
            .find_map(|name| signing_domain(known, &name))
    }
}

#[async_trait]
impl Signer for DomainSigner {
    async fn sign(
        &self,
        mail: &LeavingMail<'_>,
        octets: &mut dyn SentOctets,
    ) -> Result<Bytes, SignError> {
        let known = self.ring.known().await.map_err(SignError::Keys)?;
        if known.is_empty() || (mail.origin == Origin::Received && self.seals.is_none()) {
            return Ok(Bytes::new());
        }
        let print = print(mail, known.mark);
        let now = self.clock.monotonic();
        if let Some(lead) = print.and_then(|print| self.cache.get(&print, now)) {
            return Ok(lead);
        }
        let digested = match Digested::of(octets).await {
            Ok(digested) => digested,
            Err(DigestError::Read(error)) => return Err(SignError::Message(error)),
            Err(DigestError::Message(problem)) => {
                tracing::warn!(%problem, trace = %mail.trace, "sent without a signature");
                return Ok(Bytes::new());
            }
        };
        let lead = self.lead(&known, mail, &digested).await?;
        if let Some(print) = print {
            self.cache.put(print, &lead, now);
        }
        Ok(lead)
    }
}

fn unsigned(domain: &Domain, error: &SigningError) {
    tracing::warn!(%domain, %error, "sent without a signature");
}
