//! Conditions as Sieve tests.

use super::super::FINDING_PREFIX;
use super::super::condition::{
    Condition, How, Join, Part, SizeBound, SpamBound, Subject, Test, TimeBound, Virus,
    quoted_pattern,
};
use super::Lowering;
use crate::engine::ast;

/// What mail of lists has (RFC 2919, RFC 2369).
pub(in super::super) const LIST_FIELDS: [&str; 2] = ["list-id", "list-post"];
/// Where attachments have their names (RFC 2183, RFC 2045).
pub(in super::super) const NAME_FIELDS: [&str; 2] = ["content-disposition", "content-type"];
/// The parameters that they are in.
pub(in super::super) const NAME_PARAMETERS: [&str; 2] = ["filename", "name"];
/// For texts beyond ASCII: the usual comparator knows no capitals of theirs.
pub(in super::super) const UNICODE: &str = "i;unicode-casemap";
pub(in super::super) const NUMERIC: &str = "i;ascii-numeric";

type Arguments = Vec<ast::Argument>;

impl Lowering {
    pub(super) fn condition(&mut self, condition: &Condition) -> ast::Test {
        let test = self.test(&condition.test);
        match condition.not {
            true => self.tree.not(test),
            false => test,
        }
    }

    fn test(&mut self, test: &Test) -> ast::Test {
        match test {
            Test::Group(join, conditions) => {
                let tests = conditions.iter().map(|it| self.condition(it)).collect();
                match join {
                    Join::All => self.tree.all(tests),
                    Join::Any => self.tree.any(tests),
                }
            }
            Test::Text(subject, how, texts) => self.text(subject, *how, texts),
            Test::Exists(names) => {
                let names = self.names(names);
                self.tree.test("exists", vec![names])
            }
            Test::FromList => {
                let fields = self.tree.list(&LIST_FIELDS.map(str::to_owned));
                let any = self.tree.text("");
                self.tree
                    .test("header", vec![self.tree.tag("contains"), fields, any])
            }
            Test::Size(bound, octets) => {
                let bound = match bound {
                    SizeBound::Over => "over",
                    SizeBound::Under => "under",
                };
                let arguments = vec![self.tree.tag(bound), self.tree.number(*octets)];
                self.tree.test("size", arguments)
            }
            Test::Attachment => {
                self.require("mime");
                let tags = ["mime", "anychild", "type", "is"];
                let mut arguments: Arguments = tags.map(|tag| self.tree.tag(tag)).into();
                arguments.push(self.tree.text("content-disposition"));
                arguments.push(self.tree.text("attachment"));
                self.tree.test("header", arguments)
            }
            _ => self.graded(test),
        }
    }

    /// What is compared with numbers and times (RFC 5231, RFC 5235, RFC 5260).
    fn graded(&mut self, test: &Test) -> ast::Test {
        match test {
            Test::Spam(bound, percent) => {
                self.require("spamtestplus");
                let relation = match bound {
                    SpamBound::AtLeast => "ge",
                    SpamBound::Below => "lt",
                };
                let mut arguments = vec![self.tree.tag("percent")];
                arguments.extend(self.numeric(relation, &percent.to_string()));
                self.tree.test("spamtest", arguments)
            }
            Test::Virus(virus) => {
                self.require("virustest");
                let (relation, value) = match virus {
                    Virus::Untested => ("eq", "0"),
                    Virus::Clean => ("eq", "1"),
                    Virus::Infected => ("ge", "4"),
                };
                let arguments = self.numeric(relation, value);
                self.tree.test("virustest", arguments)
            }
            Test::Date(bound, day) => self.moment(*bound, "date", day),
            Test::Time(bound, time) => self.moment(*bound, "time", time),
            Test::Weekday(days) => {
                self.require("date");
                let days: Vec<String> = days.iter().map(|day| (*day as u8).to_string()).collect();
                let tag = self.tree.tag("is");
                let arguments = vec![tag, self.tree.text("weekday"), self.tree.list(&days)];
                self.tree.test("currentdate", arguments)
            }
            _ => self.tree.word("false"),
        }
    }

    fn numeric(&mut self, relation: &str, value: &str) -> Arguments {
        self.require("relational");
        self.require("comparator-i;ascii-numeric");
        let tree = &self.tree;
        vec![
            tree.tag("value"),
            tree.text(relation),
            tree.tag("comparator"),
            tree.text(NUMERIC),
            tree.text(value),
        ]
    }

