use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::batch::StateChange;
use mailcore::event::TraceId;
use mailcore::message::Message;
use mailcore::queue::Origin;
use mailcore::seams::{
    Clock, DnsError, LeavingMail, Resolver, SentOctets, SignError, Signer, State, StateKey,
    StateValue, StoreError,
};
use mailcore::testing::{FixedResolver, VirtualClock};
use mailcore::time::Timestamp;

use super::*;
use crate::sender_auth::arc::{ArcResult, ArcVerifier};
use crate::sender_auth::dkim::{Algorithm, DkimVerifier, SigningKey};

const NOW: Timestamp = Timestamp::from_secs(1_795_312_800);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MAIL: &str = "From: Ann <ann@a.test>\r\nTo: bob@b.test\r\nSubject: Hi\r\n\r\nHi.\r\n";

/// A state that can be broken.
#[derive(Debug, Default)]
struct Memory {
    values: Mutex<BTreeMap<StateKey, Vec<u8>>>,
    broken: Mutex<bool>,
}

impl Memory {
    fn check(&self) -> Result<(), StoreError> {
        match *self.broken.lock().unwrap() {
            true => Err(StoreError::Unavailable("broken")),
            false => Ok(()),
        }
    }
}

fn value(value: &[u8]) -> StateValue {
    StateValue {
        value: value.to_vec(),
        version: 1,
        expires: None,
    }
}

#[async_trait]
impl State for Memory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        self.check()?;
        Ok(self.values.lock().unwrap().get(key).map(|it| value(it)))
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        self.check()?;
        let mut values = self.values.lock().unwrap();
        for change in changes {
            match change {
                StateChange::Put { key, value, .. } => drop(values.insert(key, value)),
                StateChange::Remove { key } => drop(values.remove(&key)),
                StateChange::Add { .. } => panic!("no counters here"),
            }
        }
        Ok(Vec::new())
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        self.check()?;
        let values = self.values.lock().unwrap();
        let found = values.iter().filter(|(key, _)| {
            &*key.namespace == namespace
                && key.key.starts_with(prefix)
                && after.is_none_or(|after| &*key.key > after)
        });
        let found = found.take(limit);
        Ok(found.map(|(key, it)| (key.clone(), value(it))).collect())
    }
}

/// Turns octets around, and remembers the place.
#[derive(Debug)]
struct Turned;

impl KeySeal for Turned {
    fn seal(&self, place: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        let mut sealed = [place.as_bytes(), b"\0", secret.expose()].concat();
        sealed.iter_mut().for_each(|it| *it ^= 0xff);
        Ok(sealed)
    }

    fn unseal(&self, place: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let plain: Vec<u8> = sealed.iter().map(|it| *it ^ 0xff).collect();
        let secret = plain.strip_prefix([place.as_bytes(), b"\0"].concat().as_slice());
        let secret = secret.ok_or_else(|| SealError("another place".to_owned()))?;
        Ok(Secret::new(secret))
    }
}

struct Bench {
    state: Arc<Memory>,
    dns: Arc<FixedResolver>,
    clock: VirtualClock,
    ring: Arc<KeyRing>,
}

/// A message that counts how often it is read.
struct Counted(Option<Bytes>, u32);

#[async_trait]
impl SentOctets for Counted {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.1 += 1;
        Ok(self.0.take())
    }
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

impl Bench {
    fn new() -> Self {
        let state = Arc::new(Memory::default());
        let clock = VirtualClock::at(NOW);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let kept: Arc<dyn State> = state.clone();
        Self {
            ring: Arc::new(KeyRing::new(kept, Arc::new(Turned), shared)),
            dns: Arc::new(FixedResolver::new()),
            state,
            clock,
        }
    }

    fn publish(&self, entry: &KeyEntry) {
        self.dns.add_txt(&entry.name(), &entry.record);
    }

    async fn key(&self, of: &str, algorithm: Algorithm, stage: KeyStage) -> KeyEntry {
        let new = NewKey::Made(algorithm);
        let entry = self
            .ring
            .add((&domain(of), None), new, stage)
            .await
            .unwrap();
        self.publish(&entry);
        entry
    }

    fn signer(&self) -> DomainSigner {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let resolver: Arc<dyn Resolver> = self.dns.clone();
        let signer = DomainSigner::new(Arc::clone(&self.ring), clock);
        signer.seals(domain("mx.a.test"), None, resolver)
    }

