//! Actions from Sieve commands.

use super::super::Next;
use super::super::action::{Action, Missing, Reply};
use super::super::lower::{NAME_FIELDS, NAME_PARAMETERS, REPLIED, TAKEN, YES};
use super::arguments::{Arguments, is_set, text_of};
use super::{Import, Refused, matches_all, refused, variable_is};
use crate::engine::ast::{Argument, Command, Value};

/// Tags with a value behind them.
const VALUED: [&str; 12] = [
    "days",
    "subject",
    "addresses",
    "seconds",
    "from",
    "handle",
    "message",
    "importance",
    "options",
    "flags",
    "index",
    "fcc",
];

impl Import {
    /// The actions of a rule, and where it goes on.
    pub(super) fn block(&self, block: &[Command]) -> Result<(Vec<Action>, Next), Refused> {
        let (mut actions, mut next) = (Vec::new(), None);
        for command in block {
            if next.is_some() {
                return Err(refused(command.at, "nothing comes after the end of a rule"));
            }
            if is_set(command, TAKEN, YES) {
                continue;
            }
            match self.goal(command)? {
                Some(goal) => next = Some(goal),
                None if command.name == "stop" => next = Some(Next::Stop),
                None => actions.push(self.action(command)?),
            }
        }
        Ok((actions, next.unwrap_or_default()))
    }

    fn action(&self, command: &Command) -> Result<Action, Refused> {
        let at = command.at;
        let arguments = &mut Arguments::new(&command.name, at, &command.arguments, &VALUED);
        let action = match command.name.as_str() {
            "keep" => Action::Keep,
            "discard" => Action::Delete,
            "fileinto" => {
                let copy = arguments.tag("copy");
                let missing = match arguments.tag("create") {
                    true => Missing::Create,
                    false => Missing::Inbox,
                };
                let mailbox = self.plain(arguments.text()?, at)?;
                match copy {
                    true => Action::Copy(mailbox, missing),
                    false => Action::Move(mailbox, missing),
                }
            }
            "addflag" => Action::Mark(self.plain_list(arguments.texts()?, arguments)?),
            "redirect" => {
                let keep = arguments.tag("copy");
                let to = self.plain(arguments.text()?, at)?;
                Action::Forward { to, keep }
            }
            "vacation" => self.vacation(arguments)?,
            "notify" => self.notice(arguments)?,
            "addheader" => {
                let name = self.plain(arguments.text()?, at)?;
                let value = self.template(arguments.text()?);
                Action::AddHeader { name, value }
            }
            "deleteheader" => Action::RemoveHeader(self.plain(arguments.text()?, at)?),
            "reject" | "ereject" => Action::Reject(self.plain(arguments.text()?, at)?),
            "if" => return self.conditional(command),
            "foreverypart" => return self.strip(command),
            _ => return arguments.refused("can't be the action of a rule"),
        };
        arguments.end()?;
        Ok(action)
    }

    fn plain_list(&self, texts: Vec<&str>, at: &Arguments<'_>) -> Result<Vec<String>, Refused> {
        let texts = texts.into_iter();
        texts.map(|text| self.plain(text, at.at)).collect()
    }

    fn vacation(&self, arguments: &mut Arguments<'_>) -> Result<Action, Refused> {
        let days = arguments.number("days")?;
        let mut reply = Reply {
            days,
            ..Reply::default()
        };
        let subject = arguments.text_behind("subject")?;
        reply.subject = subject.map(|subject| self.template(subject));
        if let Some(addresses) = arguments.value("addresses") {
            let addresses = arguments.texts_in(addresses)?;
            reply.addresses = self.plain_list(addresses, arguments)?;
        }
        reply.text = self.template(arguments.text()?);
        Ok(Action::Reply(reply))
    }

    fn notice(&self, arguments: &mut Arguments<'_>) -> Result<Action, Refused> {
        let text = arguments.text_behind("message")?;
        let text = text.map(|text| self.template(text));
        let method = self.plain(arguments.text()?, arguments.at)?;
        let to = method
            .strip_prefix("mailto:")
            .filter(|to| !to.contains('?'));
        match to.and_then(from_uri) {
            Some(to) => Ok(Action::Notify { to, text }),
            None => arguments.refused("tells somebody in a way that rules don't: mailto:address"),
        }
    }

