//! Sets of rules by chance.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::*;

/// Texts with what is special somewhere: to patterns, TOML, Sieve and variables.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,6}( [a-z]{1,4})?",
        1 => "[a-zA-Z*?\\\\\"${}.+-]{1,8}",
        1 => Just("${subject}".to_owned()),
        1 => Just("счёт*".to_owned()),
    ]
}

fn values() -> impl Strategy<Value = Vec<String>> {
    vec(value(), 1..3)
}

fn field() -> impl Strategy<Value = String> {
    select(vec!["subject", "x-a", "x-b", "from", "list-id", "received"]).prop_map(str::to_owned)
}

fn address() -> impl Strategy<Value = String> {
    select(vec![
        "boss@example.org",
        "ann+list@example.net",
        "o'x?=1@sub.example.com",
    ])
    .prop_map(str::to_owned)
}

/// What may be written into a text that speaks of the message.
fn template() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z \"\\\\.]{0,10}[a-z]",
        "[a-z]{1,4} \\$\\{(subject|from|to|date|dollar)\\}[a-z]{0,3}",
        Just("costs ${ 5 $$ {x}".to_owned()),
    ]
}

fn lines() -> impl Strategy<Value = String> {
    prop_oneof![
        template(),
        (template(), template()).prop_map(|(a, b)| format!("{a}\n.\n\n..{b}\n")),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    select(vec![Part::All, Part::User, Part::Domain])
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        3 => Just(Subject::Header(vec!["subject".to_owned()])),
        2 => vec(field(), 1..3).prop_map(Subject::Header),
        2 => (select(vec![vec!["from"], vec!["to", "cc"], vec!["x-a", "sender"]]), part())
            .prop_map(|(names, part)| {
                Subject::Address(names.into_iter().map(str::to_owned).collect(), part)
            }),
        1 => part().prop_map(Subject::Sender),
        1 => part().prop_map(Subject::Recipient),
        1 => Just(Subject::Body),
        1 => Just(Subject::AttachmentName),
        1 => Just(Subject::AttachmentType),
        1 => Just(Subject::Finding("dnsbl".to_owned())),
    ]
}

fn how() -> impl Strategy<Value = How> {
    select(vec![
        How::Is,
        How::Contains,
        How::Begins,
        How::Ends,
        How::Matches,
    ])
}

fn lone() -> impl Strategy<Value = Test> {
    let bound = select(vec![TimeBound::From, TimeBound::Until]);
    let days: Vec<Weekday> = Weekday::ALL.iter().map(|(_, day)| *day).collect();
    prop_oneof![
        8 => (subject(), how(), values()).prop_map(|(of, how, values)| Test::Text(of, how, values)),
        1 => select(vec!["^a+b", "[0-9]{3}$", "x|y"])
            .prop_map(|it| Test::Text(Subject::Body, How::Regex, vec![it.to_owned()])),
        1 => vec(field(), 1..3).prop_map(Test::Exists),
        1 => Just(Test::FromList),
        1 => (select(vec![SizeBound::Over, SizeBound::Under]), 0u64..5_000)
            .prop_map(|(bound, octets)| Test::Size(bound, octets)),
        1 => Just(Test::Size(SizeBound::Over, 1 << 20)),
        1 => Just(Test::Attachment),
        1 => (select(vec![SpamBound::AtLeast, SpamBound::Below]), 0u8..=100)
            .prop_map(|(bound, percent)| Test::Spam(bound, percent)),
        1 => select(vec![Virus::Untested, Virus::Clean, Virus::Infected]).prop_map(Test::Virus),
        1 => (bound.clone(), select(vec!["2026-02-28", "2026-12-24"]))
            .prop_map(|(bound, day)| Test::Date(bound, day.to_owned())),
        1 => (bound, select(vec!["06:30:00", "18:00:00"]))
            .prop_map(|(bound, time)| Test::Time(bound, time.to_owned())),
        1 => subsequence(days, 1..7).prop_map(Test::Weekday),
    ]
}

