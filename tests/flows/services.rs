//! Ports, places and going down: what an operator and a host application rely
//! on when services start and stop.

use std::net::SocketAddr;
use std::sync::Arc;

use mailcore::limits::Limits;
use mailcore::server::{RunningServer, Server, ServiceState, StartError};
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use mailcore_store::directory::{MemoryDirectory, PasswordHashing};
use mailcore_tests::Desk;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ANY: &str = "127.0.0.1:0";

async fn smtp_on(hostname: &str, limits: Limits) -> RunningServer {
    Server::builder(hostname)
        .limits(limits)
        .deliver_to("orders@a.test", |_| async { Ok(()) })
        .listen(ANY, Smtp::mx())
        .start()
        .await
        .unwrap()
}

async fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(address).await.unwrap())
}

/// The next line; empty at the end.
async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn who_finds_the_house_full_is_told_and_may_come_again() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let server = smtp_on("mx.a.test", limits).await;
    let address = server.address("smtp").unwrap();
    let mut first = connect(address).await;
    assert!(line(&mut first).await.starts_with("220 "));
    let mut second = connect(address).await;
    assert!(line(&mut second).await.starts_with("421 "));
    assert_eq!(line(&mut second).await, "", "and the connection is closed");
    drop(first);
    // The place is free once the server has seen that the first one left.
    for _ in 0..1_000 {
        if line(&mut connect(address).await).await.starts_with("220 ") {
            return;
        }
    }
    panic!("the place was never given back");
}

#[tokio::test]
async fn a_port_in_use_stops_the_start_and_leaves_no_other_bound() {
    let taken = TcpListener::bind(ANY).await.unwrap();
    let taken_at = taken.local_addr().unwrap().to_string();
    let free_at = {
        let free = TcpListener::bind(ANY).await.unwrap();
        free.local_addr().unwrap().to_string()
    };
    let directory = Arc::new(MemoryDirectory::new(PasswordHashing::fast_for_tests()).unwrap());
    let failed = Server::builder("mx.a.test")
        .directory(directory.clone())
        .authenticator(directory)
        .stores(Arc::new(MemoryStore::new()))
        .listen(free_at.as_str(), Smtp::mx())
        .listen(taken_at.as_str(), Imap::new())
        .start()
        .await
        .map(drop);
    let Err(error @ StartError::Bind { .. }) = failed else {
        panic!("{failed:?}")
    };
    let text = error.to_string();
    assert!(text.contains("imap") && text.contains(&taken_at), "{text}");
    TcpListener::bind(&free_at)
        .await
        .expect("the port is free at once");
}

#[tokio::test]
async fn a_service_stops_says_so_and_starts_again_on_its_port() {
    let server = smtp_on("mx.a.test", Limits::default()).await;
    let address = server.address("smtp").unwrap();
    let mut client = connect(address).await;
    line(&mut client).await;
    let smtp = server.service("smtp").unwrap();
    smtp.stop().await;
    assert_eq!(smtp.state(), ServiceState::Stopped);
    assert!(line(&mut client).await.starts_with("421 "));
    assert_eq!(line(&mut client).await, "");
    assert!(TcpStream::connect(address).await.is_err());
    assert!(server.connect("smtp").is_none());
    let (one, two) = tokio::join!(smtp.start(), smtp.start());
    assert!(one.is_ok() && two.is_ok(), "starting what runs is fine");
    assert_eq!(server.address("smtp"), Some(address));
    assert!(line(&mut connect(address).await).await.starts_with("220 "));
    smtp.restart().await.unwrap();
    assert!(line(&mut connect(address).await).await.starts_with("220 "));
}

#[tokio::test]
async fn two_servers_live_in_one_process() {
    let one = smtp_on("one.test", Limits::default()).await;
    let two = smtp_on("two.test", Limits::default()).await;
    let at = |server: &RunningServer| server.address("smtp").unwrap();
    assert!(
        line(&mut connect(at(&one)).await)
            .await
            .contains("one.test")
    );
    one.shutdown().await;
    assert!(
        line(&mut connect(at(&two)).await)
            .await
            .contains("two.test")
    );
}

#[tokio::test]
async fn a_message_on_its_way_in_is_finished_before_the_server_goes() {
    let desk = Desk::new(&["bob"], |it| it).await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<bob@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    let service = desk.server.service("smtp").unwrap();
    let stopping = tokio::spawn(async move { service.stop().await });
    desk.wait(1).await;
    assert!(!stopping.is_finished());
    smtp.send("Subject: hi\r\n\r\nhi\r\n.").await;
    smtp.expect("250").await;
    smtp.expect("421").await;
    drop(smtp);
    stopping.await.unwrap();
    assert_eq!(desk.messages("bob", "INBOX").await.len(), 1);
}

#[tokio::test]
async fn a_session_that_does_not_finish_is_ended_when_the_time_is_up() {
    let desk = Desk::new(&["bob"], |it| it).await;
    let mut smtp = desk.smtp().await;
    smtp.ask("MAIL FROM:<x@b.test>", "250").await;
    smtp.ask("RCPT TO:<bob@a.test>", "250").await;
    smtp.ask("DATA", "354").await;
    let clock = desk.clock.clone();
    let stopping = tokio::spawn(desk.server.shutdown());
    clock.run_for(Limits::default().drain * 2).await;
    stopping.await.unwrap();
}
