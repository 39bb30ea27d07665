//! From tokens to rules: [`Parser`].
//!
//! ```text
//! file       = *( rule / phrases / score / include )
//! rule       = "rule" NAME [number] [string] ["tags" word *("," word)] "when" expression
//! phrases    = "phrases" "@"name string *("," string)
//! score      = "score" NAME number
//! include    = "include" string
//! expression = conjunction *("or" conjunction)
//! conjunction = negation *("and" negation)
//! negation   = "not" negation / "(" expression ")" / NAME / test
//!            / ("at" "least" number / "any") "of" "(" expression *("," expression) ")"
//! ```

mod test;

use std::collections::HashMap;

use super::error::{Position, RuleError, RuleErrors, RuleProblem};
use super::lexer::{Token, TokenKind, lex};
use super::syntax::{Expression, Program, Rule};

/// Rules taken.
const MAX_RULES: usize = 10_000;
/// Octets of all files together.
const MAX_OCTETS: usize = 8 * 1024 * 1024;
/// Files within files.
const MAX_INCLUDES: usize = 8;
/// Problems told at once.
const MAX_PROBLEMS: usize = 50;
/// Expressions within expressions.
const MAX_DEPTH: usize = 32;

/// Gives the text of a file that another includes.
pub(super) type Load<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// Reads files of rules.
pub(super) struct Parser<'a> {
    load: Load<'a>,
    program: Program,
    names: HashMap<String, usize>,
    lists: HashMap<String, Vec<String>>,
    errors: Vec<RuleError>,
    octets: usize,
}

/// A problem and where it is.
type Problem = (Position, RuleProblem);

