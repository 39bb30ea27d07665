//! What is due when, and what a failure leaves alone. The talk with an authority
//! is tried with a real one: `tests/interop/acme.py`.

mod renewal;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rcgen::PublicKeyData;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;

use super::*;
use crate::net::HttpsClient;
use crate::seams::{Clock, Dialer, TcpDialer};
use crate::testing::{FixedResolver, SeededEntropy, VirtualClock};
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<String, Vec<u8>>>);

#[async_trait]
impl AcmeStore for Kept {
    async fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    async fn save(&self, name: &str, value: Vec<u8>) -> io::Result<()> {
        self.0.lock().unwrap().insert(name.to_owned(), value);
        Ok(())
    }
}

struct World {
    acme: Acme,
    clock: VirtualClock,
    store: Arc<Kept>,
}

/// Certificates of an authority that can't be reached.
fn world(names: &[&str]) -> World {
    let nobody = Arc::new(TcpDialer::default());
    world_of(names, rustls::RootCertStore::empty(), nobody)
}

fn world_of(names: &[&str], roots: rustls::RootCertStore, dialer: Arc<dyn Dialer>) -> World {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clock = VirtualClock::at(Timestamp::from_secs(1_767_225_600));
    let store = Arc::<Kept>::default();
    let tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let resolver = FixedResolver::new();
    resolver.add_address("acme.test", "93.184.215.14".parse().unwrap());
    let http = HttpsClient::new(
        Arc::new(resolver),
        dialer,
        Arc::new(clock.clone()),
        Arc::new(tls),
    );
    let mut config = AcmeConfig::new("https://acme.test/directory");
    config.certificates = vec![names.iter().map(|&name| name.to_owned()).collect()];
    let seams = AcmeSeams {
        http,
        store: Arc::clone(&store) as _,
        challenges: Arc::default(),
        provider,
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(1)),
    };
    World {
        acme: Acme::new(config, seams),
        clock,
        store,
    }
}

impl World {
    /// Has a certificate of January to March.
    fn with_certificate(self, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names.clone()).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        params.use_authority_key_identifier_extension = true;
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let pem = format!("{}{}", key.serialize_pem(), made.pem());
        let name = format!("certificate-{}.pem", names[0].replace('*', "_"));
        self.store.0.lock().unwrap().insert(name, pem.into_bytes());
        self
    }

    async fn fails(&self) -> bool {
        let tended = self.acme.tend().await;
        assert!(tended.renewed.is_empty());
        !tended.failed.is_empty()
    }
}

#[tokio::test]
async fn a_certificate_is_let_be_until_two_thirds_of_its_time_are_over() {
    let names = ["*.a.test", "a.test"];
    let world = world(&names).with_certificate(&names);
    let tended = world.acme.tend().await;
    assert!(tended.failed.is_empty());
    let due = tended.next.unwrap().since(world.clock.now());
    // A little later than 60 days, so that not all come at once.
    assert!(due >= 60 * DAY && due <= 63 * DAY, "{due:?}");
    world.clock.advance(60 * DAY - DAY);
    assert!(!world.fails().await);
    world.clock.advance(4 * DAY);
    assert!(world.fails().await);
    let shown = world.acme.certificates().await.unwrap();
    assert_eq!(shown.len(), 1, "the old one stays");
    assert_eq!(shown[0].0.names, names);
}

#[tokio::test]
async fn a_name_that_is_not_in_the_certificate_makes_it_due() {
    let world = world(&["a.test", "b.test"]).with_certificate(&["a.test"]);
    assert!(world.fails().await);
}

#[tokio::test]
async fn after_each_failure_the_next_try_comes_later() {
    let world = world(&["a.test"]);
    let mut before = Duration::ZERO;
    for _ in 0..12 {
        let tended = world.acme.tend().await;
        assert_eq!(tended.failed.len(), 1);
        let wait = tended.next.unwrap().since(world.clock.now());
        assert!(wait > before || wait >= DAY, "{wait:?} after {before:?}");
        assert!(wait <= DAY + DAY / 10);
        assert!(!world.fails().await, "it waits");
        (before, _) = (wait, world.clock.advance(wait));
    }
    world.acme.tend().await;
    world.acme.forget_failures().await;
    assert!(world.fails().await, "an operator need not wait");
}

#[tokio::test]
async fn a_damaged_certificate_is_left_out_and_another_got() {
    let world = world(&["a.test"]).with_certificate(&["a.test"]);
    let name = "certificate-a.test.pem";
    let whole = world.store.0.lock().unwrap()[name].clone();
    for damaged in [
        &b""[..],
        b"\xff",
        &whole[..300],
        &whole[whole.len() - 300..],
    ] {
        let damaged = damaged.to_vec();
        world
            .store
            .0
            .lock()
            .unwrap()
            .insert(name.to_owned(), damaged);
        assert!(world.acme.certificates().await.unwrap().is_empty());
        world.acme.forget_failures().await;
        assert!(world.fails().await, "it is ordered");
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_wait_longer() {
    let world = world(&["a.test"]);
    let now = world.clock.now();
    world.clock.set_wall(now.after(3_000 * DAY));
    assert!(world.fails().await);
    world.clock.set_wall(now);
    assert!(world.fails().await, "years would be too long");
}

#[tokio::test]
async fn the_next_key_is_known_before_it_is_used_and_then_another() {
    let names = ["a.test".to_owned()];
    let mut world = world(&["a.test"]).with_certificate(&["a.test"]);
    world.acme.config.keys = KeyChoice::Kept;
    let kept = world.acme.key_for(&names).await.unwrap();
    let again = world.acme.key_for(&names).await.unwrap();
    assert_eq!(
        kept.subject_public_key_info(),
        again.subject_public_key_info()
    );
    assert!(world.acme.next_keys().await.unwrap().is_empty());

    world.acme.config.keys = KeyChoice::Announced;
    world.acme.tend().await;
    let told = world.acme.next_keys().await.unwrap();
    assert_eq!(told[0].0, names);
    world.acme.tend().await;
    assert_eq!(world.acme.next_keys().await.unwrap(), told, "it stays");
    let used = world.acme.key_for(&names).await.unwrap();
    assert_eq!(
        used.subject_public_key_info(),
        told[0].1,
        "what is told is used"
    );
    assert_ne!(
        used.subject_public_key_info(),
        kept.subject_public_key_info()
    );

    // As it is once a certificate has come for it.
    let pem = used.serialize_pem().into_bytes();
    let name = "certificate-a.test.pem".to_owned();
    world.store.0.lock().unwrap().insert(name, pem);
    world.acme.announce(&names).await;
    let after = world.acme.next_keys().await.unwrap();
    assert_ne!(after[0].1, told[0].1);
}

#[tokio::test]
async fn a_folder_keeps_what_is_saved_for_its_owner_alone() {
    let folder = std::env::temp_dir().join(format!("mailcore-acme-{}", std::process::id()));
    let store = AcmeFolder::new(&folder);
    assert_eq!(store.load("account-a.json").await.unwrap(), None);
    for value in ["one", "two"] {
        store.save("account-a.json", value.into()).await.unwrap();
        let kept = store.load("account-a.json").await.unwrap();
        assert_eq!(kept.as_deref(), Some(value.as_bytes()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("account-a.json")), 0o600);
    }
    std::fs::remove_dir_all(folder).unwrap();
}
