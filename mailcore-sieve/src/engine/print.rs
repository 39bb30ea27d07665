//! Scripts as text: [`Script`]'s `Display`, which [`parse`](super::parse) reads
//! back to the same script.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::{Argument, Command, Script, Test, Value};

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        commands(f, &self.commands, 0)
    }
}

fn commands(f: &mut Formatter<'_>, list: &[Command], depth: usize) -> fmt::Result {
    for command in list {
        for comment in &command.comments {
            comment_line(f, comment, depth)?;
        }
        indent(f, depth)?;
        f.write_str(&command.name)?;
        arguments(f, &command.arguments)?;
        tests(f, &command.name, &command.tests, depth)?;
        match &command.block {
            None => f.write_str(";\r\n")?,
            Some(block) => {
                f.write_str(" {\r\n")?;
                commands(f, block, depth + 1)?;
                indent(f, depth)?;
                f.write_str("}\r\n")?;
            }
        }
    }
    Ok(())
}

fn comment_line(f: &mut Formatter<'_>, comment: &str, depth: usize) -> fmt::Result {
    if comment.is_empty() {
        return f.write_str("\r\n");
    }
    for line in comment.lines() {
        indent(f, depth)?;
        // A comment of another program's making may lack the mark.
        let mark = if line.starts_with('#') { "" } else { "# " };
        write!(f, "{mark}{}\r\n", line.trim_end())?;
    }
    Ok(())
}

fn indent(f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
    (0..depth).try_for_each(|_| f.write_str("    "))
}

fn arguments(f: &mut Formatter<'_>, list: &[Argument]) -> fmt::Result {
    for argument in list {
        f.write_char(' ')?;
        match &argument.value {
            Value::Number(number) => self::number(f, *number)?,
            Value::Tag(name) => write!(f, ":{name}")?,
            Value::Text(text) if is_lines(text) => lines(f, text)?,
            Value::Text(text) => quoted(f, text)?,
            Value::List(list) => {
                for (index, text) in list.iter().enumerate() {
                    f.write_str(if index == 0 { "[" } else { ", " })?;
                    quoted(f, text)?;
                }
                f.write_char(']')?;
            }
        }
    }
    Ok(())
}

/// The tests of what is called `name`. RFC 5228 section 5.2 and 5.3: `allof` and
/// `anyof` take a list in parentheses, of one test, too.
fn tests(f: &mut Formatter<'_>, name: &str, list: &[Test], depth: usize) -> fmt::Result {
    match list {
        [] => Ok(()),
        [one] if !matches!(name, "allof" | "anyof") => {
            f.write_char(' ')?;
            test(f, one, depth)
        }
        several => {
            f.write_str(" (")?;
            for (index, one) in several.iter().enumerate() {
                f.write_str(if index == 0 { "\r\n" } else { ",\r\n" })?;
                indent(f, depth + 1)?;
                test(f, one, depth + 1)?;
            }
            f.write_str(")")
        }
    }
}

fn test(f: &mut Formatter<'_>, test: &Test, depth: usize) -> fmt::Result {
    f.write_str(&test.name)?;
    arguments(f, &test.arguments)?;
    tests(f, &test.name, &test.tests, depth)
}

fn number(f: &mut Formatter<'_>, number: u64) -> fmt::Result {
    for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] {
        if number > 0 && number.trailing_zeros() >= shift {
            return write!(f, "{}{unit}", number >> shift);
        }
    }
    write!(f, "{number}")
}

/// Whether a string reads best as `text:`; each of its lines has to end.
fn is_lines(text: &str) -> bool {
    text.ends_with('\n') && text.lines().count() > 1
}

fn lines(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("text:\r\n")?;
    for line in text.lines() {
        // The grammar has no way to write these alone. They go first: a dot that
        // stood behind one would end the text, and what follows be commands.
        let line = line.replace(['\r', '\0'], "");
        let stuffing = if line.starts_with('.') { "." } else { "" };
        write!(f, "{stuffing}{line}\r\n")?;
    }
    f.write_str(".\r\n")
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for next in text.chars() {
        match next {
            '"' | '\\' => write!(f, "\\{next}")?,
            '\n' => f.write_str("\r\n")?,
            // The grammar has no way to write these alone.
            '\r' | '\0' => {}
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
