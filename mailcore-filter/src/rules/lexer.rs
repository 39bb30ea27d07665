//! Words, strings, patterns and signs of a rule file: [`lex`].

use super::error::{Position, RuleProblem};

/// Octets of a string or a pattern.
const MAX_STRING: usize = 4 * 1024;

/// A piece of a rule file, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: Position,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// `when`, `SUBJECT_SHOUTS`, `Reply-To`.
    Word(String),
    /// `3`, `-0.5`, `80%`, `10kB`, `2d`: the value in its smallest unit.
    Number(f64),
    /// `"next of kin"`.
    String(String),
    /// `@money`: a list of phrases.
    List(String),
    /// `/\bfree\b/i`.
    Pattern { pattern: String, flags: String },
    /// `(`, `)`, `,`, `~`, `=`, `<`, `<=`, `>`, `>=`.
    Sign(&'static str),
}

impl TokenKind {
    /// As it is shown in a message about it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Number(number) => format!("the number {number}"),
            Self::String(_) => "a string".to_owned(),
            Self::List(name) => format!("`@{name}`"),
            Self::Pattern { .. } => "a pattern".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

/// Cuts a file into tokens. What is none is a problem, and the rest of its line is
/// passed over.
pub(super) fn lex(text: &str, problems: &mut Vec<(Position, RuleProblem)>) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut rest = text;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                break;
            }
            let before = text.get(..text.len() - rest.len()).unwrap_or_default();
            let at = Position {
                line,
                column: before.chars().count() + 1,
            };
            match one(rest) {
                Ok((kind, length)) => {
                    tokens.push(Token { kind, at });
                    rest = rest.get(length..).unwrap_or_default();
                }
                Err(problem) => {
                    problems.push((at, problem));
                    break;
                }
            }
        }
    }
    tokens
}

/// The token at the start of `text`, and its length.
fn one(text: &str) -> Result<(TokenKind, usize), RuleProblem> {
    const SIGNS: [&str; 9] = [">=", "<=", ">", "<", "=", "~", "(", ")", ","];
    if let Some(sign) = SIGNS.iter().find(|sign| text.starts_with(**sign)) {
        return Ok((TokenKind::Sign(sign), sign.len()));
    }
    match text.as_bytes() {
        [b'"', ..] => string(text),
        [b'/', ..] => pattern(text),
        [b'@', ..] => {
            let name = word(text.get(1..).unwrap_or_default());
            match name.is_empty() {
                true => Err(RuleProblem::Sign('@')),
                false => Ok((TokenKind::List(name.to_owned()), name.len() + 1)),
            }
        }
        [b'0'..=b'9', ..] | [b'-' | b'+', b'0'..=b'9' | b'.', ..] => number(text),
        _ => {
            let word = word(text);
            match text.chars().next() {
                Some(sign) if word.is_empty() => Err(RuleProblem::Sign(sign)),
                _ => Ok((TokenKind::Word(word.to_owned()), word.len())),
            }
        }
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|it: char| !it.is_ascii_alphanumeric() && !"_-.*".contains(it));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// `"…"`, in which `\"` and `\\` stand for what they escape.
fn string(text: &str) -> Result<(TokenKind, usize), RuleProblem> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((TokenKind::String(value), at + 1)),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err(RuleProblem::Escape),
            },
            _ => value.push(character),
        }
        if value.len() > MAX_STRING {
            return Err(RuleProblem::TooLong);
        }
    }
    Err(RuleProblem::Unclosed("\""))
}

/// `/…/flags`, in which `\/` stands for a slash.
fn pattern(text: &str) -> Result<(TokenKind, usize), RuleProblem> {
    let mut pattern = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '/' => {
                let flags = text.get(at + 1..).unwrap_or_default();
                let end = flags.find(|it: char| !it.is_ascii_alphabetic());
                let flags = flags.get(..end.unwrap_or(flags.len())).unwrap_or_default();
                let length = at + 1 + flags.len();
                let flags = flags.to_owned();
                return Ok((TokenKind::Pattern { pattern, flags }, length));
            }
            '\\' => match characters.next() {
                Some((_, '/')) => pattern.push('/'),
                Some((_, escaped)) => pattern.extend(['\\', escaped]),
                None => break,
            },
            _ => pattern.push(character),
        }
        if pattern.len() > MAX_STRING {
            return Err(RuleProblem::TooLong);
        }
    }
    Err(RuleProblem::Unclosed("/"))
}

/// A number and its unit: `%`, of size, or of time.
fn number(text: &str) -> Result<(TokenKind, usize), RuleProblem> {
    let is_digit = |it: char| it.is_ascii_digit() || it == '.';
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.get(sign..).unwrap_or_default();
    let end = sign + digits.find(|it| !is_digit(it)).unwrap_or(digits.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let unit_end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '%');
    let unit = rest
        .get(..unit_end.unwrap_or(rest.len()))
        .unwrap_or_default();
    let factor = match unit {
        "" | "%" | "s" | "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(RuleProblem::Number),
    };
    let value: f64 = digits.parse().map_err(|_| RuleProblem::Number)?;
    Ok((TokenKind::Number(value * factor), end + unit.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        let mut problems = Vec::new();
        let tokens = lex(text, &mut problems);
        assert_eq!(problems, []);
        tokens.into_iter().map(|it| it.kind).collect()
    }

    #[test]
    fn pieces_of_every_kind_are_told_apart() {
        assert_eq!(
            kinds(
                "rule A_1 -0.5 \"say \\\"x\\\"\" # comment\n Reply-To>=80% ~ /a\\/b\\d/i,@list 2d"
            ),
            [
                TokenKind::Word("rule".into()),
                TokenKind::Word("A_1".into()),
                TokenKind::Number(-0.5),
                TokenKind::String("say \"x\"".into()),
                TokenKind::Word("Reply-To".into()),
                TokenKind::Sign(">="),
                TokenKind::Number(80.0),
                TokenKind::Sign("~"),
                TokenKind::Pattern {
                    pattern: "a/b\\d".into(),
                    flags: "i".into()
                },
                TokenKind::Sign(","),
                TokenKind::List("list".into()),
                TokenKind::Number(172_800.0),
            ]
        );
    }

    #[test]
    fn what_is_no_piece_is_named_with_its_place() {
        for (text, problem, column) in [
            ("rule \"x", RuleProblem::Unclosed("\""), 6),
            ("é ~ /x", RuleProblem::Sign('é'), 1),
            ("a ~ /x", RuleProblem::Unclosed("/"), 5),
            ("a 5x", RuleProblem::Number, 3),
            ("a 1.2.3", RuleProblem::Number, 3),
            ("\"\\n\"", RuleProblem::Escape, 1),
            ("@ x", RuleProblem::Sign('@'), 1),
        ] {
            let mut problems = Vec::new();
            lex(text, &mut problems);
            assert_eq!(
                problems,
                [(Position { line: 1, column }, problem)],
                "{text}"
            );
        }
    }
}
