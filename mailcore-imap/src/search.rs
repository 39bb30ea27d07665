//! Judging messages by a SEARCH program: first by what is at hand, then by
//! what must be read.
//!
//! Nothing here asks a store; [`crate::commands`]'s SEARCH does.

use std::sync::Arc;

use mailcore::mailbox::{Keyword, MessageInfo, SystemFlag, UidSet};
use mailcore::message::decode::header_text;
use mailcore::message::{DateTime, Header, Summary};
use mailcore::time::Timestamp;
use memchr::memmem::Finder;

use crate::types::search::{Age, DateTest};
use crate::types::{SearchKey, SearchProgram, SeqNum};
use crate::view::View;

/// A program with its sequence sets looked up and its texts prepared.
#[derive(Debug)]
pub(crate) struct Judge {
    root: Test,
    needles: Vec<Needle>,
    reads: Reads,
    uses_modseq: bool,
    uses_numbers: bool,
    /// `Within` tests that wait for the time.
    uses_now: bool,
    /// What `$` is, once it is asked for.
    saved: Option<Arc<UidSet>>,
}

/// A text looked for in the message's content.
#[derive(Debug)]
pub(crate) struct Needle {
    finder: Finder<'static>,
    in_header: bool,
}

/// The most that a program needs to read of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reads {
    /// Its row.
    Row,
    /// Its header.
    Header,
    /// All of it.
    Content,
}

/// What is known of a message while it is judged.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// Its row.
    pub(crate) row: &'a MessageInfo,
    /// In this session.
    pub(crate) recent: bool,
    /// Its summary and header, once read.
    pub(crate) header: Option<(&'a Summary, &'a HeaderText)>,
    /// Which needles its content holds, once read.
    pub(crate) found: Option<&'a [bool]>,
}

/// A header as text, decoded and folded once however many keys ask for it.
#[derive(Debug)]
pub(crate) struct HeaderText(Vec<(Vec<u8>, String)>);

impl HeaderText {
    /// Reads the fields of `header`.
    pub(crate) fn new(header: &[u8]) -> Self {
        let fields = Header::new(header).fields();
        let texts = fields.map(|field| {
            let name = field.name.to_ascii_lowercase();
            (name, fold(&header_text(&field.value())))
        });
        Self(texts.collect())
    }

    /// Every field on a line.
    pub(crate) fn lines(&self) -> String {
        let line = |(name, text): &(Vec<u8>, String)| {
            format!("{}: {text}\n", String::from_utf8_lossy(name))
        };
        self.0.iter().map(line).collect()
    }

    /// True when a field called `name`, in lower case, holds the text.
    fn holds(&self, name: &str, finder: &Finder<'_>) -> bool {
        let mut fields = self.0.iter().filter(|(it, _)| it == name.as_bytes());
        fields.any(|(_, text)| holds(finder, text))
    }
}

#[derive(Debug)]
enum Test {
    Always,
    /// May name more than there is: no test is as large as the mailbox, of which
    /// a program names parts as often as it likes.
    Uids(UidSet),
    Saved(Arc<UidSet>),
    Flag(SystemFlag),
    Keyword(Keyword),
    Recent,
    Received(DateTest),
    /// An age, and the moment it counts from.
    Within(Age, Timestamp),
    Sent(DateTest),
    SaveDate(DateTest),
    /// Ids as they are written: a text that is no id of ours matches nothing.
    EmailId(String),
    ThreadId(String),
    ModSeq(u64),
    Larger(u64),
    Smaller(u64),
    Header(String, Box<Finder<'static>>),
    /// The needle at this index.
    Text(usize),
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    And(Vec<Test>),
}

impl Judge {
    /// Prepares `program` for the messages of `view`; `$` is `saved`.
    pub(crate) fn new(program: SearchProgram, view: &View, saved: &UidSet) -> Self {
        let mut judge = Self {
            root: Test::Always,
            needles: Vec::new(),
            reads: Reads::Row,
            uses_modseq: false,
            uses_numbers: false,
            uses_now: false,
            saved: None,
        };
        let tests = program
            .keys
            .into_iter()
            .map(|key| judge.prepare(key, view, saved))
            .collect();
        judge.root = Test::And(tests);
        judge
    }

    /// The most that must be read.
    pub(crate) fn reads(&self) -> Reads {
        self.reads
    }

    /// True when MODSEQ was asked about: the response tells the greatest one.
    pub(crate) fn uses_modseq(&self) -> bool {
        self.uses_modseq
    }

