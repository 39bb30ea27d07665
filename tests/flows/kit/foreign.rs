//! Clients that are not ours: what an application under test sends and reads
//! with.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::TryStreamExt;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use mailcore::testing::MemoryServer;
use mailcore::testing::matchers::{attachment, subject_is, text, to};
use mailcore_imap::server::Imap;
use mailcore_smtp::server::Smtp;
use mailcore_store::MemoryStore;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::server;

/// lettre takes any stream that says who is at its other end.
#[derive(Debug)]
struct Wire(DuplexStream);

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 25)))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn invoice(to: &str) -> Message {
    let pdf = ContentType::parse("application/pdf").unwrap();
    let invoice = Attachment::new("Rechnung März.pdf".to_owned()).body(b"%PDF-1.7".to_vec(), pdf);
    let parts = MultiPart::mixed()
        .singlepart(SinglePart::plain("Schöne Grüße.\n.\nEnde".to_owned()))
        .singlepart(invoice);
    Message::builder()
        .from("Shop <shop@app.test>".parse().unwrap())
        .to(to.parse().unwrap())
        .subject("Ihre Rechnung für März")
        .multipart(parts)
        .unwrap()
}

#[tokio::test]
async fn lettre_sends_over_a_stream_and_async_imap_reads_over_another() {
    let server = server().start().await.unwrap();
    let wire = Box::new(Wire(server.connect_smtp().unwrap()));
    let hello = ClientId::Domain("app.test".to_owned());
    let mut smtp = AsyncSmtpConnection::connect_with_transport(wire, &hello)
        .await
        .unwrap();
    let message = invoice("Ann <ann@app.test>");
    smtp.send(message.envelope(), &message.formatted())
        .await
        .unwrap();
    smtp.quit().await.unwrap();

    let wanted = to("ann@app.test")
        .and(subject_is("Ihre Rechnung für März"))
        .and(text("Schöne Grüße.\r\n.\r\nEnde"))
        .and(attachment("Rechnung März.pdf"));
    let mail = server.expect_mail(wanted).await;
    assert_eq!(mail.attachments[0].octets, b"%PDF-1.7");

    let mut imap = async_imap::Client::new(server.connect_imap().unwrap());
    imap.read_response().await.unwrap();
    let login = imap.login("ann@app.test", "any").await;
    let mut imap = login.map_err(|(error, _)| error).unwrap();
    assert_eq!(imap.select("INBOX").await.unwrap().exists, 1);
    let fetched = imap.fetch("1", "(ENVELOPE BODY[])").await.unwrap();
    let fetched: Vec<_> = fetched.try_collect().await.unwrap();
    assert_eq!(fetched[0].body().unwrap(), mail.octets);
    imap.logout().await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn over_ports_lettre_logs_in_and_its_outgoing_mail_is_captured() {
    let server = MemoryServer::builder("app.test")
        .stores(MemoryStore::with)
        .listen("127.0.0.1:0", Smtp::submission())
        .listen("127.0.0.1:0", Imap::new())
        .account("shop@app.test", "geheim")
        .start()
        .await
        .unwrap();
    let port = server.address("submission").unwrap().port();
    let transport = |password: &str| {
        let login = Credentials::new("shop@app.test".to_owned(), password.to_owned());
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(port)
            .credentials(login)
            .build()
    };
    let wrong = transport("falsch").send(invoice("x@else.test")).await;
    assert!(wrong.is_err());
    for to in ["x@else.test", "ann@app.test"] {
        transport("geheim").send(invoice(to)).await.unwrap();
    }
    let sent = server.expect_outgoing(to("x@else.test")).await;
    assert_eq!(sent.reverse_path.to_string(), "shop@app.test");
    assert!(
        sent.transcript.contains("C: AUTH PLAIN\n"),
        "{}",
        sent.transcript
    );

    server.expect_mail(to("ann@app.test")).await;
    let socket = TcpStream::connect(server.address("imap").unwrap()).await;
    let mut imap = async_imap::Client::new(socket.unwrap());
    imap.read_response().await.unwrap();
    let login = imap.login("ann@app.test", "any").await;
    let mut imap = login.map_err(|(error, _)| error).unwrap();
    assert_eq!(imap.select("INBOX").await.unwrap().exists, 1);
    server.shutdown().await;
}
