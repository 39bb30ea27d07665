//! `duplicate` (RFC 7352).
#![allow(clippy::panic, reason = "what is asked of a script fails its test")]

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use mailcore_sieve::engine::{Answer, Duplicate, DuplicateFrom, Question};
use support::{World, check, refused};

const MAIL: &str = "Message-ID:  <1@example.org> \r\nSubject: a\r\n b\r\n\r\nbody\r\n";

/// What is asked, the answer being `seen`; what the script does and what is to be
/// remembered.
fn asked(seen: Answer, script: &str, mail: &str) -> (Vec<Duplicate>, String, Vec<Duplicate>) {
    let questions = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&questions);
    let world = World::new().host(move |question| {
        if let Question::Duplicate(duplicate) = question {
            into.borrow_mut().push(duplicate.clone());
        }
        seen.clone()
    });
    let script = format!("require [\"duplicate\", \"variables\"]; {script}");
    let outcome = world
        .finish(&script, mail)
        .unwrap_or_else(|words| panic!("{words}"));
    let action = format!("{:?}", outcome.actions);
    let questions = questions.borrow().clone();
    (questions, action, outcome.seen)
}

#[test]
fn section_3_what_was_seen_is_remembered_when_the_run_succeeds() {
    let script = "if duplicate { discard; }";
    let (questions, action, seen) = asked(Answer::Yes, script, MAIL);
    assert_eq!(action, "[Discard]");
    assert_eq!(questions, seen);
    let [one] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (one.unique_id.as_str(), one.handle.as_str()),
        ("<1@example.org>", "")
    );
    assert_eq!((one.seconds, one.from), (7 * 86_400, DuplicateFrom::First));
    let (_, action, seen) = asked(Answer::No, script, MAIL);
    assert!(action.starts_with("[Keep"), "{action}");
    assert_eq!(seen.len(), 1);
}

#[test]
fn section_3_1_ids_come_of_a_field_or_of_the_script() {
    for (test, id) in [
        ("duplicate :header \"message-id\"", "<1@example.org>"),
        ("duplicate :header \"Subject\"", "a b"),
        ("duplicate :uniqueid \"x ${0}\"", "x "),
    ] {
        let (questions, _, _) = asked(Answer::No, &format!("if {test} {{ discard; }}"), MAIL);
        let ids: Vec<_> = questions.iter().map(|it| it.unique_id.as_str()).collect();
        assert_eq!(ids, [id], "{test}");
    }
    let missing = "if duplicate :header \"X-Event-ID\" { discard; }";
    let (questions, action, seen) = asked(Answer::Yes, missing, MAIL);
    assert!(questions.is_empty() && seen.is_empty() && action.starts_with("[Keep"));
    let words =
        refused("require \"duplicate\"; if duplicate :header \"a\" :uniqueid \"b\" { stop; }");
    assert!(words.contains("one of them"), "{words}");
}

#[test]
fn section_3_2_and_3_3_handles_and_times_are_the_script_s_within_the_limits() {
    let script = "if duplicate :handle \"notify\" :seconds 1800 :last { discard; }
        if duplicate :handle \"b\" :seconds 999999999 { discard; }";
    let (_, _, seen) = asked(Answer::No, script, MAIL);
    let [one, two] = seen.as_slice() else {
        panic!("{seen:?}");
    };
    assert_eq!((one.handle.as_str(), one.seconds), ("notify", 1_800));
    assert_eq!(one.from, DuplicateFrom::Last);
    assert_eq!((two.handle.as_str(), two.seconds), ("b", 31 * 86_400));
    let (questions, action, _) = asked(Answer::Yes, "if duplicate :seconds 0 { discard; }", MAIL);
    assert!(questions.is_empty() && action.starts_with("[Keep"));
}

#[test]
fn section_3_4_there_is_none_for_imap() {
    let mut world = World::new();
    world.compiler = world.compiler.event(mailcore_sieve::engine::Event::Imap);
    let lines = world.run("require \"duplicate\";", MAIL);
    assert!(lines.concat().starts_with("error: "), "{lines:?}");
    check("require \"duplicate\"; if false { stop; }", MAIL, &["keep"]);
}
