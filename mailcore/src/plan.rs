//! [`Plan`]: what is to become of a message, decided for each recipient. The
//! one vocabulary of filters, message rules and Sieve; they decide, and only
//! agents act.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::envelope::{Notify, Ret};
use crate::mailbox::{Flags, MailboxName};
use crate::status::Status;

/// What is to become of one message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// One for each recipient of the envelope, in its order.
    pub recipients: Vec<RecipientPlan>,
    /// What the tests found, kept for the log, for explain and for replay.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Accept for everybody, change nothing.
    pub fn accept(recipients: usize) -> Self {
        Self {
            recipients: vec![RecipientPlan::default(); recipients],
            findings: Vec::new(),
        }
    }
}

/// What is to become of one recipient's copy.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct RecipientPlan {
    /// Whether it is taken at all.
    pub disposition: Disposition,
    /// Changes to this copy, in order.
    pub edits: Vec<Edit>,
    /// What is done with it; none means keep: file to INBOX (RFC 5228 section
    /// 2.10.2, implicit keep).
    pub actions: Vec<Action>,
}

/// Whether a copy is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Disposition {
    /// It is.
    #[default]
    Accept,
    /// Refused for good.
    Reject(Status),
    /// Not now.
    Defer(Status),
    /// Taken and dropped without a word.
    Discard,
    /// Taken and kept apart.
    Quarantine(Quarantine),
}

impl Disposition {
    /// Taken and kept apart in the usual place.
    pub fn quarantine(reason: impl Into<String>) -> Self {
        Self::Quarantine(Quarantine::new(reason))
    }
}

/// Where a copy is kept apart, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Quarantine {
    /// Why, for the one who looks at it.
    pub reason: String,
    /// Where it is kept.
    pub place: QuarantinePlace,
    /// Whether anybody can have it out again.
    pub release: Releasable,
}

impl Quarantine {
    /// In the usual place, to be had by whoever sees it.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            place: QuarantinePlace::Usual,
            release: Releasable::Yes,
        }
    }

    /// The same in this place.
    #[must_use]
    pub fn kept_in(self, place: QuarantinePlace) -> Self {
        Self { place, ..self }
    }

    /// For administrators alone, and nobody gets it out: what a test for viruses
    /// found harmful.
    #[must_use]
    pub fn harmful(self) -> Self {
        Self {
            place: QuarantinePlace::Admin,
            release: Releasable::Never,
            ..self
        }
    }
}

/// Where a copy is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum QuarantinePlace {
    /// Where the operator says for mail that comes in; for what goes out
    /// [`QuarantinePlace::Admin`].
    #[default]
    Usual,
    /// The recipient's junk folder. Where there are no folders it is as
    /// [`QuarantinePlace::User`].
    Folder,
    /// The quarantine, where the recipient sees it and may release it.
    User,
    /// The quarantine, where administrators alone see it.
    Admin,
}

/// Whether what is kept apart may be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Releasable {
    /// By whoever sees it.
    #[default]
    Yes,
    /// By nobody: it can be deleted alone.
    Never,
}

/// A change to one copy. Values hold no line ends; what does is dropped by the
/// one who applies it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// A header field put before all others.
    AddHeader {
        /// Field name.
        name: String,
        /// Field body, not folded, not encoded.
        value: String,
    },
    /// The subject with a text before it, unless it has that already. This and
    /// the edits below change the header itself: a copy so changed is stored by
    /// itself, and signatures that cover the field hold no more.
    TagSubject {
        /// `[SPAM]`
        text: String,
    },
    /// All fields of a name gone; Received stays.
    RemoveHeader {
        /// Field name.
        name: String,
    },
    /// One field of a name, in place of all that there are; not for Received.
    SetHeader {
        /// Field name.
        name: String,
        /// Field body, not folded, not encoded.
        value: String,
    },
}

