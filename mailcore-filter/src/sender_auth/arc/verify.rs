//! [`ArcVerifier`]: a message's chain, checked (RFC 8617 section 5.2).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::message::{Field, Message};
use mailcore::seams::{Clock, Resolver};

use super::chain::{Seal, Set, message_signature, sealed, sets};
use super::{ArcProblem, ArcReport, ArcResult};
use crate::sender_auth::dkim::signature::key_name;
use crate::sender_auth::dkim::verify::{BodyHash, feed, fields, read_header, signed_header};
use crate::sender_auth::dkim::{DkimProblem, PublicKey, Signature};

/// Octets of a header that are looked at.
const HEADER: u64 = 1 << 20;

/// For a whole check.
const TIME: Duration = Duration::from_secs(20);

/// Checks chains. Keeps nothing between two messages: caching keys is the
/// resolver's.
#[derive(Debug, Clone)]
pub struct ArcVerifier {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    time: Duration,
}

/// Keys, each fetched once.
struct Keys<'a> {
    resolver: &'a dyn Resolver,
    known: HashMap<Domain, Result<PublicKey, DkimProblem>>,
}

impl ArcVerifier {
    /// Asks this resolver for keys, for 20 seconds at most.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            resolver,
            clock,
            time: TIME,
        }
    }

    /// With another time for a whole check.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Checks a message's chain. Never fails: what goes wrong is a result, too.
    pub async fn verify(&self, message: &Message) -> ArcReport {
        let mut report = ArcReport {
            result: ArcResult::None,
            problem: None,
            sealers: Vec::new(),
            said: Vec::new(),
            covers_from: false,
        };
        let deadline = self.clock.monotonic().after(self.time);
        let outcome = tokio::select! {
            biased;
            outcome = self.check(message, &mut report) => outcome,
            () = self.clock.sleep_until(deadline) => Err(ArcProblem::Header(DkimProblem::Dns)),
        };
        match outcome {
            Ok(result) => report.result = result,
            Err(problem) => {
                report.result = problem.result();
                report.problem = Some(problem);
            }
        }
        report
    }

    async fn check(
        &self,
        message: &Message,
        report: &mut ArcReport,
    ) -> Result<ArcResult, ArcProblem> {
        let header = read_header(message, HEADER).await;
        let header = header.map_err(ArcProblem::Header)?;
        let fields = fields(&header).map_err(ArcProblem::Header)?;
        let sets = sets(&fields)?;
        let Some(last) = sets.last() else {
            return Ok(ArcResult::None);
        };
        let mut seals = Vec::with_capacity(sets.len());
        for set in &sets {
            if let (Some(seal), Some(said)) = (fields.get(set.seal), fields.get(set.results)) {
                let seal = Seal::parse(set.instance, seal)?;
                report.sealers.push(seal.domain.clone());
                report
                    .said
                    .push(String::from_utf8_lossy(&said.value()).into_owned());
                seals.push(seal);
            }
        }
        let mut keys = Keys {
            resolver: &*self.resolver,
            known: HashMap::new(),
        };
        let checked = check_message(message, &header, &fields, last.message, &mut keys).await;
        let signature = checked.map_err(|problem| ArcProblem::Message {
            instance: last.instance,
            problem,
        })?;
        let mut signed = signature.fields.iter();
        report.covers_from = signed.any(|name| name.eq_ignore_ascii_case("from"));
        check_seals(&sets, &seals, &fields, &mut keys).await?;
        Ok(ArcResult::Pass)
    }
}

/// The last host's signature of the message: those before it the way may have
/// broken.
async fn check_message(
    message: &Message,
    header: &[u8],
    fields: &[Field<'_>],
    place: usize,
    keys: &mut Keys<'_>,
) -> Result<Signature, DkimProblem> {
    let field = fields.get(place).ok_or(DkimProblem::Unreadable)?;
    let signature: Signature = message_signature(field)?;
    let key = keys.get(signature.key_name()).await?;
    let mut hashes = [BodyHash::new(signature.body_form, signature.body_length)];
    feed(message, header.len() as u64, &mut hashes).await?;
    let [hash] = hashes;
    let (_, limit, hash, length) = hash.finish();
    if hash != signature.body_hash || limit.is_some_and(|limit| limit > length) {
        return Err(DkimProblem::BodyHash);
    }
    let octets = signed_header(&signature, header, fields, place);
    key.verify(signature.algorithm, &octets, &signature.octets)?;
    if limit.is_some_and(|limit| limit < length) {
        return Err(DkimProblem::PartialBody);
    }
    Ok(signature)
}

/// All seals, from the last to the first.
async fn check_seals(
    sets: &[Set],
    seals: &[Seal],
    fields: &[Field<'_>],
    keys: &mut Keys<'_>,
) -> Result<(), ArcProblem> {
    for (index, (set, seal)) in sets.iter().zip(seals).enumerate().rev() {
        let failed = |problem| ArcProblem::Seal {
            instance: set.instance,
            problem,
        };
        let key = keys.get(key_name(&seal.domain, &seal.selector)).await;
        let key = key.map_err(failed)?;
        let octets = sealed(sets.get(..=index).unwrap_or_default(), fields);
        let verified = key.verify(seal.algorithm, &octets, &seal.octets);
        verified.map_err(failed)?;
        // Fifty of them take a millisecond and more.
        tokio::task::yield_now().await;
    }
    Ok(())
}

impl Keys<'_> {
    async fn get(&mut self, name: Option<Domain>) -> Result<PublicKey, DkimProblem> {
        let name = name.ok_or(DkimProblem::NoKey)?;
        if let Some(known) = self.known.get(&name) {
            return known.clone();
        }
        let found = PublicKey::fetch(self.resolver, &name).await;
        self.known.insert(name, found.clone());
        found
    }
}