    /// True when messages are named by their numbers.
    pub(crate) fn uses_numbers(&self) -> bool {
        self.uses_numbers
    }

    /// True until [`Judge::at`] has told a program that asks for it what time it
    /// is.
    pub(crate) fn needs_now(&self) -> bool {
        self.uses_now
    }

    /// Counts ages from `now`.
    pub(crate) fn at(&mut self, now: Timestamp) {
        self.uses_now = false;
        self.root.at(now);
    }

    /// The texts to look for in content.
    pub(crate) fn needles(&self) -> &[Needle] {
        &self.needles
    }

    /// The messages that are worth a look: those that the program's top level
    /// names by number.
    pub(crate) fn candidates(&self, view: &View) -> UidSet {
        let Test::And(tests) = &self.root else {
            return view.all();
        };
        let named = tests.iter().filter_map(|test| match test {
            Test::Uids(uids) => Some(uids),
            Test::Saved(uids) => Some(&**uids),
            _ => None,
        });
        // The view is the largest of them, and looked through once.
        let named = named.fold(None, |named: Option<UidSet>, uids| {
            Some(named.map_or_else(|| uids.clone(), |it| it.intersection(uids)))
        });
        named.map_or_else(|| view.all(), |named| view.known(&named))
    }

    /// Whether the message matches; `None` when more must be known.
    pub(crate) fn judge(&self, message: &Known<'_>) -> Option<bool> {
        self.root.judge(message)
    }

    /// Recursion ends where the parser's did.
    fn prepare(&mut self, key: SearchKey, view: &View, saved: &UidSet) -> Test {
        match key {
            SearchKey::All => Test::Always,
            SearchKey::Flag(flag) => Test::Flag(flag),
            SearchKey::Keyword(keyword) => Test::Keyword(keyword),
            SearchKey::Recent => Test::Recent,
            SearchKey::Sequence(set) => {
                self.uses_numbers = true;
                Test::Uids(spans(&set.clamped(view.exists()), view))
            }
            SearchKey::Uid(set) => Test::Uids(set.uids(view.last_uid())),
            SearchKey::Saved => {
                let saved = self.saved.get_or_insert_with(|| Arc::new(saved.clone()));
                Test::Saved(Arc::clone(saved))
            }
            SearchKey::Received(test) => Test::Received(test),
            SearchKey::Within(age) => {
                self.uses_now = true;
                Test::Within(age, Timestamp::EPOCH)
            }
            SearchKey::Sent(test) => {
                self.reads = self.reads.max(Reads::Header);
                Test::Sent(test)
            }
            SearchKey::SaveDate(test) => Test::SaveDate(test),
            SearchKey::EmailId(id) => Test::EmailId(id),
            SearchKey::ThreadId(id) => Test::ThreadId(id),
            SearchKey::ModSeq(modseq) => {
                self.uses_modseq = true;
                Test::ModSeq(modseq)
            }
            SearchKey::Larger(octets) => Test::Larger(octets),
            SearchKey::Smaller(octets) => Test::Smaller(octets),
            SearchKey::Header { name, text } => {
                self.reads = self.reads.max(Reads::Header);
                Test::Header(name, Box::new(finder(&text)))
            }
            SearchKey::Body(text) => self.content(&text, false),
            SearchKey::Text(text) => self.content(&text, true),
            SearchKey::Not(key) => Test::Not(Box::new(self.prepare(*key, view, saved))),
            SearchKey::Or(a, b) => Test::Or(
                Box::new(self.prepare(*a, view, saved)),
                Box::new(self.prepare(*b, view, saved)),
            ),
            SearchKey::And(keys) => Test::And(
                keys.into_iter()
                    .map(|key| self.prepare(key, view, saved))
                    .collect(),
            ),
        }
    }

    fn content(&mut self, text: &str, in_header: bool) -> Test {
        self.reads = Reads::Content;
        self.needles.push(Needle {
            finder: finder(text),
            in_header,
        });
        Test::Text(self.needles.len() - 1)
    }
}

impl Test {
    fn at(&mut self, now: Timestamp) {
        match self {
            Self::Within(_, from) => *from = now,
            Self::Not(test) => test.at(now),
            Self::Or(a, b) => {
                a.at(now);
                b.at(now);
            }
            Self::And(tests) => tests.iter_mut().for_each(|test| test.at(now)),
            _ => {}
        }
    }

