//! `vacation` (RFC 5230) and `vacation-seconds` (RFC 6131), and whom nobody may
//! answer (RFC 3834).

mod support;

use mailcore_sieve::engine::{Action, Limits, Vacation};
use support::{World, check, refused};

/// A message that may be answered.
const MAIL: &str = "\
From: From <from@example.org>
To: user@example.com
Subject: Cyrus bug
Message-ID: <1@example.org>

Hello.
";

const AWAY: &str = "require \"vacation\"; vacation \"I'm away.\";";

/// The answer of a script to a message.
fn answer(world: &World, script: &str, mail: &str) -> Option<Vacation> {
    let outcome = world.finish(script, mail).ok()?;
    outcome.actions.into_iter().find_map(|action| match action {
        Action::Vacation(vacation) => Some(*vacation),
        _ => None,
    })
}

#[test]
fn section_4_answers_the_envelope_sender_and_keeps_the_mail() {
    check(
        AWAY,
        MAIL,
        &[
            "vacation to=from@example.org from=user@example.com subject=\"Auto: Cyrus bug\" \
             seconds=604800 reason=\"I'm away.\"",
            "keep",
        ],
    );
}

#[test]
fn section_4_1_days_stay_within_the_site_s_limits() {
    let mut world = World::new();
    let seconds = |world: &World, arguments: &str| {
        let script =
            format!("require [\"vacation\", \"vacation-seconds\"]; vacation {arguments} \"away\";");
        answer(world, &script, MAIL).unwrap().seconds
    };
    assert_eq!(seconds(&world, ":days 23"), 23 * 86_400);
    assert_eq!(seconds(&world, ":days 0"), 86_400);
    assert_eq!(seconds(&world, ":days 1000"), 31 * 86_400);
    assert_eq!(seconds(&world, ":days 9223372036854775807"), 31 * 86_400);
    assert_eq!(seconds(&world, ":seconds 1800"), 1_800);
    assert_eq!(seconds(&world, ":seconds 0"), 0);
    let mut limits = Limits::default();
    limits.vacation_least = 600;
    world.compiler = world.compiler.limits(limits);
    assert_eq!(seconds(&world, ":seconds 0"), 600);
}

#[test]
fn section_4_2_answers_are_told_apart_by_what_is_written() {
    let world = World::new();
    let handle = |script: &str, mail: &str| {
        let script = format!("require \"vacation\"; {script}");
        answer(&world, &script, mail).unwrap().handle
    };
    let cyrus = "if header :contains \"subject\" \"cyrus\" {
            vacation \"I'm out -- send mail to cyrus-bugs\";
        } else {
            vacation \"I'm out -- call me at +1 304 555 0123\";
        }";
    let dinner = MAIL.replace("Cyrus bug", "come over for dinner");
    assert_ne!(handle(cyrus, MAIL), handle(cyrus, &dinner));
    let named = "if header :contains \"subject\" \"lunch\" {
            vacation :handle \"ran-away\" \"I'm out and can't meet for lunch\";
        } else {
            vacation :handle \"ran-away\" \"I'm out\";
        }";
    assert_eq!(handle(named, MAIL), "ran-away");
    let same = handle("vacation :days 3 \"x\";", MAIL);
    assert_eq!(
        handle("vacation :addresses \"a@b.example\" \"x\";", MAIL),
        same
    );
    assert_ne!(handle("vacation :subject \"x\" \"x\";", MAIL), same);
    assert_ne!(
        handle("vacation :subject \"xx\" \"x\";", MAIL),
        handle("vacation :subject \"x\" \"xx\";", MAIL)
    );
}

#[test]
fn section_4_3_subject_and_author_are_the_script_s_where_it_says() {
    let world = World::new();
    let script = "require \"vacation\";
        vacation :subject \"Gone\r\nBcc: x@example.net\" :from \"Me <me@example.com>\" \"away\";";
    let vacation = answer(&world, script, MAIL).unwrap();
    assert_eq!(vacation.subject, "Gone Bcc: x@example.net");
    assert_eq!(vacation.from, "Me <me@example.com>");
    let words = refused("require \"vacation\"; vacation :from \"nobody\" \"away\";");
    assert!(words.contains(":from"), "{words}");
}

