//! When an authority says when to renew (RFC 9773).

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::seams::{BoxStream, DialError, Dialer};

/// An authority that says one thing to whoever asks, and counts.
#[derive(Debug)]
struct Authority {
    tls: Arc<ServerConfig>,
    window: (&'static str, &'static str),
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Dialer for Authority {
    async fn connect(&self, _: SocketAddr) -> Result<BoxStream, DialError> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (tls, asked) = (Arc::clone(&self.tls), Arc::clone(&self.asked));
        let (start, end) = self.window;
        let content =
            format!("{{\"suggestedWindow\": {{\"start\": \"{start}\", \"end\": \"{end}\"}}}}");
        tokio::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(tls);
            let mut stream = acceptor.accept(theirs).await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            let line = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = line.split(' ').nth(1).unwrap().to_owned();
            asked.lock().unwrap().push(path);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nRetry-After: 21600\r\nContent-Length: {}\r\n\r\n{content}",
                content.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        Ok(Box::new(ours))
    }
}

/// A certificate of January to March, of an authority that suggests these times.
fn suggesting(window: (&'static str, &'static str)) -> (World, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let shown = rcgen::generate_simple_self_signed(["acme.test".to_owned()]).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(shown.signing_key.serialize_der().into());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.cert.der().clone()], key)
        .unwrap();
    let authority = Authority {
        tls: Arc::new(tls),
        window,
        asked: Arc::clone(&asked),
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(shown.cert.der().clone()).unwrap();
    let world = world_of(&["a.test"], roots, Arc::new(authority)).with_certificate(&["a.test"]);
    let key = rcgen::KeyPair::generate().unwrap().serialize_der();
    let account = serde_json::json!({
        "id": "https://acme.test/account/1",
        "key_pkcs8": URL_SAFE_NO_PAD.encode(key),
        "urls": {
            "newNonce": "https://acme.test/nonce",
            "newAccount": "https://acme.test/account",
            "newOrder": "https://acme.test/order",
            "renewalInfo": "https://acme.test/renewal",
        },
    });
    let kept = serde_json::to_vec(&account).unwrap();
    let name = "account-acme.test_directory.json".to_owned();
    world.store.0.lock().unwrap().insert(name, kept);
    (world, asked)
}

async fn due_in(window: (&'static str, &'static str)) -> Duration {
    let (world, asked) = suggesting(window);
    let tended = world.acme.tend().await;
    assert!(tended.failed.is_empty(), "{:?}", tended.failed);
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with("/renewal/"), "{asked:?}");
    tended.next.unwrap().since(world.clock.now())
}

#[tokio::test]
async fn a_time_within_the_suggested_window_is_taken() {
    let due = due_in(("2026-02-10T00:00:00Z", "2026-02-12T00:00:00Z")).await;
    assert!(due >= 40 * DAY && due <= 42 * DAY, "{due:?}");
}

#[tokio::test]
async fn a_window_that_is_too_late_or_turned_round_leaves_time_to_try_in() {
    for window in [
        ("2026-03-31T00:00:00Z", "2026-04-02T00:00:00Z"),
        ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ("2026-06-02T00:00:00Z", "2026-05-01T00:00:00Z"),
    ] {
        let due = due_in(window).await;
        assert!(due <= 81 * DAY, "{due:?}: {window:?}");
    }
}

#[tokio::test]
async fn a_window_in_the_past_means_at_once_and_the_authority_is_asked_now_and_then() {
    let (world, _) = suggesting(("2025-12-01T00:00:00Z", "2025-12-02T00:00:00Z"));
    assert_eq!(world.acme.tend().await.failed.len(), 1, "it was tried");
    let (world, asked) = suggesting(("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"));
    for _ in 0..24 {
        world.acme.tend().await;
        world.clock.advance(DAY / 24);
    }
    assert_eq!(
        asked.lock().unwrap().len(),
        4,
        "every six hours, as it said"
    );
    world.clock.set_wall(Timestamp::from_secs(1_740_000_000));
    world.acme.tend().await;
    assert_eq!(asked.lock().unwrap().len(), 5, "the clock was set back");
}
