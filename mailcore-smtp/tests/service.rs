//! The service as a host embeds it: over streams, through intake, to code.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mailcore::account::{AccountId, Identity};
use mailcore::address::ReversePath;
use mailcore::envelope::{MailParams, Recipient};
use mailcore::event::TraceId;
use mailcore::intake::HookError;
use mailcore::message::Message;
use mailcore::queue::Origin;
use mailcore::seams::{
    AuthError, AuthRequest, Authenticator, DeliveryAgent, DeliveryJob, NextHop, Proof,
};
use mailcore::server::{RunningServer, Server};
use mailcore::status::Outcome;
use mailcore::testing::FixedResolver;
use mailcore::time::Timestamp;
use mailcore::transcript::Transcript;
use mailcore_smtp::Smtp;
use mailcore_smtp::client::{LmtpPlace, RemoteAgent, RemoteSeams};
use mailcore_smtp::server::AuthOffer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[derive(Debug)]
struct OneUser;

#[async_trait]
impl Authenticator for OneUser {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        match &request.proof {
            Proof::Password(password) if request.login == "tim" && password.expose() == b"pw" => {
                Ok(Identity {
                    account: AccountId::new("tim"),
                    login: "tim".into(),
                })
            }
            _ => Err(AuthError::Invalid),
        }
    }
}

type Taken = Arc<Mutex<Vec<String>>>;

async fn server() -> (RunningServer, Taken) {
    let taken = Taken::default();
    let keep = Arc::clone(&taken);
    let server = Server::builder("mx.example.com")
        .authenticator(Arc::new(OneUser))
        .deliver_to("orders@example.com", move |mail| {
            let keep = Arc::clone(&keep);
            async move {
                if mail.subject().contains("spam") {
                    return Err(HookError::Refuse("not wanted".into()));
                }
                keep.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&mail.message).into_owned());
                Ok(())
            }
        })
        .listen("127.0.0.1:0", Smtp::mx())
        .serve(Smtp::submission().auth(AuthOffer::Always))
        .serve(Smtp::lmtp())
        .start()
        .await
        .unwrap();
    (server, taken)
}

/// Sends `lines` one by one, awaiting a reply after each but within the data;
/// returns the last line of each reply.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, dialogue: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut replies = vec![reply(&mut stream).await];
    for octets in dialogue {
        stream.get_mut().write_all(octets.as_bytes()).await.unwrap();
        stream.get_mut().write_all(b"\r\n").await.unwrap();
        replies.push(reply(&mut stream).await);
    }
    replies
}

async fn reply(stream: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line.as_bytes().get(3) != Some(&b'-') {
            return line.trim_end().to_owned();
        }
    }
}

fn codes(replies: &[String]) -> Vec<&str> {
    replies
        .iter()
        .map(|reply| reply.get(..3).unwrap_or(""))
        .collect()
}

#[tokio::test]
async fn mail_reaches_the_closure_over_tcp_and_carries_its_trace() {
    let (server, taken) = server().await;
    let stream = TcpStream::connect(server.address("smtp").unwrap())
        .await
        .unwrap();
    let replies = talk(
        stream,
        &[
            "EHLO client.example.org",
            "MAIL FROM:<a@example.org>",
            "RCPT TO:<orders@example.com>",
            "RCPT TO:<nobody@example.com>",
            "RCPT TO:<friend@elsewhere.test>",
            "DATA",
            "Subject: one\r\n\r\n..dot\r\n.",
            "MAIL FROM:<a@example.org>",
            "RCPT TO:<orders@example.com>",
            "DATA",
            "Subject: spam\r\n\r\nhi\r\n.",
            "QUIT",
        ],
    )
    .await;
    let want = [
        "220", "250", "250", "250", "550", "550", "354", "250", "250", "250", "354", "550", "221",
    ];
    assert_eq!(codes(&replies), want, "{replies:#?}");
    let taken = taken.lock().unwrap().clone();
    let [message] = taken.as_slice() else {
        panic!("{taken:?}")
    };
    assert!(message.starts_with(
        "Received: from client.example.org ([127.0.0.1])\r\n\tby mx.example.com with ESMTP"
    ));
    assert!(message.ends_with("Subject: one\r\n\r\n.dot\r\n"));
    server.shutdown().await;
}

