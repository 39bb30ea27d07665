//! Tokens of a script's text (RFC 5228 section 8.1).

use super::super::{CompileError, Position};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, in lower case.
    Identifier(String),
    /// `:name`, in lower case and without the colon.
    Tag(String),
    /// A number, its quantifier counted in.
    Number(u64),
    /// A string.
    Text(String),
    /// One of `{}()[],;`.
    Symbol(char),
}

impl Token {
    /// The token as an error shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Identifier(name) => format!("`{name}`"),
            Self::Tag(name) => format!("`:{name}`"),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(_) => "a string".into(),
            Self::Symbol(symbol) => format!("`{symbol}`"),
        }
    }
}

/// Reads tokens.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    at: Position,
    comments: Option<Comments>,
}

/// Comments and blank lines since the last command began.
#[derive(Debug, Default)]
struct Comments {
    lines: Vec<String>,
    // Line ends since the last thing that was more than space.
    line_ends: usize,
}

impl<'a> Lexer<'a> {
    /// Reads this text.
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            // Editors write a mark of byte order where nothing asks for one.
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            at: Position { line: 1, column: 1 },
            comments: None,
        }
    }

    /// Has comments kept, for [`take_comments`](Self::take_comments).
    pub(super) fn keep_comments(&mut self) {
        self.comments = Some(Comments::default());
    }

    /// The comments read since the last call.
    pub(super) fn take_comments(&mut self) -> Vec<String> {
        self.comments
            .as_mut()
            .map(|comments| std::mem::take(&mut comments.lines))
            .unwrap_or_default()
    }

    /// Where the next token is searched from.
    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// The next token and where it begins; `None` at the end.
    pub(super) fn token(&mut self) -> Result<Option<(Token, Position)>, CompileError> {
        self.space()?;
        if let Some(comments) = &mut self.comments {
            comments.line_ends = 0;
        }
        let at = self.at;
        let Some(next) = self.peek() else {
            return Ok(None);
        };
        let token = match next {
            '{' | '}' | '(' | ')' | '[' | ']' | ',' | ';' => {
                self.bump();
                Token::Symbol(next)
            }
            '"' => Token::Text(self.quoted()?),
            ':' => {
                self.bump();
                Token::Tag(self.tag(at)?)
            }
            '0'..='9' => Token::Number(self.number()?),
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = self.identifier();
                if name == "text" && self.peek() == Some(':') {
                    self.bump();
                    Token::Text(self.lines(at)?)
                } else {
                    Token::Identifier(name)
                }
            }
            other => return Err(CompileError::new(at, stray(other))),
        };
        Ok(Some((token, at)))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        if next == '\n' {
            self.at.line = self.at.line.saturating_add(1);
            self.at.column = 1;
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(next)
    }

    /// A character of text where lines end; both ends of lines are CRLF to the
    /// script (RFC 5228 section 2.2), whichever its file has.
    fn text_char(&mut self, into: &mut String) -> Result<(), CompileError> {
        let at = self.at;
        match self.bump() {
            Some('\r') if self.peek() == Some('\n') => {}
            Some('\r') => return Err(CompileError::new(at, stray('\r'))),
            Some('\n') => into.push_str("\r\n"),
            Some('\0') => return Err(CompileError::new(at, stray('\0'))),
            Some(other) => into.push(other),
            None => {}
        }
        Ok(())
    }

    /// White space and comments (RFC 5228 sections 2.2 and 2.3).
    fn space(&mut self) -> Result<(), CompileError> {
        loop {
            let at = self.at;
            match self.peek() {
                Some('\n') => {
                    self.bump();
                    self.line_end();
                }
                Some(' ' | '\t') => {
                    self.bump();
                }
                Some('\r') if self.rest.starts_with("\r\n") => {
                    self.bump();
                }
                Some('#') => self.hash_comment(),
                Some('/') if self.rest.starts_with("/*") => self.bracket_comment(at)?,
                _ => return Ok(()),
            }
        }
    }

    fn line_end(&mut self) {
        if let Some(comments) = &mut self.comments {
            comments.line_ends += 1;
            // One blank line says as much as many.
            if comments.line_ends == 2 {
                comments.lines.push(String::new());
            }
        }
    }

    fn comment(&mut self, line: &str) {
        if let Some(comments) = &mut self.comments {
            comments.line_ends = 0;
            comments.lines.push(format!("#{}", line.trim_end()));
        }
    }

    fn hash_comment(&mut self) {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let line = line.strip_prefix('#').unwrap_or(line);
        self.comment(line);
        while !matches!(self.peek(), None | Some('\n')) {
            self.bump();
        }
    }

    fn bracket_comment(&mut self, at: Position) -> Result<(), CompileError> {
        let inner = self.rest.get(2..).unwrap_or_default();
        let Some(end) = inner.find("*/") else {
            return Err(CompileError::new(at, "this comment never ends: write `*/`"));
        };
        for line in inner.get(..end).unwrap_or_default().split('\n') {
            self.comment(line);
        }
        let left = self.rest.len().saturating_sub(end + 4);
        while self.rest.len() > left {
            self.bump();
        }
        Ok(())
    }

    fn identifier(&mut self) -> String {
        let mut name = String::new();
        while let Some(next) = self.peek() {
            if !next.is_ascii_alphanumeric() && next != '_' {
                break;
            }
            name.push(next.to_ascii_lowercase());
            self.bump();
        }
        name
    }

    fn tag(&mut self, at: Position) -> Result<String, CompileError> {
        let name = self.identifier();
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(CompileError::new(
                at,
                "a colon begins a tag: write its name after it, as in `:is`",
            ));
        }
        Ok(name)
    }

    fn number(&mut self) -> Result<u64, CompileError> {
        let at = self.at;
        let too_large = || CompileError::new(at, "this number is too large: write one below 2^63");
        let mut number = 0_u64;
        while let Some(digit) = self.peek().and_then(|next| next.to_digit(10)) {
            self.bump();
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit)))
                .ok_or_else(too_large)?;
        }
        let unit = match self.peek() {
            Some('k' | 'K') => 1 << 10,
            Some('m' | 'M') => 1 << 20,
            Some('g' | 'G') => 1 << 30,
            _ => 1,
        };
        if unit > 1 {
            self.bump();
        }
        if matches!(self.peek(), Some(next) if next.is_ascii_alphanumeric() || next == '_') {
            return Err(CompileError::new(
                self.at,
                "a number ends with a digit or one of `K`, `M`, `G`: put a space behind it",
            ));
        }
        number
            .checked_mul(unit)
            .filter(|number| *number < 1 << 63)
            .ok_or_else(too_large)
    }

    fn quoted(&mut self) -> Result<String, CompileError> {
        let at = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => {
                    return Err(CompileError::new(
                        at,
                        "this string never ends: write `\"` after it",
                    ));
                }
                Some('"') => {
                    self.bump();
                    return Ok(text);
                }
                Some('\\') => {
                    self.bump();
                    self.text_char(&mut text)?;
                }
                Some(_) => self.text_char(&mut text)?,
            }
        }
    }

    /// What follows `text:` (RFC 5228 section 2.4.2).
    fn lines(&mut self, at: Position) -> Result<String, CompileError> {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.bump();
        }
        if self.peek() == Some('#') {
            self.hash_comment();
        }
        if self.rest.starts_with("\r\n") {
            self.bump();
        }
        if self.peek() != Some('\n') {
            return Err(CompileError::new(
                self.at,
                "the text begins on the line after `text:`",
            ));
        }
        self.bump();
        let mut text = String::new();
        loop {
            let line = self.rest.split('\n').next().unwrap_or_default();
            let ends = self.rest.len() > line.len();
            if !ends && line != "." {
                return Err(CompileError::new(
                    at,
                    "this text never ends: write a line with a `.` alone after it",
                ));
            }
            if line == "." || line == ".\r" {
                while !matches!(self.bump(), None | Some('\n')) {}
                return Ok(text);
            }
            if line.starts_with("..") {
                self.bump();
            }
            while self.peek().is_some_and(|next| next != '\n') {
                self.text_char(&mut text)?;
            }
            self.text_char(&mut text)?;
        }
    }
}

/// What is said of a character that can't stand here.
fn stray(found: char) -> String {
    match found {
        '\r' => "a carriage return without a line feed: end lines with CRLF or LF".into(),
        '\0' => "the character NUL can't stand in a script".into(),
        '/' => "a comment begins with `/*` or `#`".into(),
        '\'' => "a string stands in double quotes".into(),
        other => format!("`{}` can't stand here", other.escape_debug()),
    }
}
