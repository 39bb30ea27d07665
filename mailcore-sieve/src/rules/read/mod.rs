//! Reads rules from TOML. What holds for a set beyond its grammar is
//! [`super::check`]'s.

mod action;
mod condition;

pub(super) use condition::{ADDRESSES, HEADERS, UNITS};

use toml::de::DeTable;

use super::condition::Join;
use super::problem::Problems;
use super::toml_text::{Reader, Value, unknown};
use super::{MAX_RULES, Next, Rule, RuleSet};

const KEYS: [&str; 7] = ["name", "enabled", "match", "if", "then", "next", "go-to"];
const JOINS: [(&str, Join); 2] = [("all", Join::All), ("any", Join::Any)];
const NEXTS: [(&str, bool); 2] = [("continue", false), ("stop", true)];

impl RuleSet {
    /// Reads a text of rules.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let (mut reader, root) = Reader::new(text);
        let mut set = Self::default();
        for (key, value) in &root {
            if key.get_ref() != "rule" {
                let words = unknown(key.get_ref(), &["rule"]);
                let () = reader.problem(key, words).unwrap_or_default();
                continue;
            }
            let items = reader.array(value, "rule").into_iter().flatten();
            for item in items.take(MAX_RULES + 1) {
                set.lines.push(reader.line(item));
                let index = set.rules.len();
                let rule = reader.rule(item, index);
                set.rules.push(rule);
            }
        }
        Problems::unless(reader.problems, ())?;
        set.check()?;
        Ok(set)
    }
}

impl<'t> Reader<'t> {
    /// One rule; where something of it can't be read there is a problem.
    fn rule(&mut self, item: &Value<'t>, index: usize) -> Rule {
        let mut rule = Rule::new(format!("Rule {}", index + 1), Vec::new(), Vec::new());
        let Some(table) = self.table(item, "[[rule]]") else {
            return rule;
        };
        self.unknown_keys(table, &KEYS);
        if let Some(name) = table.get("name") {
            rule.name = self.string(name, "name").unwrap_or_default();
        }
        if let Some(enabled) = table.get("enabled") {
            rule.enabled = self.truth(enabled, "enabled").unwrap_or_default();
        }
        if let Some(join) = table.get("match") {
            rule.join = self.word(join, "match", &JOINS).unwrap_or_default();
        }
        if let Some(conditions) = table.get("if") {
            rule.conditions = self.conditions(conditions, "if", 0);
        }
        if let Some(actions) = table.get("then") {
            let actions = self.array(actions, "then").into_iter().flatten();
            rule.actions = actions.filter_map(|item| self.action(item)).collect();
        }
        rule.next = self.next(table);
        rule.sorted()
    }

    fn next(&mut self, table: &DeTable<'t>) -> Next {
        let stops = table
            .get("next")
            .and_then(|next| self.word(next, "next", &NEXTS));
        match (table.get("go-to"), stops) {
            (Some(name), None) => Next::GoTo(self.string(name, "go-to").unwrap_or_default()),
            (Some(name), Some(_)) => self
                .problem(name, "write next or go-to, not both")
                .unwrap_or_default(),
            (None, Some(true)) => Next::Stop,
            (None, _) => Next::Continue,
        }
    }

    pub(crate) fn unknown_keys(&mut self, table: &DeTable<'t>, known: &[&str]) {
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let words = unknown(key.get_ref(), known);
                let () = self.problem(key, words).unwrap_or_default();
            }
        }
    }
}
