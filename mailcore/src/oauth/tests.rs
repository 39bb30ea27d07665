//! Tokens, good and bad, and an authorization server within the test.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{PublicKeyData, SigningKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::jwk::{Algorithm, Key};
use super::jwt::Unverified;
use super::*;
use crate::account::AccountId;
use crate::net::OwnNetwork;
use crate::seams::{AccountRecord, BoxStream, DialError, Dialer, DirectoryError, DomainRecord};
use crate::testing::{FixedResolver, VirtualClock};

/// Made by `openssl dgst -sha256 -sign`.
const RSA_MODULUS: &str = "us8uCL1IIABoNzIO2DpVzMm_nkQyMKRCOItcYQ1buth_oq3LD4gShSbAvcFj5weATLcPcc8XlxpSE8OfoYnrhg4yW9JZjvnBM8gW3cN5JUmXS8onUYTtzmiZvu1w-p0epoKy0twIomMRo972OaGJrcUK62AK9Nk-j8Zwok_kzibvSOsrs6naViO2tmQ56Bj6ha1Ripn70BRVhQtZIeccYfDSKjB4YHaPRvUvtkap20sCHXMgVKFMcCUxCWxkfhI1CGXQl9xbDm87mp814isudfOM7BDCE19Pizq-Zcl27Ip-8cgEjYmQhzAkMmHyS0nnuY8T7i8Dvvh1UDVF6QVuiw";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLnRlc3QiLCJhdWQiOiJtYWlsIn0.lh_zON4kEHvZCnc3LYr8xUt0u_evmAAYqq8-LY3xFf_WQhx5xFxGPdLQ-9J_xhL8rnVBVb0tXGwhm0pY2IzrSrjH8wRFOpNOh95FIE23Ti7fRpVyRN3MBA4C3kroaaj5KllwRK3wpDeJ1MeuPs7ugYLIfwkSv3xJcvOUZ8yFrtOqOhKYg76GJPIrAD5Ue5wW6U9GiOx2DVkjWDxvrMNHqyqWdjOnW9N-Nr19T5Mka4RVrQdhMiR8loexZCoXZvhHpicoUVOK5WtZaO_1BERPRY3XeMvbzdff1JDbdKPHlpI6j730VFlyDAlRMLhoZuJ35YKtY-k_xo3l8R5gGq4vVw";

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

fn has_signed(jwk: &Value, token: &str) -> bool {
    let set = json!({ "keys": [jwk] }).to_string();
    let keys = Key::set(set.as_bytes()).unwrap();
    let Ok(token) = Unverified::parse(token) else {
        return false;
    };
    let signed = (token.algorithm, token.message, token.signature.as_slice());
    let algorithms = provider().signature_verification_algorithms;
    keys.iter().any(|key| key.has_signed(&algorithms, signed))
}

