//! Pieces of a syntax tree, all on one line of their source.

use crate::engine::Position;
use crate::engine::ast::{Argument, Command, Test, Value};

/// Makes pieces.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The line that they stand on.
    pub(crate) line: u32,
}

impl Default for Tree {
    fn default() -> Self {
        Self { line: 1 }
    }
}

impl Tree {
    fn at(&self) -> Position {
        let (line, column) = (self.line, 1);
        Position { line, column }
    }

    fn argument(&self, value: Value) -> Argument {
        let at = self.at();
        Argument { value, at }
    }

    pub(crate) fn text(&self, text: impl Into<String>) -> Argument {
        self.argument(Value::Text(text.into()))
    }

    /// One string, or a list of several.
    pub(crate) fn list(&self, texts: &[String]) -> Argument {
        match texts {
            [one] => self.text(one),
            _ => self.argument(Value::List(texts.to_vec())),
        }
    }

    pub(crate) fn tag(&self, name: &str) -> Argument {
        self.argument(Value::Tag(name.to_owned()))
    }

    pub(crate) fn number(&self, number: u64) -> Argument {
        self.argument(Value::Number(number))
    }

    pub(crate) fn test(&self, name: &str, arguments: Vec<Argument>) -> Test {
        let (name, at, tests) = (name.to_owned(), self.at(), Vec::new());
        Test {
            name,
            at,
            arguments,
            tests,
        }
    }

    /// `true`, `false`.
    pub(crate) fn word(&self, name: &str) -> Test {
        self.test(name, Vec::new())
    }

    pub(crate) fn all(&self, tests: Vec<Test>) -> Test {
        let word = self.word("allof");
        Test { tests, ..word }
    }

    pub(crate) fn any(&self, tests: Vec<Test>) -> Test {
        let word = self.word("anyof");
        Test { tests, ..word }
    }

    pub(crate) fn not(&self, test: Test) -> Test {
        let word = self.word("not");
        let tests = vec![test];
        Test { tests, ..word }
    }

    /// Whether a variable is a text.
    pub(crate) fn variable(&self, name: &str, value: &str) -> Test {
        let name = self.text(format!("${{{name}}}"));
        self.test("string", vec![self.tag("is"), name, self.text(value)])
    }

    /// Whether a field is there, its value being `${1}` then.
    pub(crate) fn matches(&self, field: &str) -> Test {
        let arguments = vec![self.tag("matches"), self.text(field), self.text("*")];
        self.test("header", arguments)
    }

    pub(crate) fn command(&self, name: &str, arguments: Vec<Argument>) -> Command {
        Command {
            name: name.to_owned(),
            at: self.at(),
            arguments,
            tests: Vec::new(),
            block: None,
            comments: Vec::new(),
        }
    }

    pub(crate) fn set(&self, name: &str, value: &str) -> Command {
        self.command("set", vec![self.text(name), self.text(value)])
    }

    pub(crate) fn when(&self, test: Test, block: Vec<Command>) -> Command {
        let mut when = self.block("if", Vec::new(), block);
        when.tests.push(test);
        when
    }

    /// A command with a block.
    pub(crate) fn block(
        &self,
        name: &str,
        arguments: Vec<Argument>,
        block: Vec<Command>,
    ) -> Command {
        let mut command = self.command(name, arguments);
        command.block = Some(block);
        command
    }
}
