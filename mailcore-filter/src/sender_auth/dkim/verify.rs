//! [`DkimVerifier`]: a message's signatures, checked in one pass over it.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use mailcore::address::Domain;
use mailcore::message::{Field, Header, Message, READ_CHUNK};
use mailcore::seams::{Clock, Resolver};
use mailcore::time::Timestamp;

use super::canonical::{Body, Canonicalization};
use super::tag_list::TagList;
use super::{DkimProblem, DkimResult, PublicKey, Signature};

const FIELD: &str = "DKIM-Signature";

/// Octets of a body hashed until others get their turn.
pub(in crate::sender_auth) const TURN: u64 = 256 * 1024;

/// Times that a body is hashed: both forms, and each cut short once.
const MOST_HASHES: usize = 4;

/// Fields of a header that are looked at: each signed name is looked for among
/// them.
const MOST_FIELDS: usize = 4_096;

/// How much is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DkimLimits {
    /// Signatures of one message, from the top; 10.
    pub signatures: usize,
    /// Octets of a header; 1 MiB.
    pub header: u64,
    /// For all keys together; 20 seconds.
    pub time: Duration,
    /// How far the signer's clock may be ahead; 15 minutes.
    pub clock_skew: Duration,
}

impl Default for DkimLimits {
    fn default() -> Self {
        Self {
            signatures: 10,
            header: 1 << 20,
            time: Duration::from_secs(20),
            clock_skew: Duration::from_secs(15 * 60),
        }
    }
}

/// What one signature came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DkimVerdict {
    /// The result.
    pub result: DkimResult,
    /// Why it does not pass.
    pub problem: Option<DkimProblem>,
    /// The signature, when it can be read.
    pub signature: Option<Signature>,
    /// The key says that its domain is only trying: take a failure for no
    /// signature (RFC 6376 section 3.6.1).
    pub is_testing: bool,
}

impl DkimVerdict {
    fn of(signature: Option<Signature>, outcome: Result<(), DkimProblem>) -> Self {
        let problem = outcome.err();
        Self {
            result: (problem.as_ref()).map_or(DkimResult::Pass, DkimProblem::result),
            problem,
            signature,
            is_testing: false,
        }
    }

    /// The signing domain of a signature that passes.
    pub fn passed(&self) -> Option<&Domain> {
        let signature = self.signature.as_ref()?;
        (self.result == DkimResult::Pass).then_some(&signature.domain)
    }
}

/// Checks signatures. Keeps nothing between two messages: caching keys is the
/// resolver's.
#[derive(Debug, Clone)]
pub struct DkimVerifier {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    limits: DkimLimits,
}

