//! A client that takes the server at its word, and nothing else (RFC 9051
//! section 7.5, RFC 7162 section 6).

use mailcore::mailbox::{Keyword, MessageInfo, SystemFlag};
use proptest::prelude::*;

/// Which extensions a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    CondStore,
}

pub(crate) fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Plain), Just(Mode::CondStore)]
}

impl Mode {
    /// What a connection begins with.
    pub(crate) fn greeting(self) -> &'static str {
        match self {
            Self::Plain => "t LOGIN alice secret",
            Self::CondStore => "t LOGIN alice secret\r\nt ENABLE CONDSTORE",
        }
    }

    pub(crate) fn fetch_all(self) -> &'static str {
        "t UID FETCH 1:* (FLAGS)"
    }
}

/// Whether the command being answered lets messages lose their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    Stay,
    MayChange,
}

/// A message as far as the client was told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) uid: Option<u32>,
    /// Sorted; without `\Recent`.
    pub(crate) flags: Option<Vec<String>>,
    pub(crate) modseq: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Believer {
    pub(crate) mode: Mode,
    pub(crate) connected: bool,
    pub(crate) selected: bool,
    pub(crate) read_only: bool,
    pub(crate) idles: bool,
    pub(crate) messages: Vec<Message>,
    /// A silent change that holds unless the answer says otherwise.
    silent: Option<Silent>,
}

/// `STORE n ±FLAGS.SILENT`: the client makes the change in what it knows.
#[derive(Debug)]
struct Silent {
    at: usize,
    sign: Option<char>,
    flags: Vec<String>,
}

impl Believer {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            connected: false,
            selected: false,
            read_only: false,
            idles: false,
            messages: Vec::new(),
            silent: None,
        }
    }

    pub(crate) fn uids(&self) -> impl Iterator<Item = u32> {
        self.messages.iter().filter_map(|message| message.uid)
    }

    /// The mailbox is not selected any more.
    pub(crate) fn leave(&mut self) {
        self.selected = false;
    }

    /// The command that selects the mailbox.
    pub(crate) fn selecting(&mut self, name: &str) -> String {
        self.messages.clear();
        format!("t {name} INBOX")
    }

    /// Notes what a command changes without being told.
    pub(crate) fn changes(&mut self, command: &str) {
        let words: Vec<&str> = command.splitn(3, ' ').collect();
        let (by_uid, rest) = match words.as_slice() {
            ["t", "UID", rest] => match rest.strip_prefix("STORE ") {
                Some(rest) => (true, rest),
                None => return,
            },
            ["t", "STORE", rest] => (false, *rest),
            _ => return,
        };
        let Some((head, flags)) = rest.split_once("FLAGS.SILENT (") else {
            return;
        };
        let number: usize = head.split(' ').next().unwrap().parse().unwrap();
        let at = match by_uid {
            true => self
                .messages
                .iter()
                .position(|it| it.uid.is_some_and(|uid| uid as usize == number)),
            false => Some(number - 1),
        };
        self.silent = at.map(|at| Silent {
            at,
            sign: head.chars().last().filter(|it| "+-".contains(*it)),
            flags: flags
                .trim_end_matches(')')
                .split(' ')
                .map(str::to_owned)
                .collect(),
        });
    }

    /// Takes what was said up to a tagged response, or while idle.
    pub(crate) fn hear(&mut self, lines: &[String], numbers: Numbers) {
        let end = lines.iter().find(|line| line.starts_with("t "));
        if let Some(silent) = self.silent.take()
            && end.is_some_and(|end| end.starts_with("t OK") && !end.contains("[MODIFIED"))
        {
            self.apply(&silent);
        }
        lines.iter().for_each(|line| self.hear_line(line, numbers));
        let known: Vec<u32> = self.uids().collect();
        assert!(
            known.is_sorted_by(|a, b| a < b),
            "UIDs out of order: {known:?}"
        );
    }

    fn apply(&mut self, silent: &Silent) {
        let Some(flags) = &mut self.messages[silent.at].flags else {
            if silent.sign.is_none() {
                let mut flags = silent.flags.clone();
                flags.sort();
                self.messages[silent.at].flags = Some(flags);
            }
            return;
        };
        match silent.sign {
            None => flags.clone_from(&silent.flags),
            Some('+') => flags.extend(silent.flags.iter().cloned()),
            Some(_) => flags.retain(|it| !silent.flags.contains(it)),
        }
        flags.sort();
        flags.dedup();
    }

    fn hear_line(&mut self, line: &str, numbers: Numbers) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = words.get(1).and_then(|word| word.parse::<usize>().ok());
        match (words.first(), number, words.get(2)) {
            (Some(&"*"), Some(count), Some(&"EXISTS")) => {
                assert!(count >= self.messages.len(), "EXISTS shrinks: {line}");
                self.messages.resize(count, Message::default());
            }
            (Some(&"*"), Some(number), Some(&"EXPUNGE")) => {
                assert_eq!(numbers, Numbers::MayChange, "{line}");
                assert!(
                    number >= 1 && number <= self.messages.len(),
                    "no such message: {line}"
                );
                self.messages.remove(number - 1);
            }
            (Some(&"*"), Some(number), Some(&"FETCH")) => {
                let known = self.messages.get_mut(number - 1);
                let known = known.unwrap_or_else(|| panic!("unknown: {line}"));
                if let Some(uid) = item(line, "UID ") {
                    let uid: u32 = uid.parse().unwrap();
                    assert!(
                        known.uid.is_none_or(|known| known == uid),
                        "{line} but {known:?}"
                    );
                    known.uid = Some(uid);
                }
                if let Some(modseq) = item(line, "MODSEQ (") {
                    known.modseq = Some(modseq.parse().unwrap());
                }
                if let Some((_, rest)) = line.split_once("FLAGS (") {
                    let flags = rest.split(')').next().unwrap();
                    let told = flags
                        .split(' ')
                        .filter(|it| !it.is_empty() && *it != "\\Recent");
                    let mut told: Vec<String> = told.map(str::to_owned).collect();
                    told.sort();
                    known.flags = Some(told);
                }
            }
            _ => {}
        }
    }

    /// Nothing that the client believes is wrong.
    pub(crate) fn believes(&self, rows: &[MessageInfo]) {
        assert_eq!(self.messages.len(), rows.len(), "{self:?}");
        for (known, row) in self.messages.iter().zip(rows) {
            let same_uid = known.uid.is_none_or(|uid| uid == row.uid.value());
            assert!(same_uid, "{known:?} is {row:?}");
            let flags = known.flags.as_ref();
            assert!(
                flags.is_none_or(|flags| *flags == flags_of(row)),
                "{:?}: {known:?} is {row:?}",
                self.mode
            );
        }
    }

    /// Everything is known, and right.
    pub(crate) fn knows(&self, rows: &[MessageInfo]) {
        self.believes(rows);
        let complete = |it: &Message| it.uid.is_some() && it.flags.is_some();
        assert!(self.messages.iter().all(complete), "{:?}", self.messages);
    }
}

/// The digits after `name`.
fn item(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(name)?;
    Some(rest.chars().take_while(char::is_ascii_digit).collect())
}

fn flags_of(row: &MessageInfo) -> Vec<String> {
    let system = SystemFlag::ALL.into_iter();
    let system = system.filter(|flag| row.flags.contains(*flag));
    let system = system.map(|flag| flag.as_str().to_owned());
    let keywords = row.flags.keywords().map(Keyword::as_str).map(str::to_owned);
    let mut all: Vec<String> = system.chain(keywords).collect();
    all.sort();
    all
}