    pub(crate) fn moment(&mut self, bound: TimeBound, part: &str, value: &str) -> ast::Test {
        self.require("date");
        self.require("relational");
        let relation = match bound {
            TimeBound::From => "ge",
            TimeBound::Until => "le",
        };
        let tree = &self.tree;
        let arguments = vec![
            tree.tag("value"),
            tree.text(relation),
            tree.text(part),
            tree.text(value),
        ];
        tree.test("currentdate", arguments)
    }

    fn names(&mut self, names: &[String]) -> ast::Argument {
        let names: Vec<String> = names.iter().map(|name| self.plain(name)).collect();
        self.tree.list(&names)
    }

    fn text(&mut self, subject: &Subject, how: How, texts: &[String]) -> ast::Test {
        let (name, tags) = match subject {
            Subject::Header(_) => ("header", &[][..]),
            Subject::Address(..) => ("address", &[][..]),
            Subject::Sender(_) | Subject::Recipient(_) => ("envelope", &[][..]),
            Subject::Body => ("body", &["text"][..]),
            Subject::AttachmentName => ("header", &["mime", "anychild"][..]),
            Subject::AttachmentType => ("header", &["mime", "anychild", "contenttype"][..]),
            Subject::Finding(_) => ("environment", &[][..]),
        };
        let tags = tags.iter();
        let mut arguments: Arguments = tags.map(|tag| self.tree.tag(tag)).collect();
        if let Subject::AttachmentName = subject {
            arguments.push(self.tree.tag("param"));
            arguments.push(self.tree.list(&NAME_PARAMETERS.map(str::to_owned)));
        }
        if let Subject::Address(_, part) | Subject::Sender(part) | Subject::Recipient(part) =
            subject
        {
            let part = match part {
                Part::All => None,
                Part::User => Some("localpart"),
                Part::Domain => Some("domain"),
            };
            arguments.extend(part.map(|part| self.tree.tag(part)));
        }
        arguments.push(self.tree.tag(match how {
            How::Is => "is",
            How::Contains => "contains",
            How::Begins | How::Ends | How::Matches => "matches",
            How::Regex => "regex",
        }));
        if how != How::Regex && !texts.iter().all(|text| text.is_ascii()) {
            self.require("comparator-i;unicode-casemap");
            arguments.push(self.tree.tag("comparator"));
            arguments.push(self.tree.text(UNICODE));
        }
        arguments.extend(self.compared(subject));
        let texts: Vec<String> = texts.iter().map(|text| self.pattern(how, text)).collect();
        arguments.push(self.tree.list(&texts));
        self.require_text(subject, how);
        self.tree.test(name, arguments)
    }

    /// What it is that is compared, where a test has to be told.
    fn compared(&mut self, subject: &Subject) -> Option<ast::Argument> {
        match subject {
            Subject::Header(names) | Subject::Address(names, _) => Some(self.names(names)),
            Subject::Sender(_) => Some(self.tree.text("from")),
            Subject::Recipient(_) => Some(self.tree.text("to")),
            Subject::AttachmentName => Some(self.tree.list(&NAME_FIELDS.map(str::to_owned))),
            Subject::AttachmentType => Some(self.tree.text("content-type")),
            Subject::Finding(name) => Some(self.tree.text(format!("{FINDING_PREFIX}{name}"))),
            Subject::Body => None,
        }
    }

    fn pattern(&mut self, how: How, text: &str) -> String {
        let pattern = match how {
            How::Begins => format!("{}*", quoted_pattern(text)),
            How::Ends => format!("*{}", quoted_pattern(text)),
            _ => text.to_owned(),
        };
        self.plain(&pattern)
    }

    fn require_text(&mut self, subject: &Subject, how: How) {
        if how == How::Regex {
            self.require("regex");
        }
        let extension = match subject {
            Subject::Header(_) | Subject::Address(..) => return,
            Subject::Sender(_) | Subject::Recipient(_) => "envelope",
            Subject::Body => "body",
            Subject::AttachmentName | Subject::AttachmentType => "mime",
            Subject::Finding(_) => "environment",
        };
        self.require(extension);
    }
}
