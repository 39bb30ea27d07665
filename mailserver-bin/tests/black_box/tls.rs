//! TLS where none is spoken, and words in clear where TLS is: a clean end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::{Home, Running};

/// The beginning of a TLS 1.2 ClientHello.
const HELLO: &[u8] = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\r\n\x00\xff";

/// All that comes after these octets, up to the end, which must come.
fn answer(address: SocketAddr, octets: &[u8], more: Option<Shutdown>) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(octets).unwrap();
    if let Some(how) = more {
        stream.shutdown(how).unwrap();
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // What was not read when the server closed resets the connection.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    answer
}

fn still_serves(home: &Home, server: &Running) {
    assert!(server.dial_tls(home, "imap").line().starts_with("* OK"));
}

#[test]
fn words_in_clear_on_a_tls_port_get_an_alert_and_nothing_else() {
    let home = Home::new();
    let server = home.start();
    for (protocol, words) in [
        ("submission", &b"EHLO client.test\r\n"[..]),
        ("imap", b"a LOGIN ann secret-words\r\n"),
        ("pop3", b"USER ann\r\nPASS secret-words\r\n"),
    ] {
        let said = answer(server.address(protocol, "implicit"), words, None);
        // A record of the kind "alert", and no word that a client could mistake.
        assert!(said.first().is_none_or(|kind| *kind == 0x15), "{said:?}");
        assert!(said.len() < 16, "{said:?}");
    }
    assert!(!server.log().contains("secret-words"));
    still_serves(&home, &server);
}

#[test]
fn a_handshake_on_a_port_in_clear_ends_cleanly() {
    let home = Home::new();
    let server = home.start();
    for protocol in ["smtp", "submission", "imap", "pop3"] {
        let address = server.address(protocol, "starttls");
        let said = answer(address, HELLO, Some(Shutdown::Write));
        assert!(!said.starts_with(&[0x16]), "{protocol}: no TLS is spoken");
    }
    for (protocol, upgrade) in [
        ("smtp", &b"EHLO c.test\r\n"[..]),
        ("imap", b"a STARTTLS\r\n"),
        ("pop3", b"STLS\r\n"),
    ] {
        let mut session = server.dial(protocol);
        session.line();
        session.send(std::str::from_utf8(upgrade).unwrap().trim_end());
        let ready = match protocol {
            "smtp" => {
                session.until("250 ");
                session.ask("STARTTLS")
            }
            _ => session.line(),
        };
        assert!(ready.contains("TLS"), "{ready}");
        session.send("no handshake");
        // An alert, and the end.
        assert!(session.rest().len() < 16, "{protocol}");
    }
    still_serves(&home, &server);
}
