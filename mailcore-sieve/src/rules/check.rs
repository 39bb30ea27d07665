//! What a set of rules has to be beyond its grammar, whatever it was read from.

use std::collections::HashMap;

use super::action::{Action, DOLLAR, SPEAKS_OF, names_in};
use super::condition::{Condition, How, Subject, Test};
use super::problem::{Problem, Problems};
use super::{MAX_ACTIONS, MAX_CONDITIONS, MAX_NAME, MAX_NESTING, MAX_RULES, Next, Rule, RuleSet};

/// Octets of one text at most; what answers and refusals say included.
const MAX_TEXT: usize = 16 * 1024;
/// Texts that one condition compares with at most.
const MAX_VALUES: usize = 1000;

impl RuleSet {
    /// Checks a set that was put together by a program; what is read from a text
    /// is checked there.
    ///
    /// # Errors
    /// Everything that is wrong, lines being those of the text it was read from,
    /// or else the numbers of rules.
    pub fn check(&self) -> Result<(), Problems> {
        let mut found = Vec::new();
        if self.rules.len() > MAX_RULES {
            let words = format!("a set has {MAX_RULES} rules at most");
            found.push(Problem::new(1, words));
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let name = rule.name.to_ascii_lowercase();
            if places.insert(name, index).is_some() {
                let words = format!("there is a rule \"{}\" already: names differ", rule.name);
                found.push(Problem::new(self.line(index), words));
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let mut words = Vec::new();
            rule.check(&mut words);
            if let Next::GoTo(name) = &rule.next {
                match places.get(&name.to_ascii_lowercase()) {
                    None => words.push(format!("go-to: there is no rule \"{name}\"")),
                    Some(place) if *place <= index => words.push(format!(
                        "go-to: \"{name}\" stands above; rules go on further down only, \
                         so that they end"
                    )),
                    Some(_) => {}
                }
            }
            let problems = words.into_iter();
            found.extend(problems.map(|words| Problem::new(self.line(index), words)));
        }
        Problems::unless(found, ())
    }
}

impl Rule {
    fn check(&self, words: &mut Vec<String>) {
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME {
            words.push(format!("a rule's name has 1 to {MAX_NAME} characters"));
        }
        if self.name.chars().any(char::is_control) {
            words.push("a rule's name is one line without control characters".to_owned());
        }
        if self.actions.is_empty() && self.next == Next::Continue {
            words.push(format!("\"{}\" does nothing: give it an action", self.name));
        }
        if self.actions.len() > MAX_ACTIONS {
            words.push(format!("a rule has {MAX_ACTIONS} actions at most"));
        }
        let refusals = self
            .actions
            .iter()
            .filter(|it| matches!(it, Action::Reject(_)));
        if refusals.count() > 1 || self.refuses() && self.takes() {
            words.push("what is refused is refused once and not taken as well".to_owned());
        }
        if self.refuses() && self.next != Next::Stop {
            words.push("nothing comes after a refusal: next = \"stop\"".to_owned());
        }
        let mut count = 0;
        for condition in &self.conditions {
            condition.check(words, &mut count, 0);
        }
        if count > MAX_CONDITIONS {
            words.push(format!("a rule has {MAX_CONDITIONS} conditions at most"));
        }
        for action in &self.actions {
            action.check(words);
        }
    }
}

impl Condition {
    fn check(&self, words: &mut Vec<String>, count: &mut usize, depth: usize) {
        *count += 1;
        match &self.test {
            Test::Group(_, conditions) => {
                if conditions.is_empty() {
                    words.push("a group needs a condition".to_owned());
                }
                if depth == MAX_NESTING {
                    words.push(format!("groups nest {MAX_NESTING} deep at most"));
                    return;
                }
                for condition in conditions {
                    condition.check(words, count, depth + 1);
                }
            }
            Test::Text(subject, how, values) => check_text(subject, *how, values, words),
            Test::Exists(names) => field_names(names, words),
            Test::Spam(_, percent) if *percent > 100 => {
                words.push("spam is from 0 to 100 percent".to_owned());
            }
            Test::Date(_, day) if !is_day(day) => {
                words.push(format!("\"{day}\" is not a day such as \"2026-12-24\""));
            }
            Test::Time(_, time) if !is_time(time) => {
                words.push(format!("\"{time}\" is not a time such as \"18:00\""));
            }
            Test::Weekday(days) if days.is_empty() => {
                words.push("weekday needs a day".to_owned());
            }
            _ => {}
        }
    }
}

fn check_text(subject: &Subject, how: How, values: &[String], words: &mut Vec<String>) {
    match subject {
        Subject::Header(names) | Subject::Address(names, _) => field_names(names, words),
        Subject::Finding(name) => {
            let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if name.is_empty() || name.len() > MAX_NAME || name.contains(odd) {
                words.push(format!(
                    "\"{name}\" is not the name of a test, such as dnsbl"
                ));
            }
        }
        _ => {}
    }
    if values.is_empty() || values.len() > MAX_VALUES {
        words.push(format!("a condition compares with 1 to {MAX_VALUES} texts"));
    }
    for value in values {
        if value.is_empty() && how != How::Is {
            words.push("every text holds an empty one: write what is looked for".to_owned());
        }
        line(value, "what is compared with", words);
    }
}

impl Action {
    fn check(&self, words: &mut Vec<String>) {
        match self {
            Self::Move(mailbox, _) | Self::Copy(mailbox, _) => {
                if mailbox.is_empty() {
                    words.push("a folder needs a name".to_owned());
                }
                line(mailbox, "a folder's name", words);
            }
            Self::Mark(flags) if flags.is_empty() || flags.iter().any(String::is_empty) => {
                words.push("mark needs flags such as \"\\\\Seen\"".to_owned());
            }
            Self::Mark(flags) => flags.iter().for_each(|flag| line(flag, "a flag", words)),
            Self::Forward { to, .. } | Self::Notify { to, .. } if !is_address(to) => {
                words.push(format!("\"{to}\" is not an address"));
            }
            Self::Reply(reply) => {
                if let Some(subject) = &reply.subject {
                    line(subject, "a subject", words);
                }
                text(&reply.text, "an answer", words);
                for address in reply.addresses.iter().filter(|it| !is_address(it)) {
                    words.push(format!("\"{address}\" is not an address"));
                }
            }
            Self::Notify {
                text: Some(text), ..
            } => line(text, "a notice's text", words),
            Self::AddHeader { name, value } => {
                field_names(std::slice::from_ref(name), words);
                line(value, "a field's value", words);
            }
            Self::RemoveHeader(name) => field_names(std::slice::from_ref(name), words),
            Self::TagSubject(tag) => {
                if tag.is_empty() {
                    words.push("a tag needs a text".to_owned());
                }
                line(tag, "a tag", words);
            }
            Self::Strip {
                names,
                text: words_left,
            } => {
                names
                    .iter()
                    .for_each(|name| line(name, "a file's name", words));
                text(words_left, "what is put in the place of attachments", words);
            }
            Self::Reject(reason) => text(reason, "a refusal", words),
            _ => {}
        }
        let names = self.templates().into_iter().flat_map(names_in);
        for name in names.filter(|name| !is_known(name)) {
            words.push(format!(
                "texts know no ${{{name}}}: write ${{subject}}, ${{from}}, ${{to}} or \
                 ${{date}}, and ${{dollar}} for the sign itself"
            ));
        }
    }
}

fn is_known(name: &str) -> bool {
    name == DOLLAR || SPEAKS_OF.iter().any(|(known, _)| *known == name)
}

/// A text of one line.
fn line(value: &str, what: &str, words: &mut Vec<String>) {
    if value.len() > MAX_TEXT || value.contains(|c: char| c.is_control() && c != '\t') {
        words.push(format!("{what} is one line of {MAX_TEXT} octets at most"));
    }
}

fn text(value: &str, what: &str, words: &mut Vec<String>) {
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n');
    if value.trim().is_empty() {
        words.push(format!("{what} needs words"));
    }
    if value.len() > MAX_TEXT || value.contains(odd) {
        words.push(format!(
            "{what} has {MAX_TEXT} octets at most and no control characters"
        ));
    }
}

/// Names of header fields (RFC 5322 section 3.6.8). No comma: it divides them in
/// the text of rules.
fn field_names(names: &[String], words: &mut Vec<String>) {
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, ':' | ',');
    if names.is_empty() {
        words.push("the name of a header field is missing".to_owned());
    }
    for name in names {
        if name.is_empty() || name.len() > MAX_NAME || name.contains(odd) {
            words.push(format!("\"{name}\" is not the name of a header field"));
        }
    }
}

/// Enough to tell a slip; what becomes of it is looked at when it is used.
pub(crate) fn is_address(text: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',');
    let parts = text.rsplit_once('@');
    let whole = parts.is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty());
    whole && text.len() <= 320 && !text.contains(odd)
}

pub(crate) fn is_day(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |digits| number(parts.next(), digits);
    let (year, month, day) = (number(4), number(2), number(2));
    let last = match month {
        Some(2) => 29,
        Some(4 | 6 | 9 | 11) => 30,
        Some(1..=12) => 31,
        _ => 0,
    };
    year.is_some() && day.is_some_and(|day| (1..=last).contains(&day)) && parts.next().is_none()
}

fn is_time(text: &str) -> bool {
    let mut parts = text.split(':');
    let mut below = |limit| number(parts.next(), 2).is_some_and(|it| it < limit);
    below(24) && below(60) && below(60) && parts.next().is_none()
}

fn number(text: Option<&str>, digits: usize) -> Option<u32> {
    let text = text.filter(|text| text.len() == digits)?;
    let all = text.bytes().all(|octet| octet.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}
