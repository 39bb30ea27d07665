//! Rules as a Sieve script. A rule is an `if` under a comment with its name; a
//! rule that goes on further down leaves the name of its goal in `${goto}`, which
//! the rules in between look at.

mod action;
mod condition;
mod tree;

use std::collections::{BTreeSet, HashMap};

pub(super) use condition::{LIST_FIELDS, NAME_FIELDS, NAME_PARAMETERS, NUMERIC, UNICODE};
use tree::Tree;

use super::action::{Action, DOLLAR, SPEAKS_OF, names_in};
use super::condition::Join;
use super::{Next, Rule, RuleSet};
use crate::engine::ast::{Command, Script, Test};

/// Names the rule that is gone on with.
pub(super) const GOTO: &str = "goto";
/// Set once something has taken the message, where a later rule may refuse it.
pub(super) const TAKEN: &str = "taken";
/// What such a mark is.
pub(super) const YES: &str = "yes";
/// Set once something was answered.
pub(super) const REPLIED: &str = "replied";

/// What a script of rules needs beside them.
#[derive(Debug)]
struct Needs {
    /// Extensions in the order of their names.
    extensions: BTreeSet<&'static str>,
    /// True when `${` is special in the script's strings.
    variables: bool,
    /// True when more than one rule may answer.
    many_replies: bool,
    /// The last rule that refuses what a rule before may have taken.
    refusal: Option<usize>,
    /// True when a text has the sign in it that it does not mean.
    dollar: bool,
}

impl RuleSet {
    /// The script that these rules are. Lines in it are those of the rules' text.
    ///
    /// It compiles wherever [`RuleSet::check`] finds nothing and the compiler
    /// knows its extensions and its regular expressions.
    pub fn script(&self) -> Script {
        let mut lowering = Lowering::new(self);
        let mut commands = Vec::new();
        let spans = self.spans();
        for (index, rule) in self.rules.iter().enumerate() {
            lowering.tree.line = self.line(index);
            let mut own = Vec::new();
            if spans.goals.contains(&index) {
                own.push(lowering.arrive(rule));
            }
            let marked = lowering.needs.refusal.is_some_and(|last| index < last);
            lowering.marks = marked && rule.takes() && rule.next != Next::Stop;
            own.push(lowering.rule(rule, spans.skipped.contains(&index)));
            if let Some(first) = own.first_mut() {
                first.comments = vec![String::new(), format!("# rule:[{}]", rule.name)];
            }
            commands.append(&mut own);
        }
        lowering.tree.line = 1;
        let mut all = lowering.preamble(self);
        all.append(&mut commands);
        Script { commands: all }
    }

    /// Which rules are gone on with, and which are passed over then.
    fn spans(&self) -> Spans {
        let names = self.rules.iter().enumerate();
        let places: HashMap<String, usize> = names
            .map(|(index, rule)| (rule.name.to_ascii_lowercase(), index))
            .collect();
        let mut spans = Spans::default();
        for (index, rule) in self.rules.iter().enumerate() {
            let Next::GoTo(name) = &rule.next else {
                continue;
            };
            if let Some(place) = places.get(&name.to_ascii_lowercase()) {
                spans.goals.insert(*place);
                spans.skipped.extend(index + 1..*place);
            }
        }
        spans
    }

    /// True when a text speaks of the message, or rules need a memory.
    fn needs_variables(&self) -> bool {
        let replies = self.actions().filter(|it| matches!(it, Action::Reply(_)));
        let spoken = self.actions().flat_map(|action| action.templates());
        self.rules.iter().any(|it| matches!(it.next, Next::GoTo(_)))
            || self.actions().any(|it| matches!(it, Action::TagSubject(_)))
            || replies.count() > 1
            || self.late_refusal().is_some()
            || spoken.flat_map(names_in).next().is_some()
    }

    /// The last rule that may refuse what a rule before has taken: an error when it
    /// is done (RFC 5429 section 2.3), so that the rules have to remember.
    fn late_refusal(&self) -> Option<usize> {
        let taking = |rule: &Rule| rule.takes() && rule.next != Next::Stop;
        let first = self.rules.iter().position(taking)?;
        let last = self.rules.iter().rposition(Rule::refuses)?;
        (first < last).then_some(last)
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        self.rules.iter().flat_map(|rule| &rule.actions)
    }
}

