//! What a run comes to.

use std::sync::Arc;

use super::Duplicate;

/// What is to be done with the message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// In the script's order; an implicit keep is among them where nothing
    /// cancelled it. Empty for a message that is dropped.
    pub actions: Vec<Action>,
    /// The forms that actions name: what edits made of the message. The first is
    /// the message as it came.
    pub forms: Vec<Form>,
    /// What is to be remembered as seen, now that the run has succeeded.
    pub seen: Vec<Duplicate>,
    /// True when the last action is the implicit keep: what runs after this script
    /// may still cancel it.
    pub implicit_keep: bool,
    /// True when `stop` ended the script, or an included one's.
    pub stopped: bool,
}

/// One thing to do. `form` is an index into [`Outcome::forms`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// File it to the inbox (RFC 5228 section 4.3).
    Keep {
        /// With these flags.
        flags: Vec<String>,
        /// Which form of it.
        form: usize,
    },
    /// File it (RFC 5228 section 4.1).
    FileInto(Filed),
    /// Send it on.
    Redirect(Redirect),
    /// Said explicitly: drop it unless something else keeps it. Nothing to do.
    Discard,
    /// Refuse it (RFC 5429).
    Reject(Reject),
    /// Answer that the owner is away (RFC 5230).
    Vacation(Box<Vacation>),
    /// Tell somebody (RFC 5435).
    Notify(Box<Notify>),
    /// Keep it and have it come back later (draft of the EXTRA working group).
    Snooze(Box<Snooze>),
    /// Good, whatever scripts after this one would say: at a session's events
    /// alone.
    Accept,
    /// Keep it apart for whoever looks at such mail: at a session's events alone.
    Quarantine {
        /// Why.
        reason: String,
    },
    /// Close the connection, at a session's events alone.
    Disconnect {
        /// The last words.
        reason: String,
    },
}

/// Where a copy is filed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Place {
    /// The mailbox, levels divided by `/`; the fallback where an id or a use is
    /// named as well.
    pub mailbox: String,
    /// The mailbox of this id, where it is there (RFC 9042).
    pub mailbox_id: Option<String>,
    /// The mailbox of this special use, where there is one (RFC 8579).
    pub special_use: Option<String>,
    /// True for making the mailbox where it is missing (RFC 5490).
    pub create: bool,
    /// The flags (RFC 5232).
    pub flags: Vec<String>,
}

/// A copy to file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Filed {
    /// Where to.
    pub place: Place,
    /// Which form of it.
    pub form: usize,
}

/// A copy to send on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// To whom; the name of a list where `list` is set.
    pub to: String,
    /// True when `to` names a list (RFC 6134 section 2.3).
    pub list: bool,
    /// NOTIFY of the copy (RFC 6009).
    pub notify: Option<String>,
    /// RET of the copy.
    pub ret: Option<String>,
    /// Which form of it.
    pub form: usize,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reject {
    /// Why.
    pub reason: String,
    /// How.
    pub kind: RejectKind,
}

/// How a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectKind {
    /// In the reply of the transaction where that can be, else by a notice of
    /// disposition (RFC 5429 section 2.2).
    Reject,
    /// In the reply, else by a delivery status notice (RFC 5429 section 2.1).
    Ereject,
    /// In the reply, to come again later: at a session's events alone.
    Defer,
}

/// An answer that the owner is away.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vacation {
    /// To whom: the envelope's sender.
    pub to: String,
    /// From whom, as From says.
    pub from: String,
    /// Subject, not encoded.
    pub subject: String,
    /// The text, or with `mime` the MIME part with its header.
    pub reason: String,
    /// True when `reason` is a MIME part.
    pub mime: bool,
    /// The message it answers, `<id>`, and those that one answers.
    pub in_reply_to: Option<String>,
    /// References of the message and its own id.
    pub references: Vec<String>,
    /// Names this answer among others to the same sender (RFC 5230 section 4.3).
    pub handle: String,
    /// For how long the same sender gets no other one; 0 for each message.
    pub seconds: u64,
    /// Where a copy of it is filed (RFC 8580).
    pub fcc: Option<Place>,
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notify {
    /// How and to whom: `mailto:...`.
    pub method: String,
    /// From whom, where the script says.
    pub from: Option<String>,
    /// How urgent.
    pub importance: Importance,
    /// What more the method is told (RFC 5435 section 3.4).
    pub options: Vec<(String, String)>,
    /// The words; without any the host makes them.
    pub message: Option<String>,
    /// Where a copy of it is filed (RFC 8580).
    pub fcc: Option<Place>,
}

/// How urgent a notice is (RFC 5435 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Importance {
    /// `1`.
    High,
    /// `2`.
    #[default]
    Normal,
    /// `3`.
    Low,
}

/// A message that comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snooze {
    /// Where it comes back to.
    pub place: Place,
    /// Flags gone when it does.
    pub remove_flags: Vec<String>,
    /// On which days, Sunday being 0; empty for all.
    pub weekdays: Vec<u8>,
    /// At which times of the day, in seconds.
    pub times: Vec<u32>,
    /// In which time zone.
    pub zone: Option<String>,
    /// Which form of it.
    pub form: usize,
}

/// A form of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As it came.
    Unchanged,
    /// Another header over the same body (RFC 5293), these being the edits in
    /// their order.
    Edited(Arc<[HeaderEdit]>),
    /// Other octets (RFC 5703): a whole message, header edits being in it.
    Written(Arc<[u8]>),
}

/// A change to the header, of the fields as edits before left them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderEdit {
    /// A field before all others.
    First {
        /// Its name.
        name: String,
        /// Its value, not folded, not encoded.
        value: String,
    },
    /// A field after all others.
    Last {
        /// Its name.
        name: String,
        /// Its value, not folded, not encoded.
        value: String,
    },
    /// The fields at these places gone, in ascending order and counted from 0 over
    /// all fields of the header; lines that are no fields don't count.
    Remove(Vec<usize>),
}
