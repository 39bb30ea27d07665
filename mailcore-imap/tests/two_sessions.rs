//! Two clients that believe every word: whatever they do to one mailbox, what
//! they were told of sequence numbers stays true (RFC 3501 sections 5.2, 5.5 and
//! 7.4.1).
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

mod runner;

use proptest::prelude::*;
use runner::{Cut, Play};

/// What a client knows: for each message, its UID once it was told.
#[derive(Debug, Default)]
struct Client {
    uids: Vec<Option<u32>>,
}

/// Whether the command being answered lets messages lose their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Stay,
    MayChange,
}

impl Client {
    /// Takes the server at its word.
    fn hear(&mut self, line: &str, numbers: Numbers) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = words.get(1).and_then(|word| word.parse::<usize>().ok());
        match (words.first(), number, words.get(2)) {
            (Some(&"*"), Some(count), Some(&"EXISTS")) => {
                assert!(count >= self.uids.len(), "EXISTS shrinks: {line}");
                self.uids.resize(count, None);
            }
            (Some(&"*"), Some(number), Some(&"EXPUNGE")) => {
                assert_eq!(numbers, Numbers::MayChange, "{line}");
                assert!(
                    number >= 1 && number <= self.uids.len(),
                    "no such message: {line}"
                );
                self.uids.remove(number - 1);
            }
            (Some(&"*"), Some(number), Some(&"FETCH")) => {
                let slot = self
                    .uids
                    .get_mut(number - 1)
                    .unwrap_or_else(|| panic!("unknown: {line}"));
                let uid = line.split("UID ").nth(1).map(|rest| {
                    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    digits.parse::<u32>().unwrap()
                });
                if let Some(uid) = uid {
                    assert!(slot.is_none_or(|known| known == uid), "{line} but {slot:?}");
                    *slot = Some(uid);
                }
            }
            _ => {}
        }
        let known: Vec<u32> = self.uids.iter().copied().flatten().collect();
        assert!(
            known.is_sorted_by(|a, b| a < b),
            "UIDs out of order: {known:?}"
        );
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Noop,
    Append,
    Delete(usize),
    Flag(usize),
    Expunge,
    Fetch,
    UidFetch,
    Search,
    Copy(usize),
    Move(usize),
    Idle,
}

impl Deed {
    /// The command for a mailbox of `exists` messages.
    fn command(&self, exists: usize) -> Option<(String, Numbers)> {
        let pick = |at: &usize| (exists > 0).then(|| at % exists.max(1) + 1);
        Some(match self {
            Self::Noop => ("t NOOP\r\n".into(), Numbers::MayChange),
            Self::Append => (
                "t APPEND INBOX {5+}\r\nA: b\n\r\n".into(),
                Numbers::MayChange,
            ),
            Self::Delete(at) => (
                format!("t STORE {} +FLAGS (\\Deleted)\r\n", pick(at)?),
                Numbers::Stay,
            ),
            Self::Flag(at) => (
                format!("t STORE {} FLAGS.SILENT (\\Seen k)\r\n", pick(at)?),
                Numbers::Stay,
            ),
            Self::Expunge => ("t EXPUNGE\r\n".into(), Numbers::MayChange),
            Self::Fetch => {
                pick(&0)?;
                ("t FETCH 1:* (UID FLAGS BODY[])\r\n".into(), Numbers::Stay)
            }
            Self::UidFetch => ("t UID FETCH 1:* FLAGS\r\n".into(), Numbers::MayChange),
            Self::Search => ("t SEARCH UNDELETED\r\n".into(), Numbers::Stay),
            Self::Copy(at) => (
                format!("t COPY {} INBOX\r\n", pick(at)?),
                Numbers::MayChange,
            ),
            Self::Move(at) => (
                format!("t MOVE {} Other\r\n", pick(at)?),
                Numbers::MayChange,
            ),
            Self::Idle => ("t IDLE\r\nDONE\r\n".into(), Numbers::MayChange),
        })
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        Just(Deed::Noop),
        Just(Deed::Append),
        Just(Deed::Append),
        (0usize..20).prop_map(Deed::Delete),
        (0usize..20).prop_map(Deed::Delete),
        (0usize..20).prop_map(Deed::Flag),
        Just(Deed::Expunge),
        Just(Deed::Fetch),
        Just(Deed::UidFetch),
        Just(Deed::Search),
        (0usize..20).prop_map(Deed::Copy),
        (0usize..20).prop_map(Deed::Move),
        Just(Deed::Idle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sequence_numbers_mean_the_same_to_client_and_server(
        deeds in proptest::collection::vec((0usize..2, deed()), 0..60),
    ) {
        let mut play = Play::new(Cut::Whole);
        let mut clients = [Client::default(), Client::default()];
        play.exchange(0, "t LOGIN alice secret\r\nt CREATE Other\r\n");
        play.exchange(1, "t LOGIN alice secret\r\n");
        let quiet = Deed::Noop;
        let select = |play: &mut Play, clients: &mut [Client; 2], index: usize| {
            let told = play.exchange(index, "t SELECT INBOX\r\n");
            told[index].iter().for_each(|line| clients[index].hear(line, Numbers::MayChange));
        };
        select(&mut play, &mut clients, 0);
        select(&mut play, &mut clients, 1);
        // In the end both look at everything once more.
        let finish = [quiet.clone(), Deed::Fetch].into_iter().flat_map(|it| [(0, it.clone()), (1, it)]);
        for (index, deed) in deeds.into_iter().chain(finish) {
            let Some((command, numbers)) = deed.command(clients[index].uids.len()) else { continue };
            let told = play.exchange(index, &command);
            prop_assert!(told[1 - index].is_empty(), "told unasked: {:?}", told);
            for line in &told[index] {
                clients[index].hear(line, numbers);
            }
            let end = told[index].last().unwrap();
            let fine = end.starts_with("t OK") || end.starts_with("t NO [EXPUNGEISSUED]");
            prop_assert!(fine, "{command} {told:?}");
        }
        prop_assert!(clients[0].uids.iter().all(Option::is_some));
        prop_assert_eq!(&clients[0].uids, &clients[1].uids);
    }
}
