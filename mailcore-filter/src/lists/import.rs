//! [`import`]: lists as other programs write them.

use thiserror::Error;

use super::rule::without_comment;
use super::{About, Decision, Force, Network, Rule, RuleError};

/// What a line decides that names a value alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleDefaults {
    /// Allow or deny; `None`: each line says it.
    pub decision: Option<Decision>,
    /// `client`, `sender` or `recipient`; `None`: a network or a host is a
    /// client, anything else a sender.
    pub subject: Option<&'static str>,
}

impl RuleDefaults {
    /// Every line says all.
    pub const fn none() -> Self {
        Self {
            decision: None,
            subject: None,
        }
    }

    /// Lines that name a value alone decide this, of these.
    pub const fn new(decision: Option<Decision>, subject: Option<&'static str>) -> Self {
        Self { decision, subject }
    }
}

/// Why a line can't be read; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct ImportError {
    /// Which line.
    pub line: usize,
    /// What is wrong with it.
    pub reason: ImportReason,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImportReason {
    /// It is no rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// It is a value, and nothing says what to decide about it.
    #[error("it says neither allow nor deny; say which for all lines that don't")]
    Decision,
}

/// Reads a list with one rule a line, in any of these forms, mixed or not:
///
/// ```text
/// deny sender .example.net final        as lists are written here
/// deny,sender,.example.net,final        CSV, fields quoted or not; a title line
///                                       is left out
/// *@example.net                         a value alone, with an allow or deny and
/// 192.0.2.0/24                          a subject for all
/// ```
///
/// Empty lines and comments (`#`, or `;` at the start) are left out. The rules,
/// and every line that is none.
pub fn import(text: &str, defaults: RuleDefaults) -> (Vec<Rule>, Vec<ImportError>) {
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        match rule(text, defaults, line == 1) {
            Ok(rule) => rules.extend(rule),
            Err(reason) => errors.push(ImportError { line, reason }),
        }
    }
    (rules, errors)
}

fn rule(line: &str, defaults: RuleDefaults, first: bool) -> Result<Option<Rule>, ImportReason> {
    let text = without_comment(line).trim();
    if text.is_empty() || text.starts_with(';') {
        return Ok(None);
    }
    if let Ok(rule) = text.parse() {
        return Ok(Some(rule));
    }
    let fields = fields(text);
    let words: Vec<&str> = fields.iter().map(String::as_str).collect();
    let lower = words.first().map(|word| word.to_ascii_lowercase());
    if first
        && matches!(
            lower.as_deref(),
            Some("decision" | "value" | "action" | "list")
        )
    {
        return Ok(None);
    }
    match (lower.as_deref(), words.as_slice()) {
        (Some("allow" | "deny"), _) => Ok(Some(words.join(" ").parse()?)),
        (_, [value]) => alone(value, defaults).map(Some),
        // What stands behind a value is a comment in lists of values alone.
        (_, [value, ..]) if defaults.decision.is_some() => alone(value, defaults).map(Some),
        _ => Err(RuleError::Syntax.into()),
    }
}

fn alone(value: &str, defaults: RuleDefaults) -> Result<Rule, ImportReason> {
    let decision = defaults.decision.ok_or(ImportReason::Decision)?;
    let client = |value: &str| {
        value.parse::<Network>().is_ok() || value.starts_with("host:") || value.starts_with("mx:")
    };
    let subject = match defaults.subject {
        Some(subject) => subject,
        None if client(value) => "client",
        None => "sender",
    };
    Ok(Rule {
        decision,
        about: About::parse(subject, value)?,
        force: Force::Liftable,
    })
}

/// The fields of a line: of CSV (RFC 4180 section 2), else its words.
fn fields(line: &str) -> Vec<String> {
    if !line.contains(',') && !line.starts_with('"') {
        return line.split_whitespace().map(str::to_owned).collect();
    }
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    let fields = fields.iter().map(|it| it.trim().to_owned());
    fields.filter(|it| !it.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, defaults: RuleDefaults) -> (Vec<String>, Vec<usize>) {
        let (rules, errors) = import(text, defaults);
        (
            rules.iter().map(ToString::to_string).collect(),
            errors.iter().map(|it| it.line).collect(),
        )
    }

    #[test]
    fn lists_are_read_in_every_form_and_bad_lines_are_named() {
        let (rules, wrong) = texts(
            "decision,subject,value,force\r\n\
             deny,sender,.spam.test,final\r\n\
             \"allow\",\"client\",\"192.0.2.0/24\"\n\
             \n\
             # a comment\n\
             deny sender a@spam.test   # why\n\
             deny sendr a@spam.test\n\
             spam.test\n",
            RuleDefaults::none(),
        );
        assert_eq!(
            rules,
            [
                "deny sender .spam.test final",
                "allow client 192.0.2.0/24",
                "deny sender a@spam.test"
            ]
        );
        assert_eq!(wrong, [7, 8]);
    }

    #[test]
    fn values_alone_are_clients_or_senders() {
        let deny = RuleDefaults::new(Some(Decision::Deny), None);
        let list = "\u{feff}*@spam.test\n; note\n192.0.2.1\n*.spam.test, since May\n<>\nallow sender x.test\na b\n";
        let (rules, wrong) = texts(list, deny);
        assert_eq!(
            rules,
            [
                "deny sender spam.test",
                "deny client 192.0.2.1",
                "deny sender .spam.test",
                "deny sender <>",
                "allow sender x.test",
                "deny sender a",
            ]
        );
        assert!(wrong.is_empty());
        let to = RuleDefaults::new(Some(Decision::Allow), Some("recipient"));
        assert_eq!(
            texts("192.0.2.1.test\n", to).0,
            ["allow recipient 192.0.2.1.test"]
        );
    }

    #[test]
    fn what_is_exported_is_imported() {
        for text in [
            "deny sender \"a,b\"@x.test final",
            "allow client mx",
            "deny sender <>",
        ] {
            let rule: Rule = text.parse().unwrap();
            assert_eq!(
                import(&rule.to_string(), RuleDefaults::none()).0,
                [rule],
                "{text}"
            );
        }
    }
}
