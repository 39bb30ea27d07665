//! The pages over a whole server.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::seams::OsEntropy;
use mailcore::server::{RunningServer, Server};
use mailcore::testing::VirtualClock;
use mailcore_store::MemoryStore;
use mailcore_web::pages::{
    Challenges, MtaStsMode, MtaStsPolicy, OneTimePage, Redeem, Tokens, Wording,
};
use mailcore_web::{Hosts, Response, Status, Web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Debug)]
struct Confirm;

#[async_trait]
impl Redeem for Confirm {
    async fn redeem(&self, content: &[u8]) -> Response {
        let text = String::from_utf8_lossy(content).into_owned();
        Response::text(Status::OK, format!("confirmed {text}"))
    }
}

struct House {
    server: RunningServer,
    tokens: Tokens,
    clock: VirtualClock,
}

impl House {
    async fn new() -> Self {
        let clock = VirtualClock::new();
        let (time, chance) = (Arc::new(clock.clone()), Arc::new(OsEntropy));
        let store = Arc::new(MemoryStore::with(time.clone(), chance.clone()));
        let tokens = Tokens::over(store.clone(), time.clone(), chance, "confirm");
        let policy = MtaStsPolicy::new(
            MtaStsMode::Testing,
            ["mx.a.test".to_owned()],
            Duration::from_secs(86_400),
        );
        let wording = Wording::new("Confirm <this>?", "Yes", "This link was used");
        let confirm = OneTimePage::new(tokens.clone(), wording, Arc::new(Confirm));
        let page = |token: &str| (token == "known").then(|| "known.key".to_owned());
        let web = Web::new()
            .page(
                Hosts::One("mta-sts.a.test".into()),
                MtaStsPolicy::PATH,
                policy,
            )
            .page(Hosts::Any, Challenges::PATH, Challenges::new(page))
            .page(Hosts::Own, "/confirm/", confirm);
        let server = Server::builder("mx.a.test")
            .stores(store)
            .clock(time)
            .serve(web)
            .start()
            .await
            .unwrap();
        Self {
            server,
            tokens,
            clock,
        }
    }

    async fn ask(&self, method: &str, host: &str, path: &str) -> String {
        let mut stream = self.server.connect("http").unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // Closing waits for the clock, which stands still: the length tells.
        let mut said = Vec::new();
        let mut octets = [0; 4096];
        loop {
            let count = stream.read(&mut octets).await.unwrap();
            said.extend_from_slice(octets.get(..count).unwrap());
            let text = String::from_utf8_lossy(&said).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let (_, length) = head.split_once("Content-Length: ").unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if count == 0 || body.len() >= length {
                    return text;
                }
            }
        }
    }
}

#[tokio::test]
async fn each_host_has_its_own_pages_and_strangers_have_none() {
    let house = House::new().await;
    let policy = house.ask("GET", "mta-sts.a.test", MtaStsPolicy::PATH).await;
    assert!(
        policy.contains("200 OK") && policy.contains("mode: testing\r\nmx: mx.a.test\r\n"),
        "{policy}"
    );
    assert!(policy.contains("Content-Type: text/plain\r\n"), "{policy}");
    for (method, host, path, status) in [
        ("GET", "mx.a.test", MtaStsPolicy::PATH, "404"),
        ("GET", "evil.test", "/confirm/x", "421"),
        ("GET", "evil.test", "/healthz", "200"),
        ("GET", "127.0.0.1:8080", "/readyz", "200"),
        (
            "GET",
            "any.test",
            "/.well-known/acme-challenge/known",
            "200",
        ),
        (
            "GET",
            "any.test",
            "/.well-known/acme-challenge/other",
            "404",
        ),
        ("POST", "mx.a.test", "/healthz", "405"),
        ("GET", "mx.a.test", "/confirm/../healthz", "400"),
        ("DELETE", "mx.a.test", "/", "501"),
    ] {
        let said = house.ask(method, host, path).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status} ")),
            "{method} {host} {path}: {said}"
        );
        assert!(
            said.contains("\r\nDate: ") && said.contains(" GMT\r\n"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_bare_service_shows_its_pages_alone_and_needs_no_store() {
    let page = |token: &str| (token == "known").then(|| "known.key".to_owned());
    let web = Web::bare().page(Hosts::Any, Challenges::PATH, Challenges::new(page));
    let clock = VirtualClock::new();
    let server = Server::builder("mx.a.test")
        .clock(Arc::new(clock.clone()))
        .serve(web);
    let house = House {
        tokens: Tokens::over(
            Arc::new(MemoryStore::new()),
            Arc::new(clock.clone()),
            Arc::new(OsEntropy),
            "none",
        ),
        server: server.start().await.unwrap(),
        clock,
    };
    for (host, path, status) in [
        ("any.test", "/.well-known/acme-challenge/known", "200"),
        ("any.test", "/.well-known/acme-challenge/", "404"),
        ("mx.a.test", "/readyz", "404"),
        ("any.test", "/healthz", "421"),
    ] {
        let said = house.ask("GET", host, path).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    }
}

#[tokio::test]
async fn a_link_asks_before_it_does_and_works_once() {
    let house = House::new().await;
    let hour = Duration::from_secs(3600);
    let token = house.tokens.issue(b"ann", hour).await.unwrap();
    let path = format!("/confirm/{}", token.expose());
    for _ in 0..2 {
        let said = house.ask("GET", "mx.a.test", &path).await;
        assert!(said.contains("Confirm &lt;this&gt;?"), "{said}");
    }
    let said = house.ask("POST", "mx.a.test", &path).await;
    assert!(said.contains("confirmed ann"), "{said}");
    for method in ["GET", "POST"] {
        let said = house.ask(method, "mx.a.test", &path).await;
        assert!(said.starts_with("HTTP/1.1 410 "), "{said}");
    }
    let late = house.tokens.issue(b"bob", hour).await.unwrap();
    house.clock.advance(hour);
    assert_eq!(house.tokens.look(late.expose()).await.unwrap(), None);
    assert!(
        !format!("{late:?}").contains(late.expose()),
        "no secret in a log"
    );
}

#[tokio::test]
async fn of_many_who_redeem_a_token_at_once_one_gets_it() {
    let house = House::new().await;
    let token = house
        .tokens
        .issue(b"x", Duration::from_secs(60))
        .await
        .unwrap();
    let all = (0..8).map(|_| {
        let (tokens, token) = (house.tokens.clone(), token.clone());
        tokio::spawn(async move { tokens.redeem(token.expose()).await.unwrap() })
    });
    let mut got = 0;
    for one in all.collect::<Vec<_>>() {
        got += usize::from(one.await.unwrap().is_some());
    }
    assert_eq!(got, 1);
}
