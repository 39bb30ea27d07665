//! POSIX extended regular expressions, as scripts write them, in the syntax of the
//! `regex` crate: [`translate`] (draft-ietf-sieve-regex-01 section 3).
//!
//! Captures are those of the leftmost alternative that matches, where POSIX would
//! take the longest; which values match is the same.

use std::iter::Peekable;
use std::str::Chars;

use super::KeyError;

/// Groups within groups.
const MAX_NESTING: usize = 32;
/// The most a part may be repeated (POSIX `RE_DUP_MAX`).
const MAX_REPEAT: u32 = 255;

/// An expression in the other syntax.
pub(super) struct Translated {
    pub(super) text: String,
    /// Characters and sets in it, each counted as often as it is repeated: what is
    /// looked for at once in the worst case.
    pub(super) weight: usize,
}

/// Rewrites an expression. What POSIX leaves undefined is an error or what glibc
/// makes of it.
pub(super) fn translate(text: &str) -> Result<Translated, KeyError> {
    let mut translator = Translator {
        rest: text.chars().peekable(),
        taken: 0,
        out: String::with_capacity(text.len() + 8),
        last: Last::Nothing,
        open: Vec::new(),
        weight: 0,
        last_weight: 0,
    };
    while let Some(character) = translator.take() {
        translator.item(character)?;
    }
    match translator.open.is_empty() {
        true => Ok(Translated {
            text: translator.out,
            weight: translator.weight,
        }),
        false => Err(translator.error("a group is open: close it with \")\"")),
    }
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    /// Characters taken.
    taken: usize,
    out: String,
    last: Last,
    /// Where open groups begin in `out`, and the weight before them.
    open: Vec<(usize, usize)>,
    /// The weight so far, and that of what may be repeated.
    weight: usize,
    last_weight: usize,
}

/// What may be repeated now.
#[derive(Clone, Copy)]
enum Last {
    /// There is nothing to repeat.
    Nothing,
    /// What begins here in `out`.
    Atom(usize),
    /// What begins here and is repeated already.
    Repeated(usize),
}