/// One file, while it is read.
struct File<'t> {
    tokens: &'t [Token],
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(load: Load<'a>) -> Self {
        Self {
            load,
            program: Program::default(),
            names: HashMap::new(),
            lists: HashMap::new(),
            errors: Vec::new(),
            octets: 0,
        }
    }

    pub(super) fn finish(self) -> Result<Program, Vec<RuleError>> {
        match self.errors.is_empty() {
            true => Ok(self.program),
            false => Err(self.errors),
        }
    }

    /// Reads a file that nothing includes.
    pub(super) fn load(&mut self, name: &str) {
        match (self.load)(name) {
            Ok(text) => self.file(name, &text, 0),
            Err(reason) => {
                let included = name.to_owned();
                let problem = RuleProblem::Include {
                    name: included,
                    reason,
                };
                self.errors.extend(RuleErrors::at_start(name, problem).0);
            }
        }
    }

    /// Reads a file; `depth` files include it.
    pub(super) fn file(&mut self, name: &str, text: &str, depth: usize) {
        let mut problems = Vec::new();
        self.octets += text.len();
        let tokens = match self.octets <= MAX_OCTETS {
            true => lex(text, &mut problems),
            false => {
                let what = "octets of rules";
                problems.push((
                    START,
                    RuleProblem::TooMany {
                        what,
                        limit: MAX_OCTETS,
                    },
                ));
                Vec::new()
            }
        };
        let mut file = File {
            tokens: &tokens,
            next: 0,
            depth: 0,
        };
        while file.next < tokens.len() {
            file.depth = 0;
            if let Err(problem) = self.item(&mut file, depth) {
                problems.push(problem);
                file.skip();
            }
        }
        problems.sort_by_key(|(at, _)| *at);
        for (at, problem) in problems {
            if self.errors.len() < MAX_PROBLEMS {
                self.errors.push(RuleError {
                    file: name.to_owned(),
                    line: at.line,
                    column: at.column,
                    problem,
                });
            }
        }
    }

    fn item(&mut self, file: &mut File<'_>, depth: usize) -> Result<(), Problem> {
        let at = file.at();
        match file.word("rule, phrases, score or include")?.as_str() {
            "rule" => self.rule(file),
            "phrases" => self.phrases(file),
            "score" => self.score(file),
            "include" => self.include(file, depth),
            word => Err((at, unknown(word, "rule, phrases, score, include"))),
        }
    }

    fn rule(&mut self, file: &mut File<'_>) -> Result<(), Problem> {
        let at = file.at();
        let name = file.word("the rule's name")?;
        if !is_rule_name(&name) {
            return Err((at, RuleProblem::Name(name)));
        }
        if self.names.contains_key(&name) {
            return Err((at, RuleProblem::Twice(name)));
        }
        if self.program.rules.len() >= MAX_RULES {
            let what = "rules";
            return Err((
                at,
                RuleProblem::TooMany {
                    what,
                    limit: MAX_RULES,
                },
            ));
        }
        let score = file.score()?;
        let about = file.string_if_any().unwrap_or_default();
        let mut tags = Vec::new();
        if file.take_word("tags") {
            loop {
                tags.push(file.word("a tag")?);
                if !file.take_sign(",") {
                    break;
                }
            }
        }
        let at = file.at();
        if !file.take_word("when") {
            return Err((at, file.expected("`when` and what must hold")));
        }
        let when = self.expression(file)?;
        self.names.insert(name.clone(), self.program.rules.len());
        self.program.rules.push(Rule {
            name,
            score,
            about,
            tags,
            when,
        });
        Ok(())
    }

    fn phrases(&mut self, file: &mut File<'_>) -> Result<(), Problem> {
        let at = file.at();
        let Some(TokenKind::List(name)) = file.peek().cloned() else {
            return Err((at, file.expected("the list's name, such as @money")));
        };
        file.next += 1;
        if self.lists.contains_key(&name) {
            return Err((at, RuleProblem::Twice(format!("@{name}"))));
        }
        let list = self.strings(file)?;
        self.lists.insert(name, list);
        Ok(())
    }

    fn score(&mut self, file: &mut File<'_>) -> Result<(), Problem> {
        let at = file.at();
        let name = file.word("the name of a rule")?;
        let place = self.names.get(&name).copied();
        let place = place.ok_or((at, RuleProblem::Missing { what: "rule", name }))?;
        let at = file.at();
        let score = file.score()?;
        if score.is_none() {
            return Err((at, file.expected("a score")));
        }
        if let Some(rule) = self.program.rules.get_mut(place) {
            rule.score = score;
        }
        Ok(())
    }

    fn include(&mut self, file: &mut File<'_>, depth: usize) -> Result<(), Problem> {
        let at = file.at();
        let Some(name) = file.string_if_any() else {
            return Err((at, file.expected("the file's name in \"quotes\"")));
        };
        let text = match depth < MAX_INCLUDES {
            true => (self.load)(&name),
            false => Err(format!("files are included more than {MAX_INCLUDES} deep")),
        };
        match text {
            Ok(text) => self.file(&name, &text, depth + 1),
            Err(reason) => return Err((at, RuleProblem::Include { name, reason })),
        }
        Ok(())
    }

    /// Strings and lists of phrases, in lower case, white space made single.
    fn strings(&self, file: &mut File<'_>) -> Result<Vec<String>, Problem> {
        let mut all = Vec::new();
        loop {
            let at = file.at();
            match file.peek().cloned() {
                Some(TokenKind::String(text)) => {
                    file.next += 1;
                    let words: Vec<_> = text.split_whitespace().collect();
                    if words.is_empty() {
                        return Err((
                            at,
                            RuleProblem::Expected {
                                wanted: "a phrase".to_owned(),
                                found: "an empty string".to_owned(),
                            },
                        ));
                    }
                    all.push(words.join(" ").to_lowercase());
                }
                Some(TokenKind::List(name)) => {
                    file.next += 1;
                    let missing = || RuleProblem::Missing {
                        what: "list",
                        name: format!("@{name}"),
                    };
                    all.extend_from_slice(self.lists.get(&name).ok_or((at, missing()))?);
                }
                _ => return Err((at, file.expected("a phrase in \"quotes\" or a @list"))),
            }
            // A comma before anything else belongs to the group around.
            let next = file.tokens.get(file.next + 1).map(|token| &token.kind);
            let goes_on = matches!(next, Some(TokenKind::String(_) | TokenKind::List(_)));
            if !goes_on || !file.take_sign(",") {
                return Ok(all);
            }
        }
    }

    fn expression(&self, file: &mut File<'_>) -> Result<Expression, Problem> {
        let at = file.at();
        file.depth += 1;
        if file.depth > MAX_DEPTH {
            return Err((at, RuleProblem::TooDeep));
        }
        let mut any = vec![self.conjunction(file)?];
        while file.take_word("or") {
            any.push(self.conjunction(file)?);
        }
        file.depth -= 1;
        Ok(match any.len() {
            1 => any.remove(0),
            _ => Expression::AtLeast(1, any),
        })
    }

    fn conjunction(&self, file: &mut File<'_>) -> Result<Expression, Problem> {
        let mut all = vec![self.negation(file)?];
        while file.take_word("and") {
            all.push(self.negation(file)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Expression::All(all),
        })
    }

    fn negation(&self, file: &mut File<'_>) -> Result<Expression, Problem> {
        let mut negated = false;
        while file.take_word("not") {
            negated = !negated;
        }
        let expression = self.primary(file)?;
        Ok(match negated {
            true => Expression::Not(Box::new(expression)),
            false => expression,
        })
    }

    fn primary(&self, file: &mut File<'_>) -> Result<Expression, Problem> {
        if file.take_sign("(") {
            let expression = self.expression(file)?;
            file.sign(")")?;
            return Ok(expression);
        }
        let at = file.at();
        let word = file.word("what must hold")?;
        match word.as_str() {
            "any" => {
                file.keyword("of")?;
                Ok(Expression::AtLeast(1, self.group(file)?))
            }
            "at" => {
                file.keyword("least")?;
                let least = file.count()?;
                file.keyword("of")?;
                Ok(Expression::AtLeast(least, self.group(file)?))
            }
            _ if is_rule_name(&word) => match self.names.get(&word) {
                Some(place) => Ok(Expression::Rule(*place)),
                None => Err((
                    at,
                    RuleProblem::Missing {
                        what: "rule",
                        name: word,
                    },
                )),
            },
            _ => self.test(file, at, &word),
        }
    }

    /// `(a, b, c)`.
    fn group(&self, file: &mut File<'_>) -> Result<Vec<Expression>, Problem> {
        file.sign("(")?;
        let mut group = Vec::new();
        loop {
            group.push(self.expression(file)?);
            if !file.take_sign(",") {
                file.sign(")")?;
                return Ok(group);
            }
        }
    }
}

