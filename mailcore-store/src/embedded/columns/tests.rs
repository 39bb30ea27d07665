//! Columns against the rows they come from: whatever changes, whatever is held
//! and however little room there is, what is read is what the rows are.

use mailcore::mailbox::{Flags, Keyword};
use proptest::prelude::*;

use super::*;
use crate::embedded::index::{Index, Origin};
use crate::embedded::log::{Lsn, SegmentId, StoreId};
use crate::embedded::record::{BodySource, Effect, Filed, Keep};

const MAILBOX: u64 = 1;

/// What may happen to a mailbox.
#[derive(Debug, Clone)]
enum Step {
    /// Messages come in, with so many UIDs left out before the first.
    File(u32, u32),
    /// Every n-th message from a UID on gets other flags.
    Flag(u32, u32, u8, Option<String>),
    /// A range goes away.
    Expunge(u32, u32),
    /// Somebody reads a range.
    Read(u32, u32),
    /// What is held is lost.
    Forget,
    /// The pages are given up.
    Trim,
    /// The overview is kept.
    Keep,
}

fn step() -> impl Strategy<Value = Step> {
    let uid = 1u32..20_000;
    prop_oneof![
        3 => (0u32..6_000, 1u32..400).prop_map(|(gap, count)| Step::File(gap, count)),
        2 => (uid.clone(), 1u32..900, any::<u8>(), proptest::option::of("[a-c]")).prop_map(|(a, b, c, d)| Step::Flag(a, b, c, d)),
        2 => (uid.clone(), 0u32..9_000).prop_map(|(first, count)| Step::Expunge(first, first + count)),
        3 => (uid.clone(), 0u32..20_000).prop_map(|(first, count)| Step::Read(first, first + count)),
        1 => Just(Step::Forget),
        1 => Just(Step::Trim),
        1 => Just(Step::Keep),
    ]
}

/// A mailbox in an index, and what a session holds of it.
struct Subject {
    index: Index,
    held: Option<Columns>,
    budget: Budget,
    _directory: tempfile::TempDir,
}

impl Subject {
    fn new(room: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.db");
        let index = Index::open(&path, StoreId([7; 16])).unwrap().unwrap();
        let mut subject = Self {
            index,
            held: None,
            budget: Budget::new(room),
            _directory: directory,
        };
        subject.apply(&[
            Effect::CreateMailbox {
                id: MAILBOX,
                account: "a".into(),
                name: "INBOX".into(),
                uid_validity: 1,
                special_use: None,
            },
            Effect::Body {
                id: 1,
                source: BodySource::Frame(0),
                length: 1,
                hash: [0; 32],
            },
            Effect::Content {
                id: 1,
                body: 1,
                prefix: Vec::new(),
                summary: Vec::new(),
            },
        ]);
        subject
    }

    fn apply(&mut self, effects: &[Effect]) {
        let origin = Origin {
            lsn: Lsn(1),
            file: SegmentId(1).file(0),
            bodies: &[Some(0)],
            at: 0,
        };
        self.index.begin_group().unwrap();
        for effect in effects {
            self.index.apply(effect, origin).unwrap();
        }
        self.index.commit().unwrap();
        self.index.settle();
    }

    fn state(&mut self) -> MailboxState {
        self.index.mailbox(MAILBOX).unwrap().unwrap().clone()
    }

    fn rows(&self, wanted: &UidSet) -> Vec<MessageInfo> {
        let rows = read::messages(self.index.connection(), MAILBOX, wanted).unwrap();
        rows.into_iter().map(|it| it.info).collect()
    }

    fn file(&mut self, gap: u32, count: u32) {
        let state = self.state();
        let first = u32::try_from(state.uid_next).unwrap() + gap;
        let filed = |at: u32| {
            Effect::File(Filed {
                uid: first + at,
                modseq: state.modseq + 1,
                size: u64::from(at),
                mailbox: MAILBOX,
                content: 1,
                flags: Flags::default(),
                internal_date: i64::from(at),
                save_date: 5,
                email_id: u128::MAX - u128::from(at),
                thread: None,
                thread_key: None,
            })
        };
        self.apply(&(0..count).map(filed).collect::<Vec<_>>());
    }

