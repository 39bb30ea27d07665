//! The examples of the RFCs whose extensions are small: copy, relational,
//! subaddress, ihave, environment, and the envelope's notices.

mod support;

use mailcore_sieve::engine::Compiler;

use support::{World, check, holds, refused};

#[test]
fn rfc_3894_a_copy_leaves_the_implicit_keep() {
    let script = r#"require ["fileinto", "copy"];
        if header :contains "X-Virus" "yes" { fileinto :copy "Backup"; redirect :copy "admin@example.com"; }"#;
    check(
        script,
        "X-Virus: yes\n\n",
        &["fileinto Backup", "redirect admin@example.com", "keep"],
    );
}

#[test]
fn rfc_5231_values_and_counts_are_compared() {
    const NUMERIC: &str = "comparator-i;ascii-numeric";
    let message = "To: a@example.com, b@example.com\nCc: c@example.com\nFrom: d@example.com\n\
        X-Priority: 4\nReceived: x\nReceived: y\nReceived: z\n\n";
    for (expected, test) in [
        (
            true,
            r#"address :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] ["3"]"#,
        ),
        (
            false,
            r#"address :count "gt" :comparator "i;ascii-numeric" ["to", "cc"] ["3"]"#,
        ),
        (
            true,
            r#"header :value "lt" :comparator "i;ascii-numeric" "x-priority" "10""#,
        ),
        (false, r#"header :value "lt" "x-priority" "10""#),
        (
            true,
            r#"header :count "eq" :comparator "i;ascii-numeric" "received" "3""#,
        ),
        (
            true,
            r#"header :count "lt" :comparator "i;ascii-numeric" "x-missing" "1""#,
        ),
        (true, r#"header :value "ne" "x-priority" "5""#),
        (true, r#"address :value "gt" :all "from" "c@""#),
    ] {
        assert_eq!(
            holds(&["relational", NUMERIC], test, message),
            expected,
            "{test}"
        );
    }
    assert!(
        refused("require \"relational\"; if header :count \"more\" \"a\" \"1\" {}")
            .contains("write one of \"gt\"")
    );
    assert!(
        refused("if header :comparator \"i;ascii-numeric\" \"a\" \"1\" {}")
            .contains("require \"comparator-i;ascii-numeric\"")
    );
}

#[test]
fn rfc_5233_addresses_have_a_user_and_a_detail() {
    let message = "From: ken+sieve@example.org\nTo: plain@example.org, empty+@example.org\n\n";
    let required = &["subaddress", "envelope", "relational"];
    for (expected, test) in [
        (true, r#"address :user "from" "ken""#),
        (true, r#"address :detail "from" "sieve""#),
        (true, r#"address :user "to" "plain""#),
        (true, r#"address :detail "to" """#),
        (true, r#"address :count "eq" :detail "to" "1""#),
        (true, r#"envelope :detail "to" "detail""#),
        (true, r#"envelope :user "to" "user""#),
        (false, r#"envelope :detail "from" """#),
    ] {
        assert_eq!(holds(required, test, message), expected, "{test}");
    }
}

#[test]
fn rfc_5463_a_script_asks_for_extensions_before_it_uses_them() {
    let script = r#"require ["ihave"];
        if ihave "fileinto" { fileinto "there"; }
        if ihave "vnd.example.none" { none :foo "bar"; } else { fileinto "missing"; }
        if allof (ihave ["fileinto", "vnd.example.none"], none :x "y") { discard; }
        if anyof (ihave "fileinto", none :x "y") { fileinto "either"; }"#;
    check(
        script,
        "\n",
        &["fileinto there", "fileinto missing", "fileinto either"],
    );
    check(
        "require \"ihave\";\nif not ihave \"vnd.example.none\" {\n  error \"can't go on\";\n}",
        "\n",
        &["error: test: line 3: can't go on"],
    );
    check(
        "require \"ihave\";\nif false {\n  fileinto \"x\";\n}\nif header :value \"lt\" \"a\" \"b\" {\n}\n",
        "\n",
        &[
            "error: test: line 5: `:value` needs `require \"relational\";` at the script's beginning",
        ],
    );
    check(
        "require \"ihave\";\nif ihave \"variables\" { discard; }",
        "\n",
        &["keep"],
    );
    let world = World {
        compiler: Compiler::new().without("fileinto"),
        ..World::new()
    };
    assert_eq!(
        world.run(
            "require \"ihave\"; if ihave \"fileinto\" { fileinto \"x\"; } else { discard; }",
            "\n"
        ),
        ["discard"]
    );
}

#[test]
fn rfc_5183_the_surroundings_are_tested() {
    let mut world = World::new();
    world.environment.session.ip = Some("192.0.2.7".parse().expect("an address"));
    world
        .environment
        .items
        .push(("vnd.mailcore.x".into(), "y".into()));
    let run = |test: &str| {
        let script = format!(
            "require [\"environment\", \"relational\"]; if environment {test} {{ discard; }}"
        );
        world.run(&script, "\n") == ["discard"]
    };
    for (expected, test) in [
        (true, r#""domain" "example.com""#),
        (true, r#""host" "mx.example.com""#),
        (true, r#""location" "MDA""#),
        (true, r#""phase" "during""#),
        (true, r#""name" "mailcore""#),
        (true, r#":matches "version" "*.*""#),
        (true, r#""remote-ip" "192.0.2.7""#),
        (true, r#":contains "remote-host" """#),
        (true, r#":count "eq" "remote-host" "0""#),
        (true, r#":count "eq" "domain" "1""#),
        (true, r#""vnd.mailcore.X" "y""#),
        (false, r#":contains "vnd.mailcore.nothing" """#),
        (false, r#":count "eq" "nothing" "0""#),
    ] {
        assert_eq!(run(test), expected, "{test}");
    }
}

#[test]
fn rfc_6009_notices_of_delivery_are_tested_and_asked_for() {
    let mut world = World::new();
    world.environment.envelope.notify = Some("SUCCESS,FAILURE".into());
    world.environment.envelope.orcpt = Some("rfc822;first@example.net".into());
    world.environment.envelope.ret = Some("HDRS".into());
    world.environment.envelope.envid = Some("QQ314159".into());
    let script = r#"require ["envelope", "envelope-dsn", "redirect-dsn"];
        if allof (
            envelope "notify" "FAILURE",
            not envelope "notify" "NEVER",
            envelope :all "orcpt" "rfc822;first@example.net",
            envelope :localpart "orcpt" "first",
            envelope "ret" "hdrs",
            envelope "envid" "QQ314159"
        ) { redirect :notify "delay,failure" :ret "FULL" "elsewhere@example.com"; }"#;
    assert_eq!(
        world.run(script, "\n"),
        ["redirect elsewhere@example.com notify=DELAY,FAILURE ret=FULL"]
    );
    assert!(
        refused("require \"redirect-dsn\"; redirect :notify \"SOON\" \"a@b.example\";")
            .contains("NEVER")
    );
    assert!(
        refused("require \"envelope\"; if envelope \"ret\" \"FULL\" {}")
            .contains("require \"envelope-dsn\"")
    );
}
