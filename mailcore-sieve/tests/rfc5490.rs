//! Mailboxes and annotations (RFC 5490), special uses (RFC 8579), mailbox ids (RFC
//! 9042), lists kept elsewhere (RFC 6134), refusals (RFC 5429) and mail that comes
//! back later (draft-ietf-extra-sieve-snooze).
#![allow(clippy::panic, reason = "what is asked of a script fails its test")]

mod support;

use mailcore_sieve::engine::{Action, Answer, Event, Question};
use support::{World, check, refused};

const MAIL: &str = "From: a@example.org\nTo: user@example.com\nSubject: one\n\nbody\n";

/// A host with the mailboxes `INBOX` and `Partners`, one annotation of each kind
/// and a list.
fn world() -> World {
    World::new().host(|question| {
        let yes = match question {
            Question::MailboxesExist(names) => names
                .iter()
                .all(|name| name == "INBOX" || name == "Partners"),
            Question::MailboxIdsExist(ids) => ids.iter().all(|id| id == "F1"),
            Question::SpecialUsesExist { mailbox, uses } => {
                uses.iter().all(|it| it == "\\Junk")
                    && mailbox.as_deref().is_none_or(|name| name == "Partners")
            }
            Question::ListsValid(lists) => lists.iter().all(|list| list.starts_with("urn:")),
            Question::OnList { list, values } => {
                list == "urn:friends" && values.iter().any(|it| it == "a@example.org")
            }
            Question::Annotation { mailbox, entry } => {
                let value = match (mailbox.as_deref(), entry.as_str()) {
                    (Some("INBOX"), "/private/auto") => Some("on".to_owned()),
                    (None, "/shared/site") => Some("acme".to_owned()),
                    _ => None,
                };
                return Answer::Text(value);
            }
            _ => false,
        };
        if yes { Answer::Yes } else { Answer::No }
    })
}

#[track_caller]
fn holds(required: &str, test: &str) -> bool {
    let script = format!("require {required}; if {test} {{ discard; }}");
    match world().run(&script, MAIL).as_slice() {
        [one] if one == "discard" => true,
        [one] if one == "keep" => false,
        other => panic!("{script}: {other:?}"),
    }
}

#[test]
fn section_3_mailboxes_are_there_or_made() {
    assert!(holds("\"mailbox\"", "mailboxexists \"Partners\""));
    assert!(!holds(
        "\"mailbox\"",
        "mailboxexists [\"Partners\", \"None\"]"
    ));
    let script = r#"require ["fileinto", "reject", "mailbox"];
        if mailboxexists "Partners" { fileinto "Partners"; }
        else { reject "This message was not accepted by the Mailstore"; }"#;
    assert_eq!(world().run(script, MAIL), ["fileinto Partners"]);
    check(
        script,
        MAIL,
        &["reject \"This message was not accepted by the Mailstore\""],
    );
    check(
        "require [\"fileinto\", \"mailbox\"]; fileinto :create \"New\";",
        MAIL,
        &["fileinto New create"],
    );
    let words = refused("require \"fileinto\"; fileinto :create \"New\";");
    assert!(words.contains("mailbox"), "{words}");
}

#[test]
fn sections_3_3_and_4_annotations_are_matched_and_missing_ones_match_nothing() {
    let own = "\"mboxmetadata\"";
    assert!(holds(
        own,
        "metadata :is \"INBOX\" \"/private/auto\" \"ON\""
    ));
    assert!(holds(
        own,
        "metadata :matches \"INBOX\" \"/private/auto\" [\"x\", \"o*\"]"
    ));
    assert!(!holds(
        own,
        "metadata \"Partners\" \"/private/auto\" \"on\""
    ));
    assert!(!holds(
        own,
        "metadata :contains \"Partners\" \"/private/auto\" \"\""
    ));
    assert!(holds(own, "metadataexists \"INBOX\" [\"/private/auto\"]"));
    assert!(!holds(
        own,
        "metadataexists \"INBOX\" [\"/private/auto\", \"/private/x\"]"
    ));
    let site = "\"servermetadata\"";
    assert!(holds(site, "servermetadata \"/shared/site\" \"acme\""));
    assert!(!holds(site, "servermetadata \"/shared/none\" \"acme\""));
    assert!(holds(site, "servermetadataexists \"/shared/site\""));
    assert!(!holds(
        site,
        "servermetadataexists [\"/shared/none\", \"/shared/site\"]"
    ));
}

