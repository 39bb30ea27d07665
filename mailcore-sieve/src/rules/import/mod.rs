//! Rules from Sieve: the scripts that [`RuleSet::script`] prints, and those of the
//! same shape that other programs write, an `if` under a comment with its name for
//! each rule. What can't be a rule is said, and nothing is made of it.

mod action;
mod arguments;
mod condition;

use arguments::{is_set, text_of};

use super::action::{DOLLAR, SPEAKS_OF, names_in};
use super::condition::{Condition, Join};
use super::lower::GOTO;
use super::problem::{Problem, Problems};
use super::{Next, Rule, RuleSet};
use crate::engine::ast::{Command, Script, Test};
use crate::engine::{Limits, Position, parse_with_comments};

/// Why something can't be a rule.
type Refused = Problem;

impl RuleSet {
    /// Reads rules from a Sieve script. Rules without a comment such as
    /// `# rule:[Invoices]` are called by their number.
    ///
    /// # Errors
    /// Everything in it that can't be a rule, each with its line.
    pub fn import(text: &str) -> Result<Self, Problems> {
        let text = without_false(text);
        let limits = Limits::default();
        let script = parse_with_comments(text.as_bytes(), &limits);
        let script = script.map_err(|error| {
            let words = format!("column {}: {}", error.at.column, error.words);
            Problems(vec![Problem::new(error.at.line, words)])
        })?;
        let mut import = Import::new(&script);
        for command in &script.commands {
            if let Err(refused) = import.command(command) {
                import.problems.push(refused);
            }
        }
        import.end_loose();
        let set = import.set;
        Problems::unless(import.problems, ())?;
        set.check()?;
        Ok(set)
    }
}

/// Other programs hide the conditions of a rule that is off in a comment behind
/// `if false`.
fn without_false(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line.split_at(line.trim_end().len());
        match body.strip_prefix("if false # ") {
            Some(hidden) => {
                shown.push_str("if allof (false, ");
                shown.push_str(hidden);
                shown.push(')');
                shown.push_str(end);
            }
            None => shown.push_str(line),
        }
    }
    shown
}

/// A script on its way to rules.
#[derive(Debug)]
struct Import {
    set: RuleSet,
    /// The name in the last comment, for the rule that comes.
    name: Option<String>,
    /// Commands outside any `if`, which are a rule that always holds.
    loose: Vec<Command>,
    /// True when `${` is special in the script's strings.
    variables: bool,
    problems: Vec<Problem>,
}

fn refused(at: Position, words: impl Into<String>) -> Refused {
    Problem::new(at.line, words)
}

impl Import {
    fn new(script: &Script) -> Self {
        let requires = |command: &&Command| command.name == "require";
        let required = script.commands.iter().filter(requires);
        let mut names = required.flat_map(|command| &command.arguments);
        Self {
            set: RuleSet::default(),
            name: None,
            loose: Vec::new(),
            variables: names.any(|names| names.value.names("variables")),
            problems: Vec::new(),
        }
    }

    fn command(&mut self, command: &Command) -> Result<(), Refused> {
        let mut comments = command.comments.iter().rev();
        if let Some(name) = comments.find_map(|it| name_in(it)) {
            self.end_loose();
            self.name = Some(name);
        }
        match command.name.as_str() {
            "require" => Ok(()),
            "set" if is_set(command, DOLLAR, "$") => Ok(()),
            "if" => {
                self.end_loose();
                match is_preamble(command) || is_arrival(command) {
                    true => Ok(()),
                    false => self.rule(command),
                }
            }
            "elsif" | "else" => Err(refused(
                command.at,
                format!("{} can't be a rule: make it an if of its own", command.name),
            )),
            _ => {
                self.loose.push(command.clone());
                Ok(())
            }
        }
    }

    /// Makes a rule of the commands that stood outside any `if`.
    fn end_loose(&mut self) {
        let commands = std::mem::take(&mut self.loose);
        let Some(first) = commands.first() else {
            return;
        };
        let line = first.at.line;
        match self.block(&commands) {
            Ok((actions, next)) => {
                let mut rule = Rule::new(self.next_name(), Vec::new(), actions);
                rule.next = next;
                self.push(rule, line);
            }
            Err(refused) => self.problems.push(refused),
        }
    }

    fn rule(&mut self, command: &Command) -> Result<(), Refused> {
        let name = self.next_name();
        let mut rule = Rule::new(name, Vec::new(), Vec::new());
        if let Some(test) = command.tests.first() {
            self.conditions(test, &mut rule)?;
        }
        let block = command.block.as_deref().unwrap_or_default();
        (rule.actions, rule.next) = self.block(block)?;
        self.push(rule, command.at.line);
        Ok(())
    }

    fn push(&mut self, rule: Rule, line: u32) {
        self.set.rules.push(rule.sorted());
        self.set.lines.push(line);
    }

