//! The driver over streams within the process: splits, half-close, resets,
//! time-outs, shutdown, STARTTLS.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;
use crate::net::ShutdownSwitch;
use crate::testing::VirtualClock;
use crate::wire::{Line, TlsInfo};

const IDLE: Duration = Duration::from_secs(60);

/// A protocol of lines: `say`, `ask`, `flood`, `tls`, `quit`.
struct Lines {
    input: Input,
    next: VecDeque<Step<String>>,
    ended: bool,
    flooding: bool,
    idle_until: Monotonic,
}

impl Lines {
    fn new() -> Self {
        Self {
            input: Input::with_limit(200),
            next: VecDeque::new(),
            ended: false,
            flooding: false,
            idle_until: Monotonic::default().after(IDLE),
        }
    }

    fn say(&mut self, text: &str) {
        self.next
            .push_back(Step::Send(format!("{text}\r\n").into()));
    }

    fn close(&mut self, text: &str) {
        self.say(text);
        self.next.push_back(Step::Close);
    }

    fn obey(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("say", what) => self.say(what),
            ("ask", what) => self.next.push_back(Step::Ask(what.to_owned())),
            ("flood", _) => self.flooding = true,
            ("tls", _) => {
                self.say("go");
                self.next.push_back(Step::UpgradeTls);
            }
            _ => self.close("bye"),
        }
    }
}

impl Machine for Lines {
    type Question = String;
    type Answer = String;
    type Notice = &'static str;

    fn input(&mut self) -> &mut Input {
        &mut self.input
    }
    fn end_of_input(&mut self) {
        self.ended = true;
    }
    fn answer(&mut self, answer: String) {
        self.say(&answer);
    }
    fn notify(&mut self, notice: &'static str) {
        self.say(notice);
    }
    fn shutdown(&mut self) {
        self.close("going down");
    }
    fn tls_established(&mut self, _: TlsInfo) {
        self.input.clear();
    }

    fn step(&mut self, now: Monotonic) -> Step<String> {
        loop {
            if let Some(step) = self.next.pop_front() {
                return step;
            }
            if self.flooding {
                return Step::Send(Bytes::from_static(&[b'x'; 1024]));
            }
            match self.input.line(100) {
                Line::Complete(line) => self.obey(&String::from_utf8_lossy(&line)),
                _ if self.ended => return Step::Close,
                _ if now >= self.idle_until => self.close("too slow"),
                _ => {
                    return Step::Read {
                        until: self.idle_until,
                    };
                }
            }
        }
    }
}

/// Answers at once, but `later` when notified and `forever` never; tells when a question is dropped.
#[derive(Clone, Default)]
struct Answers {
    dropped: Arc<Mutex<bool>>,
    notices: Arc<tokio::sync::Notify>,
}

struct Dropped(Arc<Mutex<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

#[async_trait]
impl Host<Lines> for Answers {
    async fn answer(&mut self, question: String) -> String {
        if question == "forever" {
            let _guard = Dropped(Arc::clone(&self.dropped));
            pending::<()>().await;
        }
        if question == "later" {
            self.notices.notified().await;
        }
        format!("answer to {question}")
    }

    async fn notice(&mut self) -> &'static str {
        self.notices.notified().await;
        "news"
    }
}

struct Run {
    clock: VirtualClock,
    switch: ShutdownSwitch,
    host: Answers,
    ending: tokio::task::JoinHandle<Ending>,
}

fn connection(stream: BoxStream, clock: &VirtualClock) -> (Connection, ShutdownSwitch) {
    let (switch, shutdown) = ShutdownSwitch::new();
    let connection = Connection {
        stream,
        peer: None,
        local: None,
        tls: None,
        #[cfg(feature = "tls")]
        starttls: None,
        shutdown,
        clock: Arc::new(clock.clone()),
        write_timeout: Duration::from_secs(300),
        meter: Meter::default(),
    };
    (connection, switch)
}

fn run(stream: BoxStream) -> Run {
    let clock = VirtualClock::new();
    let (connection, switch) = connection(stream, &clock);
    let host = Answers::default();
    let ending = tokio::spawn(drive(Lines::new(), host.clone(), connection));
    Run {
        clock,
        switch,
        host,
        ending,
    }
}