    fn flag(&mut self, from: u32, every: u32, bits: u8, keyword: Option<&str>) {
        let modseq = self.state().modseq + 1;
        let keyword = keyword.and_then(Keyword::new);
        let there = self.rows(&UidSet::all());
        let changed = there.iter().filter(|it| it.uid.value() >= from);
        let messages: Vec<(u32, u32, Flags)> = changed
            .step_by(every as usize)
            .map(|it| {
                let uid = it.uid.value();
                (uid, uid, Flags::from_parts(bits, keyword.clone()))
            })
            .collect();
        if !messages.is_empty() {
            self.apply(&[Effect::Flags {
                mailbox: MAILBOX,
                modseq,
                messages,
            }]);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::File(gap, count) => self.file(*gap, *count),
            Step::Flag(from, every, bits, keyword) => {
                self.flag(*from, *every, *bits, keyword.as_deref());
            }
            Step::Expunge(first, last) => {
                let modseq = self.state().modseq + 1;
                let uids = vec![(*first, *last)];
                self.apply(&[Effect::Expunge {
                    mailbox: MAILBOX,
                    modseq,
                    uids,
                    keep: Keep::Nothing,
                }]);
            }
            Step::Read(first, last) => self.compare(&range(*first, *last)),
            Step::Forget => self.held = None,
            Step::Trim => self.held = self.held.take().map(|it| it.without_pages()),
            Step::Keep => {
                self.compare(&UidSet::EMPTY);
                let columns = self.held.as_ref().unwrap();
                let overview = Overview::worth_keeping(columns, u64::MAX).unwrap();
                overview.save(&self.index, MAILBOX).unwrap();
            }
        }
    }

    /// What is read is what the rows are; what is held afterwards says the same.
    fn compare(&mut self, wanted: &UidSet) {
        let conn = self.index.connection();
        let reading = Columns::read(conn, MAILBOX, self.held.take(), wanted, &self.budget);
        let Reading {
            columns, messages, ..
        } = reading.unwrap().unwrap();
        assert_eq!(messages, self.rows(wanted));
        let all = self.rows(&UidSet::all());
        assert_eq!(columns.uids, all.iter().map(|it| it.uid).collect());
        let unseen = all.iter().find(|it| !it.flags.contains(SystemFlag::Seen));
        assert_eq!(columns.first_unseen, unseen.map(|it| it.uid));
        if let Some(again) = columns.messages(wanted) {
            assert_eq!(again, messages);
        }
        self.held = Some(columns);
    }
}

fn range(first: u32, last: u32) -> UidSet {
    UidSet::range(Uid::new(first).unwrap(), Uid::new(last).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_read_is_what_the_rows_are(
        room in prop_oneof![Just(0), Just(100_000), Just(usize::MAX)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut subject = Subject::new(room);
        steps.iter().for_each(|step| subject.take(step));
        subject.compare(&UidSet::all());
        let budget = subject.budget.clone();
        drop(subject);
        prop_assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_overview_reads_back_or_not_at_all(uids in prop::collection::vec(1u32.., 0..50), at: prop::sample::Index, flip in 1u8..) {
        let overview = Overview {
            as_of: ModSeq::MIN,
            uids: uids.iter().filter_map(|it| Uid::new(*it)).collect(),
            first_unseen: uids.first().and_then(|it| Uid::new(*it)),
        };
        let mut octets = overview.encode();
        prop_assert_eq!(Overview::decode(ModSeq::MIN, &octets), Some(overview));
        *at.get_mut(&mut octets) ^= flip;
        prop_assert_eq!(Overview::decode(ModSeq::MIN, &octets), None);
    }
}

#[test]
fn pages_are_held_once_asked_for() {
    let mut subject = Subject::new(usize::MAX);
    subject.file(0, 300);
    subject.compare(&range(1, 200));
    let held = subject.held.as_ref().unwrap();
    assert!(held.messages(&UidSet::all()).is_some());
    subject.held = None;
    subject.compare(&range(7, 7));
    // One message is not worth reading the page it is on.
    assert!(!subject.held.as_ref().unwrap().has_pages());
    // Many, one by one, are.
    (8..12).for_each(|uid| subject.compare(&range(uid, uid)));
    assert!(subject.held.as_ref().unwrap().has_pages());
}