    /// The name of the rule that comes, one that no other has.
    fn next_name(&mut self) -> String {
        let number = self.set.rules.len() + 1;
        let name = self.name.take().unwrap_or_else(|| format!("Rule {number}"));
        let taken = |name: &str| {
            let mut rules = self.set.rules.iter();
            rules.any(|rule| rule.name.eq_ignore_ascii_case(name))
        };
        let mut free = name.clone();
        let mut count = 1;
        while taken(&free) {
            count += 1;
            free = format!("{name} ({count})");
        }
        free
    }

    /// What the rule's test is made of: whether it is passed over, whether it is
    /// on, its own conditions.
    fn conditions(&self, test: &Test, rule: &mut Rule) -> Result<(), Refused> {
        let listed = test.name == "allof";
        let tests = match listed {
            true => test.tests.as_slice(),
            false => std::slice::from_ref(test),
        };
        let is_guard = |test: &&Test| variable_is(test, GOTO).is_some_and(str::is_empty);
        let own = match tests.split_first() {
            Some((first, rest)) if is_guard(&first) => rest,
            _ => tests,
        };
        let own = match own.split_first() {
            Some((first, rest)) if first.name == "false" => {
                rule.enabled = false;
                rest
            }
            _ => own,
        };
        match own {
            [] => {}
            [test] if test.name == "true" => {}
            [test] if test.name == "anyof" => {
                rule.join = Join::Any;
                rule.conditions = self.all(&test.tests)?;
            }
            tests => rule.conditions = self.all(tests)?,
        }
        Ok(())
    }

    fn all(&self, tests: &[Test]) -> Result<Vec<Condition>, Refused> {
        tests.iter().map(|test| self.condition(test)).collect()
    }

    /// A text that means itself; that it speaks of something is refused.
    fn plain(&self, text: &str, at: Position) -> Result<String, Refused> {
        // Can't be in a script.
        const SIGN: &str = "\0";
        let text = text.replace("\r\n", "\n");
        if !self.variables {
            return Ok(text);
        }
        let escaped = text.replace(&format!("${{{DOLLAR}}}{{"), SIGN);
        if let Some(name) = names_in(&escaped).next() {
            return Err(refused(
                at,
                format!("rules know no ${{{name}}} in this place"),
            ));
        }
        Ok(escaped.replace(SIGN, "${"))
    }

    /// A text that may speak of the message.
    fn template(&self, text: &str) -> String {
        let text = text.replace("\r\n", "\n");
        if self.variables || names_in(&text).next().is_none() {
            return text;
        }
        text.replace("${", &format!("${{{DOLLAR}}}{{"))
    }

    fn goal(&self, command: &Command) -> Result<Option<Next>, Refused> {
        let [name, value] = command.arguments.as_slice() else {
            return Ok(None);
        };
        match (command.name.as_str(), text_of(name), text_of(value)) {
            ("set", Some(GOTO), Some(goal)) => Ok(Some(Next::GoTo(self.plain(goal, command.at)?))),
            _ => Ok(None),
        }
    }
}

/// `Invoices` of `# rule:[Invoices]`.
fn name_in(comment: &str) -> Option<String> {
    let comment = comment.trim_start_matches('#').trim();
    let name = comment.strip_prefix("rule:[")?.strip_suffix(']')?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The text that a variable is compared with.
fn variable_is<'t>(test: &'t Test, variable: &str) -> Option<&'t str> {
    let [how, name, value] = test.arguments.as_slice() else {
        return None;
    };
    let named = text_of(name)?.strip_prefix("${")?.strip_suffix('}')?;
    (test.name == "string" && how.value.is_tag("is") && named == variable).then_some(())?;
    text_of(value)
}

/// `if header :matches "subject" "*" { set "subject" "${1}"; }`
fn is_preamble(command: &Command) -> bool {
    let ([test], Some([set])) = (command.tests.as_slice(), command.block.as_deref()) else {
        return false;
    };
    SPEAKS_OF
        .iter()
        .any(|(name, field)| matches_all(test, field) && is_set(set, name, "${1}"))
}

/// `if string :is "${goto}" "Name" { set "goto" ""; }`
fn is_arrival(command: &Command) -> bool {
    let ([test], Some([set])) = (command.tests.as_slice(), command.block.as_deref()) else {
        return false;
    };
    variable_is(test, GOTO).is_some_and(|goal| !goal.is_empty()) && is_set(set, GOTO, "")
}

/// `header :matches "subject" "*"`
fn matches_all(test: &Test, field: &str) -> bool {
    let [how, name, pattern] = test.arguments.as_slice() else {
        return false;
    };
    let named = text_of(name).is_some_and(|name| name.eq_ignore_ascii_case(field));
    test.name == "header" && how.value.is_tag("matches") && named && text_of(pattern) == Some("*")
}
