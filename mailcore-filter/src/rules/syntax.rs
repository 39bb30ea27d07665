//! What a rule file says, as data: [`Program`].

use std::collections::HashSet;

/// Rules in order, and the lists they use, resolved.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    /// None for a rule that only others use.
    pub(super) score: Option<f32>,
    pub(super) about: String,
    pub(super) tags: Vec<String>,
    pub(super) when: Expression,
}

#[derive(Debug)]
pub(super) enum Expression {
    Text(Source, TextTest),
    Number(Quantity, Comparison),
    /// A test's finding with this result.
    Found(String, String),
    /// Another rule, by its place.
    Rule(usize),
    Not(Box<Expression>),
    All(Vec<Expression>),
    /// This many of them, or more.
    AtLeast(usize, Vec<Expression>),
}

/// Where texts come from: none, one or many.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Values of the header fields of this name, in lower case.
    Header(String, Form),
    /// Names of all header fields.
    HeaderNames,
    /// Addresses in the header fields of this name.
    Address(String, AddressPart),
    Text,
    Hidden,
    Title,
    Raw,
    Url(UrlPart),
    Part(PartFact),
    Helo,
    ClientName,
    ClientAddress,
    Sender(AddressPart),
    Recipient(AddressPart),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Decoded,
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AddressPart {
    Address,
    Local,
    Domain,
    Organization,
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum UrlPart {
    Text,
    Host,
    Organization,
    TopLevel,
    Path,
    Address,
    Trick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PartFact {
    Type,
    Name,
    Extension,
    Charset,
    Encoding,
}

/// What is asked of the texts of a source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TextTest {
    Matches(Pattern),
    /// This many of the phrases, or more.
    Has(usize, Vec<String>),
    /// One of them is one of these, in lower case.
    Is(HashSet<String>),
    /// One of them is one of these domains or below one.
    Under(HashSet<String>),
    Exists,
    Missing,
    Count(Comparison),
    /// Characters of all of them together.
    Length(Comparison),
    /// Capitals among the letters, in percent.
    Capitals(Comparison),
    /// Both sources have texts, and no text in common.
    Differs(Source),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    pub(super) pattern: String,
    pub(super) ignore_case: bool,
}

/// Numbers that a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Size,
    /// Seconds by which Date is ahead of the clock, or behind it.
    DateAhead,
    DateBehind,
    Page(PageNumber),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageNumber {
    /// Text that is shown, in percent of the markup.
    Ratio,
    Tags,
    Images,
    Links,
    Forms,
    Passwords,
    Scripts,
    Frames,
    Comments,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison {
    pub(super) operator: Operator,
    pub(super) value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Comparison {
    pub(super) fn holds(self, value: f64) -> bool {
        match self.operator {
            Operator::Less => value < self.value,
            Operator::AtMost => value <= self.value,
            Operator::Equal => (value - self.value).abs() < 1e-9,
            Operator::AtLeast => value >= self.value,
            Operator::More => value > self.value,
        }
    }
}
