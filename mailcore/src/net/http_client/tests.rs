//! The client against web servers within the test.

use async_trait::async_trait;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{FixedResolver, VirtualClock};

#[derive(Debug)]
struct Web {
    config: Arc<ServerConfig>,
    /// `None` for a server that says nothing.
    answer: Option<String>,
}

#[async_trait]
impl Dialer for Web {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        assert_eq!(address.port(), 443);
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (config, answer) = (self.config.clone(), self.answer.clone());
        tokio::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            let Ok(mut stream) = acceptor.accept(theirs).await else {
                return;
            };
            let mut request = vec![0; 1_024];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            assert!(request.starts_with("get /policy http/1.1\r\n"), "{request}");
            match answer {
                Some(answer) => {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                None => std::future::pending().await,
            }
        });
        Ok(Box::new(ours))
    }
}

struct World {
    client: HttpsClient,
    clock: VirtualClock,
}

fn world(answer: Option<&str>, address: &str, name: &str) -> World {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let resolver = FixedResolver::new();
    for known in ["web.test", "b\u{fc}cher.test", "xn--bcher-kva.test"] {
        resolver.add_address(known, address.parse().unwrap());
    }
    let clock = VirtualClock::new();
    let web = Web {
        config: Arc::new(config),
        answer: answer.map(str::to_owned),
    };
    let client = HttpsClient::new(
        Arc::new(resolver),
        Arc::new(web),
        Arc::new(clock.clone()),
        Arc::new(tls),
    );
    World { client, clock }
}

async fn get(answer: &str) -> Result<Vec<u8>, HttpError> {
    let world = world(Some(answer), "93.184.215.14", "web.test");
    let host = "web.test".parse().unwrap();
    world.client.get(&host, "/policy", "text/plain").await
}

#[tokio::test]
async fn a_small_text_is_fetched() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
                  Content-Length: 5\r\n\r\nhello";
    assert_eq!(get(answer).await.unwrap(), b"hello");
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
                   Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(get(chunked).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_host_with_letters_of_other_alphabets_is_called_by_its_ascii_name() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    let world = world(Some(answer), "93.184.215.14", "xn--bcher-kva.test");
    for name in ["b\u{fc}cher.test", "xn--bcher-kva.test"] {
        let host = name.parse().unwrap();
        let fetched = world.client.get(&host, "/policy", "text/plain").await;
        assert_eq!(fetched.unwrap(), b"hello", "{name}");
    }
}

#[tokio::test]
async fn redirects_other_types_and_long_contents_are_refused() {
    let redirect = "HTTP/1.1 301 Moved\r\nLocation: https://web.test/\r\n\r\n";
    assert!(matches!(get(redirect).await, Err(HttpError::Status(301))));
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>";
    assert!(matches!(get(page).await, Err(HttpError::MediaType(_))));
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{}",
        "x".repeat(64 * 1024 + 1)
    );
    assert!(matches!(get(&long).await, Err(HttpError::TooLong(_))));
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhello";
    assert!(matches!(get(cut).await, Err(HttpError::Protocol(_))));
    assert!(matches!(
        get("hello\r\n\r\n").await,
        Err(HttpError::Protocol(_))
    ));
}

#[tokio::test]
async fn the_host_must_prove_its_name_and_be_public() {
    let host = "web.test".parse().unwrap();
    let other = world(Some(""), "93.184.215.14", "other.test");
    let refused = other.client.get(&host, "/policy", "text/plain").await;
    assert!(
        matches!(refused, Err(HttpError::Certificate(_))),
        "{refused:?}"
    );
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
    ] {
        let world = world(Some(""), address, "web.test");
        let refused = world.client.get(&host, "/policy", "text/plain").await;
        assert!(matches!(refused, Err(HttpError::NotPublic(_))), "{address}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let World { client, clock } = world(None, "93.184.215.14", "web.test");
    let host = "web.test".parse().unwrap();
    let fetch = tokio::spawn(async move { client.get(&host, "/policy", "text/plain").await });
    while clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(61));
    let fetched = fetch.await.unwrap();
    assert!(
        matches!(fetched, Err(HttpError::TimedOut(_))),
        "{fetched:?}"
    );
}

#[test]
fn special_addresses_are_not_public() {
    for ip in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.9.9.9",
        "169.254.1.1",
        "172.16.0.1",
        "192.0.0.8",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::1",
        "fe80::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:db8::1",
        "2001::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "93.184.215.14",
        "1.1.1.1",
        "2606:4700::1111",
        "2a00:1450::1",
    ] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}
