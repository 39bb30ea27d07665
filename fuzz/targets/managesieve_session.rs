#![no_main]
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mailcore::account::{AccountId, Identity};
use mailcore::sasl::Finding;
use mailcore::seams::ScriptEntry;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_sieve::managesieve::{
    Answer, Failure, Outcome, Question, Request, Session, SessionConfig, Transport,
};

/// Octets of a script that is taken in.
const SCRIPT: usize = 64;
const LOGIN: &[u8] = b"AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n";

/// What a session says to `input`.
fn talk(input: &[u8], piece: usize) -> Vec<u8> {
    let mut config = SessionConfig::new("host".parse().expect("a name"));
    config.max_script = SCRIPT;
    let mut session = Session::new(config, Transport::Tls);
    let mut pieces = input.chunks(piece.max(1));
    let mut now = Monotonic::default();
    let mut said = Vec::new();
    loop {
        match session.step(now) {
            Step::Send(octets) => {
                said.extend_from_slice(&octets);
                assert!(said.len() < 16 * 1024 * 1024, "it talks without end");
            }
            Step::Ask(question) => session.answer(answer(question)),
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

fn answer(question: Question) -> Answer {
    let request = match question {
        Question::Ask(_) => {
            return Answer::Found(Ok(Finding::Identity(Identity {
                account: AccountId::new("a"),
                login: "a".into(),
            })));
        }
        Question::Scripts { request, .. } => request,
    };
    Answer::Scripts(match request {
        Request::Put { text, .. } | Request::Check(text) => {
            assert!(!text.is_empty() && text.len() <= SCRIPT, "over the limit");
            match String::from_utf8(text) {
                Ok(text) => Ok(Outcome::Warnings(vec![text])),
                Err(_) => Err(Failure::Wrong("not\r\nUTF-8".into())),
            }
        }
        Request::Read(name) => Ok(Outcome::Text(name.into())),
        Request::List => Ok(Outcome::Entries(vec![ScriptEntry {
            name: "a\"b".into(),
            size: 1,
            is_active: true,
        }])),
        _ => Ok(Outcome::Done),
    })
}

fuzz_target!(|octets: &[u8]| {
    talk(octets, 4096);
    let logged_in = [LOGIN, octets].concat();
    let whole = talk(&logged_in, 4096);
    assert_eq!(talk(&logged_in, 7), whole);
    assert!(whole.ends_with(b"\r\n"), "a line has no end");
});
