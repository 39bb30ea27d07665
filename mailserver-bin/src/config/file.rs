//! The configuration file as written: tables, keys, values, and where they
//! stand. Reads TOML and reports what does not fit; knows no defaults.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::{Problems, nearest};

/// A whole file.
#[derive(Debug)]
pub(crate) struct File<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    problems: RefCell<Problems>,
}

/// One table of the file. Keys nobody asked for are reported when it is
/// [finished](Section::finish).
#[derive(Debug)]
pub(crate) struct Section<'a, 'f> {
    file: &'f File<'a>,
    /// As the user writes it: `[server]`, `[[listener]]`.
    name: String,
    table: Option<&'f DeTable<'a>>,
    line: usize,
    known: RefCell<BTreeSet<&'static str>>,
}

/// A value and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

impl<'a> File<'a> {
    /// Parses the text. Syntax errors are problems too.
    pub(crate) fn parse(text: &'a str, mut problems: Problems) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            problems.add(line, error.message());
        }
        Self {
            text,
            root,
            problems: RefCell::new(problems),
        }
    }

    pub(crate) fn problem(&self, line: usize, message: impl Into<String>) {
        self.problems.borrow_mut().add(line, message);
    }

    pub(crate) fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }

    /// The top of the file.
    pub(crate) fn root(&self) -> Section<'a, '_> {
        Section {
            file: self,
            name: "the file".to_owned(),
            table: Some(self.root.get_ref()),
            line: 0,
            known: RefCell::default(),
        }
    }

    fn line<T>(&self, spanned: &Spanned<T>) -> usize {
        line_of(self.text, spanned.span().start)
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|octet| **octet == b'\n').count()
}

impl<'a, 'f> Section<'a, 'f> {
    /// The line it begins on; 0 for one that is not in the file.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Reports a problem with a value of this section.
    pub(crate) fn problem(&self, line: usize, message: impl Into<String>) {
        self.file.problem(line, message);
    }

    fn lookup(&self, key: &'static str) -> Option<&'f Spanned<DeValue<'a>>> {
        self.known.borrow_mut().insert(key);
        self.table?.get(key)
    }