    /// What rules write within a condition of its own.
    fn conditional(&self, command: &Command) -> Result<Action, Refused> {
        let block = command.block.as_deref().unwrap_or_default();
        let [test] = command.tests.as_slice() else {
            return Err(refused(command.at, "if lacks a test"));
        };
        let unless = |name| variable_is(test, name).is_some_and(str::is_empty);
        match block {
            [mark, vacation] if unless(REPLIED) && is_set(mark, REPLIED, YES) => {
                self.action(vacation)
            }
            [reject] if unless(TAKEN) => self.action(reject),
            [delete, add] if delete.name == "deleteheader" && add.name == "addheader" => {
                self.tag_subject(command, add)
            }
            _ => Err(refused(
                command.at,
                "an if within an if can't be written as a rule",
            )),
        }
    }

    fn tag_subject(&self, command: &Command, add: &Command) -> Result<Action, Refused> {
        let test = command.tests.first().filter(|test| test.name == "allof");
        let tests = test.map(|test| test.tests.as_slice()).unwrap_or_default();
        let [absent, there] = tests else {
            return Err(refused(command.at, "rules tag subjects in another way"));
        };
        let tag = add.arguments.get(1).and_then(text_of);
        let tag = tag.and_then(|value| value.strip_suffix(" ${1}"));
        let absent = absent.tests.first().filter(|_| absent.name == "not");
        let looked = absent
            .and_then(|test| test.arguments.get(2))
            .and_then(text_of);
        match tag {
            Some(tag) if looked == Some(tag) && matches_all(there, "subject") => {
                Ok(Action::TagSubject(self.plain(tag, command.at)?))
            }
            _ => Err(refused(command.at, "rules tag subjects in another way")),
        }
    }

    fn strip(&self, command: &Command) -> Result<Action, Refused> {
        let other = || refused(command.at, "rules take attachments out in another way");
        let [inner] = command.block.as_deref().unwrap_or_default() else {
            return Err(other());
        };
        let ([test], Some([replace])) = (inner.tests.as_slice(), inner.block.as_deref()) else {
            return Err(other());
        };
        let [text] = replace.arguments.as_slice() else {
            return Err(other());
        };
        let tags: Vec<&str> = test.arguments.iter().filter_map(tag_of).collect();
        let strings: Vec<&Argument> = test
            .arguments
            .iter()
            .filter(|it| tag_of(it).is_none())
            .collect();
        let is = |argument: &Argument, texts: &[&str]| match &argument.value {
            Value::List(found) => found.iter().map(String::as_str).eq(texts.iter().copied()),
            Value::Text(found) => texts == [found.as_str()],
            _ => false,
        };
        let names = match (tags.as_slice(), strings.as_slice()) {
            (["mime", "type", "is"], [field, value])
                if is(field, &["content-disposition"]) && is(value, &["attachment"]) =>
            {
                Vec::new()
            }
            (["mime", "param", "matches"], [parameters, fields, names])
                if is(parameters, &NAME_PARAMETERS) && is(fields, &NAME_FIELDS) =>
            {
                let at = Arguments::new("header", test.at, &[], &[]);
                self.plain_list(at.texts_in(names)?, &at)?
            }
            _ => return Err(other()),
        };
        let text = text_of(text).filter(|_| replace.name == "replace" && inner.name == "if");
        let text = self.plain(text.ok_or_else(other)?, command.at)?;
        Ok(Action::Strip { names, text })
    }
}

fn tag_of(argument: &Argument) -> Option<&str> {
    match &argument.value {
        Value::Tag(name) => Some(name),
        _ => None,
    }
}

/// The address of an URI (RFC 6068 section 2).
fn from_uri(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                octets.push(u8::from_str_radix(digits, 16).ok()?);
            }
            _ => octets.push(octet),
        }
    }
    String::from_utf8(octets).ok()
}
