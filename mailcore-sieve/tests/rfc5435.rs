//! `enotify` (RFC 5435) by mail (RFC 5436), and copies of what is written (RFC
//! 8580).
#![allow(clippy::panic, reason = "what is asked of a script fails its test")]

mod support;

use mailcore_sieve::engine::{Action, Answer, Importance, Notify, Question};
use support::{World, check, refused};

const MAIL: &str = "\
From: \"Jeff Smith\" <jeff@hobbies.example.com>
To: \"Knitting Mailing List\" <knitting@example.com>
List-Id: Knitting Mailing List <knitting.example.com>
Precedence: list
Subject: [Knitting] A new sweater

I just finished a great new sweater!
";

fn notices(world: &World, script: &str, mail: &str) -> Vec<Notify> {
    let outcome = world
        .finish(script, mail)
        .unwrap_or_else(|words| panic!("{words}"));
    assert!(outcome.implicit_keep, "a notice leaves the implicit keep");
    let actions = outcome.actions.into_iter();
    actions
        .filter_map(|action| match action {
            Action::Notify(notify) => Some(*notify),
            _ => None,
        })
        .collect()
}

#[test]
fn the_example_of_rfc_5436_section_3_notifies_two() {
    let script = r#"require ["enotify", "variables"];
        if header :contains "list-id" "knitting.example.com" {
          if header :matches "Subject" "[*] *" {
            notify :message "From ${1} list: ${2}"
                :importance "3"
                "mailto:0123456789@sms.example.net?to=backup@example.com";
          }
        }"#;
    let notices = notices(&World::new(), script, MAIL);
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}");
    };
    assert_eq!(
        notice.message.as_deref(),
        Some("From Knitting list: A new sweater")
    );
    assert_eq!(notice.importance, Importance::Low);
    assert_eq!(
        notice.method,
        "mailto:0123456789@sms.example.net?to=backup@example.com"
    );
}

#[test]
fn section_3_arguments_are_checked() {
    for (arguments, wanted) in [
        (":importance \"4\" \"mailto:a@example.org\"", "importance"),
        (":options \"none\" \"mailto:a@example.org\"", "options"),
        ("\"mailto:\"", "whom"),
        ("\"mailto:a@example.org?subject=%0a\"", "line ends"),
        ("", "mailto:user@example.org"),
    ] {
        let words = refused(&format!("require \"enotify\"; notify {arguments};"));
        assert!(words.contains(wanted), "{arguments}: {words}");
    }
    let script = r#"require "enotify";
        notify :from "Me <me@example.com>" :options ["a=b", "c.d="] "mailto:a@example.org";
        notify :from "nobody" "mailto:b@example.org";"#;
    let notices = notices(&World::new(), script, MAIL);
    let froms: Vec<_> = notices.iter().map(|it| it.from.as_deref()).collect();
    assert_eq!(froms, [Some("Me <me@example.com>"), None]);
    let options = notices.first().map(|it| it.options.clone());
    let wanted = vec![("a".into(), "b".into()), ("c.d".into(), String::new())];
    assert_eq!(options, Some(wanted));
}

#[test]
fn section_3_2_a_method_that_is_not_there_is_an_error_of_the_run() {
    let script = "require \"enotify\"; notify \"tel:+14085551212\";";
    let lines = World::new().run(script, MAIL);
    assert!(
        lines.concat().starts_with("error: test: line 1"),
        "{lines:?}"
    );
    let world = World::new().host(|_| Answer::Yes);
    assert_eq!(notices(&world, script, MAIL).len(), 1);
}

#[test]
fn rfc_5436_section_2_7_nothing_is_told_of_notices_and_nothing_is_told_twice() {
    let script = r#"require "enotify";
        notify :message "a" "mailto:a@example.org"; notify :message "a" "mailto:a@example.org";
        notify :message "b" "mailto:a@example.org";"#;
    assert_eq!(notices(&World::new(), script, MAIL).len(), 2);
    for (value, told) in [("auto-notified; owner-email=\"x@y\"", 0), ("No", 2)] {
        let mail = format!("Auto-Submitted: {value}\n{MAIL}");
        assert_eq!(notices(&World::new(), script, &mail).len(), told, "{value}");
    }
    let mut world = World::new();
    world.environment.envelope.from = Some(String::new());
    assert_eq!(
        notices(&world, script, MAIL).len(),
        2,
        "the sender may be nobody"
    );
}

