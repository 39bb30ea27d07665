//! Message rules and autoreplies by command, with and without a running server.

use super::support::Home;

const RULES: &str = r#"[[rule]]
name = "Invoices"
if = [{ subject.contains = "invoice" }]
then = [{ mark = "\\Seen" }, { move = "Money" }]
go-to = "Last"

[[rule]]
name = "Lists"
if = [{ from-list = true }]
then = [{ move = "Lists" }]

[[rule]]
name = "Last"
enabled = false
then = [{ keep = true }]
"#;

#[test]
fn rules_are_put_shown_exported_imported_and_removed_while_it_runs_and_when_it_is_down() {
    let home = Home::new();
    let server = home.start();
    let round = |whose: &[&str]| {
        let rules = |words: &[&str], input: &str| {
            let words = [&["rules"], words, whose].concat();
            home.run_with(&words, input)
        };
        assert_eq!(
            rules(&["list"], "").stderr,
            "error: there are no rules here\n"
        );
        let put = rules(&["put"], RULES);
        assert_eq!((put.code, put.stdout.as_str()), (0, "3 rules\n"), "{put:?}");
        assert_eq!(rules(&["show"], "").stdout, RULES);
        assert_eq!(
            rules(&["list"], "").stdout,
            "1  on   Invoices  then go to \"Last\"\n2  on   Lists\n3  off  Last\n"
        );
        let wrong = rules(
            &["put"],
            "[[rule]]\nname = \"x\"\nthen = [{ mov = \"y\" }]\n",
        );
        assert_eq!(
            (wrong.code, wrong.stderr.as_str()),
            (
                1,
                "error: line 3: \"mov\" is not known; did you mean \"move\"?\n"
            )
        );
        let wrong = "[[rule]]\nif = [{ body.regex = \"(\" }]\nthen = [{ keep = true }]\n";
        let wrong = rules(&["put"], wrong);
        assert!(wrong.stderr.starts_with("error: line 1: "), "{wrong:?}");
        let script = rules(&["export"], "").stdout;
        assert!(script.contains("# rule:[Invoices]\n"), "{script}");
        assert_eq!(rules(&["remove"], "").code, 0);
        assert_eq!(rules(&["import"], &script).stdout, "3 rules\n");
        assert_eq!(rules(&["export"], "").stdout, script);
        let odd = rules(&["import"], "if not hasflag \"x\" { keep; }\n");
        assert_eq!(
            odd.stderr,
            "error: line 1: hasflag can't be the condition of a rule\n"
        );
        assert_eq!(rules(&["remove"], "").stdout, "removed\n");
    };
    round(&["admin@example.test"]);
    round(&["--global"]);
    server.stop();
    round(&["--domain", "example.test"]);
    assert_eq!(home.run(&["rules", "list"]).code, 2);
    assert_eq!(
        home.run(&["rules", "list", "--domain", "other.test"]).code,
        1
    );
}

#[test]
fn an_autoreply_is_set_and_turned_off_while_it_runs_and_when_it_is_down() {
    let home = Home::new();
    let server = home.start();
    let ann = "admin@example.test";
    assert_eq!(home.ok(&["autoreply", ann]), "no autoreply is kept here\n");
    let nothing = home.run(&["autoreply", ann, "set", "--days", "3"]);
    assert_eq!(
        nothing.stderr,
        "error: line 1: text is missing: write what is answered\n"
    );
    let set = home.ok(&[
        "autoreply",
        ann,
        "set",
        "--text",
        "Back soon.",
        "--subject",
        "Away: ${subject}",
        "--until",
        "2027-01-06",
    ]);
    let kept = "until = \"2027-01-06\"\nsubject = \"Away: ${subject}\"\ntext = \"Back soon.\"\n";
    assert_eq!(set, kept);
    let early = home.run(&["autoreply", ann, "set", "--from", "2027-02-01"]);
    assert!(early.stderr.contains("before 2027-02-01"), "{early:?}");
    server.stop();
    assert_eq!(home.ok(&["autoreply", ann, "show"]), kept);
    let off = home.ok(&["autoreply", ann, "off"]);
    assert_eq!(off, format!("enabled = false\n{kept}"));
    assert_eq!(home.ok(&["autoreply", ann, "set"]), kept);
}
