//! Web hooks against a web server within the test, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::event::fake_store::FakeStore;
use crate::event::{EventCursor, EventName, Recorder, RecorderConfig, SubscriptionSeams};
use crate::net::{OwnNetwork, ShutdownSwitch};
use crate::seams::{BoxStream, Clock, DialError, Dialer};
use crate::testing::{FixedResolver, SeededEntropy, VirtualClock};

const SECRET: &str = "0123456789abcdef";

/// Answers 200 unless told otherwise, and keeps what it was sent.
#[derive(Debug, Clone, Default)]
struct Web {
    statuses: Arc<Mutex<VecDeque<u16>>>,
    down: Arc<Mutex<bool>>,
    requests: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Dialer for Web {
    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        if *self.down.lock().unwrap() {
            return Err(DialError::TimedOut(address));
        }
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let web = self.clone();
        tokio::spawn(async move {
            let mut request = String::new();
            let mut part = [0; 4_096];
            while !is_whole(&request) {
                let length = theirs.read(&mut part).await.unwrap();
                request.push_str(std::str::from_utf8(&part[..length]).unwrap());
            }
            web.requests.lock().unwrap().push(request);
            let status = web.statuses.lock().unwrap().pop_front().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
            let _ = theirs.write_all(answer.as_bytes()).await;
        });
        Ok(Box::new(ours))
    }
}

fn field<'a>(request: &'a str, name: &str) -> &'a str {
    let lines = request.lines().map(|line| line.split_once(": "));
    let mut found = lines
        .flatten()
        .filter(|(it, _)| it.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value).unwrap_or_default()
}

fn is_whole(request: &str) -> bool {
    request.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        body.len() == field(head, "content-length").parse::<usize>().unwrap_or(0)
    })
}

struct Run {
    store: Arc<FakeStore>,
    clock: VirtualClock,
    web: Web,
}

impl Run {
    fn new() -> Self {
        Self {
            store: FakeStore::new(),
            clock: VirtualClock::new(),
            web: Web::default(),
        }
    }

