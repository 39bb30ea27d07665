//! The examples of RFC 5229, variables, and of what puts text into strings beside
//! them.

mod support;

use mailcore_sieve::engine::Limits;

use support::{World, check, refused};

/// What a string comes to, after these commands.
#[track_caller]
fn value(commands: &str, string: &str) -> String {
    let script = format!(
        "require [\"variables\", \"fileinto\", \"encoded-character\"];\n{commands}\nfileinto \"{string}\";"
    );
    let lines = World::new().run(&script, "Subject: x\n\n");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines.concat();
    line.strip_prefix("fileinto ").unwrap_or(&line).to_owned()
}

#[test]
fn section_3_strings_are_expanded_once() {
    let set = r#"set "company" "ACME";"#;
    for (string, expected) in [
        ("&%${}!", "&%${}!"),
        ("${doh!}", "${doh!}"),
        ("[${full}]", "[]"),
        ("${company}", "ACME"),
        ("${BAD${Company}", "${BADACME"),
        ("${President, ${Company} Inc.}", "${President, ACME Inc.}"),
        ("${fo\\o}[${company}]", "[ACME]"),
        ("${fo\\\\o}", "${fo\\o}"),
        ("\\${company}", "ACME"),
        ("\\\\${company}", "\\ACME"),
        ("${company", "${company"),
        ("$${company}", "$ACME"),
    ] {
        assert_eq!(value(set, string), expected, "{string}");
    }
    assert_eq!(
        value(
            r#"set "dollar" "$"; set "text" "regarding ${dollar}{beep}";"#,
            "${text}"
        ),
        "regarding ${beep}"
    );
}

#[test]
fn strings_are_plain_unless_variables_are_required() {
    check(
        r#"require "fileinto"; fileinto "${a}";"#,
        "\n",
        &["fileinto ${a}"],
    );
}

#[test]
fn section_3_1_encoded_characters_come_before_variables() {
    let script = r#"require ["encoded-character", "variables"];
        set "name" "Ethelbert";
        if header :contains "Subject" "dear${hex:20 24 7b 4e}ame}" { discard; }"#;
    check(script, "Subject: dear Ethelbert!\n\n", &["discard"]);
}

#[test]
fn section_2_4_2_4_of_rfc_5228_characters_are_decoded() {
    for (string, expected) in [
        ("$${hex:40}", "$@"),
        ("${hex: 40 }", "@"),
        ("${HEX: 40}", "@"),
        ("${hex:40", "${hex:40"),
        ("${hex:400}", "${hex:400}"),
        ("${hex:4${hex:30}}", "${hex:40}"),
        ("${unicode:40}", "@"),
        ("${ unicode:40}", "${ unicode:40}"),
        ("${UNICODE:40}", "@"),
        ("${UnICoDE:0000040}", "@"),
        ("${Unicode:Cool}", "${Unicode:Cool}"),
        ("${unicode:e4 1F600}", "ä😀"),
        ("${hex:c3 a4}", "ä"),
    ] {
        assert_eq!(value("", string), expected, "{string}");
    }
    for wrong in ["${unicode:200000}", "${Unicode:DF01}"] {
        let script = format!("require \"encoded-character\";\nredirect \"{wrong}\";");
        assert!(refused(&script).starts_with("line 2, column 10: there is no such character"));
    }
}

#[test]
fn section_3_2_wildcards_set_match_variables() {
    let script = r#"require ["fileinto", "variables"];
        if header :matches "List-ID" "*<*@*" { fileinto "INBOX.lists.${2}"; stop; }
        if header :matches "Subject" "[*] *" { fileinto "INBOX.lists.${1}/${2}/${00}"; stop; }
        if address :matches ["To", "Cc"] ["coyote@**.com", "wile@**.com"] {
            fileinto "INBOX.business.${2}/${1}/${0}"; stop;
        }
        fileinto "none${1}";"#;
    check(
        script,
        "List-ID: x <acme@lists.example>\n\n",
        &["fileinto INBOX.lists.acme"],
    );
    check(
        script,
        "Subject: [acme-users] [fwd] version 1.0 is out\n\n",
        &[
            "fileinto INBOX.lists.acme-users/[fwd] version 1.0 is out/[acme-users] [fwd] version 1.0 is out",
        ],
    );
    check(
        script,
        "To: coyote@ACME.Example.COM\n\n",
        &["fileinto INBOX.business.ACME.Example//coyote@ACME.Example.COM"],
    );
    check(script, "To: other@example.org\n\n", &["fileinto none"]);
    check(
        r#"require ["fileinto", "variables"];
           if anyof (true, address :domain :matches "To" "*.com") { fileinto "a${1}"; }"#,
        "To: x@example.com\n\n",
        &["fileinto a"],
    );
}

