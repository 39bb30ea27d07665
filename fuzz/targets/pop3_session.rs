#![no_main]
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mailcore::account::{AccountId, Identity};
use mailcore::mailbox::{Uid, UidValidity};
use mailcore::sasl::Finding;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_pop3::maildrop::Maildrop;
use mailcore_pop3::session::{
    Answer, Question, Session, SessionConfig, Transport, UpdateOutcome,
};

/// Octets of a message that one answer brings.
const PIECE: usize = 11;
const LOGIN: &[u8] = b"USER a\r\nPASS b\r\n";

/// What a session says to `input`, of a maildrop with this message.
fn talk(message: &[u8], input: &[u8], piece: usize) -> Vec<u8> {
    let config = SessionConfig::new("host".parse().expect("a name"));
    let mut session = Session::new(config, Transport::Tls);
    let mut pieces = input.chunks(piece.max(1));
    let mut now = Monotonic::default();
    let mut said = Vec::new();
    loop {
        match session.step(now) {
            Step::Send(octets) => {
                said.extend_from_slice(&octets);
                assert!(said.len() < 64 * 1024 * 1024, "it talks without end");
            }
            Step::Ask(question) => session.answer(answer(question, message)),
            Step::Wait { until } => now = until.after(Duration::from_secs(1)),
            Step::UpgradeTls => session.tls_established(Default::default()),
            Step::Read { .. } => match pieces.next() {
                Some(octets) => session.receive(octets),
                None => return said,
            },
            _ => return said,
        }
    }
}

fn answer(question: Question, message: &[u8]) -> Answer {
    match question {
        Question::Read { from, .. } => {
            let rest = &message[usize::try_from(from).expect("it fits")..];
            Answer::Read(Ok(Bytes::copy_from_slice(&rest[..rest.len().min(PIECE)])))
        }
        Question::Update { .. } => Answer::Update(UpdateOutcome::Removed),
        Question::Ask(_) => Answer::Found(Ok(Finding::Identity(Identity {
            account: AccountId::new("a"),
            login: "a".into(),
        }))),
        Question::Open(_) => Answer::Opened(Ok(Maildrop::new(
            UidValidity::new(1).expect("one is a validity"),
            [(Uid::MIN, message.len() as u64)],
        ))),
    }
}

fuzz_target!(|octets: &[u8]| {
    talk(b"A: b\r\n\r\n.\r\n", octets, 4096);
    let logged_in = [LOGIN, octets].concat();
    let whole = talk(b"A: b\r\n\r\n.\r\n", &logged_in, 4096);
    assert_eq!(talk(b"A: b\r\n\r\n.\r\n", &logged_in, 7), whole);
    // Any message ends where it ends, and nowhere before.
    let said = talk(octets, &[LOGIN, b"RETR 1\r\nQUIT\r\n"].concat(), 4096);
    let end = b"\r\n.\r\n+OK host closing\r\n";
    assert!(said.ends_with(end), "the final dot");
    let text = &said[..said.len() - end.len() + 3];
    assert!(!text.windows(5).any(|it| it == b"\r\n.\r\n"), "an early end");
    assert!(!text.windows(2).any(|it| it[1] == b'\n' && it[0] != b'\r'), "a bare LF");
});
