//! Message rules: what is done with mail, as people write it down without
//! knowing Sieve.
//!
//! ```text
//! text (TOML) ─► RuleSet ─► engine::ast::Script ─► Compiler ─► Program
//!                   ▲               │ Display
//!                   └── import ◄── Sieve text
//! ```
//!
//! Rules have no engine of their own: a [`RuleSet`] becomes a script, and what
//! runs is what [`RuleSet::script`] prints. Each rule that holds fires, from the
//! first to the last; one may stop the rest or go on further down, never up, so
//! that a set always ends.

mod action;
mod check;
mod condition;
mod import;
mod lower;
mod problem;
mod read;
#[cfg(test)]
mod tests;
pub(crate) mod toml_text;
mod write;

pub use action::{Action, Missing, Reply};
pub use condition::{
    Condition, How, Join, Part, SizeBound, SpamBound, Subject, Test, TimeBound, Virus, Weekday,
};
pub use problem::{Problem, Problems};

/// Items of the environment test with what tests of the filters found begin with it.
pub const FINDING_PREFIX: &str = "vnd.mailcore.test.";
/// What the text of rules is called among an owner's texts of
/// `ScriptKind::Rules`.
pub const KEPT_AS: &str = "rules";
/// Rules of a set at most.
pub const MAX_RULES: usize = 500;
/// Conditions of a rule at most, those in groups counted in.
pub const MAX_CONDITIONS: usize = 200;
/// Groups within groups at most.
pub const MAX_NESTING: usize = 5;
/// Actions of a rule at most.
pub const MAX_ACTIONS: usize = 20;
/// Characters of a rule's name at most.
pub const MAX_NAME: usize = 128;

/// Rules in their order.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RuleSet {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The lines they begin on, where they were read from a text.
    lines: Vec<u32>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, of which a set has no two, capitals or not.
    pub name: String,
    /// False for a rule that is kept for later.
    pub enabled: bool,
    /// Whether all conditions have to hold, or one.
    pub join: Join,
    /// The conditions; without any the rule always holds.
    pub conditions: Vec<Condition>,
    /// What is done. What changes the message stands before what files or sends
    /// it ([`Rule::sorted`]).
    pub actions: Vec<Action>,
    /// Where it goes on.
    pub next: Next,
}

/// Where it goes on after a rule that held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Next {
    /// With the next rule.
    #[default]
    Continue,
    /// Nowhere.
    Stop,
    /// With the rule of this name, further down.
    GoTo(String),
}

impl RuleSet {
    /// A set of these.
    pub fn new(rules: Vec<Rule>) -> Self {
        let lines = Vec::new();
        Self { rules, lines }
    }

    /// The line that a rule begins on, or its number where the set was not read
    /// from a text.
    fn line(&self, index: usize) -> u32 {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        self.lines.get(index).copied().unwrap_or(number)
    }
}

/// Two sets are equal whatever texts they were read from.
impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for RuleSet {}

impl Rule {
    /// A rule that holds when all of these do, and goes on with the next one.
    pub fn new(name: impl Into<String>, conditions: Vec<Condition>, actions: Vec<Action>) -> Self {
        Self {
            name: name.into(),
            enabled: true,
            join: Join::All,
            conditions,
            actions,
            next: Next::Continue,
        }
        .sorted()
    }

    /// The same rule, its conditions in their shortest form, what changes the
    /// message before what files or sends it: people name a folder first and mean
    /// what lies there to be marked all the same.
    /// A rule that refuses the message is the last one.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.name = self.name.trim().to_owned();
        let conditions = self.conditions.into_iter();
        self.conditions = conditions.map(Condition::normal).collect();
        self.flatten();
        self.actions.sort_by_key(|action| !action.changes_message());
        if self.refuses() && self.next == Next::Continue {
            self.next = Next::Stop;
        }
        self
    }

    /// A lone group is the rule's own, and of one condition all are one.
    fn flatten(&mut self) {
        if let [
            Condition {
                not: false,
                test: Test::Group(join, inner),
            },
        ] = self.conditions.as_mut_slice()
        {
            self.join = *join;
            self.conditions = std::mem::take(inner);
        }
        if self.conditions.len() < 2 {
            self.join = Join::All;
        }
    }

    fn refuses(&self) -> bool {
        let mut actions = self.actions.iter();
        actions.any(|action| matches!(action, Action::Reject(_)))
    }

    fn takes(&self) -> bool {
        self.actions.iter().any(Action::takes)
    }
}
