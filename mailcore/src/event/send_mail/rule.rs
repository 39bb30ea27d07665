//! One rule: which events send mail, to whom, and what it says.

use std::time::Duration;

use thiserror::Error;

use super::condition::Condition;
use super::nearest::nearest;
use super::template::{ALWAYS, Template};
use crate::address::{Address, ReversePath};
use crate::event::subscription::check_name;
use crate::event::{Event, EventName};

/// What a mail says unless the rule says otherwise.
const SUBJECT: &str = "{event} on {hostname}";
const TEXT: &str = "{event} on {hostname} at {time}.\n";

/// Events, conditions, and the mail that is sent then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRule {
    pub(super) name: String,
    events: Vec<EventName>,
    conditions: Vec<Condition>,
    pub(super) to: MailTo,
    pub(super) from: Option<Address>,
    pub(super) reverse_path: ReversePath,
    subject: String,
    text: String,
    pub(super) interval: Option<Duration>,
    pub(super) per: Option<String>,
}

/// Whom a rule's mail is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MailTo {
    /// `postmaster` at the server's name.
    #[default]
    Postmaster,
    /// This address.
    Address(Address),
    /// The addresses in a field of the event, spaces between; without one
    /// nothing is sent.
    Field(String),
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Its name is none.
    #[error(
        "{0:?} can't name a rule; write 1 to 64 ASCII letters, digits, dots, hyphens or underscores"
    )]
    Name(String),
    /// Two rules of the same name.
    #[error("two rules are named {0}; give each its own name")]
    Twice(String),
    /// No event is named.
    #[error("rule {0} names no event; name one or more")]
    NoEvents(String),
    /// A template names what the events don't have.
    #[error("rule {rule}: its events have no field {{{field}}}; {hint}")]
    Field {
        /// Which rule.
        rule: String,
        /// What was written.
        field: String,
        /// What could be meant.
        hint: String,
    },
    /// A brace stands alone.
    #[error(
        "rule {rule}: a brace in its {place} stands alone; write {{field}}, or {{{{ for a brace"
    )]
    Brace {
        /// Which rule.
        rule: String,
        /// `subject` or `text`.
        place: &'static str,
    },
    /// No time at all between two mails.
    #[error("rule {0}: the interval must be more than nothing; leave it out for none")]
    Interval(String),
}

/// A rule that can be used.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) rule: MailRule,
    pub(super) subject: Template,
    pub(super) text: Template,
}

impl MailRule {
    /// A rule for events of these names: it sends mail to postmaster at the
    /// server's name, for each of them, from the same, with the null reverse
    /// path.
    pub fn new(name: &str, events: impl IntoIterator<Item = EventName>) -> Self {
        Self {
            name: name.to_owned(),
            events: events.into_iter().collect(),
            conditions: Vec::new(),
            to: MailTo::default(),
            from: None,
            reverse_path: ReversePath::Null,
            subject: SUBJECT.to_owned(),
            text: TEXT.to_owned(),
            interval: None,
            per: None,
        }
    }

    /// One more condition: all must hold.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Whom it is for.
    #[must_use]
    pub fn to(mut self, to: MailTo) -> Self {
        self.to = to;
        self
    }

    /// Whom it is from, in the header.
    #[must_use]
    pub fn from(mut self, from: Address) -> Self {
        self.from = Some(from);
        self
    }

    /// Who is told when it can't be delivered; nobody by default.
    #[must_use]
    pub fn reverse_path(mut self, path: ReversePath) -> Self {
        self.reverse_path = path;
        self
    }

    /// The subject: `{field}` stands for a field of the event, `{event}`,
    /// `{time}`, `{id}`, `{trace}`, `{account}`, `{rule}`, `{hostname}` and
    /// `{more}` for what their names say, `{{` for a brace.
    #[must_use]
    pub fn subject(mut self, template: &str) -> Self {
        self.subject = template.to_owned();
        self
    }

    /// The text, as [`MailRule::subject`]. How many events were collected
    /// follows it, unless it names `{more}` itself.
    #[must_use]
    pub fn text(mut self, template: &str) -> Self {
        self.text = template.to_owned();
        self
    }

    /// At most one mail in this time: further events are collected, and when it
    /// is over the last is told, with how many more there were.
    #[must_use]
    pub fn at_most_every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// That time runs for each value of a field by itself.
    #[must_use]
    pub fn per(mut self, field: &str) -> Self {
        self.per = Some(field.to_owned());
        self
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with it, if anything is.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn check(&self) -> Result<(), RuleError> {
        self.checked().map(drop)
    }

    pub(super) fn checked(&self) -> Result<Checked, RuleError> {
        check_name(&self.name).map_err(|_| RuleError::Name(self.name.clone()))?;
        if self.events.is_empty() {
            return Err(RuleError::NoEvents(self.name.clone()));
        }
        if self.interval.is_some_and(|interval| interval.is_zero()) {
            return Err(RuleError::Interval(self.name.clone()));
        }
        let subject = self.template(&self.subject, "subject")?;
        let text = self.template(&self.text, "text")?;
        let tested = self.conditions.iter().map(|it| it.field.as_str());
        let to = match &self.to {
            MailTo::Field(field) => Some(field.as_str()),
            _ => None,
        };
        let named = subject.fields().chain(text.fields()).chain(tested);
        for field in named.chain(self.per.as_deref()).chain(to) {
            self.check_field(field)?;
        }
        Ok(Checked {
            rule: self.clone(),
            subject,
            text,
        })
    }

    fn template(&self, text: &str, place: &'static str) -> Result<Template, RuleError> {
        Template::parse(text).ok_or_else(|| RuleError::Brace {
            rule: self.name.clone(),
            place,
        })
    }

    /// A host's events may have any field.
    fn check_field(&self, field: &str) -> Result<(), RuleError> {
        let fields: Option<Vec<_>> = self.events.iter().map(EventName::fields).collect();
        let Some(fields) = fields else { return Ok(()) };
        let known = || fields.iter().copied().flatten().copied().chain(ALWAYS);
        if known().any(|it| it == field) {
            return Ok(());
        }
        let hint = match nearest(field, known()) {
            Some(near) => format!("did you mean {{{near}}}?"),
            None => {
                let mut all: Vec<_> = known().collect();
                all.sort_unstable();
                all.dedup();
                format!("they have: {}", all.join(", "))
            }
        };
        Err(RuleError::Field {
            rule: self.name.clone(),
            field: field.to_owned(),
            hint,
        })
    }

    /// The events it is for.
    pub(super) fn events(&self) -> &[EventName] {
        &self.events
    }

    /// Whether an event sends this rule's mail.
    pub(super) fn fits(&self, event: &Event) -> bool {
        self.events.iter().any(|name| event.is(name))
            && self.conditions.iter().all(|it| it.holds(event))
    }
}
