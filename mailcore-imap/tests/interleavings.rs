//! Clients that believe every word: whatever they do to one mailbox, what each
//! was told of numbers, UIDs and flags is what the mailbox holds in the end
//! (RFC 3501 sections 5.2, 5.5 and 7.4.1; RFC 7162 section 3.2).
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

mod believer;
mod runner;

use believer::{Believer, Mode, Numbers};
use mailcore::account::AccountId;
use mailcore::mailbox::{MailboxName, MessageInfo, UidSet};
use mailcore::seams::Storage;
use proptest::prelude::*;
use runner::{Cut, Play, block_on};

#[derive(Debug, Clone)]
enum Deed {
    Noop,
    Append,
    Store(usize, &'static str),
    UidStore(usize, &'static str),
    /// Only if nobody changed it since the client last heard of it.
    StoreUnchanged(usize),
    Expunge,
    UidExpunge(usize),
    Fetch,
    FetchSeen(usize),
    UidFetch,
    UidFetchSeen(usize),
    UidCopy(usize),
    UidMove(usize),
    Search,
    UidSearch,
    Copy(usize),
    Move(usize),
    Idle,
    Select,
    Examine,
    Close,
    Unselect,
    /// The connection breaks.
    HangUp,
}

const CHANGES: [&str; 5] = [
    "+FLAGS (\\Deleted)",
    "FLAGS.SILENT (\\Seen k)",
    "+FLAGS.SILENT (\\Flagged)",
    "-FLAGS (\\Flagged)",
    "-FLAGS.SILENT (\\Deleted \\Seen)",
];

fn deed() -> impl Strategy<Value = Deed> {
    let at = || 0usize..6;
    let change = || proptest::sample::select(&CHANGES[..]);
    prop_oneof![
        2 => Just(Deed::Noop),
        4 => Just(Deed::Append),
        6 => (at(), change()).prop_map(|(at, change)| Deed::Store(at, change)),
        4 => (at(), change()).prop_map(|(at, change)| Deed::UidStore(at, change)),
        2 => at().prop_map(Deed::StoreUnchanged),
        2 => Just(Deed::Expunge),
        2 => at().prop_map(Deed::UidExpunge),
        3 => Just(Deed::Fetch),
        1 => at().prop_map(Deed::FetchSeen),
        1 => Just(Deed::UidFetch),
        1 => Just(Deed::Search),
        1 => Just(Deed::UidSearch),
        1 => at().prop_map(Deed::Copy),
        2 => at().prop_map(Deed::Move),
        2 => Just(Deed::Idle),
        1 => Just(Deed::Select),
        1 => Just(Deed::Examine),
        1 => Just(Deed::Close),
        1 => Just(Deed::Unselect),
        1 => Just(Deed::HangUp),
    ]
}

/// Three clients of one mailbox.
struct Scene {
    play: Play,
    clients: [Believer; 3],
}

impl Scene {
    fn new(modes: [Mode; 3]) -> Self {
        let mut scene = Self {
            play: Play::new(Cut::Whole),
            clients: modes.map(Believer::new),
        };
        scene
            .play
            .exchange(0, "t LOGIN alice secret\r\nt CREATE Other\r\n");
        let append = "t APPEND INBOX {5+}\r\nA: b\n\r\n";
        (0..3).for_each(|_| drop(scene.play.exchange(0, append)));
        scene.play.hang_up(0);
        (0..3).for_each(|index| scene.ready(index));
        scene
    }

    /// One command, to its tagged response, which is returned.
    fn say(&mut self, index: usize, command: &str, numbers: Numbers) -> String {
        let told = self.play.exchange(index, &format!("{command}\r\n"));
        for (other, lines) in told.iter().enumerate().filter(|it| it.0 != index) {
            let client = &mut self.clients[other];
            assert!(client.idles || lines.is_empty(), "told unasked: {lines:?}");
            client.hear(lines, Numbers::MayChange);
        }
        self.clients[index].hear(&told[index], numbers);
        told[index].last().cloned().unwrap_or_default()
    }

    /// Connected, not idle, and with the mailbox selected.
    fn ready(&mut self, index: usize) {
        if self.clients[index].idles {
            self.clients[index].idles = false;
            let end = self.say(index, "DONE", Numbers::MayChange);
            assert!(end.starts_with("t OK"), "{end}");
        }
        if !self.clients[index].selected {
            if !self.clients[index].connected {
                self.clients[index].connected = true;
                let greeting = self.clients[index].mode.greeting();
                self.say(index, greeting, Numbers::MayChange);
            }
            self.select(index, "SELECT");
        }
    }

    fn select(&mut self, index: usize, name: &str) {
        let command = self.clients[index].selecting(name);
        let end = self.say(index, &command, Numbers::MayChange);
        assert!(end.starts_with("t OK"), "{command} {end}");
        self.clients[index].selected = true;
        self.clients[index].read_only = name == "EXAMINE";
    }

    fn act(&mut self, index: usize, deed: &Deed) {
        self.ready(index);
        let client = &mut self.clients[index];
        match deed {
            Deed::Select => return self.select(index, "SELECT"),
            Deed::Examine => return self.select(index, "EXAMINE"),
            Deed::HangUp => {
                client.leave();
                client.connected = false;
                return self.play.hang_up(index);
            }
            Deed::Idle => client.idles = true,
            _ => {}
        }
        let Some((command, numbers)) = command(deed, client) else {
            return;
        };
        client.changes(&command);
        let end = self.say(index, &command, numbers);
        let client = &mut self.clients[index];
        let refused = client.read_only && end.contains("read-only");
        let fine =
            end.starts_with("t OK") || end.starts_with("t NO [EXPUNGEISSUED]") || client.idles;
        assert!(fine || refused, "{command}: {end}");
        match deed {
            Deed::Close | Deed::Unselect => client.leave(),
            Deed::Noop => {
                let rows = self.rows();
                self.clients[index].believes(&rows);
            }
            _ => {}
        }
    }

    /// What the mailbox holds.
    fn rows(&self) -> Vec<MessageInfo> {
        block_on(async {
            let (account, inbox) = (AccountId::new("alice"), MailboxName::inbox());
            let mailbox = self.play.store().open(&account, &inbox).await.unwrap();
            mailbox.messages(&UidSet::all()).await.unwrap()
        })
    }

    /// What every client believes in the end is what is there.
    fn settle(&mut self) {
        for index in 0..3 {
            self.ready(index);
            self.say(index, "t NOOP", Numbers::MayChange);
        }
        let rows = self.rows();
        for index in 0..3 {
            self.clients[index].believes(&rows);
            let fetch = self.clients[index].mode.fetch_all();
            self.say(index, fetch, Numbers::Stay);
            self.clients[index].knows(&rows);
        }
    }
}

/// The same by UID, for who has no numbers.
fn without_numbers(deed: &Deed) -> Option<Deed> {
    Some(match deed {
        Deed::Store(at, change) => Deed::UidStore(*at, change),
        Deed::Fetch => Deed::UidFetch,
        Deed::FetchSeen(at) => Deed::UidFetchSeen(*at),
        Deed::Search => Deed::UidSearch,
        Deed::Copy(at) => Deed::UidCopy(*at),
        Deed::Move(at) => Deed::UidMove(*at),
        _ => return None,
    })
}

/// The command for what the client knows.
fn command(deed: &Deed, client: &Believer) -> Option<(String, Numbers)> {
    use Numbers::{MayChange, Stay};
    let exists = client.messages.len();
    let seq = |at: &usize| (exists > 0).then(|| at % exists.max(1) + 1);
    let uid = |at: &usize| {
        let known: Vec<u32> = client.uids().collect();
        (!known.is_empty()).then(|| known[at % known.len().max(1)])
    };
    let some = (exists > 0).then_some(());
    if client.mode == Mode::UidOnly
        && let Some(numberless) = without_numbers(deed)
    {
        return command(&numberless, client);
    }
    Some(match deed {
        Deed::Noop => ("t NOOP".into(), MayChange),
        Deed::Append => ("t APPEND INBOX {5+}\r\nA: b\n".into(), MayChange),
        Deed::Store(at, change) => (format!("t STORE {} {change}", seq(at)?), Stay),
        Deed::UidStore(at, change) => (format!("t UID STORE {} {change}", uid(at)?), MayChange),
        Deed::StoreUnchanged(at) => {
            let known = client.messages.get(seq(at)? - 1)?;
            let (uid, modseq) = (known.uid?, known.modseq?);
            let change = "+FLAGS.SILENT (\\Answered)";
            let text = format!("t UID STORE {uid} (UNCHANGEDSINCE {modseq}) {change}");
            (text, MayChange)
        }
        Deed::Expunge => ("t EXPUNGE".into(), MayChange),
        Deed::UidExpunge(at) => (format!("t UID EXPUNGE {}:*", uid(at)?), MayChange),
        Deed::Fetch => {
            some?;
            ("t FETCH 1:* (UID FLAGS)".into(), Stay)
        }
        Deed::FetchSeen(at) => (format!("t FETCH {} (UID FLAGS BODY[])", seq(at)?), Stay),
        Deed::UidFetch => ("t UID FETCH 1:* FLAGS".into(), MayChange),
        Deed::Search => ("t SEARCH UNDELETED".into(), Stay),
        Deed::UidSearch => ("t UID SEARCH DELETED".into(), MayChange),
        Deed::UidFetchSeen(at) => (
            format!("t UID FETCH {} (FLAGS BODY[])", uid(at)?),
            MayChange,
        ),
        Deed::UidCopy(at) => (format!("t UID COPY {} INBOX", uid(at)?), MayChange),
        Deed::UidMove(at) => (format!("t UID MOVE {} Other", uid(at)?), MayChange),
        Deed::Copy(at) => (format!("t COPY {} INBOX", seq(at)?), MayChange),
        Deed::Move(at) => (format!("t MOVE {} Other", seq(at)?), MayChange),
        Deed::Idle => ("t IDLE".into(), MayChange),
        Deed::Close => ("t CLOSE".into(), Stay),
        Deed::Unselect => ("t UNSELECT".into(), Stay),
        Deed::Select | Deed::Examine | Deed::HangUp => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn every_client_ends_with_what_the_mailbox_holds(
        modes in [believer::mode(), believer::mode(), believer::mode()],
        deeds in proptest::collection::vec((0usize..3, deed()), 0..60),
    ) {
        let mut scene = Scene::new(modes);
        for (index, deed) in &deeds {
            scene.act(*index, deed);
        }
        scene.settle();
    }
}
