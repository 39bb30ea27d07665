//! Scripts that want to break the engine, and those that stand at the wrong event.

mod support;

use std::sync::Arc;

use mailcore_sieve::engine::{Answer, Compiler, Event, Question};
use proptest::prelude::*;

use support::{World, refused};

#[test]
fn ten_megabytes_are_refused_at_once() {
    let text = vec![b'k'; 10 << 20];
    let error = Compiler::new()
        .compile("large", &text)
        .expect_err("too large");
    assert!(error.to_string().contains("1048576 are allowed"), "{error}");
}

#[test]
fn scripts_that_include_scripts_twice_each_end_at_the_limit() {
    let world = World::new().host(|question| {
        let Question::Include { name, .. } = question else {
            return Answer::No;
        };
        let depth: u32 = name.parse().unwrap_or(0);
        let text = format!(
            "require \"include\"; include \"{0}\"; include \"{0}\";",
            depth + 1
        );
        match Compiler::new().compile(name, text.as_bytes()) {
            Ok(program) => Answer::Program(Arc::new(program)),
            Err(_) => Answer::No,
        }
    });
    assert_eq!(
        world.run("require \"include\"; include \"0\";", "\n"),
        ["error: 15: line 1: more than 16 scripts are included"]
    );
}

#[test]
fn patterns_of_many_wildcards_cost_steps_and_no_more() {
    let subject = "a".repeat(100_000);
    let pattern = "*a".repeat(2000);
    let script =
        format!("if header :matches \"subject\" \"{pattern}b\" {{ discard; }}\n").repeat(50);
    let lines = World::new().run(&script, &format!("Subject: {subject}\n\n"));
    assert!(
        lines == ["keep"] || lines.concat().contains("more steps"),
        "{lines:?}"
    );
}

#[test]
fn the_longest_tests_are_compiled_and_run() {
    let list = "\"x@y.example\", ".repeat(40_000);
    let script = format!("if address [\"from\", \"to\"] [{list} \"z\"] {{ discard; }}");
    let world = World::new();
    assert_eq!(world.run(&script, "From: a@b.example\n\n"), ["keep"]);
    let many = "if not anyof (true, header \"a\" \"b\") { keep; }".repeat(10_000);
    assert_eq!(world.run(&many, "From: a@b.example\n\n"), ["keep"]);
}

#[test]
fn an_event_has_the_words_that_mean_something_then() {
    let at = |event: Event, script: &str| {
        Compiler::new()
            .event(event)
            .compile("test", script.as_bytes())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    for (event, script) in [
        (Event::Connect, "keep;"),
        (Event::Helo, "if header \"a\" \"b\" { stop; }"),
        (Event::Connect, "if size :over 1K { stop; }"),
        (Event::Mail, "discard;"),
    ] {
        let error = at(event, script).expect_err(script);
        assert!(
            error.contains(&format!("can't be used at `{}`", event.as_str())),
            "{error}"
        );
    }
    assert!(at(Event::Connect, "require \"envelope\";").is_err());
    assert!(
        at(
            Event::Mail,
            "require \"envelope\"; if envelope \"to\" \"a\" { stop; }"
        )
        .is_err()
    );
    assert!(
        at(
            Event::Mail,
            "require \"envelope\"; if envelope \"from\" \"a\" { stop; }"
        )
        .is_ok()
    );
    assert!(
        at(
            Event::Rcpt,
            "require \"envelope\"; if envelope \"to\" \"a\" { stop; }"
        )
        .is_ok()
    );
    assert!(
        at(
            Event::Data,
            "require \"fileinto\"; if header \"a\" \"b\" { fileinto \"x\"; }"
        )
        .is_ok()
    );
    assert!(
        refused("require \"envelope\"; if envelope :domain :localpart \"to\" \"a\" {}")
            .contains("choose one")
    );
}

/// Words of scripts in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just(
            "require [\"fileinto\", \"variables\", \"include\", \"relational\", \"envelope\", \"ihave\"];"
        ),
        Just("require \"encoded-character\";"),
        Just("if "),
        Just("elsif "),
        Just("else "),
        Just("true "),
        Just("not "),
        Just("anyof ("),
        Just("allof (true, "),
        Just(") "),
        Just(", "),
        Just("{ "),
        Just("} "),
        Just("; "),
        Just("keep "),
        Just("keep; "),
        Just("fileinto \"${1}\"; "),
        Just("redirect "),
        Just("\"a@b.example\" "),
        Just("header :matches \"subject\" \"*x*\" "),
        Just("address :count \"gt\" [\"to\", \"from\"] \"0\" "),
        Just("envelope :value \"lt\" \"from\" \"z\" "),
        Just("ihave [\"copy\", \"none\"] "),
        Just("set :length \"a\" \"${a}${0}\"; "),
        Just("string :is \"${a}\" [\"1\", \"0\"] "),
        Just("global \"g\"; "),
        Just("include :optional \"x\"; "),
        Just("return; "),
        Just("error \"${hex:41 80}\"; "),
        Just(":copy "),
        Just("12K "),
        Just("[\"a\", \"b\"] "),
        Just("text:\r\n.\r\n"),
    ];
    proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_words_are_a_script_that_ends_or_an_error(words in words()) {
        let lines = World::new().run(&words, "Subject: an x here\nTo: a@b.example\n\nbody\n");
        prop_assert!(!lines.is_empty());
        for event in Event::ALL {
            let _ = Compiler::new().event(event).compile("test", words.as_bytes());
        }
    }
}