    /// What each signature comes to.
    async fn verified(&self, text: &str) -> Vec<String> {
        let resolver: Arc<dyn Resolver> = self.dns.clone();
        let verifier = DkimVerifier::new(resolver, Arc::new(self.clock.clone()));
        let verdicts = verifier.verify(&Message::from_bytes(text.to_owned())).await;
        let said = verdicts.iter().map(|it| {
            let signature = it.signature.as_ref().unwrap();
            let algorithm = signature.algorithm.as_str();
            format!("{} {algorithm} {}", signature.domain, it.result)
        });
        said.collect()
    }

    async fn chain(&self, text: &str) -> ArcResult {
        let resolver: Arc<dyn Resolver> = self.dns.clone();
        let verifier = ArcVerifier::new(resolver, Arc::new(self.clock.clone()));
        verifier
            .verify(&Message::from_bytes(text.to_owned()))
            .await
            .result
    }

    async fn rotate(&self, most_age: Option<Duration>) -> Vec<String> {
        let steps = rotate(&self.ring, &*self.dns, &self.clock, most_age).await;
        let told = steps.unwrap().into_iter().map(|step| match step {
            RotationStep::Made(key) => format!("made {}", key.selector),
            RotationStep::Activated(key) => format!("activated {}", key.selector),
            RotationStep::Retired(key) => format!("retired {}", key.selector),
            RotationStep::Removed(key) => format!("removed {}", key.selector),
        });
        told.collect()
    }
}

/// The message as it leaves.
async fn left(signer: &DomainSigner, text: &str, origin: Origin) -> Result<String, SignError> {
    let message = Message::from_bytes(text.to_owned());
    let mail = LeavingMail::new(TraceId(1), origin, &message);
    let mut octets = Counted(Some(text.to_owned().into()), 0);
    let lead = signer.sign(&mail, &mut octets).await?;
    Ok(String::from_utf8(lead.to_vec()).unwrap() + text)
}

