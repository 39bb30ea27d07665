//! A session against any octets: it never panics, says the same however the
//! input is cut, and every line it says is one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a step that fails is a test that fails"
)]

use bytes::Bytes;
use mailcore::account::{AccountId, Identity};
use mailcore::mailbox::{Uid, UidValidity};
use mailcore::sasl::Finding;
use mailcore::time::Monotonic;
use mailcore::wire::{Machine, Step};
use mailcore_pop3::maildrop::Maildrop;
use mailcore_pop3::reply::MAX_REPLY;
use mailcore_pop3::session::{
    Answer, Question, Session, SessionConfig, Transport, UpdateOutcome, Utf8Header,
};
use proptest::prelude::*;

const LOGIN: &[u8] = b"USER a\r\nPASS b\r\n";

struct Client<'a> {
    message: &'a [u8],
    /// Octets of a message that one answer brings.
    piece: usize,
    header: Utf8Header,
}

impl Client<'_> {
    /// What the session says to these octets; each piece is sent once the
    /// session waits.
    fn say(&self, input: &[&[u8]]) -> Vec<u8> {
        let mut config = SessionConfig::new("host".parse().unwrap());
        config.utf8_header = self.header;
        let mut session = Session::new(config, Transport::Tls);
        let (mut pieces, mut said) = (input.iter(), Vec::new());
        let mut now = Monotonic::default();
        loop {
            match session.step(now) {
                Step::Send(octets) => said.extend_from_slice(&octets),
                Step::Ask(question) => session.answer(self.answer(question)),
                Step::Wait { until } => now = until,
                Step::UpgradeTls => session.tls_established(Default::default()),
                Step::Read { .. } => match pieces.next() {
                    Some(octets) => session.receive(octets),
                    None => return said,
                },
                Step::Close => return said,
            }
        }
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Read { from, .. } => {
                let rest = &self.message[usize::try_from(from).unwrap()..];
                let piece = &rest[..rest.len().min(self.piece)];
                Answer::Read(Ok(Bytes::copy_from_slice(piece)))
            }
            Question::Update { .. } => Answer::Update(UpdateOutcome::Removed),
            Question::Ask(_) => Answer::Found(Ok(Finding::Identity(Identity {
                account: AccountId::new("a"),
                login: "a".into(),
            }))),
            Question::Open(_) => Answer::Opened(Ok(Maildrop::new(
                UidValidity::new(1).unwrap(),
                [(Uid::MIN, self.message.len() as u64)],
            ))),
        }
    }
}

fn header_form() -> impl Strategy<Value = Utf8Header> {
    prop_oneof![
        Just(Utf8Header::Surrogate),
        Just(Utf8Header::Refuse),
        Just(Utf8Header::AsIs)
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = "(STAT|LIST|UIDL|RETR|TOP|DELE|RSET|NOOP|CAPA|LANG|UTF8|USER|PASS|AUTH|STLS|[a-z]{0,300})( [0-9=*a]{0,3}){0,3}\r\n";
    prop_oneof![
        6 => text.prop_map(String::into_bytes),
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
        let client = Client { message: b"A: b\r\n\r\n.\r\n", piece: 3, header: Utf8Header::Surrogate };
        let input = [if login { LOGIN } else { b"" }, &lines.concat()].concat();
        let whole: Vec<&[u8]> = input.chunks(4_000).collect();
        let pieces: Vec<&[u8]> = input.chunks(cut).collect();
        let said = client.say(&whole);
        prop_assert_eq!(&client.say(&pieces), &said);
        for line in said.split_inclusive(|octet| *octet == b'\n') {
            prop_assert!(line.ends_with(b"\r\n") && line.len() <= MAX_REPLY);
        }
    }

    #[test]
    fn any_message_ends_at_its_end_and_nowhere_before(
        message in "([A-Za-z]{1,3}: ?)?[.\r\n a\u{0}\u{fc}]{0,60}",
        piece in 1usize..9,
        header in header_form(),
        lines in proptest::option::of(0u32..4),
    ) {
        let client = Client { message: message.as_bytes(), piece, header };
        let ask = lines.map_or("RETR 1\r\n".to_owned(), |lines| format!("TOP 1 {lines}\r\n"));
        let said = client.say(&[LOGIN, ask.as_bytes(), b"QUIT\r\n"]);
        let goodbye = b"+OK host closing\r\n";
        prop_assert!(said.ends_with(goodbye));
        let rest = &said[..said.len() - goodbye.len()];
        let lines: Vec<&[u8]> = rest.split_inclusive(|octet| *octet == b'\n').skip(3).collect();
        prop_assert!(lines.iter().all(|line| line.ends_with(b"\r\n")));
        if !lines[0].starts_with(b"-ERR [UTF8]") {
            prop_assert!(lines[0].starts_with(b"+OK"));
            let ends = lines.iter().skip(1).filter(|line| **line == b".\r\n").count();
            prop_assert_eq!((ends, lines[lines.len() - 1]), (1, b".\r\n".as_slice()));
        }
    }
}