#[test]
fn signatures_of_other_programs_are_known() {
    let rsa = json!({"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB"});
    assert!(has_signed(&rsa, RSA_TOKEN));
    // RFC 7515 appendix A.3.
    let p256 = json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9\
                 leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXF\
                 CgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(has_signed(&p256, token));
    assert!(!has_signed(&rsa, token), "a key has one algorithm");
    let other =
        json!({"kty": "EC", "crv": "P-256", "alg": "RS256", "x": p256["x"], "y": p256["y"]});
    assert!(!has_signed(&other, token));
    let encryption =
        json!({"kty": "EC", "crv": "P-256", "use": "enc", "x": p256["x"], "y": p256["y"]});
    assert!(!has_signed(&encryption, token));
    // RFC 8037 appendix A.
    let ed25519 = json!({"kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let set = json!({ "keys": [ed25519] }).to_string();
    let keys = Key::set(set.as_bytes()).unwrap();
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = URL_SAFE_NO_PAD.decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    let signature = signature.unwrap();
    let algorithms = provider().signature_verification_algorithms;
    let signed = |message: &[u8]| {
        keys[0].has_signed(
            &algorithms,
            (Algorithm::EdDsa, message, signature.as_slice()),
        )
    };
    assert!(signed(message) && !signed(b"another"));
}

#[test]
fn tokens_that_sign_for_themselves_are_refused() {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = part(json!({"iss": "https://login.test"}));
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES256", "crit": ["exp"]}),
        json!({"alg": "ES256", "typ": "logout+jwt"}),
        json!({}),
        json!([]),
    ] {
        let token = format!("{}.{claims}.", part(header.clone()));
        assert!(Unverified::parse(&token).is_err(), "{header}");
    }
    for text in ["", ".", "..", "a.b.c", "e30.e30.e30.e30", "e30"] {
        assert!(Unverified::parse(text).is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_token_and_any_key_set_is_read_or_refused(
        text in "[A-Za-z0-9_.=-]{0,60}", octets in proptest::collection::vec(0u8.., 0..60),
    ) {
        let _ = Unverified::parse(&text);
        let _ = Key::set(&octets);
        let _ = has_signed(&json!({"kty": "RSA", "n": text, "e": "AQAB"}), RSA_TOKEN);
    }
}

/// A directory with one account, `ann@x.test`.
#[derive(Debug)]
struct Ann;

#[async_trait]
impl Directory for Ann {
    async fn domain(&self, domain: &Domain) -> Result<Option<DomainRecord>, DirectoryError> {
        let of = "x.test".parse().unwrap();
        let kind = match domain.as_str() {
            "y.test" => DomainKind::Alias { of },
            _ => DomainKind::Local,
        };
        Ok(Some(DomainRecord {
            domain: domain.clone(),
            kind,
        }))
    }

    async fn resolve(&self, address: &Address) -> Result<Resolution, DirectoryError> {
        Ok(match address.folded().to_string().as_str() {
            "ann@x.test" | "ann@y.test" | "ann@z.test" | "ann+lists@x.test"
            | "postmaster@x.test" => Resolution::Account(AccountId::new("ann")),
            "alias@x.test" => Resolution::Alias(vec!["ann@x.test".parse().unwrap()]),
            _ => Resolution::Unknown,
        })
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, DirectoryError> {
        let address = "ann@x.test".parse().unwrap();
        Ok(Some(AccountRecord::new(id.clone(), address)))
    }

    async fn may_send_as(&self, _: &AccountId, _: &Address) -> Result<bool, DirectoryError> {
        Ok(false)
    }

    async fn domains(&self) -> Result<Vec<DomainRecord>, DirectoryError> {
        Ok(Vec::new())
    }
}

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: &AuthRequest) -> Result<Identity, AuthError> {
        Err(AuthError::Throttled)
    }
}

/// The status of a server that says nothing.
const SILENCE: u16 = 0;

/// The authorization server: what it answers, and what it was asked.
#[derive(Debug)]
struct Web {
    config: Arc<ServerConfig>,
    answer: Mutex<(u16, String)>,
    asked: Mutex<String>,
    count: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Dial(Arc<Web>);

#[async_trait]
impl Dialer for Dial {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        assert_eq!(address.port(), 8443);
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let web = Arc::clone(&self.0);
        web.count.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(web.config.clone());
            let mut stream = acceptor.accept(theirs).await.unwrap();
            let mut request = Vec::new();
            loop {
                let mut more = vec![0; 4_096];
                let length = stream.read(&mut more).await.unwrap();
                request.extend_from_slice(&more[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.to_lowercase();
                let length = length.split("content-length: ").nth(1);
                let length = length.and_then(|it| it.lines().next()?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            *web.asked.lock().unwrap() = String::from_utf8(request).unwrap();
            let (status, body) = web.answer.lock().unwrap().clone();
            if status == SILENCE {
                return std::future::pending().await;
            }
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        });
        Ok(Box::new(ours))
    }
}

struct World {
    web: Arc<Web>,
    clock: VirtualClock,
    oauth: OAuth,
    key: rcgen::KeyPair,
}

fn world(check: impl FnOnce(HttpsUrl) -> TokenCheck) -> World {
    let made = rcgen::generate_simple_self_signed(["login.test".to_owned()]).unwrap();
    let provider = Arc::new(provider());
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let resolver = FixedResolver::new();
    resolver.add_address("login.test", "10.0.0.1".parse().unwrap());
    let clock = VirtualClock::new();
    let web = Arc::new(Web {
        config: Arc::new(config),
        answer: Mutex::default(),
        asked: Mutex::default(),
        count: AtomicUsize::new(0),
    });
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let dial = Arc::new(Dial(Arc::clone(&web)));
    let client = HttpsClient::new(Arc::new(resolver), dial, Arc::clone(&shared), Arc::new(tls))
        .own_network(OwnNetwork::Allowed);
    let mut settings = OAuthSettings::new(check("https://login.test:8443/there".parse().unwrap()));
    settings.issuer = Some("https://login.test".to_owned());
    settings.audience = vec!["mail".to_owned()];
    settings.scopes = vec!["mail".to_owned()];
    settings.default_domain = Some("x.test".parse().unwrap());
    let oauth = OAuth::new(
        Arc::new(Nobody),
        Arc::new(Ann),
        (client, shared),
        &provider,
        settings,
    );
    let key = rcgen::KeyPair::generate().unwrap();
    World {
        web,
        clock,
        oauth: oauth.unwrap(),
        key,
    }
}

/// With its key published as `k1`.
fn signed_world() -> World {
    let world = world(TokenCheck::Jwks);
    world.publish("k1");
    world
}

impl World {
    fn answer(&self, status: u16, body: &Value) {
        *self.web.answer.lock().unwrap() = (status, body.to_string());
    }

    fn publish(&self, id: &str) {
        let point = self.key.der_bytes();
        let octets = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let key = json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
            "x": octets(1..33), "y": octets(33..65)});
        self.answer(200, &json!({ "keys": [{"kty": "oct"}, key] }));
    }

    fn now(&self) -> i64 {
        self.clock.now().millis() / 1_000
    }

    fn claims(&self) -> Value {
        json!({"iss": "https://login.test", "aud": ["web", "mail"], "scope": "openid mail",
            "exp": self.now() + 300, "nbf": self.now(), "email": "Ann@x.test"})
    }

    fn sign(&self, key: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": key});
        let message = format!("{}.{}", part(&header), part(claims));
        let der = self.key.sign(message.as_bytes()).unwrap();
        // SEQUENCE { INTEGER r, INTEGER s }, each with its length.
        let mut at = 2;
        let mut raw = Vec::new();
        for _ in 0..2 {
            let length = usize::from(der[at + 1]);
            let number = &der[at + 2..at + 2 + length];
            let number = number.strip_prefix(&[0]).unwrap_or(number);
            raw.extend(std::iter::repeat_n(0, 32 - number.len()));
            raw.extend_from_slice(number);
            at += 2 + length;
        }
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(raw))
    }

    async fn log_in(&self, login: &str, token: &str) -> Result<Identity, AuthError> {
        let request = AuthRequest {
            login: login.to_owned(),
            proof: Proof::Bearer(Secret::new(token)),
            peer: None,
            protocol: "imap",
        };
        self.oauth.authenticate(&request).await
    }

    fn count(&self) -> usize {
        self.web.count.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_signed_token_logs_its_account_in() {
    let world = signed_world();
    let token = world.sign("k1", &world.claims());
    for login in ["", "ann@x.test", "ANN@x.test", "ann", "ann@Y.test"] {
        let identity = world.log_in(login, &token).await.unwrap();
        assert_eq!(identity.account, AccountId::new("ann"), "{login}");
        assert_eq!(&*identity.login, "ann@x.test");
    }
    assert_eq!(world.count(), 1, "keys are kept");
    for login in ["bob@x.test", "alias@x.test", "postmaster", "ann+lists", "@"] {
        assert!(
            matches!(world.log_in(login, &token).await, Err(AuthError::Invalid)),
            "{login}"
        );
    }
    let password = AuthRequest {
        login: "ann@x.test".into(),
        proof: Proof::Password(Secret::new("word")),
        peer: None,
        protocol: "imap",
    };
    let below = world.oauth.authenticate(&password).await;
    assert!(
        matches!(below, Err(AuthError::Throttled)),
        "the layer below decides"
    );
    assert_eq!(
        world.oauth.proofs(),
        [ProofKind::Password, ProofKind::Bearer]
    );
}

#[tokio::test]
async fn a_token_must_be_for_this_server_and_this_moment() {
    let world = signed_world();
    let now = world.now();
    for (claim, value) in [
        ("iss", json!("https://evil.test")),
        ("iss", json!(null)),
        ("aud", json!("web")),
        ("aud", json!([])),
        ("exp", json!(now - 61)),
        ("exp", json!(null)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 61)),
        ("iat", json!(now + 61)),
        ("scope", json!("openid mailbox")),
        ("email", json!("bob@x.test")),
        ("email", json!("alias@x.test")),
        ("email", json!("postmaster@x.test")),
        ("email", json!("ann+lists@x.test")),
        ("email", json!("ann@z.test")),
        ("email", json!(7)),
        ("email_verified", json!(false)),
        ("email_verified", json!("false")),
        ("email_verified", json!(0)),
    ] {
        let mut claims = world.claims();
        claims[claim] = value.clone();
        let token = world.sign("k1", &claims);
        let refused = world.log_in("", &token).await;
        assert!(
            matches!(refused, Err(AuthError::Invalid)),
            "{claim} {value} {refused:?}"
        );
    }
    for (claim, value) in [
        ("exp", json!(now - 59)),
        ("nbf", json!(now + 59)),
        ("exp", json!(1e300)),
        ("email", json!("ann@y.test")),
        ("email_verified", json!("true")),
    ] {
        let mut claims = world.claims();
        claims[claim] = value;
        let token = world.sign("k1", &claims);
        world.log_in("", &token).await.expect(claim);
    }
    let good = world.sign("k1", &world.claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    let (_, other) = world
        .sign("k1", &json!({}))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let forged = format!("{message}.{other}");
    assert!(matches!(
        world.log_in("", &forged).await,
        Err(AuthError::Invalid)
    ));
}

#[tokio::test]
async fn a_new_key_is_fetched_at_most_once_a_minute() {
    let world = signed_world();
    let first = world.sign("k1", &world.claims());
    world.log_in("", &first).await.unwrap();
    world.publish("k2");
    let second = world.sign("k2", &world.claims());
    for _ in 0..5 {
        assert!(world.log_in("", &second).await.is_err());
    }
    assert_eq!(world.count(), 1);
    world.clock.advance(Duration::from_secs(61));
    world.log_in("", &second).await.unwrap();
    assert_eq!(world.count(), 2);
    assert!(world.log_in("", &first).await.is_err(), "a key that ended");
    world.answer(500, &json!({}));
    world.clock.advance(Duration::from_secs(2 * 3_600));
    let later = world.sign("k2", &world.claims());
    world
        .log_in("", &later)
        .await
        .expect("the keys at hand are used");
    world.clock.advance(Duration::from_secs(25 * 3_600));
    let late = world.sign("k2", &world.claims());
    let refused = world.log_in("", &late).await;
    assert!(
        matches!(refused, Err(AuthError::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_holds_up_nobody_whose_key_is_at_hand() {
    let world = Arc::new(signed_world());
    let token = world.sign("k1", &world.claims());
    world.log_in("", &token).await.unwrap();
    world.answer(SILENCE, &json!({}));
    world.clock.advance(Duration::from_secs(61));
    let (stranger, other) = (Arc::clone(&world), world.sign("k9", &world.claims()));
    let waits = tokio::spawn(async move { stranger.log_in("", &other).await });
    while world.count() < 2 {
        tokio::task::yield_now().await;
    }
    let mut patience = 0;
    let served = tokio::select! {
        biased;
        done = world.log_in("", &token) => done.is_ok(),
        () = std::future::poll_fn(|context| {
            patience += 1;
            context.waker().wake_by_ref();
            if patience > 100 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }) => false,
    };
    assert!(served, "it waits for the stranger's key");
    waits.abort();
}

#[tokio::test]
async fn clients_that_hang_up_have_keys_fetched_once_all_the_same() {
    let world = signed_world();
    let token = world.sign("k1", &world.claims());
    for _ in 0..5 {
        tokio::select! {
            biased;
            _ = world.log_in("", &token) => {}
            () = tokio::task::yield_now() => {}
        }
    }
    world.log_in("", &token).await.unwrap();
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn an_authorization_server_is_asked_about_a_token() {
    let world = world(|url| TokenCheck::Introspection {
        url,
        client_id: "mail server".to_owned(),
        client_secret: Secret::new("s+cret"),
    });
    let mut said = json!({"active": true, "aud": "mail", "scope": "mail", "email": "ann@x.test"});
    world.answer(200, &said);
    world.log_in("", "abc+/=").await.unwrap();
    let asked = world.web.asked.lock().unwrap().clone();
    assert!(asked.starts_with("POST /there HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.ends_with("token=abc%2B%2F%3D&token_type_hint=access_token"),
        "{asked}"
    );
    // `mail%20server:s%2Bcret`
    assert!(
        asked.contains("Basic bWFpbCUyMHNlcnZlcjpzJTJCY3JldA==\r\n"),
        "{asked}"
    );
    said["exp"] = json!(world.now() - 100);
    world.answer(200, &said);
    assert!(matches!(
        world.log_in("", "t").await,
        Err(AuthError::Invalid)
    ));
    world.answer(200, &json!({"active": false}));
    assert!(matches!(
        world.log_in("", "t").await,
        Err(AuthError::Invalid)
    ));
    for (status, said) in [
        (200, json!([])),
        (200, json!({"active": "true"})),
        (401, json!({})),
    ] {
        world.answer(status, &said);
        let refused = world.log_in("", "t").await;
        assert!(
            matches!(refused, Err(AuthError::Unavailable(_))),
            "{status} {said} {refused:?}"
        );
    }
    assert!(!format!("{:?}", world.oauth).contains("s+cret"));
}

#[test]
fn settings_that_take_tokens_of_other_services_are_refused() {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new());
    let tls = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let dialer = Arc::new(Dial(Arc::new(Web {
        config: Arc::new(
            ServerConfig::builder_with_provider(Arc::new(provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new())),
        ),
        answer: Mutex::default(),
        asked: Mutex::default(),
        count: AtomicUsize::new(0),
    })));
    let client = HttpsClient::new(
        Arc::new(FixedResolver::new()),
        dialer,
        Arc::clone(&clock),
        Arc::new(tls),
    );
    let settings = OAuthSettings::new(TokenCheck::Jwks("https://a.test/".parse().unwrap()));
    let made = OAuth::new(
        Arc::new(Nobody),
        Arc::new(Ann),
        (client, clock),
        &provider(),
        settings,
    );
    assert_eq!(made.err(), Some(OAuthError::AnyToken));
}
