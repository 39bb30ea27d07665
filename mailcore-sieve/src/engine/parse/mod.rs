//! The grammar of RFC 5228 section 8.2: text becomes a [`Script`].
//!
//! What commands mean, and whether they are there at all, is the compiler's.

mod lex;
#[cfg(test)]
mod tests;

use self::lex::{Lexer, Token};
use super::ast::{Argument, Command, Script, Test, Value};
use super::{CompileError, Limits, Position};

/// More levels than this would cost more stack than a thread may have.
const NESTING: usize = 128;

/// Reads a script. Comments are left out.
pub fn parse(text: &[u8], limits: &Limits) -> Result<Script, CompileError> {
    let text = decoded(text, limits)?;
    Parser::new(Lexer::new(text), limits).script()
}

/// Reads a script with its comments, for one that is to be written again.
pub fn parse_with_comments(text: &[u8], limits: &Limits) -> Result<Script, CompileError> {
    let mut lexer = Lexer::new(decoded(text, limits)?);
    lexer.keep_comments();
    Parser::new(lexer, limits).script()
}

/// The text of a script, where it is one.
fn decoded<'a>(text: &'a [u8], limits: &Limits) -> Result<&'a str, CompileError> {
    let start = Position { line: 1, column: 1 };
    if text.len() > limits.script_size {
        return Err(CompileError::new(
            start,
            format!(
                "the script has {} octets and {} are allowed: divide it into several",
                text.len(),
                limits.script_size
            ),
        ));
    }
    std::str::from_utf8(text).map_err(|error| {
        let valid = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = valid
            .rsplit(|octet| *octet == b'\n')
            .next()
            .unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', valid).count();
        let characters = String::from_utf8_lossy(line).chars().count();
        CompileError::new(
            Position {
                line: u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1),
                column: u32::try_from(characters)
                    .unwrap_or(u32::MAX)
                    .saturating_add(1),
            },
            "the text is not UTF-8 from here on: save the script in UTF-8",
        )
    })
}

#[derive(Debug)]
struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Option<(Token, Position)>,
    elements: usize,
    depth: usize,
    limits: &'a Limits,
}

impl<'a> Parser<'a> {
    fn new(lexer: Lexer<'a>, limits: &'a Limits) -> Self {
        Self {
            lexer,
            ahead: None,
            elements: 0,
            depth: 0,
            limits,
        }
    }

    fn script(mut self) -> Result<Script, CompileError> {
        let commands = self.commands()?;
        match self.next()? {
            None => Ok(Script { commands }),
            Some((_, at)) => Err(CompileError::new(at, "this `}` closes no block: remove it")),
        }
    }

    /// Commands up to a closing brace or the end.
    fn commands(&mut self) -> Result<Vec<Command>, CompileError> {
        let mut commands = Vec::new();
        loop {
            match self.next()? {
                None => return Ok(commands),
                Some((Token::Symbol('}'), at)) => {
                    self.ahead = Some((Token::Symbol('}'), at));
                    return Ok(commands);
                }
                Some((Token::Identifier(name), at)) => commands.push(self.command(name, at)?),
                Some((token, at)) => {
                    let words = format!("{} can't begin a command: write its name", token.shown());
                    return Err(CompileError::new(at, words));
                }
            }
        }
    }

    fn command(&mut self, name: String, at: Position) -> Result<Command, CompileError> {
        self.element(at)?;
        let comments = self.lexer.take_comments();
        let arguments = self.arguments()?;
        let tests = self.tests()?;
        let block = match self.next()? {
            Some((Token::Symbol(';'), _)) => None,
            Some((Token::Symbol('{'), open)) => Some(self.block(open)?),
            found => {
                return Err(self.unexpected(found, &format!("a `;` or a block after `{name}`")));
            }
        };
        Ok(Command {
            name,
            at,
            arguments,
            tests,
            block,
            comments,
        })
    }

