//! Rules as Sieve, and back.

use proptest::prelude::*;

use super::super::*;
use super::generated::sets;

/// What Roundcube's filters look like.
const OTHERS: &str = r#"require ["copy","fileinto","imap4flags","vacation"];
# rule:[Lists]
if anyof (header :contains ["to","cc"] "dev@lists.example", exists "list-id")
{
	addflag "\\Seen";
	fileinto "Lists";
	stop;
}
# rule:[Off for now]
if false # allof (not size :over 10K, header :is "subject" "x")
{
	discard;
}
# rule:[Everything]
if true
{
	redirect :copy "ann@example.net";
}
vacation :days 3 :subject "Away" "I am away: ${subject}";
"#;

#[test]
fn scripts_of_other_programs_become_rules() {
    let set = RuleSet::import(OTHERS).unwrap();
    assert_eq!(
        set.to_string(),
        r#"[[rule]]
name = "Lists"
match = "any"
if = [
    { header."to, cc".contains = "dev@lists.example" },
    { exists = "list-id" },
]
then = [
    { mark = "\\Seen" },
    { move = "Lists", create = false },
]
next = "stop"

[[rule]]
name = "Off for now"
enabled = false
if = [
    { not.size.over = "10KiB" },
    { subject.is = "x" },
]
then = [
    { delete = true },
]

[[rule]]
name = "Everything"
then = [
    { forward = "ann@example.net", keep = true },
]

[[rule]]
name = "Rule 4"
then = [
    { reply = "I am away: ${dollar}{subject}", subject = "Away", days = 3 },
]
"#
    );
}

#[test]
fn what_can_be_no_rule_is_said_with_its_line() {
    let said = |script: &str| RuleSet::import(script).unwrap_err().to_string();
    let script = "if header :is \"a\" \"b\" { keep; }\nelsif true { discard; }\n\
                  if hasflag \"x\" { keep; }\nif true { fileinto :flags \"x\" \"y\"; }\n\
                  if header :comparator \"i;octet\" \"a\" \"b\" { keep; }\n\
                  set \"x\" \"y\";\n";
    assert_eq!(
        said(script),
        "line 2: elsif can't be a rule: make it an if of its own\n\
         line 3: hasflag can't be the condition of a rule\n\
         line 4: fileinto :flags can't be written as a rule\n\
         line 5: header compares by i;octet, which rules don't\n\
         line 6: set can't be the action of a rule"
    );
    assert!(said("if true {\n keep;").starts_with("line 1: column 9"));
}

#[test]
fn a_rule_is_passed_over_by_those_that_go_on_further_down() {
    let text = "[[rule]]\nname = \"a\"\nif = [{ from-list = true }]\ngo-to = \"c\"\n\
                [[rule]]\nname = \"b\"\nthen = [{ delete = true }]\n\
                [[rule]]\nname = \"c\"\nthen = [{ mark = \"$seen\" }]\n";
    let script = RuleSet::parse(text).unwrap().script().to_string();
    let wanted = r#"require ["imap4flags", "variables"];

# rule:[a]
if header :contains ["list-id", "list-post"] "" {
    set "goto" "c";
}

# rule:[b]
if string :is "${goto}" "" {
    discard;
}

# rule:[c]
if string :is "${goto}" "c" {
    set "goto" "";
}
if true {
    addflag "$seen";
}
"#;
    assert_eq!(script.replace("\r\n", "\n"), wanted);
}

proptest! {
    #[test]
    fn rules_come_back_from_their_script(set in sets()) {
        let script = set.script().to_string();
        let back = RuleSet::import(&script);
        prop_assert_eq!(back.as_ref(), Ok(&set), "{}", script);
    }

    #[test]
    fn any_script_is_imported_or_refused(text in "\\PC{0,60}", set in sets(), cut in 0usize..2000) {
        let _ = RuleSet::import(&text);
        let script = set.script().to_string();
        let cut: String = script.chars().take(cut).collect();
        let _ = RuleSet::import(&cut);
    }
}
