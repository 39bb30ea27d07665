//! Writes rules as the text they are read from.

use std::fmt;

use super::action::{Action, Missing};
use super::condition::{
    Condition, How, Join, Part, SizeBound, SpamBound, Subject, Test, TimeBound, Virus, Weekday,
};
use super::read::{ADDRESSES, HEADERS, UNITS};
use super::toml_text::{array, key, string, strings};
use super::{Next, Rule, RuleSet};

/// The text that [`RuleSet::parse`] reads.
impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, rule) in self.rules.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{rule}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[rule]]\nname = {}", string(&self.name))?;
        if !self.enabled {
            writeln!(f, "enabled = false")?;
        }
        if self.join == Join::Any {
            writeln!(f, "match = \"any\"")?;
        }
        if !self.conditions.is_empty() {
            let conditions = self.conditions.iter().map(condition);
            writeln!(f, "if = [\n    {},\n]", joined(conditions, ",\n    "))?;
        }
        if !self.actions.is_empty() {
            let actions = self.actions.iter().map(action);
            writeln!(f, "then = [\n    {},\n]", joined(actions, ",\n    "))?;
        }
        match &self.next {
            Next::Continue => Ok(()),
            Next::Stop => writeln!(f, "next = \"stop\""),
            Next::GoTo(name) => writeln!(f, "go-to = {}", string(name)),
        }
    }
}

fn joined(items: impl Iterator<Item = String>, with: &str) -> String {
    items.collect::<Vec<_>>().join(with)
}

fn condition(condition: &Condition) -> String {
    let not = if condition.not { "not." } else { "" };
    format!("{{ {not}{} }}", test(&condition.test))
}

fn test(test: &Test) -> String {
    match test {
        Test::Group(join, conditions) => {
            let all = joined(conditions.iter().map(condition), ", ");
            let join = match join {
                Join::All => "all",
                Join::Any => "any",
            };
            format!("{join} = [{all}]")
        }
        Test::Text(of, how, texts) => {
            format!(
                "{}.{} = {}",
                subject(of),
                word(&How::ALL, how),
                strings(texts)
            )
        }
        Test::Exists(names) => format!("exists = {}", strings(names)),
        Test::FromList => "from-list = true".to_owned(),
        Test::Size(SizeBound::Over, octets) => format!("size.over = {}", size(*octets)),
        Test::Size(SizeBound::Under, octets) => format!("size.under = {}", size(*octets)),
        Test::Attachment => "attachment = true".to_owned(),
        Test::Spam(SpamBound::AtLeast, percent) => format!("spam.at-least = {percent}"),
        Test::Spam(SpamBound::Below, percent) => format!("spam.below = {percent}"),
        Test::Virus(virus) => format!("virus = \"{}\"", word(&Virus::ALL, virus)),
        Test::Date(TimeBound::From, day) => format!("date.from = {}", string(day)),
        Test::Date(TimeBound::Until, day) => format!("date.until = {}", string(day)),
        Test::Time(TimeBound::From, time) => format!("time.from = {}", string(time)),
        Test::Time(TimeBound::Until, time) => format!("time.until = {}", string(time)),
        Test::Weekday(days) => {
            let days = days.iter().map(|day| word(&Weekday::ALL, day).to_owned());
            format!("weekday = {}", strings(&days.collect::<Vec<_>>()))
        }
    }
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Header(names) => match HEADERS.iter().find(|(_, field)| *names == [*field]) {
            Some((word, _)) => (*word).to_owned(),
            None => format!("header.{}", key(&names.join(", "))),
        },
        Subject::Address(names, part) => {
            let own = ADDRESSES.iter().find(|(_, fields)| names == fields);
            let name = match own {
                Some((word, _)) => (*word).to_owned(),
                None => format!("address.{}", key(&names.join(", "))),
            };
            format!("{name}{}", of_part(*part))
        }
        Subject::Sender(part) => format!("sender{}", of_part(*part)),
        Subject::Recipient(part) => format!("recipient{}", of_part(*part)),
        Subject::Body => "body".to_owned(),
        Subject::AttachmentName => "attachment.name".to_owned(),
        Subject::AttachmentType => "attachment.type".to_owned(),
        Subject::Finding(name) => format!("test.{}", key(name)),
    }
}

fn of_part(part: Part) -> &'static str {
    match part {
        Part::All => "",
        Part::User => ".user",
        Part::Domain => ".domain",
    }
}

fn word<T: PartialEq>(words: &[(&'static str, T)], meant: &T) -> &'static str {
    let found = words.iter().find(|(_, it)| it == meant);
    found.map_or("", |(word, _)| word)
}

/// In the largest unit that gives a whole number.
fn size(octets: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, factor)| octets > 0 && octets.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) if *factor > 1 => format!("\"{}{name}\"", octets / factor),
        // TOML's whole numbers end at 2^63.
        _ => format!("\"{octets}B\""),
    }
}

fn action(action: &Action) -> String {
    let inner = match action {
        Action::Keep => "keep = true".to_owned(),
        Action::Delete => "delete = true".to_owned(),
        Action::Move(mailbox, missing) => format!("move = {}", place(mailbox, *missing)),
        Action::Copy(mailbox, missing) => format!("copy = {}", place(mailbox, *missing)),
        Action::Mark(flags) => format!("mark = {}", strings(flags)),
        Action::Forward { to, keep: false } => format!("forward = {}", string(to)),
        Action::Forward { to, keep: true } => format!("forward = {}, keep = true", string(to)),
        Action::Reply(reply) => {
            let subject = reply.subject.as_deref();
            let subject = subject.map(|it| format!(", subject = {}", string(it)));
            let days = reply.days.map(|days| format!(", days = {days}"));
            let addresses = (!reply.addresses.is_empty())
                .then(|| format!(", addresses = {}", strings(&reply.addresses)));
            let options = [subject, days, addresses].into_iter().flatten();
            format!(
                "reply = {}{}",
                string(&reply.text),
                options.collect::<String>()
            )
        }
        Action::Notify { to, text } => {
            let text = text.as_deref().map(|it| format!(", text = {}", string(it)));
            format!("notify = {}{}", string(to), text.unwrap_or_default())
        }
        Action::AddHeader { name, value } => {
            format!("add-header = {}, value = {}", string(name), string(value))
        }
        Action::RemoveHeader(name) => format!("remove-header = {}", string(name)),
        Action::TagSubject(tag) => format!("tag-subject = {}", string(tag)),
        Action::Strip { names, text } => {
            let names = match names.is_empty() {
                true => "true".to_owned(),
                false => array(names),
            };
            format!("strip = {names}, text = {}", string(text))
        }
        Action::Reject(reason) => format!("reject = {}", string(reason)),
    };
    format!("{{ {inner} }}")
}

fn place(mailbox: &str, missing: Missing) -> String {
    match missing {
        Missing::Create => string(mailbox),
        Missing::Inbox => format!("{}, create = false", string(mailbox)),
    }
}