#[tokio::test]
async fn submission_needs_a_login_and_then_relays() {
    let (server, taken) = server().await;
    let replies = talk(
        server.connect("submission").unwrap(),
        &[
            "EHLO client.example.org",
            "MAIL FROM:<tim@example.com>",
            "AUTH PLAIN AHRpbQBwdw==",
            "MAIL FROM:<tim@example.com>",
            "RCPT TO:<orders@example.com>",
            "DATA",
            "Subject: two\r\n\r\nhi\r\n.",
        ],
    )
    .await;
    assert_eq!(
        codes(&replies),
        ["220", "250", "530", "235", "250", "250", "354", "250"],
        "{replies:#?}"
    );
    assert!(taken.lock().unwrap()[0].contains("with ESMTPA"));
    server.shutdown().await;
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let (server, taken) = server().await;
    let dialogue = [
        "LHLO client.example.org",
        "MAIL FROM:<a@example.org>",
        "RCPT TO:<orders@example.com>",
        "RCPT TO:<orders@example.com>",
        "DATA",
        "Subject: three\r\n\r\nhi\r\n.",
        // The second recipient's reply comes in place of this one's.
        "QUIT",
    ];
    let replies = talk(server.connect("lmtp").unwrap(), &dialogue).await;
    assert_eq!(
        codes(&replies),
        ["220", "250", "250", "250", "250", "354", "250", "250"],
        "{replies:#?}"
    );
    // Who is named twice is answered twice and gets one copy.
    assert_eq!(taken.lock().unwrap().len(), 1);
    server.shutdown().await;
}

/// Sends one message to the two by LMTP as a client; what became of each.
async fn hand_over(agent: &RemoteAgent, to: [&str; 2]) -> Vec<Outcome> {
    let job = DeliveryJob {
        trace: TraceId(1),
        reverse_path: ReversePath::Null,
        params: MailParams::default(),
        origin: Origin::Received,
        recipients: to.map(|to| Recipient::new(to.parse().unwrap())).into(),
        next_hop: NextHop::Local,
        message: Message::from_bytes("Subject: four\r\n\r\n.\r\nhi\r\n"),
        findings: Arc::default(),
        received_at: Timestamp::EPOCH,
        agent: "lmtp".into(),
        transcript: Transcript::default(),
    };
    agent.deliver(job).await
}

/// Connects each call to the server's LMTP.
#[cfg(unix)]
async fn socket_to(server: &Arc<RunningServer>, path: &std::path::Path) {
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    let server = Arc::clone(server);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut service = server.connect("lmtp").unwrap();
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut stream, &mut service).await },
            );
        }
    });
}

