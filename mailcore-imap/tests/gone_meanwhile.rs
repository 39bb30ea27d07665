//! A message that goes while FETCH reads it is left out of the responses.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::{AccountId, Identity};
use mailcore::mailbox::{
    EmailId, Flags, MailboxId, MailboxStatus, MessageInfo, ModSeq, Uid, UidSet, UidValidity,
};
use mailcore::message::Summary;
use mailcore::seams::{Abilities, Excerpt, StoreError};
use mailcore::time::{Monotonic, Timestamp};
use mailcore::wire::{Machine, Step};
use mailcore_imap::session::{Access, Answer, Config, Opened, Peer, Question, Session, Transport};

const CONTENT: &[u8] = b"Subject: here\r\n\r\nbody\r\n";

/// Three messages; another client expunges the second one once their rows are
/// read, and the octets of the third one are damaged.
#[derive(Default)]
struct Store {
    rows_asked: u32,
}

impl Store {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Authenticate(_) => Answer::Identity(Ok(Identity {
                account: AccountId::new("alice"),
                login: "alice".into(),
            })),
            Question::Open { .. } => Answer::Opened(Box::new(opened())),
            Question::Rows(uids) => {
                self.rows_asked += 1;
                let kept = |uid: &Uid| uid.value() != 2 || self.rows_asked < 2;
                Answer::Rows(uids.iter().filter(kept).map(row).collect())
            }
            Question::Fronts(wanted) => Answer::Fronts(
                wanted
                    .into_iter()
                    .map(|(uid, excerpt)| (uid.value() == 1).then(|| octets(&excerpt)))
                    .collect(),
            ),
            Question::Summaries(uids) => Answer::Summaries(
                uids.iter()
                    .filter(|uid| uid.value() != 2)
                    .map(|uid| (uid, Arc::new(Summary::scan(CONTENT))))
                    .collect(),
            ),
            Question::Read { .. } => Answer::Failed(StoreError::Damaged("body".into())),
            other => panic!("asked {other:?}"),
        }
    }
}

fn octets(excerpt: &Excerpt) -> Bytes {
    match excerpt {
        Excerpt::Header { .. } => Bytes::from_static(b"Subject: here\r\n\r\n"),
        Excerpt::Range(range) => Bytes::from_static(CONTENT).slice(..range.end as usize),
        other => panic!("asked {other:?}"),
    }
}

fn opened() -> Opened {
    Opened {
        access: Access::ReadOnly,
        status: MailboxStatus {
            id: MailboxId(1),
            messages: 3,
            unseen: 0,
            deleted: 0,
            uid_next: Uid::new(4),
            uid_validity: UidValidity::new(1).unwrap(),
            highest_modseq: ModSeq::new(4).unwrap(),
            size: 0,
        },
        uids: UidSet::range(Uid::MIN, Uid::new(3).unwrap()),
        recent_from: None,
        first_unseen: None,
        resync: None,
    }
}

fn row(uid: Uid) -> MessageInfo {
    MessageInfo {
        uid,
        flags: Flags::NONE,
        modseq: ModSeq::new(4).unwrap(),
        size: CONTENT.len() as u64,
        internal_date: Timestamp::default(),
        save_date: Timestamp::default(),
        email_id: EmailId(1),
        thread_id: None,
    }
}

/// What the session says to `command`, the second message going meanwhile.
fn told(command: &str) -> String {
    let mut abilities = Abilities::default();
    abilities.mod_seq = true;
    let peer = Peer {
        address: None,
        transport: Transport::Tls,
    };
    let mut session = Session::new(Config::new("mail.example").into(), abilities, peer);
    let mut store = Store::default();
    session.receive(b"a LOGIN alice secret\r\nb EXAMINE INBOX\r\n");
    session.receive(format!("c {command}\r\n").as_bytes());
    let mut told = Vec::new();
    loop {
        match session.step(Monotonic::default()) {
            Step::Send(octets) => told.extend_from_slice(&octets),
            Step::Ask(question) => session.answer(store.answer(question)),
            Step::Read { .. } => break,
            step => panic!("{step:?}"),
        }
    }
    let told = String::from_utf8(told).unwrap();
    let at = told.find("b OK ").unwrap();
    told[at..].to_owned()
}

#[test]
fn a_message_that_goes_during_fetch_is_left_out_and_a_damaged_one_is_nil() {
    let told = told("FETCH 1:3 (UID BODY.PEEK[])");
    assert!(told.contains("* 1 FETCH (UID 1 BODY[] {23}\r\nSubject: here"));
    assert!(!told.contains("* 2 FETCH"), "{told}");
    assert!(told.contains("* 3 FETCH (UID 3 BODY[] NIL)"), "{told}");
    assert!(told.contains("c NO "), "{told}");
}

#[test]
fn a_message_that_goes_during_fetch_has_no_empty_envelope() {
    let told = told("FETCH 1:2 (ENVELOPE)");
    assert!(told.contains("* 1 FETCH (ENVELOPE (NIL \"here\""), "{told}");
    assert!(!told.contains("* 2 FETCH"), "{told}");
    assert!(
        told.contains("c OK [EXPUNGEISSUED] FETCH completed"),
        "{told}"
    );
}