#[derive(Debug, Default)]
struct Spans {
    goals: BTreeSet<usize>,
    skipped: BTreeSet<usize>,
}

/// A set on its way to a script.
#[derive(Debug)]
struct Lowering {
    tree: Tree,
    needs: Needs,
    /// True for a rule that says that it has taken the message.
    marks: bool,
}

impl Lowering {
    fn new(set: &RuleSet) -> Self {
        let replies = set.actions().filter(|it| matches!(it, Action::Reply(_)));
        let needs = Needs {
            extensions: BTreeSet::new(),
            variables: set.needs_variables(),
            many_replies: replies.count() > 1,
            refusal: set.late_refusal(),
            dollar: false,
        };
        Self {
            tree: Tree::default(),
            needs,
            marks: false,
        }
    }

    fn require(&mut self, extension: &'static str) {
        self.needs.extensions.insert(extension);
    }

    /// A text that means itself, whatever is in it.
    fn plain(&mut self, value: &str) -> String {
        if !self.needs.variables || !value.contains("${") {
            return value.replace('\n', "\r\n");
        }
        self.needs.dollar = true;
        let sign = format!("${{{DOLLAR}}}{{");
        value.replace("${", &sign).replace('\n', "\r\n")
    }

    /// A text that speaks of the message.
    fn template(&mut self, value: &str) -> String {
        self.needs.dollar |= names_in(value).any(|name| name == DOLLAR);
        value.replace('\n', "\r\n")
    }

    /// The rule that was to be gone on with is here.
    fn arrive(&mut self, rule: &Rule) -> Command {
        let name = self.plain(&rule.name);
        let there = self.tree.variable(GOTO, &name);
        let forget = self.tree.set(GOTO, "");
        self.tree.when(there, vec![forget])
    }

    fn rule(&mut self, rule: &Rule, skipped: bool) -> Command {
        let mut tests = Vec::new();
        if skipped {
            tests.push(self.tree.variable(GOTO, ""));
        }
        if !rule.enabled {
            tests.push(self.tree.word("false"));
        }
        let conditions = rule.conditions.iter();
        let own: Vec<Test> = conditions.map(|it| self.condition(it)).collect();
        match rule.join {
            Join::All => tests.extend(own),
            Join::Any => tests.push(self.tree.any(own)),
        }
        let test = match tests.len() {
            0 => self.tree.word("true"),
            1 => tests.swap_remove(0),
            _ => self.tree.all(tests),
        };
        let mut block = Vec::new();
        for action in &rule.actions {
            block.extend(self.action(action));
        }
        if self.marks {
            block.push(self.tree.set(TAKEN, YES));
        }
        match &rule.next {
            Next::Continue => {}
            Next::Stop => block.push(self.tree.command("stop", Vec::new())),
            Next::GoTo(name) => {
                let name = self.plain(name);
                block.push(self.tree.set(GOTO, &name));
            }
        }
        self.tree.when(test, block)
    }

    /// What stands before the rules.
    fn preamble(&mut self, set: &RuleSet) -> Vec<Command> {
        let mut after = Vec::new();
        if self.needs.variables {
            self.require("variables");
            if self.needs.dollar {
                after.push(self.tree.set(DOLLAR, "$"));
            }
            let templates = set.actions().flat_map(|action| action.templates());
            let spoken: BTreeSet<&str> = templates.flat_map(names_in).collect();
            for (name, field) in SPEAKS_OF {
                if spoken.contains(name) {
                    let there = self.tree.matches(field);
                    let keep = self.tree.set(name, "${1}");
                    after.push(self.tree.when(there, vec![keep]));
                }
            }
        }
        let extensions = self.needs.extensions.iter();
        let names: Vec<String> = extensions.map(|name| (*name).to_owned()).collect();
        let mut all = Vec::new();
        if !names.is_empty() {
            let names = self.tree.list(&names);
            all.push(self.tree.command("require", vec![names]));
        }
        all.append(&mut after);
        all
    }
}