    fn client(&self) -> HttpsClient {
        let resolver = FixedResolver::new();
        resolver.add_address("hooks.test", [127, 0, 0, 1].into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let (web, clock) = (Arc::new(self.web.clone()), Arc::new(self.clock.clone()));
        HttpsClient::new(Arc::new(resolver), web, clock, Arc::new(tls))
            .own_network(OwnNetwork::Allowed)
    }

    fn hook(&self) -> Webhook {
        let secret = Secret::new(SECRET);
        Webhook::new("shop", "http://hooks.test/in?key=1", &secret, self.client()).unwrap()
    }

    fn spawn(&self, hook: Webhook) -> ShutdownSwitch {
        let (switch, shutdown) = ShutdownSwitch::new();
        let clock = Arc::new(self.clock.clone());
        let (recorder, recording) = Recorder::new(
            self.store.clone(),
            clock.clone(),
            Arc::new(SeededEntropy::new(1)),
            RecorderConfig::default(),
        );
        tokio::spawn(recording.run(std::future::pending()));
        let seams = HookSeams {
            reader: SubscriptionSeams {
                outbox: self.store.clone(),
                state: self.store.clone(),
                clock,
            },
            recorder,
            newest: EventCursor::default(),
        };
        tokio::spawn(hook.run(seams, shutdown));
        switch
    }

    fn raise(&self, count: usize) {
        for _ in 0..count {
            self.store.raise(EventName::Login, self.clock.now(), &[]);
        }
    }

    /// The cursors in each request, a gap's with what it says.
    fn told(&self) -> Vec<String> {
        let requests = self.web.requests.lock().unwrap();
        let cursors = |request: &String| {
            let events = request.split("\"cursor\":").skip(1);
            let one = |event: &str| {
                let cursor = event.split_once(',').unwrap().0.to_owned();
                match event.split_once("\"dropped\":\"") {
                    Some((_, rest)) => format!("{cursor}-{}", rest.split('"').next().unwrap()),
                    None => cursor,
                }
            };
            events.map(one).collect::<Vec<_>>().join(" ")
        };
        requests.iter().map(cursors).collect()
    }
}

#[tokio::test]
async fn events_are_posted_signed_in_order_and_not_again_after_a_restart() {
    let run = Run::new();
    let config = WebhookConfig {
        batch: 2,
        ..WebhookConfig::default()
    };
    let hook = run.hook().config(config).unwrap();
    let switch = run.spawn(hook.clone());
    run.raise(3);
    run.clock.run_for(Duration::from_secs(5)).await;
    assert_eq!(run.told(), ["1 2", "3"]);
    switch.begin();
    run.clock.run_for(Duration::from_secs(1)).await;
    run.raise(1);
    let _switch = run.spawn(hook);
    run.clock.run_for(Duration::from_secs(5)).await;
    assert_eq!(run.told(), ["1 2", "3", "4"]);
    let request = run.web.requests.lock().unwrap()[0].clone();
    assert!(
        request.starts_with("POST /in?key=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert_eq!(field(&request, "host"), "hooks.test");
    assert_eq!(field(&request, "content-type"), "application/json");
    let keys = Keys::of(&Secret::new(SECRET), 16).unwrap();
    let seconds = field(&request, "webhook-timestamp").parse().unwrap();
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let signature = keys.sign(field(&request, "webhook-id"), seconds, body.as_bytes());
    assert_eq!(field(&request, "webhook-signature"), signature);
}

#[tokio::test]
async fn what_is_refused_is_sent_again_the_same_later_and_later() {
    let run = Run::new();
    *run.web.statuses.lock().unwrap() = [500, 302, 410].into();
    let _switch = run.spawn(run.hook());
    run.raise(1);
    run.clock.run_for(Duration::from_secs(34)).await;
    // After 5 and 10 seconds; the next is due after 20 more.
    assert_eq!(run.told(), ["1", "1", "1"]);
    run.clock.run_for(Duration::from_secs(5)).await;
    assert_eq!(run.told(), ["1", "1", "1", "1"]);
    let requests = run.web.requests.lock().unwrap().clone();
    let ids: Vec<&str> = requests.iter().map(|it| field(it, "webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    let times: Vec<&str> = requests
        .iter()
        .map(|it| field(it, "webhook-timestamp"))
        .collect();
    assert_ne!(
        times[0], times[1],
        "signed anew, so that it is not taken for a replay"
    );
}

#[tokio::test]
async fn what_waited_too_long_is_given_up_and_a_gap_says_so() {
    let run = Run::new();
    *run.web.down.lock().unwrap() = true;
    let config = WebhookConfig {
        give_up_after: Duration::from_secs(3_600),
        ..WebhookConfig::default()
    };
    let _switch = run.spawn(run.hook().config(config).unwrap());
    run.raise(300);
    run.clock.run_for(Duration::from_secs(3_000)).await;
    run.raise(2);
    run.clock.run_for(Duration::from_secs(2_000)).await;
    let gave_up = |run: &Run| {
        let names = run.store.names();
        names
            .iter()
            .filter(|it| **it == EventName::WebhookGaveUp)
            .count()
    };
    assert_eq!(gave_up(&run), 1);
    *run.web.down.lock().unwrap() = false;
    run.clock.run_for(Duration::from_secs(700)).await;
    // The event of the giving up follows.
    assert_eq!(run.told(), ["300-300 301 302", "303"]);
}

#[tokio::test]
async fn a_hook_that_could_tell_secrets_to_the_network_is_not_made() {
    let run = Run::new();
    let make = |url: &str, secret: &str, client: HttpsClient| {
        Webhook::new("shop", url, &Secret::new(secret), client).map(drop)
    };
    let open = || run.client().own_network(OwnNetwork::Refused);
    assert_eq!(make("https://hooks.test/", SECRET, open()), Ok(()));
    assert_eq!(
        make("http://hooks.test/", SECRET, open()),
        Err(WebhookError::Plain("shop".into()))
    );
    assert_eq!(
        make("https://hooks.test/", "short", open()),
        Err(WebhookError::Secret("shop".into()))
    );
    let url = "https://ann:secret@hooks.test/";
    let error = make(url, SECRET, open()).unwrap_err();
    assert!(!error.to_string().contains("secret@"), "{error}");
    let shown = format!("{:?}", run.hook());
    assert!(
        !shown.contains("key=1") && !shown.contains(SECRET),
        "{shown}"
    );
}
