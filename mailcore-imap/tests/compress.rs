//! What a client sends compressed is bounded by what it becomes (RFC 4978).
#![cfg(feature = "compress")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

mod runner;

use std::sync::Arc;

use mailcore::account::{AccountId, Identity};
use mailcore::seams::Abilities;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_imap::session::{Answer, Config, Peer, Question, Session, Transport};
use runner::Wire;

/// A session within TLS.
struct Client {
    session: Session,
    wire: Option<Wire>,
    said: String,
    closed: bool,
}

impl Client {
    /// One that has logged in and compresses.
    fn new(max_inflate_ratio: u64) -> Self {
        let mut config = Config::new("host");
        config.max_inflate_ratio = max_inflate_ratio;
        let peer = Peer {
            address: None,
            transport: Transport::Tls,
        };
        let mut client = Self {
            session: Session::new(Arc::new(config), Abilities::default(), peer),
            wire: None,
            said: String::new(),
            closed: false,
        };
        client.send(b"a LOGIN a b\r\nb COMPRESS DEFLATE\r\n");
        client.wire = Some(Wire::new());
        assert!(client.said.ends_with("b OK DEFLATE active\r\n"));
        client.said.clear();
        client
    }

    fn compress(&mut self, octets: &[u8]) -> Vec<u8> {
        self.wire.as_mut().unwrap().compress(octets)
    }

    /// Sends octets as a driver does: no more than there is room for.
    fn send(&mut self, mut octets: &[u8]) {
        loop {
            match self.session.step(Monotonic::default()) {
                Step::Send(octets) => self.hear(&octets),
                Step::Ask(Question::Authenticate(_)) => {
                    let identity = Identity {
                        account: AccountId::new("a"),
                        login: "a".into(),
                    };
                    self.session.answer(Answer::Identity(Ok(identity)));
                }
                Step::Ask(_) => self.session.answer(Answer::Done),
                Step::Read { .. } if octets.is_empty() => return,
                Step::Read { .. } => {
                    let room = self.session.input().room().min(octets.len());
                    assert!(room > 0, "it waits and takes nothing");
                    self.session.receive(&octets[..room]);
                    octets = &octets[room..];
                }
                Step::Close => {
                    self.closed = true;
                    return;
                }
                step => panic!("unexpected {step:?}"),
            }
        }
    }

    fn hear(&mut self, octets: &[u8]) {
        let text = match &mut self.wire {
            Some(wire) => wire.inflate(octets),
            None => octets.to_vec(),
        };
        self.said.push_str(&String::from_utf8(text).unwrap());
    }
}

#[test]
fn a_line_bomb_is_a_line_too_long() {
    let mut client = Client::new(1_000);
    let bomb = client.compress(&vec![b'x'; 50_000_000]);
    assert!(bomb.len() < 60_000);
    client.send(&bomb);
    assert!(client.said.contains("BAD [TOOBIG]"));
    assert!(client.closed && client.said.contains("* BYE Line or literal"));
}

#[test]
fn a_bomb_of_commands_ends_at_the_ratio() {
    let mut client = Client::new(50);
    let bomb = client.compress(&b"a NOOP\r\n".repeat(5_000_000));
    client.send(&bomb);
    assert!(client.closed);
    assert!(
        client
            .said
            .ends_with("* BYE What you send becomes too much; send it uncompressed\r\n")
    );
    // The free megabyte, and what the octets read until then may become.
    let answered = client.said.matches("a OK").count();
    assert!(answered < 1_200_000 / 8 + 50 * bomb.len() / 8, "{answered}");
}

#[test]
fn octets_that_are_not_deflate_end_the_session() {
    let mut client = Client::new(1_000);
    client.send(b"c NOOP\r\n");
    assert!(client.closed);
    assert_eq!(client.said, "* BYE What you send is not DEFLATE\r\n");
}

#[test]
fn a_command_before_octets_that_are_not_deflate_is_answered() {
    let mut client = Client::new(1_000);
    let mut octets = client.compress(b"c DELETE x\r\n");
    octets.extend_from_slice(&[0xff; 9]);
    client.send(&octets);
    assert!(client.closed);
    assert_eq!(
        client.said,
        "c OK DELETE completed\r\n* BYE What you send is not DEFLATE\r\n"
    );
}

#[test]
fn a_stream_that_ends_within_a_command_ends_the_session() {
    let mut client = Client::new(1_000);
    let later = client.compress(b"c NOOP\r\n");
    client.send(&later[..4]);
    client.session.end_of_input();
    client.send(b"");
    assert!(client.closed && client.said.is_empty());
}

#[test]
fn what_came_whole_before_the_end_is_answered() {
    let mut client = Client::new(1_000);
    let commands = client.compress(&b"c NOOP\r\n".repeat(20_000));
    client.session.receive(&commands);
    client.session.end_of_input();
    client.send(b"");
    assert!(client.closed);
    assert_eq!(client.said.matches("c OK").count(), 20_000);
}

#[test]
fn what_a_waiting_client_is_told_can_be_read_by_the_same_stream() {
    let mut client = Client::new(1_000);
    for _ in 0..3 {
        let idle = client.compress(b"c IDLE\r\n");
        client.send(&idle);
        assert!(client.said.ends_with("+ Idling; send DONE to end\r\n"));
        let done = client.compress(b"DONE\r\nd NOOP\r\n");
        client.send(&done);
        assert!(client.said.ends_with("d OK Completed\r\n"));
    }
}
