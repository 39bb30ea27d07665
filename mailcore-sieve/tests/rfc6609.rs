//! RFC 6609: scripts that include scripts.

mod support;

use std::sync::Arc;

use mailcore_sieve::engine::{Answer, Compiler, Location, Question};

use support::{World, refused};

/// A host with these scripts.
fn with(scripts: &'static [(Location, &'static str, &'static str)]) -> World {
    World::new().host(move |question| {
        let Question::Include { name, location } = question else {
            return Answer::No;
        };
        let text = scripts
            .iter()
            .find(|(place, script, _)| place == location && script == name);
        match text.map(|(_, _, text)| Compiler::new().compile(name, text.as_bytes())) {
            Some(Ok(program)) => Answer::Program(Arc::new(program)),
            _ => Answer::No,
        }
    })
}

use Location::{Global, Personal};

#[test]
fn section_3_2_scripts_run_where_they_are_included() {
    let world = with(&[
        (
            Personal,
            "always_allow",
            "if address :is \"from\" \"boss@example.com\" { keep; }",
        ),
        (
            Global,
            "spam_tests",
            "require \"fileinto\"; if header :contains \"Subject\" \"$$\" { fileinto \"site\"; }",
        ),
        (
            Personal,
            "spam_tests",
            "require \"fileinto\"; if header :contains \"Subject\" \"XXXX\" { fileinto \"own\"; }",
        ),
        (
            Personal,
            "mailing_lists",
            "require \"fileinto\"; if header :is \"List-ID\" \"sieve.ietf.org\" { fileinto \"lists.sieve\"; }",
        ),
    ]);
    let script = r#"require ["include"];
        include :personal "always_allow";
        include :global "spam_tests";
        include :personal "spam_tests";
        include "mailing_lists";"#;
    assert_eq!(world.run(script, "From: boss@example.com\n\n"), ["keep"]);
    assert_eq!(
        world.run(script, "Subject: $$ XXXX\n\n"),
        ["fileinto site", "fileinto own"]
    );
    assert_eq!(
        world.run(script, "List-ID: sieve.ietf.org\n\n"),
        ["fileinto lists.sieve"]
    );
    assert_eq!(world.run(script, "Subject: hello\n\n"), ["keep"]);
}

#[test]
fn section_3_2_a_script_that_is_missing_fails_the_run_unless_that_is_optional() {
    let world = with(&[(Personal, "broken", "keeep;")]);
    for name in ["missing", "broken"] {
        let script = format!("require \"include\";\ninclude \"{name}\"; discard;");
        assert_eq!(
            world.run(&script, "\n"),
            [format!(
                "error: test: line 2: the script `{name}` is missing or does not compile"
            )]
        );
    }
    assert_eq!(
        world.run(
            "require \"include\"; include :optional \"missing\"; discard;",
            "\n"
        ),
        ["discard"]
    );
}

#[test]
fn section_3_1_no_script_includes_itself() {
    let world = with(&[
        (Personal, "a", "require \"include\";\ninclude \"b\";"),
        (Personal, "b", "require \"include\";\n\ninclude \"a\";"),
        (
            Personal,
            "c",
            "require [\"include\", \"copy\"]; redirect :copy \"c@c.example\"; include :once \"c\";",
        ),
    ]);
    assert_eq!(
        world.run("require \"include\"; include \"a\";", "\n"),
        ["error: b: line 3: the script `a` includes itself"]
    );
    assert_eq!(
        world.run(
            "require \"include\"; include \"c\"; include :once \"c\";",
            "\n"
        ),
        ["redirect c@c.example", "keep"]
    );
}

#[test]
fn section_3_3_return_ends_one_script_and_stop_all() {
    let world = with(&[
        (
            Personal,
            "returns",
            "require \"include\"; if true { return; } discard;",
        ),
        (Personal, "stops", "stop;"),
    ]);
    let script = |name: &str| {
        format!("require [\"include\", \"fileinto\"]; include \"{name}\"; fileinto \"after\";")
    };
    assert_eq!(world.run(&script("returns"), "\n"), ["fileinto after"]);
    assert_eq!(world.run(&script("stops"), "\n"), ["keep"]);
    assert_eq!(
        world.run("require \"include\"; return; discard;", "\n"),
        ["keep"]
    );
}

#[test]
fn section_3_4_variables_are_a_scripts_own_unless_they_are_global() {
    let world = with(&[(
        Personal,
        "subject_tests",
        r#"require ["include", "variables"];
           global ["test", "test_mailbox"];
           set "own" "changed";
           if header :contains "Subject" "${test}" { set "test_mailbox" "spam-${test}"; }"#,
    )]);
    let script = r#"require ["fileinto", "include", "variables", "relational"];
        global "test";
        global "test_mailbox";
        set "own" "own";
        set "test" "$$";
        include "subject_tests";
        set "global.test" "Make money";
        include "subject_tests";
        if string :count "eq" "${test_mailbox}" "1" { fileinto "${global.test_mailbox}/${own}"; stop; }"#;
    assert_eq!(
        world.run(script, "Subject: $$\n\n"),
        ["fileinto spam-$$/own"]
    );
    assert_eq!(
        world.run(script, "Subject: make money\n\n"),
        ["fileinto spam-Make money/own"]
    );
    assert_eq!(world.run(script, "Subject: hello\n\n"), ["keep"]);
}

#[test]
fn names_and_limits_are_checked() {
    assert!(
        refused("require \"include\"; include \"\";").contains("can't be the name of a script")
    );
    assert!(
        refused("require [\"include\", \"variables\"]; include \"${a}\";")
            .contains("no variable can stand")
    );
    assert!(refused("require \"include\"; global \"a\";").contains("require \"variables\""));
    assert!(
        refused("require [\"include\", \"variables\"]; set \"a\" \"\"; global \"a\";")
            .contains("set before")
    );
    let world = with(&[(Personal, "a", "")]);
    let script = format!("require \"include\"; {}", "include \"a\";".repeat(17));
    assert_eq!(
        world.run(&script, "\n"),
        ["error: test: line 1: more than 16 scripts are included"]
    );
}