/// What is done with an accepted copy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// File it.
    File {
        /// Where.
        mailbox: MailboxName,
        /// With these flags.
        flags: Flags,
        /// Make the mailbox when it is missing (RFC 5490 `:create`); else INBOX.
        create: bool,
        /// In which form.
        form: Form,
    },
    /// Send it on.
    Redirect {
        /// To whom.
        to: Address,
        /// In which form.
        form: Form,
        /// What is asked for this copy.
        notices: RedirectNotices,
    },
    /// Drop it, unless another action keeps it.
    Discard,
    /// Refuse it (RFC 5429).
    Reject {
        /// With these words. A reply holds one line of them, cut to fit.
        reason: String,
    },
}

impl Action {
    /// File it as it is, without flags; into INBOX where `mailbox` is missing.
    pub fn file(mailbox: MailboxName) -> Self {
        Self::File {
            mailbox,
            flags: Flags::NONE,
            create: false,
            form: Form::Unchanged,
        }
    }

    /// Send it on as it is.
    pub fn redirect(to: Address) -> Self {
        Self::Redirect {
            to,
            form: Form::Unchanged,
            notices: RedirectNotices::default(),
        }
    }
}

/// The form in which a copy is filed or sent on. Trace fields (Received,
/// Delivered-To) that a form left out are put back: loops are seen by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Form {
    /// As it is.
    #[default]
    Unchanged,
    /// With these fields before all others, each with its CRLF. Costs no copy of
    /// the body.
    OnTop(Bytes),
    /// With this header section, its empty line included, in place of its own.
    Header(Bytes),
    /// A message of other octets altogether.
    Written(Bytes),
}

/// What a copy that is sent on asks of those who deliver it (RFC 3461); what is
/// not said is as for the message it is a copy of, and notices about failure and
/// delay (RFC 6009 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RedirectNotices {
    /// `NOTIFY`.
    pub notify: Option<Notify>,
    /// `RET`.
    pub ret: Option<Ret>,
}

/// When a filter is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The peer has connected.
    Connect,
    /// It has greeted.
    Helo,
    /// It has authenticated.
    Auth,
    /// MAIL names the sender.
    Mail,
    /// RCPT names a recipient.
    Rcpt,
    /// DATA is asked for.
    Data,
    /// The message is here.
    Content,
}

impl Stage {
    /// All, in the order of a session.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Helo,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Content,
    ];

    /// `connect`, `helo`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Helo => "helo",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Content => "content",
        }
    }

    /// The stage of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One test's result, as data.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// When it was found.
    pub stage: Stage,
    /// The test: `dnsbl`, `spf`.
    pub test: String,
    /// What it looked at.
    pub input: String,
    /// What it said.
    pub result: String,
    /// More of it, in words.
    pub detail: String,
    /// What it adds to the score; positive is worse.
    pub score: f32,
    /// How long the test took.
    pub took: Duration,
}

impl Finding {
    /// What `test` said at `stage`; it scores nothing.
    pub fn new(stage: Stage, test: impl Into<String>, result: impl Into<String>) -> Self {
        Self {
            stage,
            test: test.into(),
            input: String::new(),
            result: result.into(),
            detail: String::new(),
            score: 0.0,
            took: Duration::ZERO,
        }
    }

    /// What it looked at.
    #[must_use]
    pub fn on(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// More of it, in words.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// What it adds to the score.
    #[must_use]
    pub fn score(mut self, score: f32) -> Self {
        self.score = score;
        self
    }

    /// How long the test took.
    #[must_use]
    pub fn took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }
}

/// One line: stage, test, result, score, milliseconds; then, where there is any,
/// input and words.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.took.as_secs_f64() * 1_000.0;
        let Self {
            stage,
            test,
            result,
            score,
            ..
        } = self;
        write!(f, "{stage} {test} {result} {score:+} {millis:.1}ms")?;
        for text in [&self.input, &self.detail] {
            if !text.is_empty() {
                write!(f, " {text}")?;
            }
        }
        Ok(())
    }
}
