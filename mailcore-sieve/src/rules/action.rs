//! What a rule does with a message.

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Keep it in the inbox, whatever else is done.
    Keep,
    /// Drop it, unless something else keeps it.
    Delete,
    /// File it here instead of the inbox.
    Move(String, Missing),
    /// File it here as well.
    Copy(String, Missing),
    /// Mark what is filed by this rule and the next ones: `\Seen`.
    Mark(Vec<String>),
    /// Send it on.
    Forward {
        /// To whom.
        to: String,
        /// True for keeping it as well.
        keep: bool,
    },
    /// Answer its sender. Of all rules that would, the first answers.
    Reply(Reply),
    /// Tell somebody that it is here.
    Notify {
        /// Whom.
        to: String,
        /// With these words; may hold `${subject}`, `${from}`, `${to}`, `${date}`.
        text: Option<String>,
    },
    /// Put a field before all others.
    AddHeader {
        /// Its name.
        name: String,
        /// Its value; may hold `${subject}` and the like.
        value: String,
    },
    /// Remove all fields of a name.
    RemoveHeader(String),
    /// Put a text before the subject, unless it is in it already.
    TagSubject(String),
    /// Put a text in the place of attachments.
    Strip {
        /// Names of those that go, as patterns: `*.exe`; empty for all.
        names: Vec<String>,
        /// The text.
        text: String,
    },
    /// Refuse it, with these words, unless a rule before has filed it, sent it on or
    /// answered it: nobody is told that mail was refused which is there. No rule is
    /// asked after that.
    Reject(String),
}

/// What is done where a mailbox is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Missing {
    /// It is made.
    #[default]
    Create,
    /// The inbox takes its place.
    Inbox,
}

/// An answer. Loops and repetitions are vacation's to prevent (RFC 5230 section
/// 4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reply {
    /// Its subject; without one it is made of the message's.
    pub subject: Option<String>,
    /// Its text; both may hold `${subject}` and the like.
    pub text: String,
    /// Days for which the same sender gets no other one.
    pub days: Option<u64>,
    /// Addresses at which mail is answered beside the account's own.
    pub addresses: Vec<String>,
}

impl Reply {
    /// An answer of this text.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            ..Self::default()
        }
    }
}

/// What a text may speak of, beside `${dollar}`, and the fields it is in.
pub(super) const SPEAKS_OF: [(&str, &str); 4] = [
    ("subject", "subject"),
    ("from", "from"),
    ("to", "to"),
    ("date", "date"),
];

/// Stands for the sign itself.
pub(super) const DOLLAR: &str = "dollar";

impl Action {
    /// True when later actions see another message by it.
    pub(super) fn changes_message(&self) -> bool {
        matches!(
            self,
            Self::Mark(_)
                | Self::AddHeader { .. }
                | Self::RemoveHeader(_)
                | Self::TagSubject(_)
                | Self::Strip { .. }
        )
    }

    /// True when it takes the message in a way that leaves no room for a refusal
    /// (RFC 5429 section 2.3).
    pub(super) fn takes(&self) -> bool {
        matches!(
            self,
            Self::Keep | Self::Move(..) | Self::Copy(..) | Self::Forward { .. } | Self::Reply(_)
        )
    }

    /// Its texts in which names are filled in.
    pub(super) fn templates(&self) -> Vec<&str> {
        match self {
            Self::Reply(reply) => {
                let subject = reply.subject.as_deref();
                subject.into_iter().chain([reply.text.as_str()]).collect()
            }
            Self::Notify { text, .. } => text.as_deref().into_iter().collect(),
            Self::AddHeader { value, .. } => vec![value],
            _ => Vec::new(),
        }
    }
}

/// The names in `${…}` of a text, as RFC 5229 section 3 reads it.
pub(super) fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split("${").skip(1);
    pieces.filter_map(|piece| {
        let (name, _) = piece.split_once('}')?;
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        (!name.is_empty() && name.chars().all(known)).then_some(name)
    })
}
