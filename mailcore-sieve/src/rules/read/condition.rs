//! Reads conditions: tables of one key, such as `{ subject.contains = "invoice" }`
//! or `{ not.size.over = "1MB" }`.

use toml::de::DeValue;

use super::super::MAX_NESTING;
use super::super::condition::{
    Condition, How, Join, Part, SizeBound, SpamBound, Subject, Test, TimeBound, Virus, Weekday,
};
use super::super::toml_text::{Reader, Value, names, unknown};

/// Fields that have names of their own.
pub(in super::super) const HEADERS: [(&str, &str); 1] = [("subject", "subject")];
/// The same for addresses.
pub(in super::super) const ADDRESSES: [(&str, &[&str]); 4] = [
    ("from", &["from"]),
    ("to", &["to"]),
    ("cc", &["cc"]),
    ("to-or-cc", &["to", "cc"]),
];
const PARTS: [(&str, Part); 2] = [("user", Part::User), ("domain", Part::Domain)];
const KNOWN: [&str; 23] = [
    "not",
    "all",
    "any",
    "subject",
    "from",
    "to",
    "cc",
    "to-or-cc",
    "header",
    "address",
    "sender",
    "recipient",
    "body",
    "test",
    "exists",
    "from-list",
    "size",
    "attachment",
    "spam",
    "virus",
    "date",
    "time",
    "weekday",
];

impl<'t> Reader<'t> {
    /// Conditions of a rule or of a group.
    pub(super) fn conditions(
        &mut self,
        value: &Value<'t>,
        what: &str,
        depth: usize,
    ) -> Vec<Condition> {
        let items = self.array(value, what).into_iter().flatten();
        items
            .filter_map(|item| self.condition(item, depth))
            .collect()
    }

    fn condition(&mut self, value: &Value<'t>, depth: usize) -> Option<Condition> {
        let (key, inner) = self.only(value, "a condition")?;
        if key != "not" {
            return Some(Condition::is(self.test(value, (key, inner), depth)?));
        }
        let (key, innermost) = self.only(inner, "not")?;
        Some(Condition::not(self.test(inner, (key, innermost), depth)?))
    }

    fn test(
        &mut self,
        at: &Value<'t>,
        (key, value): (&str, &Value<'t>),
        depth: usize,
    ) -> Option<Test> {
        if let Some((_, field)) = HEADERS.iter().find(|(name, _)| *name == key) {
            return self.text(value, key, Subject::Header(vec![(*field).to_owned()]));
        }
        if let Some((_, fields)) = ADDRESSES.iter().find(|(name, _)| *name == key) {
            let fields: Vec<String> = fields.iter().map(|it| (*it).to_owned()).collect();
            return self.address(value, key, |part| Subject::Address(fields, part));
        }
        match key {
            "all" => self.group(value, Join::All, depth),
            "any" => self.group(value, Join::Any, depth),
            "header" => {
                let (name, how) = self.only(value, key)?;
                self.text(how, name, Subject::Header(fields(name)))
            }
            "address" => {
                let (name, how) = self.only(value, key)?;
                self.address(how, name, |part| Subject::Address(fields(name), part))
            }
            "sender" => self.address(value, key, Subject::Sender),
            "recipient" => self.address(value, key, Subject::Recipient),
            "body" => self.text(value, key, Subject::Body),
            "test" => {
                let (name, how) = self.only(value, key)?;
                self.text(how, name, Subject::Finding(name.to_owned()))
            }
            "exists" => Some(Test::Exists(self.strings(value, key)?)),
            "from-list" => self.affirmed(value, key, Test::FromList),
            "attachment" => self.attachment(value),
            _ => self.bound(at, (key, value)),
        }
    }

    /// What is compared with numbers and times.
    fn bound(&mut self, at: &Value<'t>, (key, value): (&str, &Value<'t>)) -> Option<Test> {
        const SIZES: [(&str, SizeBound); 2] =
            [("over", SizeBound::Over), ("under", SizeBound::Under)];
        const SPAM: [(&str, SpamBound); 2] = [
            ("at-least", SpamBound::AtLeast),
            ("below", SpamBound::Below),
        ];
        const TIMES: [(&str, TimeBound); 2] =
            [("from", TimeBound::From), ("until", TimeBound::Until)];
        match key {
            "size" => {
                let (bound, value) = self.bounded(value, key, &SIZES)?;
                Some(Test::Size(bound, self.size(value)?))
            }
            "spam" => {
                let (bound, value) = self.bounded(value, key, &SPAM)?;
                let percent = self.number(value, key)?;
                Some(Test::Spam(bound, u8::try_from(percent).unwrap_or(u8::MAX)))
            }
            "virus" => Some(Test::Virus(self.word(value, key, &Virus::ALL)?)),
            "date" => {
                let (bound, value) = self.bounded(value, key, &TIMES)?;
                Some(Test::Date(bound, self.string(value, key)?))
            }
            "time" => {
                let (bound, value) = self.bounded(value, key, &TIMES)?;
                let mut time = self.string(value, key)?;
                if time.len() == "18:00".len() {
                    time.push_str(":00");
                }
                Some(Test::Time(bound, time))
            }
            "weekday" => {
                let DeValue::Array(items) = value.get_ref() else {
                    let day = self.word(value, key, &Weekday::ALL)?;
                    return Some(Test::Weekday(vec![day]));
                };
                let items: Vec<&Value<'t>> = items.iter().collect();
                let days = items
                    .into_iter()
                    .map(|it| self.word(it, key, &Weekday::ALL));
                Some(Test::Weekday(days.collect::<Option<_>>()?))
            }
            _ => self.problem(at, unknown(key, &KNOWN)),
        }
    }

