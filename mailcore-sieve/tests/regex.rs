//! The regex extension (draft-ietf-sieve-regex-01).
#![cfg(feature = "regex")]

mod support;

use support::{check, holds, refused};

const MESSAGE: &str =
    "From: Ann <ann+list@example.org>\nSubject: [x-dev] v1.2 released\n\nbody text\n";

#[test]
fn expressions_match_somewhere_in_the_value() {
    let test = |test: &str| holds(&["regex", "body", "envelope"], test, MESSAGE);
    assert!(test("header :regex \"subject\" \"v[0-9]+\\\\.[0-9]+\""));
    assert!(!test("header :regex \"subject\" \"^v[0-9]\""));
    assert!(test("header :regex \"subject\" \"RELEASED$\""));
    assert!(!test(
        "header :regex :comparator \"i;octet\" \"subject\" \"RELEASED$\""
    ));
    assert!(test(
        "address :regex :localpart \"from\" \"^ann(\\\\+.*)?$\""
    ));
    assert!(test("body :regex \"t[aeiou]xt\""));
}

#[test]
fn groups_become_match_variables() {
    let script = "require [\"regex\", \"variables\", \"fileinto\"];
        if header :regex \"subject\" \"\\\\[([^]]*)\\\\] v([0-9])\" { fileinto \"${1}/${2}/${0}\"; }";
    check(script, MESSAGE, &["fileinto x-dev/1/[x-dev] v1"]);
}

#[test]
fn what_is_wrong_has_a_place() {
    let error = refused("require \"regex\";\nif header :regex \"subject\" \"(a)\\\\1\" { keep; }");
    assert!(
        error.starts_with("line 2, column 28:") && error.contains("character 5"),
        "{error}"
    );
    let error = refused(
        "require [\"regex\", \"comparator-i;ascii-numeric\"];
        if header :regex :comparator \"i;ascii-numeric\" \"subject\" \"1\" { keep; }",
    );
    assert!(error.contains("i;ascii-numeric"), "{error}");
}

#[test]
fn expressions_are_limited_in_number() {
    let keys = |from: usize, to: usize| {
        let keys: Vec<String> = (from..to).map(|key| format!("\"{key}x\"")).collect();
        format!("if header :regex \"x\" [{}] {{ keep; }}\n", keys.join(", "))
    };
    let script = format!("require \"regex\";\n{}{}", keys(0, 150), keys(150, 201));
    let error = refused(&script);
    assert!(
        error.starts_with("line 3,") && error.contains("more than 200"),
        "{error}"
    );
    let made = "require [\"regex\", \"variables\", \"foreverypart\"];
        foreverypart { set \"a\" \"${a}x\"; if header :regex \"subject\" \"${a}y\" { keep; } }";
    let many = format!(
        "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\n".repeat(300)
    );
    let lines = support::World::new().run(made, &many);
    assert!(
        lines.concat().contains("more steps than are allowed"),
        "{lines:?}"
    );
}
