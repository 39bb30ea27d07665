//! What other servers were brought down by, each incident by itself. The table in
//! `docs/features.md` lists them.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test reports so")]

use std::sync::Arc;

use mailcore::account::{AccountId, Identity};
use mailcore::seams::Abilities;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_imap::session::{Answer, Config, Peer, PlaintextLogin, Question, Session, Transport};

/// How a conversation ended.
struct Talk {
    /// Octets that the session took off the client's hands.
    taken: usize,
    said: String,
    closed: bool,
}

/// Gives the session what it takes of `input`, as a driver does: never more than
/// it has room for.
fn talk(input: impl Iterator<Item = u8>) -> Talk {
    let mut config = Config::new("host");
    config.plaintext_login = PlaintextLogin::Anywhere;
    let peer = Peer {
        address: None,
        transport: Transport::Tls,
    };
    let mut session = Session::new(Arc::new(config), Abilities::default(), peer);
    let mut input = input;
    let (mut taken, mut said) = (0, Vec::new());
    let closed = loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(Question::Authenticate(_)) => {
                session.answer(Answer::Identity(Ok(Identity {
                    account: AccountId::new("a"),
                    login: "a".into(),
                })));
            }
            Step::Read { .. } => {
                let room = session.input().room().min(16 * 1024);
                let octets: Vec<u8> = input.by_ref().take(room).collect();
                if octets.is_empty() {
                    break false;
                }
                taken += octets.len();
                session.receive(&octets);
            }
            Step::Close => break true,
            step => panic!("{step:?}"),
        }
    };
    Talk {
        taken,
        said: String::from_utf8_lossy(&said).into_owned(),
        closed,
    }
}

/// Octets that nobody may have kept for it who has not logged in: 64 kB, and what
/// one reading brings on top.
const BEFORE_LOGIN: usize = 80 * 1024;

/// CVE-2025-61600 (Stalwart): the parser kept whatever a client sent before login.
/// CVE-2026-27857 (Dovecot): so it did with open parentheses.
#[test]
fn a_stranger_s_command_without_end_is_cut_off_within_64_kb() {
    let forever = |begin: &'static str, again: &'static str| {
        let begin = begin.bytes();
        begin.chain(again.bytes().cycle().take(64 * 1024 * 1024))
    };
    for (begin, again) in [
        ("a NOOP ", "("),
        ("a ID (", "\"x\" \"y\" "),
        ("a ID (", "{1+}\r\nx {1+}\r\ny "),
        ("a LOGIN ", "\\"),
        ("a LOGIN \"", "x"),
        ("a AUTHENTICATE PLAIN ", "QUFB"),
        ("", "a"),
        ("", "("),
        ("", "\r"),
        ("a AUTHENTICATE PLAIN\r\n", "QUFB"),
    ] {
        let talk = talk(forever(begin, again));
        let name = format!("{begin:?} {again:?}");
        assert!(talk.closed, "{name}");
        assert!(talk.taken <= BEFORE_LOGIN, "{name}: {} octets", talk.taken);
        assert!(!talk.said.contains("\r\n+ \r\n+ "), "{name}: {}", talk.said);
    }
}

/// The same incidents: literals that are announced and never needed.
#[test]
fn a_stranger_s_literal_is_refused_before_a_single_octet_of_it() {
    for size in [
        "65537",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        for (begin, sign) in [("LOGIN a", ""), ("LOGIN a", "+"), ("ID (\"x\"", "+")] {
            let line = format!("a {begin} {{{size}{sign}}}\r\n");
            let talk = talk(line.bytes());
            assert!(!talk.said.contains("\r\n+"), "{line}: {}", talk.said);
            assert!(talk.said.contains("a NO [TOOBIG]") || talk.said.contains("a BAD"));
        }
    }
}

/// CVE-2024-34055 (Cyrus): memory grew with the literals of one command, which
/// are unbounded where each is bounded.
#[test]
fn literals_of_one_command_are_bounded_together() {
    for (literal, most) in [("{1+}\r\nx ", 1_100 * 7), ("{60000+}\r\n", 2 << 20)] {
        let one = match literal.strip_prefix("{60000+}") {
            Some(_) => format!("{literal}{} ", "x".repeat(60_000)),
            None => literal.to_owned(),
        };
        let many = one.into_bytes().into_iter().cycle().take(64 << 20);
        let begin = b"a LOGIN a b\r\nb LIST \"\" (".iter().copied();
        let talk = talk(begin.chain(many));
        assert!(talk.closed, "{literal}: {}", talk.said);
        assert!(talk.taken < most + 64 * 1024, "{literal}: {}", talk.taken);
    }
}