    fn group(&mut self, value: &Value<'t>, join: Join, depth: usize) -> Option<Test> {
        if depth > MAX_NESTING {
            return self.problem(value, format!("groups nest {MAX_NESTING} deep at most"));
        }
        Some(Test::Group(
            join,
            self.conditions(value, "a group", depth + 1),
        ))
    }

    /// `{ contains = "x" }`.
    fn text(&mut self, value: &Value<'t>, what: &str, subject: Subject) -> Option<Test> {
        let (how, texts) = self.bounded(value, what, &How::ALL)?;
        Some(Test::Text(subject, how, self.strings(texts, what)?))
    }

    /// `{ contains = "x" }` or `{ domain.is = "x" }`.
    fn address(
        &mut self,
        value: &Value<'t>,
        what: &str,
        subject: impl FnOnce(Part) -> Subject,
    ) -> Option<Test> {
        let (key, inner) = self.only(value, what)?;
        match PARTS.iter().find(|(name, _)| *name == key) {
            Some((_, part)) => self.text(inner, what, subject(*part)),
            None => self.text(value, what, subject(Part::All)),
        }
    }

    fn attachment(&mut self, value: &Value<'t>) -> Option<Test> {
        if let DeValue::Boolean(_) = value.get_ref() {
            return self.affirmed(value, "attachment", Test::Attachment);
        }
        let (key, inner) = self.only(value, "attachment")?;
        match key {
            "name" => self.text(inner, key, Subject::AttachmentName),
            "type" => self.text(inner, key, Subject::AttachmentType),
            _ => self.problem(value, unknown(key, &["name", "type"])),
        }
    }

    fn affirmed(&mut self, value: &Value<'t>, key: &str, test: Test) -> Option<Test> {
        match self.truth(value, key)? {
            true => Some(test),
            false => self.problem(value, format!("write not.{key} = true for the opposite")),
        }
    }

    fn bounded<'v, T: Copy>(
        &mut self,
        value: &'v Value<'t>,
        what: &str,
        known: &[(&str, T)],
    ) -> Option<(T, &'v Value<'t>)> {
        let (key, inner) = self.only(value, what)?;
        match known.iter().find(|(name, _)| *name == key) {
            Some((_, meant)) => Some((*meant, inner)),
            None => self.problem(value, format!("{what}: {}", unknown(key, &names(known)))),
        }
    }

    fn size(&mut self, value: &Value<'t>) -> Option<u64> {
        if let DeValue::Integer(_) = value.get_ref() {
            return self.number(value, "size");
        }
        let text = self.string(value, "size")?;
        match octets(&text) {
            Some(size) => Some(size),
            None => {
                let words = format!("\"{text}\" is not a size such as 100kB, 5MB or 1GiB");
                self.problem(value, words)
            }
        }
    }
}

/// Several fields stand in one key, divided by commas.
fn fields(names: &str) -> Vec<String> {
    names
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Units of sizes, as in the configuration.
pub(in super::super) const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

fn octets(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = Some(unit.trim())
        .filter(|unit| !unit.is_empty())
        .unwrap_or("B");
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