#[test]
fn section_4_valid_methods_are_those_that_would_be_taken() {
    let valid = |methods: &str| {
        let world = World::new().host(|question| match question {
            Question::NotifyMethodValid(method) if method.starts_with("tel:") => Answer::Yes,
            _ => Answer::No,
        });
        let script =
            format!("require \"enotify\"; if valid_notify_method {methods} {{ discard; }}");
        world.run(&script, MAIL) == ["discard"]
    };
    assert!(valid("\"mailto:a@example.org\""));
    assert!(valid("[\"mailto:a@example.org\", \"tel:1\", \"tel:2\"]"));
    assert!(!valid(
        "[\"mailto:\", \"http://gw.example.net/notify?test\"]"
    ));
    assert!(!valid("[\"tel:1\", \"xmpp:a@example.org\"]"));
}

#[test]
fn section_5_capabilities_are_told_and_unknown_ones_fail() {
    for (arguments, wanted) in [
        ("\"mailto:a@example.org\" \"Online\" \"maybe\"", "discard"),
        ("\"mailto:a@example.org\" \"online\" \"yes\"", "keep"),
        ("\"mailto:a@example.org\" \"fcc\" \"yes\"", "discard"),
        ("\"mailto:a@example.org\" \"unheard of\" \"yes\"", "keep"),
        ("\"mailto:\" \"online\" \"maybe\"", "keep"),
        ("\"xmpp:tim@example.com\" \"online\" \"maybe\"", "keep"),
    ] {
        let script =
            format!("require \"enotify\"; if notify_method_capability {arguments} {{ discard; }}");
        check(&script, MAIL, &[wanted]);
    }
}

#[test]
fn section_6_encodeurl_makes_values_safe() {
    let script = r#"require ["enotify", "variables"];
        set :encodeurl "body_param" "Safe body&evil=evilbody";
        notify "mailto:tim@example.com?body=${body_param}";"#;
    let notices = notices(&World::new(), script, MAIL);
    let methods: Vec<_> = notices.iter().map(|it| it.method.as_str()).collect();
    assert_eq!(
        methods,
        ["mailto:tim@example.com?body=Safe%20body%26evil%3Devilbody"]
    );
}

#[test]
fn rfc_8580_copies_are_filed_where_the_script_says() {
    let script = r#"require ["enotify", "fcc", "mailbox", "imap4flags", "special-use"];
        addflag "\\Flagged";
        notify :fcc "INBOX.Sent" :create :flags "\\Seen" :specialuse "\\Sent"
               :message "You got mail!" "mailto:ken@example.com";
        notify :fcc "INBOX.Sent" "mailto:ken@example.com";"#;
    let notices = notices(&World::new(), script, MAIL);
    let places: Vec<_> = notices.iter().filter_map(|it| it.fcc.as_ref()).collect();
    let [one, two] = places.as_slice() else {
        panic!("{notices:?}");
    };
    assert_eq!((one.mailbox.as_str(), one.create), ("INBOX.Sent", true));
    assert_eq!(one.special_use.as_deref(), Some("\\Sent"));
    assert_eq!(one.flags, ["\\Seen"]);
    assert_eq!(
        (two.create, two.flags.len()),
        (false, 0),
        "the mail's flags are not the copy's"
    );
    let words = refused("require [\"vacation\", \"mailbox\", \"fcc\"]; vacation :create \"away\";");
    assert!(words.contains(":fcc"), "{words}");
    let words = refused("require \"vacation\"; vacation :fcc \"Sent\" \"away\";");
    assert!(words.contains("fcc"), "{words}");
}
