//! Rules at work: as a tree, as exported text, and as people mean them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::*;
use super::generated::sets;
use crate::autoreply::AutoReply;
use crate::engine::ast::Value;
use crate::engine::{
    Action as Done, Answer, Compiler, Environment, Event, Limits, Outcome, PlainMail, Program, Run,
    Step,
};

fn world() -> Environment {
    let mut environment = Environment::new(Event::Delivery);
    environment.envelope.from = Some("ann+list@example.net".to_owned());
    environment.envelope.to = Some("user@example.com".to_owned());
    environment.addresses = vec!["user@example.com".to_owned()];
    environment.spam = Some(0.7);
    environment.virus = Some(1);
    // 2026-11-22T12:00:00Z, a Sunday.
    environment.now = 1_795_348_800;
    environment
}

fn run(program: Program, mail: &str) -> Result<Outcome, String> {
    let mail = PlainMail::new(mail.replace('\n', "\r\n").into_bytes());
    let (world, limits) = (world(), Limits::default());
    let mut run = Run::new(Arc::new(program), &mail, &world, &limits);
    let mut answer = None;
    loop {
        match run.step(answer.take()).map_err(|error| error.words)? {
            Step::Ask(_) => answer = Some(Answer::No),
            Step::Done(outcome) => return Ok(outcome),
        }
    }
}

fn rules(set: &RuleSet) -> Program {
    let program = Compiler::new().compile_script("rules", &set.script());
    program.unwrap_or_else(|error| panic!("{error}\n{}", set.script()))
}

