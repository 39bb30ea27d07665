//! One certificate, from the order to the chain (RFC 8555 section 7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, Authorizations, CertificateIdentifier, ChallengeHandle,
    Identifier, NewOrder, Order, OrderStatus,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::challenges::Answer;
use super::{AcmeConfig, AcmeError, AcmeSeams, Challenge, DnsPublisher};

/// Wait between two looks at an order.
const PAUSE: Duration = Duration::from_secs(3);

/// A certificate as the authority gave it.
pub(super) struct Issued {
    /// The chain, leaf first, PEM.
    pub(super) chain: String,
    /// Its key, PEM.
    pub(super) key: String,
}

/// One order with what it needs.
pub(super) struct Ordering<'a> {
    pub(super) config: &'a AcmeConfig,
    pub(super) seams: &'a AcmeSeams,
    pub(super) account: &'a Account,
    pub(super) names: &'a [String],
    pub(super) key: KeyPair,
}

/// A TXT record that is to be taken away.
type Record = (String, String);

impl Ordering<'_> {
    /// Orders, answers the challenges, waits, and takes the certificate.
    /// `replaces` is the one whose turn it is to go (RFC 9773 section 5).
    pub(super) async fn certificate(
        &self,
        replaces: Option<CertificateIdentifier<'_>>,
    ) -> Result<Issued, AcmeError> {
        let mut records = Vec::new();
        let clock = &self.seams.clock;
        let until = clock.monotonic().after(self.config.time);
        let issued = tokio::select! {
            issued = self.issue(replaces, &mut records) => issued,
            () = clock.sleep_until(until) => Err(AcmeError::TimedOut(self.config.time)),
        };
        if let Challenge::Dns01(dns) = &self.config.challenge {
            for (name, value) in records {
                if let Err(reason) = dns.remove(&name, &value).await {
                    tracing::warn!(name, reason, "a TXT record of a challenge stays");
                }
            }
        }
        issued
    }

    async fn issue(
        &self,
        replaces: Option<CertificateIdentifier<'_>>,
        records: &mut Vec<Record>,
    ) -> Result<Issued, AcmeError> {
        let mut order = self.order(replaces).await?;
        let answers = self.answers(order.authorizations(), records).await?;
        if !records.is_empty() {
            self.pause(self.config.dns_delay).await;
        }
        self.tell(order.authorizations()).await?;
        self.until_ready(&mut order).await?;
        drop(answers);
        let mut request = CertificateParams::new(self.names)?;
        request.distinguished_name = DistinguishedName::new();
        let request = request.serialize_request(&self.key)?;
        order.finalize_csr(request.der()).await?;
        loop {
            if let Some(chain) = order.certificate().await? {
                let key = self.key.serialize_pem();
                return Ok(Issued { chain, key });
            }
            self.pause(PAUSE).await;
        }
    }

    async fn order(&self, replaces: Option<CertificateIdentifier<'_>>) -> Result<Order, AcmeError> {
        let names: Vec<_> = self.names.iter().cloned().map(Identifier::Dns).collect();
        if let Some(replaces) = replaces {
            // An authority may not know the one before, or know it as replaced;
            // either way it gives one to whoever does not ask for that.
            let order = NewOrder::new(&names).replaces(replaces);
            if let Ok(order) = self.account.new_order(&order).await {
                return Ok(order);
            }
        }
        Ok(self.account.new_order(&NewOrder::new(&names)).await?)
    }

    /// Publishes the answers to all challenges, before the authority is told of
    /// any: name servers are waited for once.
    async fn answers(
        &self,
        mut authorizations: Authorizations<'_>,
        records: &mut Vec<Record>,
    ) -> Result<Vec<Answer>, AcmeError> {
        let mut answers = Vec::new();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                other => {
                    let name = authorization.identifier().to_string();
                    let reason = format!("its authorization is {other:?}");
                    return Err(AcmeError::Challenge { name, reason });
                }
            }
            let name = authorization.identifier().to_string();
            let config = self.config;
            let Some(challenge) = authorization.challenge(config.challenge.kind()) else {
                let challenge = config.challenge.name();
                return Err(AcmeError::NotOffered { challenge, name });
            };
            match &config.challenge {
                Challenge::Dns01(dns) => self.publish(&challenge, &**dns, records).await?,
                _ => answers.push(self.prepare(&challenge)?),
            }
        }
        Ok(answers)
    }

    /// Has the authority look for them.
    async fn tell(&self, mut authorizations: Authorizations<'_>) -> Result<(), AcmeError> {
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            let open = authorization.status == AuthorizationStatus::Pending;
            if let Some(mut challenge) = authorization.challenge(self.config.challenge.kind())
                && open
            {
                challenge.set_ready().await?;
            }
        }
        Ok(())
    }

    fn prepare(&self, challenge: &ChallengeHandle<'_>) -> Result<Answer, AcmeError> {
        let authorization = challenge.key_authorization();
        let store = &self.seams.challenges;
        match self.config.challenge {
            Challenge::Http01 => Ok(store.answer_http(&challenge.token, authorization.as_str())),
            _ => {
                let name = challenge.identifier().to_string();
                let digest = authorization.digest();
                store.answer_tls(&self.seams.provider, &name, digest.as_ref())
            }
        }
    }

    async fn publish(
        &self,
        challenge: &ChallengeHandle<'_>,
        dns: &dyn DnsPublisher,
        records: &mut Vec<Record>,
    ) -> Result<(), AcmeError> {
        let name = challenge.identifier().to_string();
        let name = format!("_acme-challenge.{}", name.trim_start_matches("*."));
        let value = challenge.key_authorization().dns_value();
        // Before the call: what it did when it fails is not known.
        records.push((name.clone(), value.clone()));
        let presented = dns.present(&name, &value).await;
        presented.map_err(|reason| AcmeError::Dns { name, reason })
    }

    async fn until_ready(&self, order: &mut Order) -> Result<(), AcmeError> {
        loop {
            match order.refresh().await?.status {
                OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => return Ok(()),
                OrderStatus::Pending => self.pause(PAUSE).await,
                OrderStatus::Invalid => return Err(self.refused(order).await),
            }
        }
    }

    /// What of the order the authority did not believe.
    async fn refused(&self, order: &mut Order) -> AcmeError {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let Ok(state) = authorization.refresh().await else {
                continue;
            };
            let wrong = state.challenges.iter().find_map(|it| it.error.as_ref());
            if let Some(problem) = wrong {
                return AcmeError::Challenge {
                    name: state.identifier().to_string(),
                    reason: problem.to_string(),
                };
            }
        }
        AcmeError::Unusable("the order became invalid, and nobody says why".to_owned())
    }

    async fn pause(&self, time: Duration) {
        let clock = &self.seams.clock;
        clock.sleep_until(clock.monotonic().after(time)).await;
    }
}
