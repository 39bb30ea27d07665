//! [`SearchKey`]: which messages SEARCH finds.
//!
//! Judging a message by a key is for `search.rs` at the crate's root.

use mailcore::mailbox::{Keyword, SystemFlag};
use mailcore::message::Date;

use super::PartialRange;
use super::sequence::SequenceSet;

/// Keys allowed in one program, nested ones included. Each key is judged for
/// each message, so this bounds the work a line can ask for.
pub const MAX_SEARCH_KEYS: usize = 1_000;
/// Levels of parentheses, NOT and OR allowed in a program.
pub const MAX_SEARCH_DEPTH: usize = 50;

/// ```text
/// search-return-opts = SP "RETURN" SP "(" [search-return-opt
///                      *(SP search-return-opt)] ")"
/// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE" /
///                      "PARTIAL" SP partial-range
/// ```
/// RFC 4731, RFC 5182, RFC 9394.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SearchReturn {
    /// `MIN`: the first message.
    pub min: bool,
    /// `MAX`: the last message.
    pub max: bool,
    /// `ALL`: every message; when nothing else is asked for, too.
    pub all: bool,
    /// `COUNT`: how many there are.
    pub count: bool,
    /// `SAVE`: keep the result for `$`.
    pub save: bool,
    /// `PARTIAL`: a page of the messages; never with `ALL`.
    pub partial: Option<PartialRange>,
}

impl SearchReturn {
    /// `RETURN (ALL)`, which an empty list means.
    pub const ALL: Self = Self {
        min: false,
        max: false,
        all: true,
        count: false,
        save: false,
        partial: None,
    };

    /// True when there is something to tell: SAVE alone asks for silence
    /// (RFC 5182 section 2.1).
    pub fn tells(self) -> bool {
        self.min || self.max || self.all || self.count || self.partial.is_some()
    }
}

/// ```text
/// search = "SEARCH" [search-return-opts] [SP "CHARSET" SP astring]
///          1*(SP search-key)
/// ```
/// The keys of which a message must match every one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchProgram {
    /// All must match.
    pub keys: Vec<SearchKey>,
}

/// `search-key` (RFC 3501 section 6.4.4). Texts are UTF-8 whatever the charset
/// was. `NEW` is read as `RECENT UNSEEN` and `OLD` as `NOT RECENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchKey {
    /// `ALL`: every message.
    All,
    /// `ANSWERED`, `DELETED`, `DRAFT`, `FLAGGED`, `SEEN`.
    Flag(SystemFlag),
    /// `KEYWORD`.
    Keyword(Keyword),
    /// `RECENT`.
    Recent,
    /// A sequence set.
    Sequence(SequenceSet),
    /// `UID`.
    Uid(SequenceSet),
    /// `$`, by itself or after `UID` (RFC 5182).
    Saved,
    /// `BEFORE`, `ON`, `SINCE`: the internal date, time and zone left out.
    Received(DateTest),
    /// `OLDER`, `YOUNGER`: the internal date against now (RFC 5032).
    Within(Age),
    /// `SENTBEFORE`, `SENTON`, `SENTSINCE`: the Date field, time and zone
    /// left out.
    Sent(DateTest),
    /// `SAVEDBEFORE`, `SAVEDON`, `SAVEDSINCE` (RFC 8514 section 4.3): the day
    /// it came into the mailbox.
    SaveDate(DateTest),
    /// `EMAILID` (RFC 8474 section 6).
    EmailId(String),
    /// `THREADID` (RFC 8474 section 6).
    ThreadId(String),
    /// `MODSEQ` (RFC 7162 section 3.1.5): changed at this or later.
    ModSeq(u64),
    /// `LARGER`: more octets than this.
    Larger(u64),
    /// `SMALLER`: fewer octets than this.
    Smaller(u64),
    /// `HEADER name text`, and `BCC`, `CC`, `FROM`, `SUBJECT`, `TO`. An empty
    /// text matches any message that has the field.
    Header {
        /// The field's name.
        name: String,
        /// A part of its value.
        text: String,
    },
    /// `BODY`: a part of the body's text.
    Body(String),
    /// `TEXT`: a part of the header or of the body's text.
    Text(String),
    /// `NOT key`.
    Not(Box<SearchKey>),
    /// `OR key key`.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// `(key key ...)`: all of them.
    And(Vec<SearchKey>),
}

/// How long ago, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// As long or longer.
    Older(u32),
    /// As long or less.
    Younger(u32),
}

/// A comparison of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateTest {
    /// Earlier than the day.
    Before(Date),
    /// Within the day.
    On(Date),
    /// Within the day or later.
    Since(Date),
}

impl DateTest {
    /// True when `day` passes.
    pub fn matches(self, day: Date) -> bool {
        match self {
            Self::Before(limit) => day < limit,
            Self::On(limit) => day == limit,
            Self::Since(limit) => day >= limit,
        }
    }
}
