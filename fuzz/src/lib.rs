//! What several targets share: a session and a host that knows one mailbox.

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::{AccountId, Identity};
use mailcore::mailbox::{
    Changes, EmailId, Flags, MailboxId, MailboxStatus, MessageInfo, ModSeq, Uid, UidSet,
    UidValidity,
};
use mailcore::message::Summary;
use mailcore::seams::{Abilities, StoreError};
use mailcore::time::{Monotonic, Timestamp};
use mailcore::wire::{Machine, Step};
use mailcore_imap::session::{
    Answer, Config, News, Opened, Peer, PlaintextLogin, Question, Session, Transport,
};

/// Octets a session may say to one input: more is growth without bound.
const MAX_SAID: usize = 64 * 1024 * 1024;

/// A session whose mailboxes hold one message.
pub struct Talk<'a> {
    session: Session,
    message: &'a [u8],
    summary: Arc<Summary>,
    said: usize,
}

impl<'a> Talk<'a> {
    /// One at the greeting.
    pub fn new(message: &'a [u8]) -> Self {
        let mut config = Config::new("host");
        config.plaintext_login = PlaintextLogin::Anywhere;
        let peer = Peer { address: None, transport: Transport::PlainWithStartTls };
        let mut abilities = Abilities::default();
        abilities.mod_seq = true;
        abilities.atomic_move = true;
        abilities.multi_append = true;
        abilities.watch_account = true;
        Self {
            session: Session::new(Arc::new(config), abilities, peer),
            message,
            summary: Arc::new(Summary::scan(message)),
            said: 0,
        }
    }

    /// Sends octets; false when the session is over.
    pub fn send(&mut self, mut octets: &[u8]) -> bool {
        let mut now = Monotonic::default();
        loop {
            match self.session.step(now) {
                Step::Send(said) => {
                    self.said += said.len();
                    assert!(self.said < MAX_SAID, "it talks without end");
                }
                Step::Ask(question) => {
                    let answer = self.answer(question);
                    self.session.answer(answer);
                }
                Step::Wait { until } => now = until,
                Step::Read { .. } if octets.is_empty() => return true,
                Step::Read { .. } => {
                    let room = self.session.input().room().min(octets.len());
                    assert!(room > 0, "it waits and takes nothing");
                    self.session.receive(&octets[..room]);
                    octets = &octets[room..];
                }
                Step::UpgradeTls => self.session.tls_established(Default::default()),
                _ => return false,
            }
        }
    }

    fn status(&self) -> MailboxStatus {
        MailboxStatus {
            id: MailboxId(1),
            messages: 1,
            unseen: 1,
            deleted: 0,
            uid_next: Uid::new(2),
            uid_validity: UidValidity::new(1).expect("one is a validity"),
            highest_modseq: ModSeq::MIN,
            size: 0,
        }
    }

    fn answer(&self, question: Question) -> Answer {
        let row = || MessageInfo {
            uid: Uid::MIN,
            flags: Flags::NONE,
            modseq: ModSeq::MIN,
            size: self.message.len() as u64,
            internal_date: Timestamp::EPOCH,
            save_date: Timestamp::EPOCH,
            email_id: EmailId(0),
            thread_id: None,
        };
        let cut = |range: &std::ops::Range<u64>| {
            let at = |it: u64| usize::try_from(it).unwrap_or(usize::MAX).min(self.message.len());
            Bytes::copy_from_slice(&self.message[at(range.start)..at(range.end)])
        };
        let message = Bytes::copy_from_slice(&self.message);
        match question {
            Question::Authenticate(_) => Answer::Identity(Ok(Identity {
                account: AccountId::new("a"),
                login: "a".into(),
            })),
            Question::Mailboxes => Answer::Mailboxes(Vec::new()),
            Question::Status(_) => Answer::Status(self.status()),
            Question::Open { access, .. } => Answer::Opened(Box::new(Opened {
                access,
                status: self.status(),
                uids: UidSet::range(Uid::MIN, Uid::MIN),
                recent_from: None,
                first_unseen: None,
                resync: None,
            })),
            Question::Changes { .. } => Answer::News(Box::new(News {
                changes: Changes {
                    changed: Vec::new(),
                    vanished: UidSet::EMPTY,
                    complete: true,
                    status: self.status(),
                },
                recent_from: None,
            })),
            Question::Rows(uids) if uids.contains(Uid::MIN) => Answer::Rows(vec![row()]),
            Question::Rows(_) => Answer::Rows(Vec::new()),
            Question::Summaries(_) => Answer::Summaries(vec![(Uid::MIN, self.summary.clone())]),
            Question::Read { range, .. } => Answer::Octets(cut(&range)),
            Question::Fronts(wanted) => {
                Answer::Fronts(wanted.iter().map(|(_, it)| it.of(&message)).collect())
            }
            Question::AppendBegin { .. }
            | Question::AppendOctets(_)
            | Question::AppendAbandon
            | Question::WatchAccount(_)
            | Question::Unauthenticate => Answer::Done,
            _ => Answer::Failed(StoreError::NoSuchMailbox),
        }
    }
}
