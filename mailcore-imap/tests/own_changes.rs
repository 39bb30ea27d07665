//! A session's own changes are not read from the store again.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

use mailcore::account::{AccountId, Identity};
use mailcore::mailbox::{
    EmailId, FlagChange, Flags, MailboxId, MailboxStatus, MessageInfo, ModSeq, Uid, UidSet,
    UidValidity,
};
use mailcore::seams::{Abilities, StoreReceipt};
use mailcore::time::{Monotonic, Timestamp};
use mailcore::wire::{Machine, Step};
use mailcore_imap::session::{Access, Answer, Config, Opened, Peer, Question, Session, Transport};

/// Messages in the mailbox: more than one question changes.
const MESSAGES: u32 = 25_000;

fn modseq(value: u64) -> ModSeq {
    ModSeq::new(value).unwrap()
}

/// A store in which nobody else does anything; it must not be asked for news.
struct Store {
    highest: u64,
    stores: u32,
}

impl Store {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Authenticate(_) => Answer::Identity(Ok(Identity {
                account: AccountId::new("alice"),
                login: "alice".into(),
            })),
            Question::Open { .. } => Answer::Opened(Box::new(Opened {
                access: Access::ReadWrite,
                status: MailboxStatus {
                    id: MailboxId(1),
                    messages: MESSAGES,
                    unseen: 0,
                    deleted: 0,
                    uid_next: Uid::new(MESSAGES + 1),
                    uid_validity: UidValidity::new(1).unwrap(),
                    highest_modseq: modseq(self.highest),
                    size: 0,
                },
                uids: UidSet::range(Uid::MIN, Uid::new(MESSAGES).unwrap()),
                recent_from: None,
                first_unseen: None,
                resync: None,
            })),
            Question::Store { uids, change, .. } => {
                self.highest += 1;
                self.stores += 1;
                Answer::Stored(self.receipt(&uids, &change))
            }
            other => panic!("asked {other:?}"),
        }
    }

    fn receipt(&self, uids: &UidSet, change: &FlagChange) -> StoreReceipt {
        let row = |uid| MessageInfo {
            uid,
            flags: change.apply(&Flags::NONE),
            modseq: modseq(self.highest),
            size: 1,
            internal_date: Timestamp::default(),
            save_date: Timestamp::default(),
            email_id: EmailId(1),
            thread_id: None,
        };
        StoreReceipt {
            messages: uids.iter().map(row).collect(),
            modseq: Some(modseq(self.highest)),
            ..StoreReceipt::default()
        }
    }
}

#[test]
fn a_store_of_all_messages_reads_none_of_them_again() {
    let config = Config::new("mail.example").into();
    let mut abilities = Abilities::default();
    abilities.mod_seq = true;
    let peer = Peer {
        address: None,
        transport: Transport::Tls,
    };
    let mut session = Session::new(config, abilities, peer);
    let mut store = Store {
        highest: 7,
        stores: 0,
    };
    session.receive(
        b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc STORE 1:* +FLAGS (\\Seen)\r\n\
          d STORE 1:* -FLAGS.SILENT (\\Seen)\r\ne CAPABILITY\r\n",
    );
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
    assert_eq!(told.matches(" FETCH (FLAGS (\\Seen))").count(), 25_000);
    assert!(told.contains("d OK STORE completed\r\n") && told.contains("e OK "));
    assert_eq!(store.stores, 6);
}
