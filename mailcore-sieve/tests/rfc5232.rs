//! `imap4flags` (RFC 5232).
#![allow(clippy::panic, reason = "what is asked of a script fails its test")]

mod support;

use support::{World, check, refused};

const MAIL: &str = "From: boss@frobnitzm.example.edu\nSubject: one\n\nbody\n";

/// True when the test is, after these commands.
#[track_caller]
fn is(commands: &str, test: &str) -> bool {
    let script = format!(
        "require [\"imap4flags\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\"];
         {commands} if {test} {{ discard; }} else {{ keep :flags \"\"; }}"
    );
    match World::new().run(&script, MAIL).as_slice() {
        [one] if one == "discard" => true,
        [one] if one == "keep" => false,
        other => panic!("{script}: {other:?}"),
    }
}

#[test]
fn section_2_strings_hold_flags_between_spaces_and_what_is_no_flag_is_left_out() {
    for list in [
        r#"["\\Deleted", "\\Answered"]"#,
        r#""\\Deleted \\Answered""#,
        r#""  \\Deleted   \\Answered ""#,
        r#"["\\deleted", "", "\\Recent", "\\DELETED", "caf\u00e9)", "\\ANSWERED"]"#,
    ] {
        let script = format!("require \"imap4flags\"; setflag {list};");
        let lines = World::new().run(&script, MAIL).concat().to_lowercase();
        assert_eq!(lines, "keep (\\deleted \\answered)", "{list}");
    }
}

#[test]
fn section_3_the_internal_variable_goes_with_what_has_no_flags_of_its_own() {
    check(
        r#"require ["imap4flags", "fileinto"];
           setflag "existing";
           keep :flags "keepflag";
           fileinto :flags ["one two"] "A";
           addflag ["flag0", "FLAG0", "flag1"];
           removeflag "FLAG1 none";
           fileinto "B";
           fileinto :flags "" "C";"#,
        MAIL,
        &[
            "keep (keepflag)",
            "fileinto A (one two)",
            "fileinto B (existing flag0)",
            "fileinto C",
        ],
    );
    // The last list of what is filed twice wins.
    check(
        r#"require ["imap4flags", "fileinto"];
           fileinto :flags "a" "A"; fileinto :flags "b" "A";"#,
        MAIL,
        &["fileinto A (b)"],
    );
    check(
        r#"require "imap4flags"; addflag "\\Flagged";"#,
        MAIL,
        &["keep (\\Flagged)"],
    );
}

#[test]
fn section_3_variables_hold_flags_too() {
    check(
        r#"require ["imap4flags", "fileinto", "variables"];
           if header :contains "from" "boss@frobnitzm.example.edu" {
               setflag "flagvar" "\\Flagged";
               addflag "flagvar" ["\\Deleted", "\\flagged"];
               removeflag "flagvar" "\\DELETED";
               fileinto :flags "${flagvar}" "INBOX.From Boss";
           }"#,
        MAIL,
        &["fileinto INBOX.From Boss (\\Flagged)"],
    );
    let words = refused("require \"imap4flags\"; setflag \"flagvar\" \"\\\\Seen\";");
    assert!(words.contains("variables"), "{words}");
}

#[test]
fn section_4_hasflag_matches_names_of_flags() {
    let ab = "setflag \"A B\";";
    assert!(is(ab, "hasflag :is \"b A\""));
    assert!(is(ab, "hasflag [\"b\", \"A\"]"));
    assert!(!is(ab, "hasflag \"c\""));
    assert!(is(
        ab,
        "hasflag :count \"eq\" :comparator \"i;ascii-numeric\" \"2\""
    ));
    let many = "set \"MyVar\" \"NonJunk Junk gnus-forward $Forwarded NotJunk JunkRecorded $Junk \
                $NotJunk\";";
    for (keys, wanted) in [
        ("\"Junk\"", true),
        ("\"forward\"", true),
        ("[\"label\", \"forward\"]", true),
        ("[\"junk\", \"forward\"]", true),
        ("\"junk forward\"", true),
        ("\"label\"", false),
        ("[\"label1\", \"label2\"]", false),
    ] {
        let test = format!("hasflag :contains \"MyVar\" {keys}");
        assert_eq!(is(many, &test), wanted, "{test}");
    }
    let count = "hasflag :count \"ge\" :comparator \"i;ascii-numeric\" \"MyFlags\" \"2\"";
    assert!(is("set \"MyFlags\" \"A B\";", count));
    assert!(!is("set \"MyFlags\" \"A a\";", count));
    assert!(is(
        "set \"x\" \"A\"; set \"y\" \"B\";",
        "hasflag [\"x\", \"y\"] \"b\""
    ));
}

#[test]
fn many_flags_take_no_more_than_their_limit() {
    let flags: Vec<String> = (0..2_000).map(|n| format!("\"flag{n}\"")).collect();
    let script = format!("require \"imap4flags\"; setflag [{}];", flags.join(", "));
    let outcome = World::new().finish(&script, MAIL);
    match outcome {
        Ok(outcome) => assert!(format!("{:?}", outcome.actions).len() < 8_192),
        Err(words) => assert!(words.contains("steps"), "{words}"),
    }
}
