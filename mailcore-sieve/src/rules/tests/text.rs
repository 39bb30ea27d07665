//! The text of rules.

use proptest::prelude::*;

use super::super::*;
use super::generated::sets;

const TEXT: &str = r#"
[[rule]]
name = "Invoices"
match = "any"
if = [
    { subject.contains = ["invoice", "bill"] },
    { not.from.domain.is = "example.org" },
    { all = [{ size.over = "1MB" }, { attachment.name.matches = "*.pdf" }] },
]
then = [
    { move = "Money/Invoices" },
    { mark = "\\Seen" },
    { forward = "books@example.org", keep = true },
]
go-to = "Last"

[[rule]]
name = "Holidays"
enabled = false
if = [{ date.from = 2026-12-24 }, { time.until = "18:00" }, { weekday = ["fri", "mon"] }]
then = [{ reply = """
We are away.
Your ${subject} waits.
""", subject = "Away", days = 3 }]
next = "stop"

[[rule]]
name = "Last"
then = [{ keep = true }]
"#;

#[test]
fn rules_are_read_as_people_write_them() {
    let set = RuleSet::parse(TEXT).unwrap();
    let [invoices, holidays, last] = set.rules.as_slice() else {
        panic!("{set:?}");
    };
    assert_eq!((invoices.join, invoices.enabled), (Join::Any, true));
    assert_eq!(invoices.next, Next::GoTo("Last".to_owned()));
    let from = Subject::Address(vec!["from".to_owned()], Part::Domain);
    let domain = Test::Text(from, How::Is, vec!["example.org".to_owned()]);
    assert_eq!(invoices.conditions[1], Condition::not(domain));
    // What marks the message stands before what files it.
    assert_eq!(invoices.actions[0], Action::Mark(vec!["\\Seen".to_owned()]));
    let pdf = Test::Text(Subject::AttachmentName, How::Ends, vec![".pdf".to_owned()]);
    let large = Test::Size(SizeBound::Over, 1_000_000);
    let both = vec![Condition::is(large), Condition::is(pdf)];
    assert_eq!(invoices.conditions[2].test, Test::Group(Join::All, both));
    assert!(!holidays.enabled);
    assert_eq!(holidays.next, Next::Stop);
    let time = Test::Time(TimeBound::Until, "18:00:00".to_owned());
    assert_eq!(holidays.conditions[1], Condition::is(time));
    let days = Test::Weekday(vec![Weekday::Monday, Weekday::Friday]);
    assert_eq!(holidays.conditions[2], Condition::is(days));
    assert_eq!(last.actions, [Action::Keep]);
}

#[test]
fn everything_that_is_wrong_is_said_with_its_line() {
    let text = r#"[[rule]]
name = "a"
then = [{ mov = "X" }]
[[rule]]
name = "b"
if = [{ subjekt.contains = "x" },
      { subject.contans = "x" },
      { size.over = "1 parsec" }]
then = [{ forward = "a@b.test", to = 1 }]
next = "halt"
colour = "red"
[[rules]]
"#;
    let said = RuleSet::parse(text).unwrap_err().to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "line 3: \"mov\" is not known; did you mean \"move\"?",
            "line 6: \"subjekt\" is not known; did you mean \"subject\"?",
            "line 7: subject: \"contans\" is not known; did you mean \"contains\"?",
            "line 8: \"1 parsec\" is not a size such as 100kB, 5MB or 1GiB",
            "line 9: \"to\" is not known; there are keep, forward",
            "line 10: next: \"halt\" is not known; there are continue, stop",
            "line 11: \"colour\" is not known; there are name, enabled, match, if, then, next, go-to",
            "line 12: \"rules\" is not known; did you mean \"rule\"?",
        ]
    );
}

#[test]
fn rules_go_on_downward_only_and_have_names_of_their_own() {
    let rule = |name: &str, goal: &str| {
        format!("[[rule]]\nname = \"{name}\"\nthen = [{{ keep = true }}]\ngo-to = \"{goal}\"\n")
    };
    let text = [
        rule("a", "b"),
        rule("b", "a"),
        rule("B", "B"),
        rule("c", "none"),
    ]
    .concat();
    let said = RuleSet::parse(&text).unwrap_err().to_string();
    assert!(said.contains("line 5: go-to: \"a\" stands above"), "{said}");
    assert!(
        said.contains("line 9: there is a rule \"B\" already"),
        "{said}"
    );
    assert!(
        said.contains("line 13: go-to: there is no rule \"none\""),
        "{said}"
    );
}

#[test]
fn texts_speak_only_of_what_is_known() {
    let text = "[[rule]]\nthen = [{ reply = \"${subject} ${1} ${dollar}\" }]\n";
    let said = RuleSet::parse(text).unwrap_err().to_string();
    assert!(said.starts_with("line 1: texts know no ${1}"), "{said}");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |levels| {
        let (open, close) = (
            "{ any = [{ attachment = true }, ".repeat(levels),
            "] }".repeat(levels),
        );
        format!(
            "[[rule]]\nif = [{{ from-list = true }}, {open}{{ from-list = true }}{close}]\nthen = [{{ keep = true }}]"
        )
    };
    assert!(RuleSet::parse(&deep(MAX_NESTING)).is_ok());
    assert!(RuleSet::parse(&deep(MAX_NESTING + 1)).is_err());
    assert!(RuleSet::parse(&deep(10_000)).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_rules(set in sets()) {
        let text = set.to_string();
        let read = RuleSet::parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&set), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}", tail in "\\PC{0,40}") {
        let _ = RuleSet::parse(&text);
        let _ = RuleSet::parse(&format!("[[rule]]\nif = [{tail}]\nthen = [{text}]"));
    }
}