#[test]
fn section_4_1_modifiers_change_what_is_set() {
    let set = r#"set "a" "juMBlEd lETteRS";"#;
    for (command, expected) in [
        (r#"set :length "b" "${a}";"#, "15"),
        (r#"set :lower "b" "${a}";"#, "jumbled letters"),
        (r#"set :upperfirst "b" "${a}";"#, "JuMBlEd lETteRS"),
        (r#"set :upperfirst :lower "b" "${a}";"#, "Jumbled letters"),
        (r#"set :lowerfirst :upper "b" "${a}";"#, "jUMBLED LETTERS"),
        (r#"set :quotewildcard "b" "Rock*";"#, "Rock\\*"),
        (r#"set :length :quotewildcard "b" "Rock*";"#, "6"),
        (r#"set :length "b" "äö";"#, "2"),
        (r#"set :upper "b" "äb";"#, "äB"),
    ] {
        assert_eq!(
            value(&format!("{set} {command}"), "${B}"),
            expected,
            "{command}"
        );
    }
    let error = refused("require \"variables\"; set :lower :upper \"a\" \"b\";");
    assert!(
        error.contains("`:upper` can't go with the modifier before it"),
        "{error}"
    );
}

#[test]
fn section_4_names_are_checked() {
    for name in ["1", "a b", "", "global.1", "${a}", "é"] {
        let error = refused(&format!(
            "require [\"variables\", \"include\"]; set \"{name}\" \"x\";"
        ));
        assert!(error.contains("no name of a variable"), "{error}");
    }
    assert!(
        refused("require \"variables\"; set \"foo.bar\" \"x\";").contains("no namespace `foo`")
    );
    assert!(refused("require \"variables\"; redirect \"${a.b}\";").contains("no namespace `a`"));
    assert!(refused("require \"variables\"; redirect \"${32}\";").contains("the last is `${31}`"));
    assert!(
        refused("require \"variables\"; redirect \"${global.a}\";").contains("require \"include\"")
    );
}

#[test]
fn section_5_strings_are_tested() {
    let script = r#"require ["variables", "relational", "comparator-i;ascii-numeric"];
        set "state" "${state} pending";
        if allof (
            string :matches " ${state} " "* pending *",
            not string :is "pending" "${state}",
            string :count "eq" :comparator "i;ascii-numeric" ["", "a", "${nothing}", "b"] "2",
            string :value "lt" :comparator "i;ascii-numeric" "9" "10"
        ) { discard; }"#;
    check(script, "\n", &["discard"]);
}

#[test]
fn section_6_what_is_too_long_is_cut() {
    let mut world = World::new();
    world.limits.variable = 5;
    let script = r#"require ["variables", "fileinto"]; set "a" "abcdéf"; fileinto "${a}";"#;
    assert_eq!(world.run(script, "\n"), ["fileinto abcd"]);
}

#[test]
fn variables_that_grow_end_at_the_limits() {
    let mut world = World::new();
    world.limits.memory = 10_000;
    world.limits.variable = 1 << 20;
    let double = "set \"a\" \"${a}${a}\";\n".repeat(40);
    let script = format!("require \"variables\";\nset \"a\" \"0123456789\";\n{double}");
    let lines = world.run(&script, "\n");
    assert!(
        lines[0].contains("holds more than 10000 octets"),
        "{lines:?}"
    );
    // Each octet that is put together costs, so that the limit of steps holds too.
    world.limits.memory = usize::MAX;
    world.limits.steps = 1000;
    assert!(world.run(&script, "\n")[0].contains("more steps"));
    let many: String = (0..=Limits::default().variables)
        .map(|n| format!("set \"v{n}\" \"\";"))
        .collect();
    assert!(refused(&format!("require \"variables\"; {many}")).contains("128 variables at most"));
}

#[test]
fn what_only_looks_like_references_takes_linear_time() {
    let text = "${a".repeat(300_000);
    let script = format!("require [\"variables\", \"encoded-character\"]; set \"a\" \"{text}\";");
    assert_eq!(World::new().run(&script, "\n"), ["keep"]);
}