#[test]
fn section_4_5_only_what_is_written_to_the_owner_is_answered() {
    let world = World::new();
    let to = |field: &str| MAIL.replace("To: user@example.com", field);
    for field in [
        "To: Others <a@example.net>, USER@Example.com",
        "Cc: user@example.com",
        "Bcc: user@example.com",
        "Resent-To: user@example.com",
        "To: user+detail@example.com",
    ] {
        assert!(answer(&world, AWAY, &to(field)).is_some(), "{field}");
    }
    let other = to("To: somebody@example.net");
    assert_eq!(answer(&world, AWAY, &other), None);
    let more = "require \"vacation\";
        vacation :days 23 :addresses [\"tjs@example.edu\", \"somebody@example.net\"]
        \"I'm away until October 19.\";";
    assert!(answer(&world, more, &other).is_some());
}

#[test]
fn section_4_6_lists_programs_and_the_owner_are_not_answered() {
    let mut world = World::new();
    for field in [
        "List-Id: <list.example.org>",
        "List-Unsubscribe: <mailto:leave@example.org>",
        "Auto-Submitted: auto-replied",
        "AUTO-SUBMITTED:\r\n auto-generated",
        "Precedence: bulk",
        "X-Auto-Response-Suppress: All",
        "Content-Type: multipart/report; report-type=delivery-status",
    ] {
        let mail = format!("{field}\n{MAIL}");
        assert_eq!(answer(&world, AWAY, &mail), None, "{field}");
    }
    assert!(answer(&world, AWAY, &format!("Auto-Submitted: no\n{MAIL}")).is_some());
    for sender in [
        "",
        "user@example.com",
        "USER+DETAIL@example.com",
        "owner-list@example.org",
        "list-request@example.org",
        "MAILER-DAEMON@example.org",
    ] {
        world.environment.envelope.from = Some(sender.into());
        assert_eq!(answer(&world, AWAY, MAIL), None, "{sender}");
    }
    world.environment.envelope.from = None;
    assert_eq!(answer(&world, AWAY, MAIL), None);
}

#[test]
fn section_4_7_vacation_is_run_once_and_not_with_a_refusal() {
    let twice = "require \"vacation\"; vacation \"a\"; vacation \"b\";";
    let lines = World::new().run(twice, MAIL);
    assert!(lines.concat().contains("twice"), "{lines:?}");
    for script in [
        "vacation \"a\"; reject \"b\";",
        "reject \"b\"; vacation \"a\";",
    ] {
        let script = format!("require [\"vacation\", \"reject\"]; {script}");
        let lines = World::new().run(&script, MAIL);
        assert!(lines.concat().starts_with("error: "), "{lines:?}");
    }
}

#[test]
fn section_5_8_the_answer_joins_the_thread() {
    let world = World::new();
    let mail = format!("References: <a@x>\r\n <b@x> <c@x>\nIn-Reply-To: <c@x>\n{MAIL}");
    let vacation = answer(&world, AWAY, &mail).unwrap();
    assert_eq!(vacation.in_reply_to.as_deref(), Some("<1@example.org>"));
    assert_eq!(
        vacation.references,
        ["<a@x>", "<b@x>", "<c@x>", "<1@example.org>"]
    );
    let many: String = (0..50).map(|n| format!(" <{n}@x>")).collect();
    let vacation = answer(&world, AWAY, &format!("References:{many}\n{MAIL}")).unwrap();
    assert_eq!(vacation.references.len(), 20);
    assert_eq!(vacation.references.first().unwrap(), "<0@x>");
    assert_eq!(vacation.references.last().unwrap(), "<1@example.org>");
    let vacation = answer(&world, AWAY, &MAIL.replace("Message-ID", "X-Id")).unwrap();
    assert_eq!(
        (vacation.in_reply_to, vacation.references),
        (None, Vec::new())
    );
}

#[test]
fn rfc_6131_seconds_and_days_are_not_both_written() {
    let words = refused("require \"vacation-seconds\"; vacation :days 1 :seconds 1 \"x\";");
    assert!(words.contains("one of them"), "{words}");
    // RFC 6131 section 2: it brings `vacation` along.
    check(
        "require \"vacation-seconds\"; if false { vacation :seconds 1 \"x\"; }",
        MAIL,
        &["keep"],
    );
    let words = refused("require \"vacation\"; vacation :seconds 1 \"x\";");
    assert!(words.contains("vacation-seconds"), "{words}");
}
