//! Actions as Sieve commands.

use std::fmt::Write as _;

use super::super::action::{Action, Missing, Reply};
use super::condition::{NAME_FIELDS, NAME_PARAMETERS};
use super::{Lowering, REPLIED, TAKEN, YES};
use crate::engine::ast::{Argument, Command};

impl Lowering {
    pub(super) fn action(&mut self, action: &Action) -> Vec<Command> {
        let command = match action {
            Action::Keep => self.tree.command("keep", Vec::new()),
            Action::Delete => self.tree.command("discard", Vec::new()),
            Action::Move(mailbox, missing) => self.file(mailbox, *missing, None),
            Action::Copy(mailbox, missing) => self.file(mailbox, *missing, Some("copy")),
            Action::Mark(flags) => {
                self.require("imap4flags");
                let flags: Vec<String> = flags.iter().map(|flag| self.plain(flag)).collect();
                let flags = self.tree.list(&flags);
                self.tree.command("addflag", vec![flags])
            }
            Action::Forward { to, keep } => {
                let mut arguments = Vec::new();
                if *keep {
                    self.require("copy");
                    arguments.push(self.tree.tag("copy"));
                }
                let to = self.plain(to);
                arguments.push(self.tree.text(to));
                self.tree.command("redirect", arguments)
            }
            Action::Reply(reply) => self.reply(reply),
            Action::Notify { to, text } => self.notify(to, text.as_deref()),
            Action::AddHeader { name, value } => {
                self.require("editheader");
                let (name, value) = (self.plain(name), self.template(value));
                let arguments = vec![self.tree.text(name), self.tree.text(value)];
                self.tree.command("addheader", arguments)
            }
            Action::RemoveHeader(name) => {
                self.require("editheader");
                let name = self.plain(name);
                self.tree
                    .command("deleteheader", vec![self.tree.text(name)])
            }
            Action::TagSubject(tag) => self.tag_subject(tag),
            Action::Strip { names, text } => self.strip(names, text),
            Action::Reject(reason) => {
                self.require("reject");
                let reason = self.plain(reason);
                let reject = self.tree.command("reject", vec![self.tree.text(reason)]);
                if self.needs.refusal.is_none() {
                    return vec![reject];
                }
                let free = self.tree.variable(TAKEN, "");
                self.tree.when(free, vec![reject])
            }
        };
        vec![command]
    }

    fn file(&mut self, mailbox: &str, missing: Missing, copy: Option<&'static str>) -> Command {
        self.require("fileinto");
        let mut arguments = Vec::new();
        if let Some(tag) = copy {
            self.require(tag);
            arguments.push(self.tree.tag(tag));
        }
        if missing == Missing::Create {
            self.require("mailbox");
            arguments.push(self.tree.tag("create"));
        }
        let mailbox = self.plain(mailbox);
        arguments.push(self.tree.text(mailbox));
        self.tree.command("fileinto", arguments)
    }

    /// A script may answer once (RFC 5230 section 4.7), so that where several
    /// rules would, the first one leaves a mark.
    fn reply(&mut self, reply: &Reply) -> Command {
        self.require("vacation");
        let mut arguments = Vec::new();
        if let Some(days) = reply.days {
            arguments.push(self.tree.tag("days"));
            arguments.push(self.tree.number(days));
        }
        if let Some(subject) = &reply.subject {
            let subject = self.template(subject);
            arguments.push(self.tree.tag("subject"));
            arguments.push(self.tree.text(subject));
        }
        if !reply.addresses.is_empty() {
            let addresses = reply.addresses.iter();
            let addresses: Vec<String> = addresses.map(|it| self.plain(it)).collect();
            arguments.push(self.tree.tag("addresses"));
            arguments.push(self.tree.list(&addresses));
        }
        let text = self.template(&reply.text);
        arguments.push(self.tree.text(text));
        let vacation = self.tree.command("vacation", arguments);
        if !self.needs.many_replies {
            return vacation;
        }
        let silent = self.tree.variable(REPLIED, "");
        let mark = self.tree.set(REPLIED, YES);
        self.tree.when(silent, vec![mark, vacation])
    }

    fn notify(&mut self, to: &str, text: Option<&str>) -> Command {
        self.require("enotify");
        let mut arguments: Vec<Argument> = Vec::new();
        if let Some(text) = text {
            let text = self.template(text);
            arguments.push(self.tree.tag("message"));
            arguments.push(self.tree.text(text));
        }
        arguments.push(self.tree.text(format!("mailto:{}", in_uri(to))));
        self.tree.command("notify", arguments)
    }

    /// The value is `${1}` only where the field was looked at last.
    fn tag_subject(&mut self, tag: &str) -> Command {
        self.require("editheader");
        let tag = self.plain(tag);
        let tree = &self.tree;
        let field = || tree.text("subject");
        let tagged = vec![tree.tag("contains"), field(), tree.text(&tag)];
        let tagged = tree.not(tree.test("header", tagged));
        let value = tree.text(format!("{tag} ${{1}}"));
        let block = vec![
            tree.command("deleteheader", vec![field()]),
            tree.command("addheader", vec![tree.text("Subject"), value]),
        ];
        tree.when(tree.all(vec![tagged, tree.matches("subject")]), block)
    }

    fn strip(&mut self, names: &[String], text: &str) -> Command {
        for extension in ["foreverypart", "mime", "replace"] {
            self.require(extension);
        }
        let (names, text) = (
            names
                .iter()
                .map(|name| self.plain(name))
                .collect::<Vec<_>>(),
            self.plain(text),
        );
        let tree = &self.tree;
        let test = match names.is_empty() {
            true => {
                let mut arguments: Vec<Argument> =
                    ["mime", "type", "is"].map(|tag| tree.tag(tag)).into();
                arguments.push(tree.text("content-disposition"));
                arguments.push(tree.text("attachment"));
                arguments
            }
            false => vec![
                tree.tag("mime"),
                tree.tag("param"),
                tree.list(&NAME_PARAMETERS.map(str::to_owned)),
                tree.tag("matches"),
                tree.list(&NAME_FIELDS.map(str::to_owned)),
                tree.list(&names),
            ],
        };
        let replace = tree.command("replace", vec![tree.text(text)]);
        let attached = tree.when(tree.test("header", test), vec![replace]);
        tree.block("foreverypart", Vec::new(), vec![attached])
    }
}

/// An address as RFC 6068 section 2 writes it: what has a meaning in an URI is
/// named by its number.
pub(in super::super) fn in_uri(address: &str) -> String {
    let mut uri = String::with_capacity(address.len());
    for octet in address.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(char::from(octet)),
            b'-' | b'.' | b'_' | b'~' | b'@' | b'+' | b'!' | b'\'' | b'*' => {
                uri.push(char::from(octet));
            }
            _ => {
                let _ = write!(uri, "%{octet:02X}");
            }
        }
    }
    uri
}
