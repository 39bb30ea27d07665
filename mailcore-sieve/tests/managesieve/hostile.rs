//! A session against any octets: it never panics, says the same however the
//! input is cut, and keeps no more than it may.

use std::time::Duration;

use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_sieve::managesieve::{Session, SessionConfig, Transport};
use proptest::prelude::*;

use crate::world::World;

const LOGIN: &[u8] = b"AUTHENTICATE \"PLAIN\" \"AHVAeC50ZXN0AHNlY3JldCBwYXNz\"\r\n";

/// What the session says to these octets; each piece is sent once it waits.
fn say(input: &[u8], piece: usize) -> Vec<u8> {
    let mut config = SessionConfig::new("host".parse().unwrap());
    config.max_script = 40;
    let mut session = Session::new(config, Transport::Tls);
    let (mut world, mut said) = (World::default(), Vec::new());
    let (mut pieces, mut now) = (input.chunks(piece), Monotonic::default());
    loop {
        match session.step(now) {
            Step::Send(octets) => said.extend_from_slice(&octets),
            Step::Ask(question) => session.answer(world.answer(question)),
            Step::Wait { until } => now = until.after(Duration::from_secs(1)),
            Step::UpgradeTls => session.tls_established(Default::default()),
            Step::Read { .. } => match pieces.next() {
                Some(octets) => session.receive(octets),
                None => return said,
            },
            Step::Close => return said,
        }
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let command = "(PUTSCRIPT|CHECKSCRIPT|LISTSCRIPTS|SETACTIVE|GETSCRIPT|DELETESCRIPT|RENAMESCRIPT|HAVESPACE|NOOP|CAPABILITY|AUTHENTICATE|UNAUTHENTICATE)";
    let argument =
        "( \"[ab]{0,2}\"| [0-9]{1,2}| \\{[0-9]{1,2}\\+\\}\r\n[a\r\n{+}\"]{0,30}){0,3}\r\n";
    let text = format!("{command}{argument}");
    prop_oneof![
        6 => proptest::string::string_regex(&text).unwrap().prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn what_is_said_does_not_depend_on_how_the_input_is_cut(
        lines in proptest::collection::vec(line(), 0..12),
        login: bool,
        cut in 1usize..40,
    ) {
        let input = [if login { LOGIN } else { b"" }, &lines.concat()].concat();
        let said = say(&input, 4_000);
        prop_assert_eq!(say(&input, cut), said);
    }
}