impl DkimVerifier {
    /// Asks this resolver for keys.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            resolver,
            clock,
            limits: DkimLimits::default(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn limits(mut self, limits: DkimLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The verdicts on a message's signatures, from the top; none of one that
    /// has none. Never fails: what goes wrong is a verdict, too.
    pub async fn verify(&self, message: &Message) -> Vec<DkimVerdict> {
        let header = match read_header(message, self.limits.header).await {
            Ok(header) => header,
            Err(problem) => return vec![DkimVerdict::of(None, Err(problem))],
        };
        let fields = match fields(&header) {
            Ok(fields) => fields,
            Err(problem) => return vec![DkimVerdict::of(None, Err(problem))],
        };
        let mut checks = self.read(&fields);
        if checks.iter().all(|check| check.outcome.is_err()) {
            return checks.into_iter().map(Check::verdict).collect();
        }
        self.fetch(&mut checks).await;
        if let Err(problem) = hash_bodies(message, header.len() as u64, &mut checks).await {
            for check in &mut checks {
                check.fail(problem.clone());
            }
        }
        for check in &mut checks {
            check.conclude(&header, &fields);
        }
        checks.into_iter().map(Check::verdict).collect()
    }

    /// What the fields say, without their keys.
    fn read(&self, fields: &[Field<'_>]) -> Vec<Check> {
        let now = self.clock.now();
        let mut checks = Vec::new();
        let signatures = fields.iter().enumerate().filter(|(_, it)| it.is(FIELD));
        for (place, field) in signatures {
            if checks.len() >= self.limits.signatures {
                checks.push(Check::failed(place, DkimProblem::ManySignatures));
                break;
            }
            checks.push(match Signature::parse(field.raw) {
                Ok(signature) => {
                    let mut check = Check::new(place, signature);
                    if let Err(problem) = self.check_time(&check, now) {
                        check.fail(problem);
                    }
                    check
                }
                Err(problem) => Check::failed(place, problem),
            });
        }
        checks
    }

    fn check_time(&self, check: &Check, now: Timestamp) -> Result<(), DkimProblem> {
        let Some(signature) = &check.signature else {
            return Ok(());
        };
        let skew = self.limits.clock_skew;
        if signature.expires.is_some_and(|it| it.after(skew) < now) {
            return Err(DkimProblem::Expired);
        }
        if signature.made.is_some_and(|it| it > now.after(skew)) {
            return Err(DkimProblem::Future);
        }
        Ok(())
    }

    /// Gets the keys, each once, within the time for all. Each has its share of what
    /// is left: whoever signs as a domain of silent DNS and as another one must not
    /// have it that the other's key was not asked for.
    async fn fetch(&self, checks: &mut [Check]) {
        let end = self.clock.monotonic().after(self.limits.time);
        let mut left = u32::try_from(checks.len()).unwrap_or(u32::MAX);
        let mut known: Vec<(Domain, Result<PublicKey, DkimProblem>)> = Vec::new();
        for check in checks {
            let now = self.clock.monotonic();
            let deadline = now.after(end.since(now) / left.max(1));
            left = left.saturating_sub(1);
            let Some(name) = check.key_name() else {
                continue;
            };
            let found = match known.iter().find(|(of, _)| *of == name) {
                Some((_, found)) => found.clone(),
                None => {
                    let found = tokio::select! {
                        biased;
                        found = PublicKey::fetch(&*self.resolver, &name) => found,
                        () = self.clock.sleep_until(deadline) => Err(DkimProblem::Dns),
                    };
                    known.push((name, found.clone()));
                    found
                }
            };
            match found {
                Ok(key) => check.key = Some(key),
                Err(problem) => check.fail(problem),
            }
        }
    }
}

/// A signature on its way to a verdict.
#[derive(Debug)]
struct Check {
    /// Which field of the header it is.
    place: usize,
    signature: Option<Signature>,
    key: Option<PublicKey>,
    /// The body's hash and length in the signature's form, once they are known.
    body: Option<(Vec<u8>, u64)>,
    outcome: Result<(), DkimProblem>,
}

impl Check {
    fn new(place: usize, signature: Signature) -> Self {
        Self {
            place,
            signature: Some(signature),
            key: None,
            body: None,
            outcome: Ok(()),
        }
    }

    fn failed(place: usize, problem: DkimProblem) -> Self {
        Self {
            place,
            signature: None,
            key: None,
            body: None,
            outcome: Err(problem),
        }
    }

    /// The first problem stands.
    fn fail(&mut self, problem: DkimProblem) {
        if self.outcome.is_ok() {
            self.outcome = Err(problem);
        }
    }

    /// Where its key is, when one is still of use.
    fn key_name(&self) -> Option<Domain> {
        let signature = self.signature.as_ref()?;
        self.outcome.as_ref().ok().and(signature.key_name())
    }

    /// Looks at body, key and header, now that all are here.
    fn conclude(&mut self, header: &[u8], fields: &[Field<'_>]) {
        if self.outcome.is_ok() {
            self.outcome = self.check(header, fields);
        }
    }

    fn check(&self, header: &[u8], fields: &[Field<'_>]) -> Result<(), DkimProblem> {
        let (Some(signature), Some(key), Some((hash, length))) =
            (&self.signature, &self.key, &self.body)
        else {
            return Err(DkimProblem::NoKey);
        };
        if key.is_strict
            && (signature.identity_domain())
                .is_some_and(|it| !it.eq_ignore_ascii_case(signature.domain.as_str()))
        {
            return Err(DkimProblem::NotStrict);
        }
        let signed = signature.body_length;
        if *hash != signature.body_hash || signed.is_some_and(|signed| signed > *length) {
            return Err(DkimProblem::BodyHash);
        }
        let octets = signed_header(signature, header, fields, self.place);
        key.verify(signature.algorithm, &octets, &signature.octets)?;
        if signed.is_some_and(|signed| signed < *length) {
            return Err(DkimProblem::PartialBody);
        }
        Ok(())
    }

    fn verdict(self) -> DkimVerdict {
        DkimVerdict {
            is_testing: self.key.as_ref().is_some_and(|key| key.is_testing),
            ..DkimVerdict::of(self.signature, self.outcome)
        }
    }
}

/// The octets that a signature's header part is made of (RFC 6376 section 3.7).
pub(in crate::sender_auth) fn signed_header(
    signature: &Signature,
    header: &[u8],
    fields: &[Field<'_>],
    place: usize,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len().min(8 * 1024));
    select(&signature.fields, fields, |field| {
        let octets = header.get(field.range.clone()).unwrap_or_default();
        (signature.header_form).field(field.name, octets, field.raw, &mut out);
    });
    if let Some(own) = fields.get(place) {
        let octets = header.get(own.range.clone()).unwrap_or_default();
        let value = without_signature(own.raw);
        let before = octets.len().saturating_sub(own.raw.len());
        let mut whole = octets.get(..before).unwrap_or_default().to_vec();
        whole.extend_from_slice(&value);
        (signature.header_form).field(own.name, &whole, &value, &mut out);
        // The field's own line end is not signed.
        out.truncate(out.len().saturating_sub(2));
    }
    out
}

/// Hands out the signed fields in their order: of several with one name the
/// lowest first (RFC 6376 section 5.4.2). A name without a field is nothing.
pub(in crate::sender_auth) fn select<'f, 'h>(
    names: &[String],
    fields: &'f [Field<'h>],
    mut take: impl FnMut(&'f Field<'h>),
) {
    // The next place to look at, by name: each field is looked at once for each
    // different name.
    let mut next: Vec<(&str, usize)> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        let known = next
            .iter()
            .position(|(it, _)| it.eq_ignore_ascii_case(name));
        let known = known.unwrap_or_else(|| {
            next.push((name, fields.len()));
            next.len() - 1
        });
        let Some((_, end)) = next.get_mut(known) else {
            continue;
        };
        let above = fields.get(..*end).unwrap_or_default();
        let found = above.iter().rposition(|field| field.is(name));
        *end = found.unwrap_or(0);
        if let Some(field) = found.and_then(|place| fields.get(place)) {
            take(field);
        }
    }
}

/// A signature field's value without what the tag `b` holds.
pub(in crate::sender_auth) fn without_signature(value: &[u8]) -> Vec<u8> {
    let mut out = value.to_vec();
    if let Ok(tags) = TagList::parse(value)
        && let Some(range) = tags.range("b")
    {
        out.drain(range);
    }
    out
}

/// The header with its empty line; all of a message without one.
pub(in crate::sender_auth) async fn read_header(
    message: &Message,
    limit: u64,
) -> Result<Bytes, DkimProblem> {
    let mut header = BytesMut::new();
    loop {
        let at = header.len() as u64;
        let octets = message.read(at..at + READ_CHUNK as u64).await;
        let octets = octets.map_err(|_| DkimProblem::Unreadable)?;
        header.extend_from_slice(&octets);
        if let Some(end) = Header::new(&header).closed_len() {
            header.truncate(end);
            break;
        }
        if header.len() as u64 >= message.len() {
            break;
        }
        if octets.is_empty() {
            return Err(DkimProblem::Unreadable);
        }
        if header.len() as u64 > limit {
            return Err(DkimProblem::LargeHeader);
        }
    }
    if header.len() as u64 > limit {
        return Err(DkimProblem::LargeHeader);
    }
    Ok(header.freeze())
}

/// A header's fields, when there are not too many.
pub(in crate::sender_auth) fn fields(header: &[u8]) -> Result<Vec<Field<'_>>, DkimProblem> {
    let fields: Vec<_> = (Header::new(header).fields())
        .take(MOST_FIELDS + 1)
        .collect();
    if fields.len() > MOST_FIELDS {
        return Err(DkimProblem::LargeHeader);
    }
    Ok(fields)
}

/// Hashes the body once for each form and length that a signature asks for.
async fn hash_bodies(
    message: &Message,
    start: u64,
    checks: &mut [Check],
) -> Result<(), DkimProblem> {
    let mut hashes: Vec<BodyHash> = Vec::new();
    for check in checks.iter_mut() {
        if let (Ok(()), Some(signature)) = (&check.outcome, &check.signature) {
            let (form, limit) = (signature.body_form, signature.body_length);
            if hashes.iter().any(|it| it.is_for(form, limit)) {
                continue;
            }
            match hashes.len() < MOST_HASHES {
                true => hashes.push(BodyHash::new(form, limit)),
                false => check.outcome = Err(DkimProblem::ManySignatures),
            }
        }
    }
    feed(message, start, &mut hashes).await?;
    let hashes: Vec<_> = hashes.into_iter().map(BodyHash::finish).collect();
    for check in checks {
        let Some(signature) = &check.signature else {
            continue;
        };
        let (form, limit) = (signature.body_form, signature.body_length);
        let found = hashes.iter().find(|it| (it.0, it.1) == (form, limit));
        check.body = found.map(|(_, _, hash, length)| (hash.clone(), *length));
    }
    Ok(())
}

/// Reads a message's body, from `start` on, into hashes.
pub(in crate::sender_auth) async fn feed(
    message: &Message,
    start: u64,
    hashes: &mut [BodyHash],
) -> Result<(), DkimProblem> {
    let mut at = start;
    let mut turn = 0;
    while at < message.len() && !hashes.is_empty() {
        let octets = message.read(at..at + READ_CHUNK as u64).await;
        let octets = octets.map_err(|_| DkimProblem::Unreadable)?;
        if octets.is_empty() {
            return Err(DkimProblem::Unreadable);
        }
        for hash in hashes.iter_mut() {
            hash.write(&octets);
        }
        at += octets.len() as u64;
        turn += octets.len() as u64 * hashes.len() as u64;
        if turn >= TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// A body's hash in one form.
pub(in crate::sender_auth) struct BodyHash {
    form: Canonicalization,
    limit: Option<u64>,
    body: Body,
    digest: digest::Context,
    /// Octets in that form, those beyond the limit among them.
    length: u64,
}

impl BodyHash {
    pub(in crate::sender_auth) fn new(form: Canonicalization, limit: Option<u64>) -> Self {
        Self {
            form,
            limit,
            body: Body::new(form),
            digest: digest::Context::new(&digest::SHA256),
            length: 0,
        }
    }

    fn is_for(&self, form: Canonicalization, limit: Option<u64>) -> bool {
        (self.form, self.limit) == (form, limit)
    }

    pub(in crate::sender_auth) fn write(&mut self, octets: &[u8]) {
        let (digest, length, limit) = (&mut self.digest, &mut self.length, self.limit);
        self.body
            .write(octets, &mut |octets| update(digest, length, limit, octets));
    }

    /// Form, limit, hash and length.
    pub(in crate::sender_auth) fn finish(
        mut self,
    ) -> (Canonicalization, Option<u64>, Vec<u8>, u64) {
        let (digest, length, limit) = (&mut self.digest, &mut self.length, self.limit);
        self.body
            .finish(&mut |octets| update(digest, length, limit, octets));
        let hash = self.digest.finish().as_ref().to_vec();
        (self.form, self.limit, hash, self.length)
    }
}

/// Adds octets to a hash as far as its limit goes.
fn update(digest: &mut digest::Context, length: &mut u64, limit: Option<u64>, octets: &[u8]) {
    let left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(*length));
    let counted = usize::try_from(left)
        .unwrap_or(usize::MAX)
        .min(octets.len());
    digest.update(octets.get(..counted).unwrap_or_default());
    *length = length.saturating_add(octets.len() as u64);
}