#[test]
fn rfc_8579_and_rfc_9042_mailboxes_are_found_by_use_and_by_id() {
    assert!(holds("\"special-use\"", "specialuse_exists \"\\\\Junk\""));
    assert!(holds(
        "\"special-use\"",
        "specialuse_exists \"Partners\" \"\\\\Junk\""
    ));
    assert!(!holds(
        "\"special-use\"",
        "specialuse_exists \"INBOX\" \"\\\\Junk\""
    ));
    assert!(!holds(
        "\"special-use\"",
        "specialuse_exists [\"\\\\Junk\", \"\\\\Sent\"]"
    ));
    assert!(holds("\"mailboxid\"", "mailboxidexists [\"F1\"]"));
    assert!(!holds("\"mailboxid\"", "mailboxidexists [\"F1\", \"F2\"]"));
    check(
        r#"require ["fileinto", "special-use", "mailboxid"];
           fileinto :specialuse "\\Junk" "Spam"; fileinto :mailboxid "F1" "Old";"#,
        MAIL,
        &["fileinto Spam use=\\Junk", "fileinto Old id=F1"],
    );
    let words = refused(
        r#"require ["fileinto", "special-use", "mailboxid"];
           fileinto :mailboxid "F1" :specialuse "\\Junk" "Spam";"#,
    );
    assert!(words.contains("choose one"), "{words}");
}

#[test]
fn rfc_6134_lists_are_asked_and_sent_to() {
    assert!(holds(
        "\"extlists\"",
        "valid_ext_list [\"urn:a\", \"urn:b\"]"
    ));
    assert!(!holds(
        "\"extlists\"",
        "valid_ext_list [\"urn:a\", \"tag:b\"]"
    ));
    assert!(holds(
        "\"extlists\"",
        "address :list \"from\" [\"urn:foes\", \"urn:friends\"]"
    ));
    assert!(!holds(
        "\"extlists\"",
        "address :list \"to\" \"urn:friends\""
    ));
    check(
        "require \"extlists\"; redirect :list \"urn:family\";",
        MAIL,
        &["redirect :list urn:family"],
    );
    let words = refused(
        "require [\"extlists\", \"mboxmetadata\"];
         if metadata :list \"INBOX\" \"/x\" \"urn:a\" { stop; }",
    );
    assert!(words.contains(":list"), "{words}");
}

#[test]
fn rfc_5429_a_refusal_is_alone() {
    check(
        r#"require ["ereject"]; if address "from" "a@example.org" {
               ereject "I no longer accept mail from this address"; }"#,
        MAIL,
        &["ereject \"I no longer accept mail from this address\""],
    );
    for actions in [
        "reject \"a\"; reject \"b\";",
        "keep; reject \"a\";",
        "reject \"a\"; keep;",
    ] {
        let lines = World::new().run(&format!("require \"reject\"; {actions}"), MAIL);
        assert!(
            lines.concat().starts_with("error: "),
            "{actions}: {lines:?}"
        );
    }
    let mut world = World::new();
    world.compiler = world.compiler.event(Event::Imap);
    let lines = world.run("require \"ereject\";", MAIL);
    assert!(lines.concat().starts_with("error: "), "{lines:?}");
}

#[test]
fn mail_is_snoozed_until_a_time_of_some_days() {
    let script = r#"require ["snooze", "imap4flags", "mailbox"];
        snooze :mailbox "Later" :create :addflags "$new" :removeflags "\\Seen" :weekdays ["1", "5", "1"]
               :tzid "Europe/Berlin" ["13:30:00", "08:00"];"#;
    let outcome = World::new()
        .finish(script, MAIL)
        .unwrap_or_else(|words| panic!("{words}"));
    let [Action::Snooze(snooze)] = outcome.actions.as_slice() else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (snooze.place.mailbox.as_str(), snooze.place.create),
        ("Later", true)
    );
    assert_eq!(snooze.place.flags, ["$new"]);
    assert_eq!(snooze.remove_flags, ["\\Seen"]);
    assert_eq!(snooze.weekdays, [1, 5]);
    assert_eq!(snooze.times, [8 * 3_600, 13 * 3_600 + 1_800]);
    assert_eq!(snooze.zone.as_deref(), Some("Europe/Berlin"));
    for (arguments, wanted) in [
        ("\"25:00:00\"", "no time"),
        (":weekdays \"7\" \"08:00:00\"", "no day"),
        ("", "times of the day"),
    ] {
        let words = refused(&format!("require \"snooze\"; snooze {arguments};"));
        assert!(words.contains(wanted), "{words}");
    }
}
