//! TOML as rules and autoreplies are written in: values with their lines, what is
//! wrong gathered instead of ending the reading. Knows no keys.

use std::borrow::Cow;
use std::fmt::Write as _;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

pub(crate) type Value<'t> = Spanned<DeValue<'t>>;

/// A text being read.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    pub(crate) problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    /// Reads a text; what is no TOML is a problem.
    pub(crate) fn new(text: &'t str) -> (Self, DeTable<'t>) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let problems = Vec::new();
        let mut reader = Self { text, problems };
        for error in errors {
            let place = error.span().map_or(0, |span| span.start);
            let line = reader.line_of(place);
            reader.problems.push(Problem::new(line, error.message()));
        }
        (reader, root.into_inner())
    }

    fn line_of(&self, offset: usize) -> u32 {
        let octets = self.text.as_bytes();
        let before = octets.get(..offset).unwrap_or(octets);
        let ends = memchr::memchr_iter(b'\n', before).count();
        u32::try_from(ends).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(crate) fn line<T>(&self, value: &Spanned<T>) -> u32 {
        self.line_of(value.span().start)
    }

    /// Notes a problem. Gives nothing, so that it ends what can't be read.
    pub(crate) fn problem<T, U>(&mut self, at: &Spanned<T>, words: impl Into<String>) -> Option<U> {
        let line = self.line(at);
        self.problems.push(Problem::new(line, words));
        None
    }

    pub(crate) fn table<'v>(
        &mut self,
        value: &'v Value<'t>,
        what: &str,
    ) -> Option<&'v DeTable<'t>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.problem(value, format!("{what} must be a table")),
        }
    }

    /// The one key of a table and its value.
    pub(crate) fn only<'v>(
        &mut self,
        value: &'v Value<'t>,
        what: &str,
    ) -> Option<(&'v str, &'v Value<'t>)> {
        let table = self.table(value, what)?;
        let mut entries = table.iter();
        match (entries.next(), entries.next()) {
            (Some((key, inner)), None) => Some((key.get_ref().as_ref(), inner)),
            _ => self.problem(value, format!("{what} is a table with one key")),
        }
    }

    pub(crate) fn array<'v>(
        &mut self,
        value: &'v Value<'t>,
        what: &str,
    ) -> Option<impl Iterator<Item = &'v Value<'t>> + use<'v, 't>> {
        match value.get_ref() {
            DeValue::Array(items) => Some(items.iter()),
            _ => self.problem(value, format!("{what} must be an array")),
        }
    }

    pub(crate) fn string(&mut self, value: &Value<'t>, what: &str) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.replace("\r\n", "\n")),
            DeValue::Datetime(time) => Some(time.to_string()),
            _ => self.problem(value, format!("{what} must be a string")),
        }
    }

    /// A string, or several.
    pub(crate) fn strings(&mut self, value: &Value<'t>, what: &str) -> Option<Vec<String>> {
        match value.get_ref() {
            DeValue::Array(items) => {
                let items: Vec<&Value<'t>> = items.iter().collect();
                let strings = items.into_iter().map(|item| self.string(item, what));
                strings.collect()
            }
            DeValue::String(_) => Some(vec![self.string(value, what)?]),
            _ => self.problem(
                value,
                format!("{what} must be a string or an array of them"),
            ),
        }
    }

    pub(crate) fn truth(&mut self, value: &Value<'t>, what: &str) -> Option<bool> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(*truth),
            _ => self.problem(value, format!("{what} must be true or false")),
        }
    }

    pub(crate) fn number(&mut self, value: &Value<'t>, what: &str) -> Option<u64> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) => Some(number),
            None => self.problem(value, format!("{what} must be a whole number from 0")),
        }
    }

    /// The value of a word.
    pub(crate) fn word<T: Copy>(
        &mut self,
        value: &Value<'t>,
        what: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let word = self.string(value, what)?;
        match known.iter().find(|(name, _)| *name == word) {
            Some((_, meant)) => Some(*meant),
            None => {
                let words = unknown(&word, &names(known));
                self.problem(value, format!("{what}: {words}"))
            }
        }
    }
}

pub(crate) fn names<'a, T>(known: &[(&'a str, T)]) -> Vec<&'a str> {
    known.iter().map(|(name, _)| *name).collect()
}

/// Says that a word is not known, and what was likely meant.
pub(crate) fn unknown(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| (distance(word, known), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2));
    match near {
        Some((_, near)) => format!("\"{word}\" is not known; did you mean \"{near}\"?"),
        None => format!("\"{word}\" is not known; there are {}", known.join(", ")),
    }
}

/// Single-character edits from one word to the other (Levenshtein). A word that
/// is much too long counts as far.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = usize::from(from != *to);
            left = (diagonal + cost).min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// A string as TOML writes it; one of several lines over as many.
pub(crate) fn string(text: &str) -> String {
    let lines = text.contains('\n');
    let mut out = String::from(if lines { "\"\"\"\n" } else { "\"" });
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push('\t'),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push_str(if lines { "\"\"\"" } else { "\"" });
    out
}

/// One string, or an array of several.
pub(crate) fn strings(texts: &[String]) -> String {
    match texts {
        [one] => string(one),
        _ => array(texts),
    }
}

pub(crate) fn array(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A key, bare where TOML takes it so.
pub(crate) fn key(name: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(bare) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(string(name)),
    }
}