#[tokio::test]
async fn mail_of_the_house_is_signed_with_every_active_key_of_its_authors_domain() {
    let bench = Bench::new();
    bench
        .key("a.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    bench
        .key("a.test", Algorithm::RsaSha256, KeyStage::Active)
        .await;
    bench
        .key("b.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    let waiting = NewKey::Made(Algorithm::Ed25519Sha256);
    let waits = (&domain("a.test"), Some(&domain("next")));
    bench
        .ring
        .add(waits, waiting, KeyStage::Waiting)
        .await
        .unwrap();
    let signer = bench.signer();
    for origin in [Origin::Submitted, Origin::Host, Origin::Server] {
        let text = left(&signer, MAIL, origin).await.unwrap();
        assert_eq!(
            bench.verified(&text).await,
            ["a.test rsa-sha256 pass", "a.test ed25519-sha256 pass"]
        );
        assert!(
            !text.contains("l=") && text.contains("x=1796522400"),
            "{text}"
        );
    }
    // A host below the domain speaks for it; a domain without a key is silent.
    let host = MAIL.replace("@a.test", "@app.host.a.test");
    let text = left(&signer, &host, Origin::Host).await.unwrap();
    assert_eq!(bench.verified(&text).await.len(), 2);
    for from in ["ann@c.test", "ann@xa.test", "ann", ""] {
        let text = MAIL.replace("ann@a.test", from);
        assert_eq!(left(&signer, &text, Origin::Host).await.unwrap(), text);
    }
}

#[tokio::test]
async fn what_strangers_write_under_a_name_of_ours_is_not_signed_with_our_key() {
    let bench = Bench::new();
    bench
        .key("a.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    let text = left(&bench.signer(), MAIL, Origin::Received).await.unwrap();
    assert_eq!(bench.verified(&text).await, [""; 0]);
    assert_eq!(bench.chain(&text).await, ArcResult::Pass);
    let shared: Arc<dyn Clock> = Arc::new(bench.clock.clone());
    let sealless = DomainSigner::new(Arc::clone(&bench.ring), shared);
    assert_eq!(left(&sealless, MAIL, Origin::Received).await.unwrap(), MAIL);
}

#[tokio::test]
async fn a_seal_continues_the_chain_and_tells_what_was_found_here() {
    let bench = Bench::new();
    bench
        .key("a.test", Algorithm::RsaSha256, KeyStage::Active)
        .await;
    let signer = bench.signer();
    let results =
        "Authentication-Results: mx.a.test; spf=pass smtp.mailfrom=b.test;\r\n\tdkim=none\r\n";
    let first = left(&signer, &format!("{results}{MAIL}"), Origin::Received)
        .await
        .unwrap();
    let aar = "ARC-Authentication-Results: i=1; mx.a.test; spf=pass smtp.mailfrom=b.test;\r\n\tdkim=none\r\n";
    assert!(first.contains(aar), "{first}");
    assert!(first.contains("cv=none"), "{first}");
    assert_eq!(bench.chain(&first).await, ArcResult::Pass);
    let second = left(&signer, &first, Origin::Received).await.unwrap();
    assert!(
        second.contains("i=2;") && second.contains("cv=pass"),
        "{second}"
    );
    assert_eq!(bench.chain(&second).await, ArcResult::Pass);
    // What came whole and was changed here since stays what it was when it came.
    let footer = format!(
        "Authentication-Results: mx.a.test; arc=pass\r\n{}-- \r\nA list.\r\n",
        first
    );
    let third = left(&signer, &footer, Origin::Received).await.unwrap();
    assert!(third.contains("cv=pass"), "{third}");
    assert_eq!(bench.chain(&third).await, ArcResult::Pass);
    // Broken: told once, and never again.
    let broken = second.replace("Hi.", "Ho.");
    let told = left(&signer, &broken, Origin::Received).await.unwrap();
    assert!(told.contains("i=3;") && told.contains("cv=fail"), "{told}");
    assert_eq!(bench.chain(&told).await, ArcResult::Fail);
    assert_eq!(left(&signer, &told, Origin::Received).await.unwrap(), told);
}

#[tokio::test]
async fn a_chain_of_fifty_is_full() {
    let bench = Bench::new();
    bench
        .key("a.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    let signer = bench.signer();
    let mut text = MAIL.to_owned();
    for _ in 0..50 {
        text = left(&signer, &text, Origin::Received).await.unwrap();
    }
    assert_eq!(bench.chain(&text).await, ArcResult::Pass);
    assert_eq!(left(&signer, &text, Origin::Received).await.unwrap(), text);
}

#[tokio::test]
async fn a_message_for_many_hosts_is_signed_once_until_keys_change() {
    let bench = Bench::new();
    let key = bench
        .key("a.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    let signer = bench.signer();
    let message = Message::from_bytes(MAIL);
    let mail = LeavingMail::new(TraceId(1), Origin::Host, &message);
    let sign = async |mail: &LeavingMail<'_>| {
        let mut octets = Counted(Some(MAIL.into()), 0);
        let lead = signer.sign(mail, &mut octets).await.unwrap();
        (lead, octets.1 > 0)
    };
    let (first, read) = sign(&mail).await;
    assert!(read && !first.is_empty());
    assert_eq!(sign(&mail).await, (first, false));
    // Another form, another copy, another track.
    let mut converted = mail;
    converted.conversion = Some(mailcore::message::Goal::SevenBit);
    assert!(sign(&converted).await.1);
    let copy = message.with_prefix("Delivered-To: x@a.test\r\n");
    assert!(
        sign(&LeavingMail::new(TraceId(1), Origin::Host, &copy))
            .await
            .1
    );
    assert!(
        sign(&LeavingMail::new(TraceId(2), Origin::Host, &message))
            .await
            .1
    );
    let of = (&key.domain, &key.selector);
    bench.ring.set_stage(of, KeyStage::Retired).await.unwrap();
    assert_eq!(sign(&mail).await, (Bytes::new(), true));
}

#[tokio::test]
async fn a_broken_store_puts_mail_off_only_when_no_key_was_ever_read() {
    let bench = Bench::new();
    let key = bench
        .key("a.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    let signer = bench.signer();
    *bench.state.broken.lock().unwrap() = true;
    let put_off = left(&signer, MAIL, Origin::Host).await;
    assert!(matches!(put_off, Err(SignError::Keys(_))), "{put_off:?}");
    *bench.state.broken.lock().unwrap() = false;
    assert_ne!(left(&signer, MAIL, Origin::Host).await.unwrap(), MAIL);
    *bench.state.broken.lock().unwrap() = true;
    let other = MAIL.replace("Hi", "Ho");
    assert_ne!(left(&signer, &other, Origin::Host).await.unwrap(), other);
    // A key that does not open is none: waiting would not open it.
    *bench.state.broken.lock().unwrap() = false;
    let moved = StateKey::new("dkim", "b.test/moved");
    let value = bench
        .state
        .values
        .lock()
        .unwrap()
        .get(&key.key())
        .cloned()
        .unwrap();
    bench.state.values.lock().unwrap().insert(moved, value);
    bench
        .ring
        .set_stage((&key.domain, &key.selector), KeyStage::Retired)
        .await
        .unwrap();
    let text = MAIL.replace("a.test", "b.test");
    assert_eq!(left(&signer, &text, Origin::Host).await.unwrap(), text);
}

#[tokio::test]
async fn a_key_is_made_waits_for_dns_signs_retires_and_goes() {
    let bench = Bench::new();
    let first = bench
        .key("a.test", Algorithm::Ed25519Sha256, KeyStage::Active)
        .await;
    let age = Some(90 * DAY);
    assert_eq!(bench.rotate(age).await, [""; 0]);
    bench.clock.advance(90 * DAY);
    assert_eq!(
        bench.rotate(None).await,
        [""; 0],
        "only where it is asked for"
    );
    assert_eq!(bench.rotate(age).await, ["made e20270220"]);
    assert_eq!(bench.rotate(age).await, [""; 0], "it is not in DNS");
    let keys = bench.ring.list(Some(&domain("a.test"))).await.unwrap();
    let next = keys
        .iter()
        .find(|key| key.selector != first.selector)
        .unwrap();
    bench.dns.add_txt(&next.name(), &first.record);
    assert_eq!(bench.rotate(age).await, [""; 0], "DNS has another key");
    bench.dns.forget(&next.name());
    bench
        .dns
        .fail(&next.name(), DnsError::Temporary("down".into()));
    assert_eq!(bench.rotate(age).await, [""; 0], "DNS says nothing");
    bench.dns.forget(&next.name());
    bench.publish(next);
    assert_eq!(
        bench.rotate(age).await,
        ["activated e20270220", "retired e20261122"]
    );
    let text = left(&bench.signer(), MAIL, Origin::Host).await.unwrap();
    assert!(text.contains("s=e20270220"), "{text}");
    bench.clock.advance(14 * DAY);
    assert_eq!(
        bench.rotate(age).await,
        [""; 0],
        "its signatures hold still"
    );
    bench.clock.advance(DAY);
    assert_eq!(bench.rotate(age).await, ["removed e20261122"]);
}

#[tokio::test]
async fn keys_come_from_elsewhere_and_their_names_are_taken_once() {
    let bench = Bench::new();
    let (_, pem) = SigningKey::generate(Algorithm::Ed25519Sha256).unwrap();
    let add = async |selector: Option<&str>, pem: &str| {
        let selector = selector.map(domain);
        let name = (&domain("bücher.test"), selector.as_ref());
        let added = bench
            .ring
            .add(name, NewKey::Pem(pem.to_owned()), KeyStage::Active);
        added
            .await
            .map(|key| key.name())
            .map_err(|error| error.to_string())
    };
    let name = "old._domainkey.xn--bcher-kva.test";
    assert_eq!(add(Some("old"), &pem).await, Ok(name.to_owned()));
    assert!(
        add(Some("old"), &pem)
            .await
            .unwrap_err()
            .contains("already")
    );
    assert!(add(Some("other"), "no key").await.is_err());
    let days = "e20261122._domainkey.xn--bcher-kva.test";
    assert_eq!(add(None, &pem).await, Ok(days.to_owned()));
    assert!(add(None, &pem).await.unwrap().starts_with("e20261122-2."));
    let kept = bench.state.values.lock().unwrap();
    let mut kept = kept.values().flat_map(|it| it.windows(11));
    assert!(!kept.any(|it| it == b"PRIVATE KEY"));
}

#[test]
fn a_record_is_written_in_strings_that_fit() {
    assert_eq!(zone_text("v=DKIM1; p=x"), "\"v=DKIM1; p=x\"");
    let long = "a".repeat(600);
    let text = zone_text(&long);
    let parts: Vec<usize> = text.split(' ').map(str::len).collect();
    assert_eq!(parts, [257, 257, 92]);
    assert_eq!(zone_text("\"\\"), "\"\\\"\\\\\"");
}
