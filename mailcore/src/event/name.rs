//! The names of events, and the fields that events of each name have.

use std::fmt;

use thiserror::Error;

/// Octets in the name of a host's event.
const MAX_NAME: usize = 64;

/// What an event says: RFC 5423's names where it has one (section 4), ours
/// elsewhere. Host applications raise [`EventName::Other`], which
/// [`EventName::host`] makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventName {
    /// A message came into a mailbox by delivery (RFC 5423 section 4.1).
    MessageNew,
    /// A client added a message to a mailbox.
    MessageAppend,
    /// Messages were removed.
    MessageExpunge,
    /// Messages that had been removed were brought back.
    MessageRestore,
    /// Messages were read. No event has this name: one of [`EventName::FlagsSet`]
    /// with `\Seen` is one of these, too ([`Event::is`](super::Event::is)).
    MessageRead,
    /// Messages were marked for removal. As [`EventName::MessageRead`], with
    /// `\Deleted`.
    MessageTrash,
    /// Flags were set.
    FlagsSet,
    /// Flags were cleared.
    FlagsClear,
    /// A mailbox was made.
    MailboxCreate,
    /// A mailbox was deleted.
    MailboxDelete,
    /// A mailbox was renamed.
    MailboxRename,
    /// A user logged in.
    Login,
    /// A user logged out, or the connection ended.
    Logout,
    /// A login was refused.
    LoginFailed,
    /// An address was banned by a rule.
    PeerBanned,
    /// An account, or an address, sends more than it may.
    SendingLimited,
    /// A message was accepted by SMTP or from the host.
    MessageReceived,
    /// A message was refused: at MAIL, at DATA or after its content was read.
    MessageRefused,
    /// A recipient was refused at RCPT, or for LMTP after the content was read.
    RecipientRefused,
    /// A message was put in quarantine.
    MessageQuarantined,
    /// A message was released from quarantine, or a copy of it sent on.
    QuarantineReleased,
    /// A message was deleted from quarantine.
    QuarantineDeleted,
    /// A message entered the queue.
    MessageQueued,
    /// A delivery agent was given a message for some recipients, and ended.
    DeliveryAttempt,
    /// Recipients were given up since the time for a message was over.
    MessageExpired,
    /// A recipient was served: filed, handed to the host, or relayed.
    RecipientDelivered,
    /// A recipient became other recipients: an alias, a list.
    RecipientExpanded,
    /// A recipient could not be served now.
    RecipientDeferred,
    /// A recipient will not be served.
    RecipientFailed,
    /// A notice (DSN) was made.
    NoticeSent,
    /// A recipient's rules wrote a message of their own: an answer, a notice.
    LetterSent,
    /// A recipient's rules could not be carried through; the message was kept.
    RulesFailed,
    /// An operator changed what is in the queue.
    QueueChange,
    /// Events before this one were dropped by age or size.
    Gap,
    /// Refusals and sessions that were counted and not told of one by one, since
    /// there were too many at a time.
    EventsOmitted,
    /// The store's disk is nearly full; new mail is refused.
    DiskLow,
    /// The store's disk has room again.
    DiskOk,
    /// A check of the store found damage.
    StoreDamaged,
    /// A certificate ends soon, or has ended.
    CertificateExpiring,
    /// Mail in the queue is not tried though its time has come.
    QueueStuck,
    /// The program ended in a crash before it was started this time.
    CrashReported,
    /// A web hook was given up for the events that waited longest.
    WebhookGaveUp,
    /// A list in DNS works no longer, and does not count.
    DnsListOff,
    /// It works again.
    DnsListOn,
    /// A key that signs mail went a step further: it waits for its record, signs,
    /// signs no more, or is gone.
    SigningKey,
    /// A job went well.
    JobDone,
    /// A job failed.
    JobFailed,
    /// Any other.
    Other(String),
}