    fn judge(&self, message: &Known<'_>) -> Option<bool> {
        let row = message.row;
        Some(match self {
            Self::Always => true,
            Self::Uids(uids) => uids.contains(row.uid),
            Self::Saved(uids) => uids.contains(row.uid),
            Self::Flag(flag) => row.flags.contains(*flag),
            Self::Keyword(keyword) => row.flags.contains_keyword(keyword),
            Self::Recent => message.recent,
            // To the second (RFC 5032 section 2).
            Self::Within(age, now) => {
                let age_of = now.secs().saturating_sub(row.internal_date.secs());
                match age {
                    Age::Older(seconds) => age_of >= i64::from(*seconds),
                    Age::Younger(seconds) => age_of <= i64::from(*seconds),
                }
            }
            Self::Received(test) => test.matches(DateTime::utc(row.internal_date).date()),
            Self::SaveDate(test) => test.matches(DateTime::utc(row.save_date).date()),
            Self::EmailId(id) => row.email_id.to_string() == *id,
            Self::ThreadId(id) => row.thread_id.is_some_and(|it| it.to_string() == *id),
            Self::ModSeq(modseq) => row.modseq.value() >= *modseq,
            Self::Larger(octets) => row.size > *octets,
            Self::Smaller(octets) => row.size < *octets,
            Self::Sent(test) => {
                let (summary, _) = message.header?;
                summary
                    .envelope
                    .sent()
                    .is_some_and(|date| test.matches(date.date()))
            }
            Self::Header(name, finder) => {
                let (_, header) = message.header?;
                header.holds(name, finder)
            }
            Self::Text(needle) => message.found?.get(*needle).copied().unwrap_or(false),
            Self::Not(test) => !test.judge(message)?,
            Self::Or(a, b) => match (a.judge(message), b.judge(message)) {
                (Some(true), _) | (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
            Self::And(tests) => return all(tests, message),
        })
    }
}

/// The UIDs from the first to the last message of each range of numbers, those
/// in between that no message has included.
fn spans(numbers: &[(u32, u32)], view: &View) -> UidSet {
    let uid = |number| view.uid(SeqNum::new(number)?);
    let ends = numbers
        .iter()
        .filter_map(|&(first, last)| Some((uid(first)?, uid(last)?)));
    UidSet::from_ranges(ends)
}

/// False as soon as one is false, whatever the others would need.
fn all(tests: &[Test], message: &Known<'_>) -> Option<bool> {
    let mut unknown = false;
    for test in tests {
        match test.judge(message) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => unknown = true,
        }
    }
    (!unknown).then_some(true)
}

impl Needle {
    /// True when `haystack`, folded, holds the text.
    pub(crate) fn is_in(&self, haystack: &str) -> bool {
        holds(&self.finder, haystack)
    }

    /// True when header fields are looked through, too.
    pub(crate) fn in_header(&self) -> bool {
        self.in_header
    }

    /// Octets of the folded text.
    pub(crate) fn len(&self) -> usize {
        self.finder.needle().len()
    }
}

fn holds(finder: &Finder<'_>, haystack: &str) -> bool {
    finder.needle().is_empty() || finder.find(haystack.as_bytes()).is_some()
}

fn finder(text: &str) -> Finder<'static> {
    Finder::new(fold(text).as_bytes()).into_owned()
}

/// The form in which texts are compared: without case.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use mailcore::mailbox::Uid;

    use super::*;
    use crate::codec::Cursor;

    fn ranges(test: &Test) -> usize {
        match test {
            Test::Uids(uids) => uids.ranges().count(),
            Test::Not(test) => ranges(test),
            Test::Or(a, b) => ranges(a) + ranges(b),
            Test::And(tests) => tests.iter().map(ranges).sum(),
            _ => 0,
        }
    }

    #[test]
    fn a_program_holds_what_its_text_names_and_not_what_the_mailbox_is_made_of() {
        let every_other: UidSet = (1..=1_000).filter_map(|n| Uid::new(n * 2)).collect();
        let view = View::new(&every_other);
        let program = "OR UID 1:* NOT 1:* OR UID 500:1500,1502:* 2:999 $";
        let program = Cursor::new(program.as_bytes()).search_program().unwrap();
        let judge = Judge::new(program, &view, &every_other);
        assert!(ranges(&judge.root) <= 6, "{}", ranges(&judge.root));
    }
}