const START: Position = Position { line: 1, column: 1 };

fn unknown(word: &str, known: &str) -> RuleProblem {
    RuleProblem::Unknown {
        word: word.to_owned(),
        known: known.to_owned(),
    }
}

fn is_rule_name(word: &str) -> bool {
    let sound = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
    (2..=64).contains(&word.len())
        && word.bytes().all(sound)
        && word.starts_with(|it: char| it.is_ascii_uppercase())
}

impl File<'_> {
    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    /// Where the next token stands; at the end, the last one.
    fn at(&self) -> Position {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(START, |token| token.at)
    }

    fn expected(&self, wanted: &str) -> RuleProblem {
        RuleProblem::Expected {
            wanted: wanted.to_owned(),
            found: self
                .peek()
                .map_or("the end of the file".to_owned(), TokenKind::shown),
        }
    }

    /// Passes over the rest of what can't be read: to the next item that starts a
    /// line.
    fn skip(&mut self) {
        while let Some(token) = self.tokens.get(self.next) {
            let starts = matches!(&token.kind, TokenKind::Word(word)
                if matches!(word.as_str(), "rule" | "phrases" | "score" | "include"));
            let is_fresh = self.next > 0 && token.at.column == 1;
            if starts && is_fresh {
                return;
            }
            self.next += 1;
        }
    }

    fn word(&mut self, wanted: &str) -> Result<String, Problem> {
        match self.peek() {
            Some(TokenKind::Word(word)) => {
                let word = word.clone();
                self.next += 1;
                Ok(word)
            }
            _ => Err((self.at(), self.expected(wanted))),
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Word(it)) if it == word);
        self.next += usize::from(found);
        found
    }

    fn keyword(&mut self, word: &str) -> Result<(), Problem> {
        match self.take_word(word) {
            true => Ok(()),
            false => Err((self.at(), self.expected(&format!("`{word}`")))),
        }
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Sign(it)) if *it == sign);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), Problem> {
        match self.take_sign(sign) {
            true => Ok(()),
            false => Err((self.at(), self.expected(&format!("`{sign}`")))),
        }
    }

    fn string_if_any(&mut self) -> Option<String> {
        let Some(TokenKind::String(text)) = self.peek() else {
            return None;
        };
        let text = text.clone();
        self.next += 1;
        Some(text)
    }

    fn number_if_any(&mut self) -> Option<f64> {
        let Some(TokenKind::Number(number)) = self.peek() else {
            return None;
        };
        let number = *number;
        self.next += 1;
        Some(number)
    }

    fn score(&mut self) -> Result<Option<f32>, Problem> {
        let at = self.at();
        match self.number_if_any() {
            Some(score) if score.abs() <= 100.0 => Ok(Some(score as f32)),
            Some(_) => Err((at, RuleProblem::Score)),
            None => Ok(None),
        }
    }

    /// A whole number above nought.
    fn count(&mut self) -> Result<usize, Problem> {
        match self.peek() {
            Some(TokenKind::Number(count))
                if (1.0..=10_000.0).contains(count) && count.fract() == 0.0 =>
            {
                let count = *count as usize;
                self.next += 1;
                Ok(count)
            }
            _ => Err((self.at(), self.expected("how many, a whole number"))),
        }
    }
}