impl Translator<'_> {
    fn take(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        self.taken += 1;
        Some(character)
    }

    fn error(&self, words: impl Into<String>) -> KeyError {
        KeyError::Regex {
            character: self.taken.max(1),
            words: words.into(),
        }
    }

    fn item(&mut self, character: char) -> Result<(), KeyError> {
        let start = self.out.len();
        match character {
            '*' | '+' | '?' => return self.repeat(&character.to_string(), 1),
            '{' => {
                let (bounds, most) = self.bounds()?;
                return self.repeat(&bounds, most);
            }
            '(' => {
                if self.open.len() == MAX_NESTING {
                    return Err(self.error(format!("more than {MAX_NESTING} groups within groups")));
                }
                self.open.push((start, self.weight));
                self.out.push('(');
                self.last = Last::Nothing;
                return Ok(());
            }
            ')' => {
                let Some((open, before)) = self.open.pop() else {
                    return Err(
                        self.error("no group is open here: write \"\\)\" for the character")
                    );
                };
                self.out.push(')');
                self.last_weight = self.weight.saturating_sub(before);
                self.last = Last::Atom(open);
                return Ok(());
            }
            '|' | '^' => {
                self.out.push(character);
                self.last = Last::Nothing;
                return Ok(());
            }
            '.' | '$' => self.out.push(character),
            '[' => self.bracket()?,
            '\\' => self.escape()?,
            _ => self.literal(character),
        }
        self.weight = self.weight.saturating_add(1);
        self.last_weight = 1;
        self.last = Last::Atom(start);
        Ok(())
    }

    fn literal(&mut self, character: char) {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            self.out
                .push_str(&format!("\\x{:02X}", u32::from(character)));
        } else {
            self.out.push(character);
        }
    }

    /// A repetition of a repetition gets a group: `a+?` is something else in the
    /// crate's syntax.
    fn repeat(&mut self, times: &str, most: usize) -> Result<(), KeyError> {
        let more = self.last_weight.saturating_mul(most.saturating_sub(1));
        self.weight = self.weight.saturating_add(more);
        self.last_weight = self.last_weight.saturating_add(more);
        let start = match self.last {
            Last::Nothing => {
                return Err(self.error(
                    "there is nothing to repeat: write \"\\\" before it for the character",
                ));
            }
            Last::Atom(start) => start,
            Last::Repeated(start) => {
                self.out.insert_str(start, "(?:");
                self.out.push(')');
                start
            }
        };
        self.out.push_str(times);
        self.last = Last::Repeated(start);
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,4}`, the first brace taken; with it, how many that is.
    fn bounds(&mut self) -> Result<(String, usize), KeyError> {
        let mut text = String::new();
        loop {
            match self.take() {
                Some('}') => break,
                Some(character @ ('0'..='9' | ',')) if text.len() < 8 => text.push(character),
                _ => {
                    return Err(self.error(
                        "\"{\" begins a repetition such as {2,4}: write \"\\{\" for the character",
                    ));
                }
            }
        }
        let (least, most) = text.split_once(',').unwrap_or((&text, &text));
        let number = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|count| *count <= MAX_REPEAT)
        };
        let least = number(least);
        let sound = match (least, most) {
            (Some(_), "") => text.ends_with(','),
            (Some(least), most) => number(most).is_some_and(|most| least <= most),
            (None, _) => false,
        };
        // Without an upper bound it is the lower one that is written out.
        let count = number(most).or(least).unwrap_or(0);
        match sound {
            true => Ok((
                format!("{{{text}}}"),
                usize::try_from(count).unwrap_or(usize::MAX),
            )),
            false => Err(self.error(format!(
                "a repetition is {{m}}, {{m,}} or {{m,n}} with m up to n and n up to {MAX_REPEAT}"
            ))),
        }
    }

    fn escape(&mut self) -> Result<(), KeyError> {
        match self.take() {
            None => Err(self.error("nothing follows the backslash: write \"\\\\\" for the character")),
            Some('1'..='9') => Err(self.error("references to groups can't be matched in linear time: write the text again")),
            Some(character @ ('w' | 'W' | 's' | 'S' | 'b' | 'B' | '<' | '>')) => {
                self.out.push('\\');
                self.out.push(character);
                Ok(())
            }
            Some(character) if character.is_alphanumeric() => Err(self.error(format!(
                "\"\\{character}\" means nothing here: use a class such as [[:digit:]], or the character alone"
            ))),
            Some(character) => {
                self.literal(character);
                Ok(())
            }
        }
    }

    /// A bracket expression, its `[` taken. Backslashes are characters in it.
    fn bracket(&mut self) -> Result<(), KeyError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.taken += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let start = match self.take() {
                None => return Err(self.error("a bracket is open: close it with \"]\"")),
                Some(']') if !first => break,
                Some('[') => match self.named()? {
                    Some(character) => character,
                    None => {
                        first = false;
                        continue;
                    }
                },
                Some(character) => character,
            };
            first = false;
            self.literal(start);
            if self.rest.peek() == Some(&'-') {
                self.range(start)?;
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// What follows the first character of a range: `-` is a character where the
    /// bracket ends after it.
    fn range(&mut self, start: char) -> Result<(), KeyError> {
        let _dash = self.take();
        let end = match self.rest.peek() {
            None | Some(']') => {
                self.literal('-');
                return Ok(());
            }
            Some(_) => self.take(),
        };
        let end = match end {
            Some('[') => self
                .named()?
                .ok_or_else(|| self.error("a range ends with a character, not with a class"))?,
            Some(character) => character,
            None => start,
        };
        if end < start {
            return Err(self.error("the range ends before it begins"));
        }
        self.out.push('-');
        self.literal(end);
        Ok(())
    }

    /// `[:alpha:]` written out, or the character of `[.x.]` and `[=x=]`, or the `[`
    /// itself.
    fn named(&mut self) -> Result<Option<char>, KeyError> {
        let Some(mark @ (':' | '.' | '=')) = self.rest.peek().copied() else {
            return Ok(Some('['));
        };
        let _mark = self.take();
        let mut name = String::new();
        loop {
            match self.take() {
                Some(character) if character == mark && self.rest.peek() == Some(&']') => break,
                Some(character) if name.len() < 16 => name.push(character),
                _ => return Err(self.error("a class has no end: write it as [[:alpha:]]")),
            }
        }
        let _bracket = self.take();
        let mut characters = name.chars();
        match (mark, characters.next(), characters.next()) {
            (':', ..) if is_class(&name) => {
                self.out.push_str(&format!("[:{name}:]"));
                Ok(None)
            }
            ('.' | '=', Some(character), None) => Ok(Some(character)),
            _ => Err(self.error(format!("there is no class of the name \"{name}\""))),
        }
    }
}

fn is_class(name: &str) -> bool {
    matches!(
        name,
        "alnum"
            | "alpha"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "xdigit"
    )
}
