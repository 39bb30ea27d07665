//! Whom an automatic answer may go to (RFC 3834 section 2, RFC 5230 sections 4.5
//! and 4.6). An answer that should not have been sent makes a loop or is spam in
//! the owner's name; one that was not sent is missed by nobody but its writer.

use std::collections::BTreeSet;

/// Senders that are programs, by the whole local part.
const PROGRAMS: &[&str] = &[
    "auto-reply",
    "autoreply",
    "bounce",
    "bounces",
    "daemon",
    "do-not-reply",
    "donotreply",
    "double-bounce",
    "listmaster",
    "listserv",
    "mailer",
    "mailer-daemon",
    "mailerdaemon",
    "majordomo",
    "no-reply",
    "no_reply",
    "nobody",
    "noreply",
    "uucp",
    "www-data",
];

/// Fields of which one is enough: the message came by a mailing list (RFC 2369,
/// RFC 2919), or is an automaton's.
const LIST_FIELDS: &[&str] = &[
    "list-archive",
    "list-help",
    "list-id",
    "list-owner",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "mailing-list",
    "x-autoreply",
    "x-autorespond",
    "x-mailinglist",
    "x-mailing-list",
];

/// Fields that say to whom a message was written.
const RECIPIENT_FIELDS: &[&str] = &["bcc", "cc", "resent-bcc", "resent-cc", "resent-to", "to"];

/// True for a field that names those a message was written to.
pub(crate) fn names_recipients(field: &str) -> bool {
    RECIPIENT_FIELDS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(field))
}

/// True for a field whose being there, or whose value, says that nobody waits for
/// an answer to the message.
pub(crate) fn wants_no_answer(field: &str, value: &str) -> bool {
    let field = field.to_ascii_lowercase();
    match field.as_str() {
        // RFC 3834 section 5: `no`, perhaps with parameters, is a person's.
        "auto-submitted" => !first_word(value).eq_ignore_ascii_case("no"),
        "precedence" => ["auto_reply", "bulk", "junk", "list"]
            .iter()
            .any(|word| first_word(value).eq_ignore_ascii_case(word)),
        // Exchange's: of these the first two and the last are about us.
        "x-auto-response-suppress" => value.split([',', ' ']).any(|word| {
            ["all", "oof", "autoreply"]
                .iter()
                .any(|it| word.trim().eq_ignore_ascii_case(it))
        }),
        // A notice of delivery or of disposition (RFC 6522), whoever sent it.
        "content-type" => first_word(value).eq_ignore_ascii_case("multipart/report"),
        "x-loop" => true,
        field => LIST_FIELDS.contains(&field),
    }
}

fn first_word(value: &str) -> &str {
    value
        .trim_start()
        .split([';', ' ', '\t', ','])
        .next()
        .unwrap_or_default()
}

/// True for an envelope sender who reads answers: not a program, not a list, and
/// none of the owner's own addresses.
pub(crate) fn reads_answers(sender: &str, own: &OwnAddresses) -> bool {
    let Some((local, domain)) = sender.rsplit_once('@') else {
        return false;
    };
    if local.is_empty() || domain.is_empty() || own.contains(sender) {
        return false;
    }
    let local = local.to_ascii_lowercase();
    // What follows these marks names the recipient (VERP) or a detail.
    let name = local.split(['+', '=']).next().unwrap_or_default();
    let is_list = ["owner-", "bounce-", "bounces-", "bounce.", "bounces."]
        .iter()
        .any(|prefix| local.starts_with(prefix))
        || ["-request", "-owner", "-bounce", "-bounces", "-relay"]
            .iter()
            .any(|suffix| local.ends_with(suffix) || name.ends_with(suffix));
    !is_list && !PROGRAMS.contains(&name)
}

/// The addresses that are the owner's, compared without regard to case: those
/// who run mail systems where case matters are few, those who type it wrong many.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses(BTreeSet<String>);

impl OwnAddresses {
    /// These.
    pub(crate) fn new<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        Self(addresses.into_iter().map(str::to_lowercase).collect())
    }

    /// True for one of them.
    pub(crate) fn contains(&self, address: &str) -> bool {
        self.0.contains(&address.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_answers_and_programs_do_not() {
        let own = OwnAddresses::new(["me@example.org", "Me.Too@example.org"]);
        for person in [
            "friend@example.org",
            "postmaster@example.org",
            "requests@example.org",
            "SRS0=a=b=example.net=user@example.org",
        ] {
            assert!(reads_answers(person, &own), "{person}");
        }
        for other in [
            "",
            "user",
            "ME@example.org",
            "me.too@EXAMPLE.org",
            "owner-list@example.org",
            "list-request@example.org",
            "MAILER-DAEMON@example.org",
            "listserv@example.org",
            "bounces+me=example.org@example.net",
            "list-bounces+me=example.org@example.net",
            "noreply@example.org",
        ] {
            assert!(!reads_answers(other, &own), "{other}");
        }
    }

    #[test]
    fn lists_bulk_and_automata_want_no_answer() {
        for (field, value) in [
            ("Auto-Submitted", "auto-replied"),
            ("auto-submitted", " auto-generated; x=y"),
            ("Precedence", "Bulk"),
            ("Precedence", "list"),
            ("List-Id", "A list <list.example.org>"),
            ("List-Unsubscribe", "<mailto:x@example.org>"),
            ("X-Auto-Response-Suppress", "DR, OOF, AutoReply"),
            (
                "Content-Type",
                "multipart/report; report-type=delivery-status",
            ),
        ] {
            assert!(wants_no_answer(field, value), "{field}: {value}");
        }
        for (field, value) in [
            ("Auto-Submitted", "No"),
            ("Auto-Submitted", "no; owner-email=\"x\""),
            ("Precedence", "first-class"),
            ("X-Auto-Response-Suppress", "DR"),
            ("Content-Type", "multipart/mixed"),
            ("Subject", "list-id"),
        ] {
            assert!(!wants_no_answer(field, value), "{field}: {value}");
        }
    }
}
