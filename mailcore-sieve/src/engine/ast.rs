//! A script's syntax tree (RFC 5228 section 8), as the parser reads it and
//! [`Script`]'s `Display` writes it. It knows grammar and no command's meaning.

use super::Position;

/// A script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Its commands.
    pub commands: Vec<Command>,
}

/// A command: action or control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name, in lower case.
    pub name: String,
    /// Where it begins.
    pub at: Position,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Its tests: one, or those in parentheses.
    pub tests: Vec<Test>,
    /// Its block, where it has one instead of a semicolon.
    pub block: Option<Vec<Command>>,
    /// Comments and blank lines that stand before it, `#` comments each with
    /// their mark, without line ends; only where the parser was asked for them.
    pub comments: Vec<String>,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its name, in lower case.
    pub name: String,
    /// Where it begins.
    pub at: Position,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Its tests.
    pub tests: Vec<Test>,
}

/// An argument and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// What.
    pub value: Value,
    /// Where.
    pub at: Position,
}

/// What an argument is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `100K`, its quantifier counted in.
    Number(u64),
    /// `:copy`, in lower case and without the colon.
    Tag(String),
    /// `"text"`, or `text:` over lines; quotes and dots undone.
    Text(String),
    /// `["a", "b"]`. The grammar takes a single string for a list of one; who
    /// asks for a list takes both.
    List(Vec<String>),
}
