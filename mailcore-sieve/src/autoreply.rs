//! The autoresponder: what an account answers while its owner is away.
//!
//! It is a rule behind all others ([`AutoReply::rule`]) and so vacation's: who is
//! answered, how often, and that nothing loops is decided there (RFC 3834, RFC
//! 5230 section 4).

use std::fmt;

use crate::rules::toml_text::{Reader, string, strings};
use crate::rules::{
    Action, Condition, Next, Problem, Problems, Reply, Rule, RuleSet, Test, TimeBound,
};

/// The setting of an account that it is kept in.
pub const SETTING: &str = "autoreply";
/// What the rule is called, unless another is.
const NAME: &str = "Autoreply";
const KEYS: [&str; 7] = [
    "enabled",
    "from",
    "until",
    "days",
    "subject",
    "text",
    "addresses",
];
/// What is answered, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoReply {
    /// False for one that is kept for the next time.
    pub enabled: bool,
    /// The first day, `2026-12-24`, in the server's time zone; without one it has
    /// begun.
    pub from: Option<String>,
    /// The last day; without one it does not end.
    pub until: Option<String>,
    /// The answer. Its days are those for which the same sender gets no other one,
    /// its addresses those at which mail is answered beside the account's own.
    pub reply: Reply,
}

impl AutoReply {
    /// Answers everybody from now on.
    pub fn new(reply: Reply) -> Self {
        Self {
            enabled: true,
            from: None,
            until: None,
            reply,
        }
    }

    /// Reads the text that [`fmt::Display`] writes.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let (mut reader, table) = Reader::new(text);
        reader.unknown_keys(&table, &KEYS);
        let mut found = Self::new(Reply::default());
        for (key, value) in &table {
            let key = key.get_ref().as_ref();
            match key {
                "enabled" => found.enabled = reader.truth(value, key).unwrap_or_default(),
                "from" => found.from = reader.string(value, key),
                "until" => found.until = reader.string(value, key),
                "days" => found.reply.days = reader.number(value, key),
                "subject" => found.reply.subject = reader.string(value, key),
                "text" => found.reply.text = reader.string(value, key).unwrap_or_default(),
                "addresses" => {
                    found.reply.addresses = reader.strings(value, key).unwrap_or_default();
                }
                _ => {}
            }
        }
        Problems::unless(reader.problems, ())?;
        found.check()?;
        Ok(found)
    }

    /// Checks one that was put together by a program.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self) -> Result<(), Problems> {
        let set = RuleSet::new(vec![self.rule()]);
        let order = match (&self.from, &self.until) {
            (Some(from), Some(until)) if from > until => Some(Problem::new(
                1,
                format!("it ends on {until}, before {from}"),
            )),
            _ => None,
        };
        if self.reply.text.trim().is_empty() {
            // The rule's own words for it would speak of rules.
            let words = "text is missing: write what is answered";
            return Problems::unless(vec![Problem::new(1, words)], ());
        }
        set.check()?;
        Problems::unless(order.into_iter().collect(), ())
    }

    /// The rule that it is.
    pub fn rule(&self) -> Rule {
        let date = |bound, day: &Option<String>| {
            let test = day.clone().map(|day| Test::Date(bound, day));
            test.map(Condition::is)
        };
        let conditions = [
            date(TimeBound::From, &self.from),
            date(TimeBound::Until, &self.until),
        ];
        let conditions = conditions.into_iter().flatten().collect();
        let mut rule = Rule::new(NAME, conditions, vec![Action::Reply(self.reply.clone())]);
        rule.enabled = self.enabled;
        rule
    }
}

impl RuleSet {
    /// These rules and an autoreply behind them. Where a rule stops, the autoreply
    /// is all that still comes; mail that was dropped or refused there gets none.
    #[must_use]
    pub fn with_autoreply(mut self, autoreply: &AutoReply) -> Self {
        let mut last = autoreply.rule();
        while self
            .rules
            .iter()
            .any(|it| it.name.eq_ignore_ascii_case(&last.name))
        {
            last.name.push('*');
        }
        for rule in &mut self.rules {
            let gone = |action: &Action| matches!(action, Action::Delete | Action::Reject(_));
            if rule.next == Next::Stop && !rule.actions.iter().any(gone) {
                rule.next = Next::GoTo(last.name.clone());
            }
        }
        self.rules.push(last);
        self
    }
}

impl fmt::Display for AutoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            writeln!(f, "enabled = false")?;
        }
        for (key, value) in [
            ("from", &self.from),
            ("until", &self.until),
            ("subject", &self.reply.subject),
        ] {
            if let Some(value) = value {
                writeln!(f, "{key} = {}", string(value))?;
            }
        }
        if let Some(days) = self.reply.days {
            writeln!(f, "days = {days}")?;
        }
        if !self.reply.addresses.is_empty() {
            writeln!(f, "addresses = {}", strings(&self.reply.addresses))?;
        }
        writeln!(f, "text = {}", string(&self.reply.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
from = 2026-12-24
until = "2027-01-06"
subject = "Away: ${subject}"
days = 3
addresses = "ann@old.example"
text = """
I am away.
Ann
"""
"#;

    #[test]
    fn an_autoreply_is_read_and_written() {
        let read = AutoReply::parse(TEXT).unwrap();
        assert_eq!(read.from.as_deref(), Some("2026-12-24"));
        assert_eq!(read.reply.text, "I am away.\nAnn\n");
        assert_eq!(read.reply.days, Some(3));
        assert!(read.enabled);
        assert_eq!(AutoReply::parse(&read.to_string()), Ok(read.clone()));
        let off = AutoReply {
            enabled: false,
            ..read
        };
        assert_eq!(AutoReply::parse(&off.to_string()), Ok(off));
    }

    #[test]
    fn what_is_wrong_with_an_autoreply_is_said() {
        let wrong = |text: &str| AutoReply::parse(text).unwrap_err().to_string();
        assert_eq!(
            wrong("days = 3\ntxet = \"x\""),
            "line 2: \"txet\" is not known; did you mean \"text\"?"
        );
        assert_eq!(
            wrong("days = 3"),
            "line 1: text is missing: write what is answered"
        );
        assert_eq!(
            wrong("text = \"x\"\nfrom = \"24.12.2026\""),
            "line 1: \"24.12.2026\" is not a day such as \"2026-12-24\""
        );
        assert_eq!(
            wrong("text = \"x\"\nfrom = 2026-12-24\nuntil = 2026-12-01"),
            "line 1: it ends on 2026-12-01, before 2026-12-24"
        );
        assert!(wrong("text = \"x\"\naddresses = \"ann\"").contains("is not an address"));
    }

    #[test]
    fn rules_that_stop_leave_the_autoreply_its_turn_unless_the_mail_is_gone() {
        let rules = RuleSet::parse(
            "[[rule]]\nname = \"a\"\nthen = [{ move = \"A\" }]\nnext = \"stop\"\n\
             [[rule]]\nname = \"b\"\nthen = [{ delete = true }]\nnext = \"stop\"\n\
             [[rule]]\nname = \"autoreply\"\nthen = [{ keep = true }]\n",
        );
        let set = rules
            .unwrap()
            .with_autoreply(&AutoReply::new(Reply::new("Away.")));
        let nexts: Vec<&Next> = set.rules.iter().map(|rule| &rule.next).collect();
        let goal = Next::GoTo("Autoreply*".to_owned());
        assert_eq!(
            nexts,
            [&goal, &Next::Stop, &Next::Continue, &Next::Continue]
        );
        assert_eq!(set.check(), Ok(()));
    }
}