#[cfg(unix)]
#[tokio::test]
async fn our_own_client_hands_over_by_lmtp_through_a_socket() {
    let (server, taken) = server().await;
    let server = Arc::new(server);
    let folder = std::env::temp_dir().join(format!("mailcore-lmtp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let _ = std::fs::remove_file(&path);
    socket_to(&server, &path).await;
    let seams = RemoteSeams::system(Arc::new(FixedResolver::new()));
    let place = LmtpPlace::Socket(path);
    let agent = RemoteAgent::lmtp("me.test".parse().unwrap(), seams, place).build();
    // The second message goes over the kept connection.
    for count in 1..=2 {
        let to = ["orders@example.com", "nobody@example.com"];
        let outcomes = hand_over(&agent, to).await;
        let [Outcome::Relayed { .. }, Outcome::Failed(unknown)] = outcomes.as_slice() else {
            panic!("{outcomes:?}")
        };
        assert_eq!(unknown.status.code.to_string(), "5.1.1");
        let taken = taken.lock().unwrap();
        assert_eq!(taken.len(), count);
        assert!(
            taken
                .iter()
                .all(|mail| mail.ends_with("\r\n\r\n.\r\nhi\r\n"))
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_message_over_many_chunks_arrives_unharmed() {
    let (server, taken) = server().await;
    let line = format!("{}\r\n", "x".repeat(76));
    let body = line.repeat(5_000);
    let data = format!("Subject: long\r\n\r\n{body}.");
    let dialogue = [
        "EHLO c.example.org",
        "MAIL FROM:<>",
        "RCPT TO:<orders@example.com>",
        "DATA",
        data.as_str(),
    ];
    let stream = TcpStream::connect(server.address("smtp").unwrap())
        .await
        .unwrap();
    let replies = talk(stream, &dialogue).await;
    assert_eq!(
        codes(&replies),
        ["220", "250", "250", "250", "354", "250"],
        "{replies:#?}"
    );
    assert!(taken.lock().unwrap()[0].ends_with(&body));
    server.shutdown().await;
}

#[tokio::test]
async fn who_speaks_first_is_turned_away() {
    let patient = Smtp::mx().greeting_delay(Duration::from_secs(600));
    let hook = |_| async { Ok::<(), HookError>(()) };
    let server = Server::builder("mx.example.com")
        .deliver_to("orders@example.com", hook)
        .listen("127.0.0.1:0", patient)
        .start()
        .await
        .unwrap();
    let mut stream = TcpStream::connect(server.address("smtp").unwrap())
        .await
        .unwrap();
    stream.write_all(b"EHLO bot.example.org\r\n").await.unwrap();
    let mut stream = BufReader::new(stream);
    assert_eq!(
        reply(&mut stream).await,
        "554 5.5.0 You spoke before the greeting"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn the_last_reply_reaches_a_peer_that_is_still_sending() {
    let (server, _taken) = server().await;
    let stream = TcpStream::connect(server.address("smtp").unwrap())
        .await
        .unwrap();
    let mut stream = BufReader::new(stream);
    assert!(reply(&mut stream).await.starts_with("220 "));
    let flood = b"BOGUS\r\n".repeat(30_000);
    stream.get_mut().write_all(&flood).await.unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).await.unwrap();
    let last = replies.lines().last().unwrap();
    assert!(last.starts_with("421 "), "{last}");
    server.shutdown().await;
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_the_peer_and_others_are_not_let_in() {
    let taken = Taken::default();
    let keep = Arc::clone(&taken);
    let hook = move |mail: mailcore::intake::ReceivedMail| {
        let keep = Arc::clone(&keep);
        async move {
            let text = String::from_utf8_lossy(&mail.message).into_owned();
            keep.lock().unwrap().push(text);
            Ok::<(), HookError>(())
        }
    };
    let server = Server::builder("mx.example.com")
        .deliver_to("orders@example.com", hook)
        .listen("127.0.0.1:0", Smtp::mx())
        .behind(["127.0.0.0/8".parse().unwrap()])
        .listen("127.0.0.1:0", Smtp::lmtp())
        .behind(["192.0.2.0/24".parse().unwrap()])
        .start()
        .await
        .unwrap();
    let address = server.address("smtp").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let header = b"PROXY TCP4 192.0.2.77 198.51.100.1 4711 25\r\n";
    stream.write_all(header).await.unwrap();
    let dialogue = [
        "EHLO client.example.org",
        "MAIL FROM:<a@example.org>",
        "RCPT TO:<orders@example.com>",
        "DATA",
        "Subject: proxied\r\n\r\nhi\r\n.",
    ];
    let replies = talk(stream, &dialogue).await;
    assert_eq!(codes(&replies).last(), Some(&"250"), "{replies:#?}");
    let text = taken.lock().unwrap()[0].clone();
    assert!(text.contains("([192.0.2.77])"), "{text}");
    // Without a header, and from whoever is no proxy: not a word.
    for (service, said) in [
        ("smtp", &b"EHLO client.example.org\r\n"[..]),
        ("lmtp", header),
    ] {
        let address = server.address(service).unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut heard = Vec::new();
        // A reset tells as much as an end.
        let _ = stream.read_to_end(&mut heard).await;
        assert!(heard.is_empty(), "{service}");
    }
    server.shutdown().await;
}