    fn block(&mut self, open: Position) -> Result<Vec<Command>, CompileError> {
        self.deeper(open)?;
        let commands = self.commands()?;
        self.depth -= 1;
        match self.next()? {
            Some((Token::Symbol('}'), _)) => Ok(commands),
            _ => Err(CompileError::new(
                open,
                "this block never ends: write `}` after it",
            )),
        }
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, CompileError> {
        let mut arguments = Vec::new();
        loop {
            let Some((token, at)) = self.next()? else {
                return Ok(arguments);
            };
            let value = match token {
                Token::Number(number) => Value::Number(number),
                Token::Tag(name) => Value::Tag(name),
                Token::Text(text) => Value::Text(text),
                Token::Symbol('[') => Value::List(self.list(at)?),
                other => {
                    self.ahead = Some((other, at));
                    return Ok(arguments);
                }
            };
            self.element(at)?;
            arguments.push(Argument { value, at });
        }
    }

    fn list(&mut self, open: Position) -> Result<Vec<String>, CompileError> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Some((Token::Text(text), at)) => {
                    self.element(at)?;
                    list.push(text);
                }
                Some((Token::Symbol(']'), _)) => {
                    let words = "a list has one string at least: write one before this `]`";
                    return Err(CompileError::new(open, words));
                }
                found => return Err(self.unexpected(found, "a string of the list")),
            }
            match self.next()? {
                Some((Token::Symbol(','), _)) => {}
                Some((Token::Symbol(']'), _)) => return Ok(list),
                found => {
                    return Err(self.unexpected(found, "a `,` or a `]` after the list's string"));
                }
            }
        }
    }

    /// No test, one, or several in parentheses.
    fn tests(&mut self) -> Result<Vec<Test>, CompileError> {
        match self.next()? {
            Some((Token::Identifier(name), at)) => Ok(vec![self.test(name, at)?]),
            Some((Token::Symbol('('), _)) => self.test_list(),
            found => {
                self.ahead = found;
                Ok(Vec::new())
            }
        }
    }

    fn test_list(&mut self) -> Result<Vec<Test>, CompileError> {
        let mut tests = Vec::new();
        loop {
            match self.next()? {
                Some((Token::Identifier(name), at)) => tests.push(self.test(name, at)?),
                found => return Err(self.unexpected(found, "a test's name")),
            }
            match self.next()? {
                Some((Token::Symbol(','), _)) => {}
                Some((Token::Symbol(')'), _)) => return Ok(tests),
                found => return Err(self.unexpected(found, "a `,` or a `)` after the test")),
            }
        }
    }

    fn test(&mut self, name: String, at: Position) -> Result<Test, CompileError> {
        self.element(at)?;
        self.deeper(at)?;
        let arguments = self.arguments()?;
        let tests = self.tests()?;
        self.depth -= 1;
        Ok(Test {
            name,
            at,
            arguments,
            tests,
        })
    }

    fn next(&mut self) -> Result<Option<(Token, Position)>, CompileError> {
        match self.ahead.take() {
            Some(token) => Ok(Some(token)),
            None => self.lexer.token(),
        }
    }

    fn element(&mut self, at: Position) -> Result<(), CompileError> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            let words = format!(
                "the script has more than {} commands, tests and strings: divide it into several",
                self.limits.elements
            );
            return Err(CompileError::new(at, words));
        }
        Ok(())
    }

    fn deeper(&mut self, at: Position) -> Result<(), CompileError> {
        self.depth += 1;
        let most = self.limits.nesting.min(NESTING);
        if self.depth > most {
            let words = format!("blocks and tests lie more than {most} deep: divide them");
            return Err(CompileError::new(at, words));
        }
        Ok(())
    }

    fn unexpected(&self, found: Option<(Token, Position)>, wanted: &str) -> CompileError {
        match found {
            Some((token, at)) => {
                CompileError::new(at, format!("found {} instead of {wanted}", token.shown()))
            }
            None => CompileError::new(self.lexer.at(), format!("the script ends without {wanted}")),
        }
    }
}