fn join() -> impl Strategy<Value = Join> {
    select(vec![Join::All, Join::Any])
}

fn condition() -> impl Strategy<Value = Condition> {
    let make = |(not, test)| {
        if not {
            Condition::not(test)
        } else {
            Condition::is(test)
        }
    };
    let lone = (any::<bool>(), lone()).prop_map(make);
    lone.prop_recursive(3, 8, 3, move |inner| {
        let group = (join(), vec(inner, 1..3)).prop_map(|(join, of)| Test::Group(join, of));
        (any::<bool>(), group).prop_map(make)
    })
}

fn reply() -> impl Strategy<Value = Action> {
    let head = (option::of(template()), option::of(0u64..40));
    (head, lines(), vec(address(), 0..3)).prop_map(|((subject, days), text, addresses)| {
        let mut reply = Reply::new(text);
        (reply.subject, reply.days, reply.addresses) = (subject, days, addresses);
        Action::Reply(reply)
    })
}

fn action() -> impl Strategy<Value = Action> {
    let missing = select(vec![Missing::Create, Missing::Inbox]);
    prop_oneof![
        1 => Just(Action::Keep),
        1 => Just(Action::Delete),
        3 => (value(), missing.clone()).prop_map(|(name, it)| Action::Move(name, it)),
        1 => (value(), missing).prop_map(|(name, it)| Action::Copy(name, it)),
        2 => vec(select(vec!["\\Seen", "\\Flagged", "$work"]), 1..3)
            .prop_map(|flags| Action::Mark(flags.into_iter().map(str::to_owned).collect())),
        1 => (address(), any::<bool>()).prop_map(|(to, keep)| Action::Forward { to, keep }),
        1 => reply(),
        1 => (address(), option::of(template()))
            .prop_map(|(to, text)| Action::Notify { to, text }),
        1 => template().prop_map(|value| Action::AddHeader { name: "X-Rule".to_owned(), value }),
        1 => Just(Action::RemoveHeader("x-a".to_owned())),
        1 => value().prop_map(Action::TagSubject),
        1 => (vec(value(), 0..3), lines()).prop_map(|(names, text)| Action::Strip { names, text }),
    ]
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    prop_oneof![
        6 => vec(action(), 1..4),
        1 => lines().prop_map(|reason| vec![Action::Reject(reason)]),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let conditions = vec(condition(), 0..3);
    let then = (actions(), 0u8..6);
    let name = select(vec!["Invoices", "a]b", "${goto}", "От друзей", "x \"y\""]);
    (0u8..8, join(), conditions, then, name).prop_map(|(off, join, conditions, then, name)| {
        let (actions, next) = then;
        let mut rule = Rule::new(name, conditions, actions);
        rule.enabled = off > 0;
        rule.join = if rule.conditions.is_empty() {
            Join::All
        } else {
            join
        };
        rule.next = if next == 0 {
            Next::Stop
        } else {
            Next::Continue
        };
        rule.sorted()
    })
}

/// Sets that check finds nothing wrong with.
pub(crate) fn sets() -> impl Strategy<Value = RuleSet> {
    vec((rule(), option::weighted(0.4, 1usize..4)), 0..6).prop_map(|drawn| {
        let (mut rules, jumps): (Vec<Rule>, Vec<Option<usize>>) = drawn.into_iter().unzip();
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("{} {index}", rule.name);
        }
        let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
        for (index, (rule, jump)) in rules.iter_mut().zip(jumps).enumerate() {
            let goal = jump.and_then(|by| names.get(index + by));
            if let Some(goal) = goal.filter(|_| rule.next == Next::Continue) {
                rule.next = Next::GoTo(goal.clone());
            }
        }
        let set = RuleSet::new(rules);
        set.check().unwrap();
        set
    })
}