    fn mismatch(&self, key: &str, value: &Spanned<DeValue<'a>>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.problem(
            self.file.line(value),
            format!("{key} in {} must be {wanted}, not {found}", self.name),
        );
    }

    /// A table within this one; empty when it is not there.
    pub(crate) fn section(&self, key: &'static str, name: &str) -> Section<'a, 'f> {
        let value = self.lookup(key);
        let table = value.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.mismatch(key, value, &format!("a table: {name}"));
                None
            }
        });
        Section {
            file: self.file,
            name: name.to_owned(),
            table,
            line: value.map_or(0, |value| self.file.line(value)),
            known: RefCell::default(),
        }
    }

    /// An array of tables; `None` when it is not there.
    pub(crate) fn sections(&self, key: &'static str, name: &str) -> Option<Vec<Section<'a, 'f>>> {
        let value = self.lookup(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch(key, value, &format!("an array of tables: {name}"));
            return None;
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                self.mismatch(key, item, &format!("an array of tables: {name}"));
                continue;
            };
            sections.push(Section {
                file: self.file,
                name: name.to_owned(),
                table: Some(table),
                line: self.file.line(item),
                known: RefCell::default(),
            });
        }
        Some(sections)
    }

    /// True when the table has the key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// True when the table is in the file.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    pub(crate) fn string(&self, key: &'static str) -> Option<At<&'f str>> {
        let value = self.lookup(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At {
                value: text.as_ref(),
                line: self.file.line(value),
            }),
            _ => {
                self.mismatch(key, value, "a string");
                None
            }
        }
    }

    /// A string that must be there.
    pub(crate) fn required(&self, key: &'static str) -> Option<At<&'f str>> {
        if self.table.is_none_or(|table| !table.contains_key(key)) {
            self.known.borrow_mut().insert(key);
            self.problem(self.line, format!("{key} is missing in {}", self.name));
            return None;
        }
        self.string(key)
    }

    pub(crate) fn strings(&self, key: &'static str) -> Option<Vec<At<&'f str>>> {
        let value = self.lookup(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch(key, value, "an array of strings");
            return None;
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => strings.push(At {
                    value: text.as_ref(),
                    line: self.file.line(item),
                }),
                _ => self.mismatch(key, item, "an array of strings"),
            }
        }
        Some(strings)
    }

    /// An array of strings, or a string alone.
    pub(crate) fn strings_or_string(&self, key: &'static str) -> Option<Vec<At<&'f str>>> {
        match self.lookup(key).map(Spanned::get_ref) {
            Some(DeValue::String(_)) => self.string(key).map(|text| vec![text]),
            _ => self.strings(key),
        }
    }

    pub(crate) fn number(&self, key: &'static str) -> Option<At<u64>> {
        let value = self.lookup(key)?;
        let parsed = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match parsed {
            Some(parsed) => Some(At {
                value: parsed,
                line: self.file.line(value),
            }),
            None => {
                self.mismatch(key, value, "a whole number, 0 or more");
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.lookup(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.mismatch(key, value, "true or false");
                None
            }
        }
    }

    /// A number of things that must be 1 or more and fit the machine.
    pub(crate) fn count(&self, key: &'static str) -> Option<usize> {
        let number = self.number(key)?;
        match usize::try_from(number.value) {
            Ok(count) if count > 0 => Some(count),
            _ => {
                self.problem(number.line, format!("{key} must be 1 or more"));
                None
            }
        }
    }

    /// Octets: a number, or a string such as `"50MB"`.
    pub(crate) fn size(&self, key: &'static str) -> Option<u64> {
        if let Some(DeValue::Integer(_)) = self.lookup(key).map(Spanned::get_ref) {
            return self.number(key).map(|number| number.value);
        }
        let text = self.string(key)?;
        let size = parse_size(text.value);
        if size.is_none() {
            let example = "write octets, or a number with kB, MB or GB: \"50MB\"";
            self.problem(text.line, format!("{key} is not a size; {example}"));
        }
        size
    }

    /// A time such as `"90s"`, `"30m"`, `"1h30m"`, `"7d"`.
    pub(crate) fn duration(&self, key: &'static str) -> Option<At<Duration>> {
        let text = self.string(key)?;
        self.parse_duration(key, text)
    }

    pub(crate) fn parse_duration(&self, key: &str, text: At<&str>) -> Option<At<Duration>> {
        let duration = parse_duration(text.value);
        if duration.is_none() {
            let example = "write a number with s, m, h or d: \"30m\"";
            self.problem(text.line, format!("{key} is not a time; {example}"));
        }
        duration.map(|value| At {
            value,
            line: text.line,
        })
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(
        &self,
        key: &'static str,
        text: At<&str>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = match nearest(text.value, &known) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => format!("it is one of: {}", known.join(", ")),
            };
            self.problem(
                text.line,
                format!("{key} can't be \"{}\"; {hint}", text.value),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// Every string of the table, by its key: for tables whose keys are names of
    /// the operator's own. Keys of tables within are joined by dots.
    pub(crate) fn pairs(self) -> Vec<(String, At<&'f str>)> {
        let mut pairs = Vec::new();
        let mut tables: Vec<_> = (self.table.into_iter())
            .map(|table| (String::new(), table))
            .collect();
        while let Some((prefix, table)) = tables.pop() {
            for (key, value) in table.iter() {
                let key = format!("{prefix}{}", key.get_ref());
                match value.get_ref() {
                    DeValue::String(text) => {
                        let line = self.file.line(value);
                        let value = text.as_ref();
                        pairs.push((key, At { value, line }));
                    }
                    DeValue::Table(table) => tables.push((format!("{key}."), table)),
                    _ => self.mismatch(&key, value, "a string"),
                }
            }
        }
        pairs.sort_by_key(|(_, value)| value.line);
        pairs
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        let known: Vec<&str> = self.known.borrow().iter().copied().collect();
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let word = key.get_ref().as_ref();
            if known.contains(&word) {
                continue;
            }
            let hint = match nearest(word, &known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("it takes: {}", known.join(", ")),
            };
            self.problem(
                self.file.line(key),
                format!("unknown key \"{word}\" in {}; {hint}", self.name),
            );
        }
    }
}

pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let factor = match unit.as_bytes().first()? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = unit.get(1..)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// `500`, `50MB`, `64KiB`, in octets.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        let time = |text| parse_duration(text).map(|d| d.as_secs());
        assert_eq!(time("90s"), Some(90));
        assert_eq!(time("1h30m"), Some(5_400));
        assert_eq!(time("7d"), Some(604_800));
        for bad in ["", "5", "m", "1w", "-1s", "99999999999999999999d"] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(parse_size("50MB"), Some(50_000_000));
        assert_eq!(parse_size("1 MiB"), Some(1_048_576));
        assert_eq!(parse_size("MB"), None);
        assert_eq!(parse_size("5 MX"), None);
    }
}
