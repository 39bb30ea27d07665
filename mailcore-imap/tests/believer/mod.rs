//! A client that takes the server at its word, and nothing else (RFC 9051
//! section 7.5, RFC 7162 section 6).

use mailcore::mailbox::{Keyword, MessageInfo, SystemFlag};
use proptest::prelude::*;

/// Which extensions a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    CondStore,
    QResync,
    UidOnly,
}

pub(crate) fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Plain),
        Just(Mode::CondStore),
        Just(Mode::QResync),
        Just(Mode::UidOnly),
    ]
}

impl Mode {
    /// What a connection begins with.
    pub(crate) fn greeting(self) -> &'static str {
        match self {
            Self::Plain => "t LOGIN alice secret",
            Self::CondStore => "t LOGIN alice secret\r\nt ENABLE CONDSTORE",
            Self::UidOnly => "t LOGIN alice secret\r\nt ENABLE UIDONLY",
            Self::QResync => "t LOGIN alice secret\r\nt ENABLE QRESYNC",
        }
    }

    /// Whether losses are told by UIDs.
    pub(crate) fn tells_uids(self) -> bool {
        matches!(self, Self::QResync | Self::UidOnly)
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
    /// The last UIDVALIDITY and HIGHESTMODSEQ told.
    validity: Option<u64>,
    highest: u64,
    /// What the command in progress tells of the latter, or makes likely.
    told: Option<u64>,
    seen: u64,
    /// What was known before the mailbox was selected again.
    before: Option<Vec<Message>>,
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
            validity: None,
            highest: 0,
            told: None,
            seen: 0,
            before: None,
        }
    }

    pub(crate) fn uids(&self) -> impl Iterator<Item = u32> {
        self.messages.iter().filter_map(|message| message.uid)
    }

    /// The mailbox is not selected any more.
    pub(crate) fn leave(&mut self) {
        self.selected = false;
        self.idles = false;
        (self.told, self.seen) = (None, 0);
    }

    /// The command that selects the mailbox.
    pub(crate) fn selecting(&mut self, name: &str) -> String {
        let known = std::mem::take(&mut self.messages);
        let (Mode::QResync, Some(validity)) = (self.mode, self.validity) else {
            return format!("t {name} INBOX");
        };
        // A message without its UID can't be looked up again, nor those after
        // it: their places may be others'.
        let cache: Vec<Message> = known
            .into_iter()
            .take_while(|it| it.uid.is_some())
            .collect();
        let uids: Vec<String> = cache
            .iter()
            .filter_map(|it| it.uid)
            .map(|it| it.to_string())
            .collect();
        let places: Vec<String> = (1..=uids.len()).map(|it| it.to_string()).collect();
        let (uids, places) = (uids.join(","), places.join(","));
        let modseq = self.highest;
        let more = match (cache.is_empty(), modseq % 4) {
            (false, 1) => format!(" {uids}"),
            (false, 2) => format!(" ({places} {uids})"),
            (false, 3) => format!(" {uids} ({places} {uids})"),
            _ => String::new(),
        };
        self.before = Some(cache);
        format!("t {name} INBOX (QRESYNC ({validity} {modseq}{more}))")
    }

    /// Puts what was known before in its place: what is new comes after it.
    fn merge(&mut self, before: Vec<Message>) {
        assert!(before.len() <= self.messages.len(), "{before:?} {self:?}");
        for (now, known) in self.messages.iter_mut().zip(before) {
            assert!(
                now.uid.is_none() || now.uid == known.uid,
                "{now:?} {known:?}"
            );
            if now.flags.is_none() {
                *now = known;
            }
        }
    }

    /// The place of a message that was named by its UID. Who has no numbers
    /// does not know which of the messages that he only counted it is.
    fn place(&mut self, uid: u32) -> usize {
        let place = |list: &[Message]| list.iter().position(|it| it.uid == Some(uid));
        if place(&self.messages).is_none() {
            let unknown = self.messages.iter().position(|it| it.uid.is_none());
            self.messages[unknown.unwrap()].uid = Some(uid);
            self.messages
                .sort_by_key(|it| it.uid.map_or(u64::MAX, u64::from));
        }
        place(&self.messages).unwrap()
    }

    /// A message went away that was here a moment ago.
    fn vanish(&mut self, uid: u32) {
        let known = self.messages.iter().position(|it| it.uid == Some(uid));
        let numbered = self.mode != Mode::UidOnly;
        let after = |it: &Message| numbered && it.uid.is_some_and(|it| it > uid);
        let end = self
            .messages
            .iter()
            .position(after)
            .unwrap_or(self.messages.len());
        let unknown = self.messages[..end].iter().rposition(|it| it.uid.is_none());
        let at = known
            .or(unknown)
            .unwrap_or_else(|| panic!("no message {uid}: {self:?}"));
        self.messages.remove(at);
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
        // What was left alone, or is gone, did not change.
        let changed = |end: &String| {
            end.starts_with("t OK") && !end.contains("[MODIFIED") && !end.contains("[EXPUNGEISSUED")
        };
        if let Some(silent) = self.silent.take()
            && end.is_some_and(changed)
        {
            self.apply(&silent);
        }
        lines.iter().for_each(|line| self.hear_line(line, numbers));
        if end.is_some_and(|end| end.starts_with("t OK")) {
            let seen = self.highest.max(std::mem::take(&mut self.seen));
            self.highest = self.told.take().unwrap_or(seen);
        }
        if let Some(before) = self.before.take() {
            self.merge(before);
        }
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
        if let Some(modseq) = item(line, "[HIGHESTMODSEQ ") {
            self.told = Some(modseq.parse().unwrap());
        }
        if let Some(validity) = item(line, "[UIDVALIDITY ") {
            self.validity = Some(validity.parse().unwrap());
        }
        if let Some(uids) = line.strip_prefix("* VANISHED (EARLIER) ") {
            let gone: Vec<u32> = numbers_in(uids).collect();
            assert!(
                self.uids().all(|uid| !gone.contains(&uid)),
                "{line}: {self:?}"
            );
            if let Some(before) = &mut self.before {
                before.retain(|it| it.uid.is_none_or(|uid| !gone.contains(&uid)));
            }
        } else if let Some(uids) = line.strip_prefix("* VANISHED ") {
            assert_eq!(numbers, Numbers::MayChange, "{line}");
            assert!(self.mode.tells_uids(), "{line}");
            numbers_in(uids).for_each(|uid| self.vanish(uid));
        }
        let words: Vec<&str> = line.split(' ').collect();
        let number = words.get(1).and_then(|word| word.parse::<usize>().ok());
        match (words.first(), number, words.get(2)) {
            (Some(&"*"), Some(count), Some(&"EXISTS")) => {
                assert!(count >= self.messages.len(), "EXISTS shrinks: {line}");
                self.messages.resize(count, Message::default());
            }
            (Some(&"*"), Some(number), Some(&"EXPUNGE")) => {
                assert_eq!(numbers, Numbers::MayChange, "{line}");
                assert!(!self.mode.tells_uids(), "{line}");
                assert!(
                    number >= 1 && number <= self.messages.len(),
                    "no such message: {line}"
                );
                self.messages.remove(number - 1);
            }
            (Some(&"*"), Some(number), Some(&"FETCH")) => {
                assert_ne!(self.mode, Mode::UidOnly, "{line}");
                self.hear_fetch(line, number - 1);
            }
            (Some(&"*"), Some(uid), Some(&"UIDFETCH")) => {
                assert_eq!(self.mode, Mode::UidOnly, "{line}");
                let at = self.place(u32::try_from(uid).unwrap());
                self.hear_fetch(line, at);
            }
            _ => {}
        }
    }

    fn hear_fetch(&mut self, line: &str, at: usize) {
        let known = self.messages.get_mut(at);
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
            let modseq: u64 = modseq.parse().unwrap();
            known.modseq = Some(modseq);
            self.seen = self.seen.max(modseq);
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

    /// Nothing that the client believes is wrong.
    pub(crate) fn believes(&self, rows: &[MessageInfo]) {
        assert_eq!(self.messages.len(), rows.len(), "{self:?}");
        for (at, known) in self.messages.iter().enumerate() {
            let row = match (self.mode, known.uid) {
                (Mode::UidOnly, None) => continue,
                (Mode::UidOnly, Some(uid)) => rows.iter().find(|row| row.uid.value() == uid),
                _ => rows.get(at),
            };
            let row = row.unwrap_or_else(|| panic!("{known:?} is not there"));
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

/// `1:3,5`
fn numbers_in(set: &str) -> impl Iterator<Item = u32> {
    set.split(',').flat_map(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        first.parse::<u32>().unwrap()..=last.parse().unwrap()
    })
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