async fn all(stream: &mut DuplexStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn any_split_of_the_input_gets_the_same_replies() {
    let script = b"say a\r\nask b\r\nsay c\r\nquit\r\n";
    for split in 0..script.len() {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        let run = run(Box::new(theirs));
        let (first, rest) = script.split_at(split);
        ours.write_all(first).await.unwrap();
        run.clock.run_for(Duration::ZERO).await;
        ours.write_all(rest).await.unwrap();
        assert_eq!(
            all(&mut ours).await,
            "a\r\nanswer to b\r\nc\r\nbye\r\n",
            "{split}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_ends_its_side_still_gets_its_answers() {
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let run = run(Box::new(theirs));
    ours.write_all(b"ask a\r\nask b\r\nsay c\r\nhal")
        .await
        .unwrap();
    ours.shutdown().await.unwrap();
    assert_eq!(all(&mut ours).await, "answer to a\r\nanswer to b\r\nc\r\n");
    assert!(matches!(run.ending.await.unwrap(), Ending::Closed));
}

/// Reads as a connection does that was reset.
struct Reset;

impl AsyncRead for Reset {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

#[tokio::test]
async fn a_reset_connection_drops_the_open_question() {
    let reader = AsyncReadExt::chain(&b"ask forever\r\n"[..], Reset);
    let run = run(Box::new(tokio::io::join(reader, tokio::io::sink())));
    let ending = run.ending.await.unwrap();
    assert!(matches!(ending, Ending::Broken(_)), "{ending:?}");
    assert!(*run.host.dropped.lock().unwrap());
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_left_after_the_write_time_out() {
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let run = run(Box::new(theirs));
    ours.write_all(b"flood\r\n").await.unwrap();
    run.clock.run_for(Duration::from_secs(299)).await;
    assert!(!run.ending.is_finished());
    run.clock.run_for(Duration::from_secs(2)).await;
    assert!(matches!(run.ending.await.unwrap(), Ending::WriteTimeout));
}

#[tokio::test]
async fn an_idle_session_hears_news_and_ends_when_its_time_is_up() {
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let run = run(Box::new(theirs));
    run.clock.run_for(Duration::from_secs(30)).await;
    run.host.notices.notify_one();
    run.clock.run_for(Duration::from_secs(31)).await;
    assert_eq!(all(&mut ours).await, "news\r\ntoo slow\r\n");
}

#[tokio::test]
async fn the_shutdown_is_told_after_the_open_question_and_once() {
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let run = run(Box::new(theirs));
    ours.write_all(b"ask later\r\n").await.unwrap();
    run.clock.run_for(Duration::ZERO).await;
    run.switch.begin();
    run.clock.run_for(Duration::ZERO).await;
    run.host.notices.notify_one();
    let heard = all(&mut ours).await;
    assert_eq!(heard, "answer to later\r\ngoing down\r\n");
    drop(ours);
    assert!(matches!(run.ending.await.unwrap(), Ending::Closed));
}

/// A peer that never pauses.
struct Chatter;

impl AsyncRead for Chatter {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buffer.remaining() >= 7 {
            buffer.put_slice(b"say x\r\n");
        }
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_peer_that_never_pauses_does_not_keep_its_session_from_the_shutdown() {
    let clock = VirtualClock::new();
    let stream = Box::new(tokio::io::join(Chatter, tokio::io::sink()));
    let (connection, switch) = connection(stream, &clock);
    switch.begin();
    let ending = drive(Lines::new(), Answers::default(), connection).await;
    assert!(matches!(ending, Ending::Closed));
}

#[cfg(feature = "tls")]
mod tls {
    use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::net::{FixedCertificate, TlsAcceptor, server_config};

    fn certified() -> (TlsAcceptor, TlsConnector) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let made = rcgen::generate_simple_self_signed(["mx.a.test".to_owned()]).unwrap();
        let chain = vec![made.cert.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certificate = FixedCertificate::new(&provider, chain.clone(), key).unwrap();
        let config = server_config(Arc::clone(&provider), Arc::new(certificate)).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in chain {
            roots.add(certificate).unwrap();
        }
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (
            TlsAcceptor::new(Arc::new(config)),
            TlsConnector::from(Arc::new(client)),
        )
    }

    fn start(theirs: DuplexStream, acceptor: TlsAcceptor) -> Run {
        let clock = VirtualClock::new();
        let (mut connection, switch) = connection(Box::new(theirs), &clock);
        connection.starttls = Some(acceptor);
        let host = Answers::default();
        let ending = tokio::spawn(drive(Lines::new(), host.clone(), connection));
        Run {
            clock,
            switch,
            host,
            ending,
        }
    }

    #[tokio::test]
    async fn what_was_sent_in_clear_is_not_heard_under_tls() {
        let (acceptor, connector) = certified();
        let (mut ours, theirs) = tokio::io::duplex(16 * 1024);
        let _run = start(theirs, acceptor);
        ours.write_all(b"tls\r\nsay injected\r\n").await.unwrap();
        let mut go = [0; 4];
        ours.read_exact(&mut go).await.unwrap();
        assert_eq!(&go, b"go\r\n");
        let name = ServerName::try_from("mx.a.test").unwrap();
        let mut secured = connector.connect(name, ours).await.unwrap();
        secured.write_all(b"say safe\r\nquit\r\n").await.unwrap();
        let mut text = String::new();
        secured.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "safe\r\nbye\r\n");
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_come_ends_the_session() {
        let (acceptor, _) = certified();
        let (mut ours, theirs) = tokio::io::duplex(16 * 1024);
        let run = start(theirs, acceptor);
        ours.write_all(b"tls\r\n").await.unwrap();
        run.clock.run_for(HANDSHAKE_TIMEOUT).await;
        assert!(matches!(run.ending.await.unwrap(), Ending::Handshake(_)));
    }
}
