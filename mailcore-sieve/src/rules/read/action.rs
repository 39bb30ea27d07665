//! Reads actions: tables with the action's own key, such as
//! `{ forward = "a@example.org", keep = true }`.

use toml::de::{DeTable, DeValue};

use super::super::action::{Action, Missing, Reply};
use super::super::toml_text::{Reader, Value, names, unknown};

/// Each action and what may stand beside it.
const ACTIONS: [(&str, &[&str]); 13] = [
    ("keep", &[]),
    ("delete", &[]),
    ("move", &["create"]),
    ("copy", &["create"]),
    ("mark", &[]),
    ("forward", &["keep"]),
    ("reply", &["subject", "days", "addresses"]),
    ("notify", &["text"]),
    ("add-header", &["value"]),
    ("remove-header", &[]),
    ("tag-subject", &[]),
    ("strip", &["text"]),
    ("reject", &[]),
];

impl<'t> Reader<'t> {
    pub(super) fn action(&mut self, item: &Value<'t>) -> Option<Action> {
        let table = self.table(item, "an action")?;
        // `keep` is an action, and an addition to `forward`.
        let found = ACTIONS
            .iter()
            .rev()
            .find(|(name, _)| table.contains_key(*name));
        let Some((name, options)) = found else {
            let key = table.keys().next().map(|key| key.get_ref().as_ref());
            let words = unknown(key.unwrap_or_default(), &names(&ACTIONS));
            return self.problem(item, words);
        };
        let mut known = options.to_vec();
        known.push(name);
        self.unknown_keys(table, &known);
        let value = table.get(*name)?;
        match *name {
            "keep" => self.bare(value, name, Action::Keep),
            "delete" => self.bare(value, name, Action::Delete),
            "move" => Some(Action::Move(self.string(value, name)?, self.missing(table))),
            "copy" => Some(Action::Copy(self.string(value, name)?, self.missing(table))),
            "mark" => Some(Action::Mark(self.strings(value, name)?)),
            "forward" => {
                let to = self.string(value, name)?;
                let keep = table.get("keep").map(|it| self.truth(it, "keep"));
                let keep = keep.flatten().unwrap_or_default();
                Some(Action::Forward { to, keep })
            }
            "reply" => self.reply(value, table),
            "notify" => {
                let to = self.string(value, name)?;
                let text = self.optional(table, "text");
                Some(Action::Notify { to, text })
            }
            "add-header" => {
                let (name, value) = (self.string(value, name)?, table.get("value"));
                let value = value.and_then(|it| self.string(it, "value"));
                match value {
                    Some(value) => Some(Action::AddHeader { name, value }),
                    None => self.problem(item, "add-header needs a value = \"...\" beside it"),
                }
            }
            "remove-header" => Some(Action::RemoveHeader(self.string(value, name)?)),
            "tag-subject" => Some(Action::TagSubject(self.string(value, name)?)),
            "strip" => self.strip(value, table),
            _ => Some(Action::Reject(self.string(value, name)?)),
        }
    }

    fn bare(&mut self, value: &Value<'t>, name: &str, action: Action) -> Option<Action> {
        match self.truth(value, name)? {
            true => Some(action),
            false => self.problem(value, format!("leave {name} out instead of writing false")),
        }
    }

    fn optional(&mut self, table: &DeTable<'t>, key: &str) -> Option<String> {
        let value = table.get(key)?;
        self.string(value, key)
    }

    fn missing(&mut self, table: &DeTable<'t>) -> Missing {
        let create = table.get("create").map(|it| self.truth(it, "create"));
        match create.flatten() {
            Some(false) => Missing::Inbox,
            _ => Missing::Create,
        }
    }

    fn reply(&mut self, value: &Value<'t>, table: &DeTable<'t>) -> Option<Action> {
        let mut reply = Reply::new(self.string(value, "reply")?);
        reply.subject = self.optional(table, "subject");
        reply.days = table.get("days").and_then(|it| self.number(it, "days"));
        if let Some(addresses) = table.get("addresses") {
            reply.addresses = self.strings(addresses, "addresses")?;
        }
        Some(Action::Reply(reply))
    }

    /// `strip = true` for all attachments, or names of those that go.
    fn strip(&mut self, value: &Value<'t>, table: &DeTable<'t>) -> Option<Action> {
        let names = match value.get_ref() {
            DeValue::Boolean(true) => Vec::new(),
            _ => self.strings(value, "strip")?,
        };
        let text = self.optional(table, "text");
        let text = text.unwrap_or_else(|| "An attachment was removed here.".to_owned());
        Some(Action::Strip { names, text })
    }
}
