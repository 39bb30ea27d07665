//! What must hold of an event's fields.

use crate::event::Event;

/// Something that must hold, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which field; `event`, `account` and `trace` count as fields.
    pub(super) field: String,
    test: Test,
    sense: Sense,
}

/// How a field is tested. ASCII letters are compared without regard to case. A
/// field that is not there passes no test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Test {
    /// It is this text.
    Equals(String),
    /// This text is in it.
    Contains(String),
    /// It matches a pattern, `*` standing for any text and `?` for one
    /// character.
    Matches(String),
    /// It is a number greater than this.
    Greater(i64),
    /// It is a number less than this.
    Less(i64),
}

/// Whether a test must be passed or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sense {
    /// Passed.
    #[default]
    Holds,
    /// Failed: so it is when the field is not there.
    DoesNot,
}

impl Condition {
    /// A field that must pass a test, or fail it.
    pub fn new(field: &str, test: Test, sense: Sense) -> Self {
        Self {
            field: field.to_owned(),
            test,
            sense,
        }
    }

    /// Whether an event is as it must be.
    pub(super) fn holds(&self, event: &Event) -> bool {
        let passed = value(event, &self.field).is_some_and(|value| self.test.passes(&value));
        passed == (self.sense == Sense::Holds)
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        let number = || value.trim().parse::<i64>().ok();
        let folded = |text: &str| text.to_ascii_lowercase();
        match self {
            Self::Equals(text) => value.eq_ignore_ascii_case(text),
            Self::Contains(text) => folded(value).contains(&folded(text)),
            Self::Matches(pattern) => matches(&folded(pattern), &folded(value)),
            Self::Greater(bound) => number().is_some_and(|number| number > *bound),
            Self::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// A field's value, or what else an event has under that name.
pub(super) fn value(event: &Event, field: &str) -> Option<String> {
    if let Some(value) = event.field(field) {
        return Some(value.to_owned());
    }
    match field {
        "event" => Some(event.name.as_str().to_owned()),
        "account" => event.account.as_ref().map(ToString::to_string),
        "trace" => event.trace.map(|trace| trace.to_string()),
        _ => None,
    }
}

/// Goes back to the last `*` alone, so that no pattern costs more than its
/// length times the text's.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(one) if *one == '?' || one == c => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;
    use crate::event::{EventId, EventName};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn fields_are_tested_and_a_missing_one_passes_nothing() {
        let event = Event {
            id: EventId(1),
            at: Timestamp::EPOCH,
            name: EventName::MessageReceived,
            trace: None,
            account: Some(AccountId::new("ann@a.test")),
            fields: Vec::new(),
        };
        let event = event.with("from", "Boss@B.test").with("size", 1_000);
        let holds =
            |field: &str, test: Test| Condition::new(field, test, Sense::Holds).holds(&event);
        assert!(holds("from", Test::Equals("boss@b.test".into())));
        assert!(holds("from", Test::Contains("@b.".into())));
        assert!(holds("from", Test::Matches("b*@?.test".into())));
        assert!(!holds("from", Test::Matches("b*@?.tes".into())));
        assert!(holds("size", Test::Greater(999)) && !holds("size", Test::Greater(1_000)));
        assert!(holds("size", Test::Less(1_001)) && !holds("from", Test::Less(5)));
        assert!(holds("account", Test::Equals("ann@a.test".into())));
        assert!(holds("event", Test::Equals("MessageReceived".into())));
        assert!(!holds("nothing", Test::Contains(String::new())));
        let not = Condition::new("nothing", Test::Equals("x".into()), Sense::DoesNot);
        assert!(not.holds(&event));
    }

    /// The pattern's meaning, written down without regard to cost.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| plainly(rest, &text[at..])),
            Some((one, rest)) => text
                .split_first()
                .is_some_and(|(c, text)| (*one == '?' || one == c) && plainly(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_they_read(pattern in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), plainly(&p, &t));
        }
    }
}