fn exported(set: &RuleSet) -> Program {
    let text = set.script().to_string();
    let program = Compiler::new().compile("rules", text.as_bytes());
    program.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Sets whose extensions are all compiled in.
fn runnable() -> impl Strategy<Value = RuleSet> {
    let known = Compiler::new().extensions();
    sets().prop_filter("an extension is not compiled in", move |set| {
        let script = set.script();
        let mut names = script.commands.iter().filter(|it| it.name == "require");
        names.all(
            |require| match require.arguments.first().map(|it| &it.value) {
                Some(Value::Text(name)) => known.contains(&name.as_str()),
                Some(Value::List(names)) => names.iter().all(|it| known.contains(&it.as_str())),
                _ => true,
            },
        )
    })
}

/// The folders that it is filed to.
fn folders(outcome: &Outcome) -> Vec<String> {
    let filed = outcome.actions.iter().filter_map(|action| match action {
        Done::FileInto(filed) => Some(filed.place.mailbox.clone()),
        _ => None,
    });
    filed.collect()
}

fn mails() -> impl Strategy<Value = String> {
    let word = select(vec![
        "a",
        "invoice",
        "b",
        "x y",
        "ann+list@example.net",
        "счёт1",
    ]);
    let field = select(vec![
        "Subject", "X-A", "X-B", "From", "To", "Cc", "List-Id", "Date",
    ]);
    let body = select(vec!["aab and 123\n", "x\n", ""]);
    (vec((field, word), 0..6), body).prop_map(|(fields, body)| {
        let lines = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        format!(
            "To: user@example.com\n{}\n{body}",
            lines.collect::<String>()
        )
    })
}

/// Conditions that the test itself can judge.
fn plain_conditions() -> impl Strategy<Value = Condition> {
    let make = |(not, test)| Condition { not, test };
    let how = select(vec![How::Is, How::Contains, How::Begins, How::Ends]);
    let field = select(vec!["subject", "x-a", "x-b"]);
    let value = select(vec!["a", "b", "invoice", "x"]);
    let text = (field, how, value).prop_map(|(field, how, value)| {
        let subject = Subject::Header(vec![field.to_owned()]);
        Test::Text(subject, how, vec![value.to_owned()])
    });
    let lone = (any::<bool>(), text).prop_map(make);
    lone.prop_recursive(3, 8, 3, move |inner| {
        let join = select(vec![Join::All, Join::Any]);
        let group = (join, vec(inner, 1..4)).prop_map(|(join, of)| Test::Group(join, of));
        (any::<bool>(), group).prop_map(make)
    })
}

/// Rules that each leave a copy in a folder with their number.
fn plain_sets() -> impl Strategy<Value = RuleSet> {
    let join = select(vec![Join::All, Join::Any]);
    let rule = (vec(plain_conditions(), 0..4), join, 0u8..8, 0usize..8);
    vec(rule, 0..8).prop_map(|drawn| {
        let count = drawn.len();
        let rules = drawn.into_iter().enumerate();
        let rules = rules.map(|(index, (conditions, join, on, next))| {
            let copy = Action::Copy(index.to_string(), Missing::Create);
            let mut rule = Rule::new(format!("r{index}"), conditions, vec![copy]);
            (rule.join, rule.enabled) = (join, on > 0);
            rule.next = match next {
                0 => Next::Stop,
                by @ 1..=4 if index + by < count => Next::GoTo(format!("R{}", index + by)),
                _ => Next::Continue,
            };
            rule.sorted()
        });
        RuleSet::new(rules.collect())
    })
}

fn meant(condition: &Condition, fields: &[(String, String)]) -> bool {
    let holds = match &condition.test {
        Test::Group(join, of) => joined(*join, of, fields),
        Test::Text(Subject::Header(names), how, texts) => fields.iter().any(|(name, value)| {
            let like = |text: &String| match how {
                How::Is => value == text,
                How::Contains => value.contains(text.as_str()),
                How::Begins => value.starts_with(text.as_str()),
                How::Ends => value.ends_with(text.as_str()),
                _ => false,
            };
            names.contains(name) && texts.iter().any(like)
        }),
        _ => false,
    };
    holds != condition.not
}

fn joined(join: Join, of: &[Condition], fields: &[(String, String)]) -> bool {
    let mut of = of.iter();
    match join {
        Join::All => of.all(|it| meant(it, fields)),
        Join::Any => of.any(|it| meant(it, fields)),
    }
}

/// The rules that fire, by the words of their documentation.
fn fired(set: &RuleSet, mail: &str) -> Vec<String> {
    let header = mail.split("\n\n").next().unwrap();
    let fields = header.lines().filter_map(|line| line.split_once(": "));
    let fields: Vec<(String, String)> = fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let (mut index, mut fired) = (0, Vec::new());
    while let Some(rule) = set.rules.get(index) {
        let holds = rule.enabled && joined(rule.join, &rule.conditions, &fields);
        index += 1;
        if !holds {
            continue;
        }
        fired.push((index - 1).to_string());
        match &rule.next {
            Next::Continue => {}
            Next::Stop => break,
            Next::GoTo(name) => {
                let goal = |rule: &Rule| rule.name.eq_ignore_ascii_case(name);
                index = set.rules.iter().position(goal).unwrap();
            }
        }
    }
    fired
}

proptest! {
    #[test]
    fn rules_and_their_exported_script_come_to_the_same(set in runnable(), mail in mails()) {
        let (as_rules, as_text) = (run(rules(&set), &mail), run(exported(&set), &mail));
        prop_assert_eq!(as_rules, as_text, "{}", set.script());
    }

    #[test]
    fn rules_fire_in_their_order_and_go_on_where_they_say(
        set in plain_sets(),
        mail in mails(),
    ) {
        let outcome = run(rules(&set), &mail).unwrap();
        prop_assert_eq!(folders(&outcome), fired(&set, &mail), "{}\n{}", set, mail);
        prop_assert!(outcome.implicit_keep);
    }

    #[test]
    fn no_set_fails_for_what_its_rules_do_together(set in runnable(), mail in mails()) {
        if let Err(words) = run(rules(&set), &mail) {
            // What one message may cause is limited, however many rules want it.
            prop_assert!(words.contains("more than"), "{words}\n{}", set.script());
        }
    }
}

const MAIL: &str = "From: bob@example.net\nTo: user@example.com\nSubject: Hi\n\nHello\n";

fn done(set: &RuleSet) -> Vec<Done> {
    run(rules(set), MAIL).unwrap().actions
}

#[test]
fn one_rule_answers_and_it_is_the_first() {
    let set = RuleSet::parse(
        "[[rule]]\nname = \"a\"\nthen = [{ reply = \"One about ${subject}\", subject = \"S\" }]\n\
         [[rule]]\nname = \"b\"\nthen = [{ reply = \"Two\" }]\n",
    );
    let set = set
        .unwrap()
        .with_autoreply(&AutoReply::new(Reply::new("Three")));
    let answers = done(&set).into_iter().filter_map(|action| match action {
        Done::Vacation(vacation) => Some(vacation.reason),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), ["One about Hi"]);
}

#[test]
fn what_is_filed_is_refused_no_more() {
    let text = |first: &str| {
        format!(
            "[[rule]]\nname = \"a\"\nif = [{{ subject.is = \"{first}\" }}]\n\
             then = [{{ move = \"A\" }}]\n\
             [[rule]]\nname = \"b\"\nthen = [{{ reject = \"no\" }}]\n"
        )
    };
    let filed = RuleSet::parse(&text("hi")).unwrap();
    assert!(matches!(done(&filed).as_slice(), [Done::FileInto(_)]));
    let refused = RuleSet::parse(&text("other")).unwrap();
    assert!(matches!(done(&refused).as_slice(), [Done::Reject(_)]));
}

#[test]
fn an_autoreply_answers_within_its_days_and_after_rules_that_stop() {
    let mut away = AutoReply::new(Reply::new("Away."));
    let rules = "[[rule]]\nname = \"a\"\nthen = [{ move = \"A\" }]\nnext = \"stop\"\n";
    let answers = |away: &AutoReply| {
        let set = RuleSet::parse(rules).unwrap().with_autoreply(away);
        let is_answer = |action: &Done| matches!(action, Done::Vacation(_));
        done(&set).iter().any(is_answer)
    };
    assert!(answers(&away));
    away.from = Some("2026-11-22".to_owned());
    away.until = Some("2026-11-22".to_owned());
    assert!(answers(&away));
    away.from = Some("2026-11-23".to_owned());
    away.until = None;
    assert!(!answers(&away));
    away.from = None;
    away.until = Some("2026-11-21".to_owned());
    assert!(!answers(&away));
}

#[test]
fn marks_tags_and_names_are_seen_by_what_comes_after() {
    let set = RuleSet::parse(
        "[[rule]]\nname = \"a\"\nthen = [{ move = \"A ${x}\" }, { mark = \"\\\\Seen\" },\n\
         { tag-subject = \"[x]\" }]\n\
         [[rule]]\nname = \"b\"\nif = [{ subject.is = \"[x] Hi\" }]\nthen = [{ copy = \"B\" }]\n",
    );
    let set = set.unwrap();
    let filed = done(&set).into_iter().filter_map(|action| match action {
        Done::FileInto(filed) => Some((filed.place.mailbox, filed.place.flags, filed.form)),
        _ => None,
    });
    let flags = vec!["\\Seen".to_owned()];
    let wanted = [
        ("A ${x}".to_owned(), flags.clone(), 1),
        ("B".to_owned(), flags, 1),
    ];
    assert_eq!(filed.collect::<Vec<_>>(), wanted);
}