type Row = (EventName, &'static str, &'static [&'static str]);

/// Each name as written, and the fields that an event of that name may have.
#[rustfmt::skip]
const NAMES: [Row; 47] = [
    (EventName::MessageNew, "MessageNew", &["mailbox", "uid_validity", "uid", "size", "to"]),
    (EventName::MessageAppend, "MessageAppend", &["mailbox", "uid_validity", "uid", "size"]),
    (EventName::MessageExpunge, "MessageExpunge", &["mailbox", "uid_validity", "uids"]),
    (EventName::MessageRestore, "MessageRestore", &["mailbox", "uid_validity", "uids"]),
    (EventName::MessageRead, "MessageRead", &["mailbox", "uid_validity", "flags", "uids"]),
    (EventName::MessageTrash, "MessageTrash", &["mailbox", "uid_validity", "flags", "uids"]),
    (EventName::FlagsSet, "FlagsSet", &["mailbox", "uid_validity", "flags", "uids"]),
    (EventName::FlagsClear, "FlagsClear", &["mailbox", "uid_validity", "flags", "uids"]),
    (EventName::MailboxCreate, "MailboxCreate", &["mailbox", "uid_validity"]),
    (EventName::MailboxDelete, "MailboxDelete", &["mailbox", "uid_validity"]),
    (EventName::MailboxRename, "MailboxRename", &["mailbox", "uid_validity", "from"]),
    (EventName::Login, "Login", &["protocol", "peer", "session", "login"]),
    (EventName::Logout, "Logout", &["protocol", "peer", "session", "login", "started", "octets_in", "octets_out"]),
    (EventName::LoginFailed, "LoginFailed", &["protocol", "peer", "status"]),
    (EventName::PeerBanned, "PeerBanned", &["peer", "reason", "until"]),
    (EventName::SendingLimited, "SendingLimited", &["counted", "most", "seconds", "consequence", "peer"]),
    (EventName::MessageReceived, "MessageReceived", &["from", "to", "recipients", "with", "peer", "helo", "login", "transcript", "size", "message-id", "subject", "discarded", "expanded"]),
    (EventName::MessageRefused, "MessageRefused", &["from", "to", "recipients", "with", "peer", "helo", "login", "transcript", "size", "message-id", "subject", "stage", "status"]),
    (EventName::RecipientRefused, "RecipientRefused", &["from", "with", "peer", "helo", "login", "to", "status", "transcript"]),
    (EventName::MessageQuarantined, "MessageQuarantined", &["from", "queue", "to", "recipients", "place", "reason", "score"]),
    (EventName::QuarantineReleased, "QuarantineReleased", &["from", "to", "recipients", "queue", "by", "into"]),
    (EventName::QuarantineDeleted, "QuarantineDeleted", &["from", "to", "recipients", "queue", "by"]),
    (EventName::MessageQueued, "MessageQueued", &["from", "queue", "to", "recipients", "held", "resent"]),
    (EventName::DeliveryAttempt, "DeliveryAttempt", &["queue", "attempt", "agent", "hop", "took_ms", "delivered", "deferred", "failed", "transcript"]),
    (EventName::MessageExpired, "MessageExpired", &["queue", "recipients", "attempts"]),
    (EventName::RecipientDelivered, "RecipientDelivered", &["from", "to", "queue", "attempt", "status", "reply", "remote", "tls"]),
    (EventName::RecipientExpanded, "RecipientExpanded", &["from", "to", "queue", "attempt", "into"]),
    (EventName::RecipientDeferred, "RecipientDeferred", &["from", "to", "queue", "attempt", "status", "reply", "remote", "next"]),
    (EventName::RecipientFailed, "RecipientFailed", &["from", "to", "queue", "attempt", "status", "reply", "remote"]),
    (EventName::NoticeSent, "NoticeSent", &["to", "queue", "notice"]),
    (EventName::LetterSent, "LetterSent", &["from", "to", "recipients", "queue", "letter"]),
    (EventName::RulesFailed, "RulesFailed", &["to", "error"]),
    (EventName::QueueChange, "QueueChange", &["operation", "queue", "from", "to", "recipients"]),
    (EventName::Gap, "Gap", &["dropped"]),
    (EventName::EventsOmitted, "EventsOmitted", &["refusals", "dropped"]),
    (EventName::DiskLow, "DiskLow", &["available", "limit"]),
    (EventName::DiskOk, "DiskOk", &["available", "limit"]),
    (EventName::StoreDamaged, "StoreDamaged", &["found"]),
    (EventName::CertificateExpiring, "CertificateExpiring", &["names", "until", "days"]),
    (EventName::QueueStuck, "QueueStuck", &["since", "seconds"]),
    (EventName::CrashReported, "CrashReported", &["path"]),
    (EventName::WebhookGaveUp, "WebhookGaveUp", &["webhook", "events", "error"]),
    (EventName::DnsListOff, "DnsListOff", &["zone", "kind", "fault"]),
    (EventName::DnsListOn, "DnsListOn", &["zone", "kind"]),
    (EventName::SigningKey, "SigningKey", &["domain", "selector", "algorithm", "step", "name", "record", "advice"]),
    (EventName::JobDone, "JobDone", &["job", "result", "took_ms"]),
    (EventName::JobFailed, "JobFailed", &["job", "error", "took_ms"]),
];

/// Why a text can't name a host's event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventNameError {
    /// The server's own events have it.
    #[error("the server itself raises events named {0}; choose another name")]
    Taken(String),
    /// It is not a name.
    #[error(
        "{0:?} can't name an event; write 1 to 64 ASCII letters, digits, dots, hyphens or underscores"
    )]
    Malformed(String),
}

impl EventName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => row(known).map_or("", |(_, text, _)| text),
        }
    }

    /// Reads a name; what is not known here is [`EventName::Other`].
    pub fn parse(text: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, name, _)| *name == text)
            .map_or_else(|| Self::Other(text.to_owned()), |(name, _, _)| name.clone())
    }

    /// The name of a host's own event: `OrderShipped`, `shop.order-paid`.
    ///
    /// # Errors
    /// [`EventNameError`]: readers must be able to tell the server's from the
    /// host's.
    pub fn host(text: &str) -> Result<Self, EventNameError> {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(fits) {
            return Err(EventNameError::Malformed(
                text.chars().take(MAX_NAME).collect(),
            ));
        }
        match Self::parse(text) {
            Self::Other(name) => Ok(Self::Other(name)),
            own => Err(EventNameError::Taken(own.as_str().to_owned())),
        }
    }

    /// The fields that an event of this name may have, beside its track and
    /// its account; `None` for a host's, of which nothing is known.
    pub fn fields(&self) -> Option<&'static [&'static str]> {
        row(self).map(|(_, _, fields)| *fields)
    }

    /// Every name but the hosts'.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(name, _, _)| name.clone())
    }
}

fn row(name: &EventName) -> Option<&'static Row> {
    NAMES.iter().find(|(known, _, _)| known == name)
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_is_the_servers_alone() {
        for (name, text, _) in NAMES {
            assert_eq!(EventName::parse(text), name);
            assert_eq!(name.as_str(), text);
            assert_eq!(
                EventName::host(text),
                Err(EventNameError::Taken(text.to_owned()))
            );
        }
        assert_eq!(
            EventName::host("shop.order-1_x"),
            Ok(EventName::Other("shop.order-1_x".to_owned()))
        );
        for bad in ["", "a b", "a\r\nb", "ä", &"x".repeat(65)] {
            assert!(matches!(
                EventName::host(bad),
                Err(EventNameError::Malformed(_))
            ));
        }
    }
}
