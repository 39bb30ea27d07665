//! `encoded-character` (RFC 5228 section 2.4.2.4): undone in the whole tree before
//! anything else looks at its strings.

use crate::engine::ast::{Argument, Command, Script, Test, Value};
use crate::engine::{CompileError, Position};

/// The script with its encoded characters decoded.
pub(super) fn decoded(script: &Script) -> Result<Script, CompileError> {
    let mut script = script.clone();
    commands(&mut script.commands)?;
    Ok(script)
}

fn commands(list: &mut [Command]) -> Result<(), CompileError> {
    for command in list {
        arguments(&mut command.arguments)?;
        tests(&mut command.tests)?;
        if let Some(block) = &mut command.block {
            commands(block)?;
        }
    }
    Ok(())
}

fn tests(list: &mut [Test]) -> Result<(), CompileError> {
    for test in list {
        arguments(&mut test.arguments)?;
        tests(&mut test.tests)?;
    }
    Ok(())
}

fn arguments(list: &mut [Argument]) -> Result<(), CompileError> {
    for argument in list {
        match &mut argument.value {
            Value::Text(value) => *value = text(value, argument.at)?,
            Value::List(values) => {
                for value in values {
                    *value = text(value, argument.at)?;
                }
            }
            Value::Number(_) | Value::Tag(_) => {}
        }
    }
    Ok(())
}

/// A string with its sequences replaced; what looks like one and is none stays.
fn text(encoded: &str, at: Position) -> Result<String, CompileError> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at_checked(start).unwrap_or((rest, ""));
        octets.extend_from_slice(before.as_bytes());
        match sequence(from) {
            Some((values, after)) => {
                push(&mut octets, values, at)?;
                rest = after;
            }
            None => {
                octets.push(b'$');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    octets.extend_from_slice(rest.as_bytes());
    // Octets that are no UTF-8 match no text of a header, which is UTF-8 as well.
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// The values of a sequence.
enum Values<'a> {
    Octets(&'a str),
    Characters(&'a str),
}

fn push(octets: &mut Vec<u8>, values: Values<'_>, at: Position) -> Result<(), CompileError> {
    match values {
        Values::Octets(list) => octets.extend(
            list.split_ascii_whitespace()
                .filter_map(|pair| u8::from_str_radix(pair, 16).ok()),
        ),
        Values::Characters(list) => {
            for hex in list.split_ascii_whitespace() {
                let character = u32::from_str_radix(hex.trim_start_matches('0'), 16)
                    .or_else(|error| if hex.bytes().all(|digit| digit == b'0') { Ok(0) } else { Err(error) })
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(|| {
                        CompileError::new(
                            at,
                            "there is no such character: write a number up to D7FF or from E000 to 10FFFF",
                        )
                    })?;
                octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Ok(())
}

/// The sequence that a text begins with, and what follows it.
fn sequence(text: &str) -> Option<(Values<'_>, &str)> {
    let inner = text.strip_prefix("${")?;
    let blank = |next: char| matches!(next, ' ' | '\t' | '\r' | '\n');
    // Only as far as a sequence can go: the search has to stay linear.
    let end =
        inner.find(|next: char| !next.is_ascii_alphanumeric() && !blank(next) && next != ':')?;
    let (head, after) = inner.split_at_checked(end)?;
    let after = after.strip_prefix('}')?;
    let (name, list) = head.split_once(':')?;
    let plain = list
        .chars()
        .all(|next| blank(next) || next.is_ascii_hexdigit());
    if !plain || list.split_ascii_whitespace().next().is_none() {
        return None;
    }
    if name.eq_ignore_ascii_case("hex") {
        let pairs = list.split_ascii_whitespace().all(|pair| pair.len() <= 2);
        pairs.then_some((Values::Octets(list), after))
    } else if name.eq_ignore_ascii_case("unicode") {
        Some((Values::Characters(list), after))
    } else {
        None
    }
}
