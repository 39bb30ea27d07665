//! [`CapturedMail`]: a message as a test wants to look at it, with how it came.

use std::fmt;

use bytes::Bytes;

use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::event::TraceId;
use crate::mailbox::{MailboxName, Uid};
use crate::message::decode::header_text;
use crate::message::{Attachment, Header, Readable, Summary};
use crate::time::Timestamp;

/// A message that came into a mailbox, or that was sent to another host.
#[derive(Clone)]
#[non_exhaustive]
pub struct CapturedMail {
    /// Where it came to.
    pub place: Place,
    /// The sender of its envelope.
    pub reverse_path: ReversePath,
    /// The recipients of its envelope: of this copy.
    pub recipients: Vec<Address>,
    /// Its subject, decoded; empty without one.
    pub subject: String,
    /// Its text, decoded: the parts of `text/plain` that are no attachments.
    pub text: String,
    /// The same of `text/html`; empty where there is none.
    pub html: String,
    /// What it brings with it.
    pub attachments: Vec<Attachment>,
    /// The message as it lies in the mailbox, or as the other host would get it.
    pub octets: Bytes,
    /// Its track through the server, the same in every event about it.
    pub trace: TraceId,
    /// When it came there.
    pub at: Timestamp,
    /// Both sides of the session that brought it, up to its content, which is
    /// left out like all that proves a login; empty for mail that came without
    /// one. Of a long session the middle is left out.
    pub transcript: String,
    /// What the filters said, in the order in which they were asked.
    pub verdicts: Vec<FilterVerdict>,
    pub(super) number: u64,
}

/// Where a captured message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A mailbox here.
    Mailbox {
        /// Whose.
        account: AccountId,
        /// Which was asked for. A store files to INBOX when it is not there.
        mailbox: MailboxName,
        /// Its number there.
        uid: Uid,
    },
    /// Another host would have got it.
    Elsewhere,
}

/// What one filter said at one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterVerdict {
    /// Which filter.
    pub filter: String,
    /// `connect`, `helo`, `auth`, `mail`, `rcpt`, `data` or `message`.
    pub stage: &'static str,
    /// What it came to: `Continue`, `Reject`; at `message` what it did to the
    /// plan.
    pub verdict: String,
    /// Why, where it says so.
    pub reason: String,
}

impl CapturedMail {
    /// The first header field of that name, unfolded and decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// All header fields of that name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let fields = Header::new(&self.octets);
        let decoded = fields.all(name).map(|field| header_text(&field.value()));
        decoded.map(|text| text.trim().to_owned()).collect()
    }

    /// The attachment with this file name.
    pub fn attachment(&self, name: &str) -> Option<&Attachment> {
        self.attachments.iter().find(|it| it.name == name)
    }

    /// Fills in what is read from the octets.
    pub(super) fn read(mut self) -> Self {
        let summary = Summary::scan(&self.octets);
        let subject = summary.envelope.subject.as_deref().unwrap_or_default();
        self.subject = header_text(subject).trim().to_owned();
        let readable = Readable::new(&self.octets, &summary);
        self.text = readable.text;
        self.html = readable.html;
        self.attachments = readable.attachments;
        self
    }
}

impl fmt::Debug for CapturedMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedMail")
            .field("place", &self.place)
            .field("reverse_path", &self.reverse_path)
            .field("recipients", &self.recipients)
            .field("subject", &self.subject)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CapturedMail {
    /// One line that tells it from others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<String> = self.recipients.iter().map(ToString::to_string).collect();
        let (from, to) = (&self.reverse_path, to.join(", "));
        write!(f, "from <{from}> to {to}, subject {:?}", self.subject)
    }
}

impl fmt::Display for FilterVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.stage, self.filter, self.verdict)?;
        match self.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, " ({reason})"),
        }
    }
}
