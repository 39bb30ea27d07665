//! `mailserver filter`.

use std::io::Read;

use clap::{Subcommand, ValueEnum};
use mailcore_filter::lists::import::import;
use mailcore_filter::lists::{Decision, Rule, RuleDefaults};

use super::{CliError, Place};
use crate::control::filter::{FilterAction, FilterRequest, ScopeArgs};
use crate::control::{Request, Response};
use crate::out;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists who is let in and who is not, a rule a line
    List {
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Adds a rule, in place of one about the same
    Add {
        /// `deny sender .example.net`, `allow client 192.0.2.0/24`, `deny client
        /// host:*.example.net final`
        #[arg(required = true, num_args = 3..=4, value_name = "RULE")]
        rule: Vec<String>,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Removes the rule about somebody
    Remove {
        /// `client`, `sender` or `recipient`
        subject: String,
        /// As in the rule: `.example.net`
        value: String,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Adds the rules of a file, one a line: as they are listed, as CSV, or values
    /// alone; says which lines it can't read
    Import {
        /// The file; "-" for standard input
        file: String,
        /// What is decided about values alone
        #[arg(long, value_name = "allow|deny")]
        decision: Option<Decide>,
        /// What values alone are; a network is a client and the rest are senders
        /// unless this is given
        #[arg(long, value_name = "client|sender|recipient")]
        subject: Option<Subject>,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Writes the rules in a form that import reads
    Export {
        /// As CSV
        #[arg(long)]
        csv: bool,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Sets what is done about what tests find: `spf.fail reject`, `dnsbl off`,
    /// `score.quarantine 8`, `spam.place folder`
    Set {
        /// TEST, TEST.RESULT, score.reject, score.quarantine, score.tag, spam.place, spam.subject_tag
        key: String,
        /// A reaction, `on`, `off`, a score, `never`, a place
        #[arg(required = true, num_args = 1..)]
        value: Vec<String>,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Leaves it to the next wider scope again
    Unset {
        /// As above
        key: String,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Shows what is set, and where
    Show {
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Shows every test and result, when it is asked, its class, and what is done
    Tests {
        #[command(flatten)]
        scope: ScopeArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Decide {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Subject {
    Client,
    Sender,
    Recipient,
}

/// Carries one command out.
pub(super) fn run(place: &Place, command: Command) -> Result<(), CliError> {
    let ask = |scope, action| place.ask(request(scope, action));
    match command {
        Command::List { scope } => ask(scope, FilterAction::List),
        Command::Add { rule, scope } => {
            let rule = rule.join(" ");
            let rules = vec![rule.parse::<Rule>().map_err(usage)?.to_string()];
            ask(scope, FilterAction::Add { rules })
        }
        Command::Remove {
            subject,
            value,
            scope,
        } => {
            let about = vec![(subject, value)];
            ask(scope, FilterAction::Remove { about })
        }
        Command::Import {
            file,
            decision,
            subject,
            scope,
        } => {
            let decision = decision.map(|it| match it {
                Decide::Allow => Decision::Allow,
                Decide::Deny => Decision::Deny,
            });
            let subject = subject.map(|it| match it {
                Subject::Client => "client",
                Subject::Sender => "sender",
                Subject::Recipient => "recipient",
            });
            import_file(place, &file, RuleDefaults::new(decision, subject), scope)
        }
        Command::Export { csv: false, scope } => ask(scope, FilterAction::List),
        Command::Export { csv: true, scope } => export(place, scope),
        Command::Set { key, value, scope } => {
            let value = value.join(" ");
            ask(scope, FilterAction::Set { key, value })
        }
        Command::Unset { key, scope } => ask(scope, FilterAction::Unset { key }),
        Command::Show { scope } => ask(scope, FilterAction::Show),
        Command::Tests { scope } => ask(scope, FilterAction::Tests),
    }
}

fn request(scope: ScopeArgs, action: FilterAction) -> Request {
    Request::Filter {
        request: Box::new(FilterRequest { scope, action }),
    }
}

fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}

fn import_file(
    place: &Place,
    file: &str,
    defaults: RuleDefaults,
    scope: ScopeArgs,
) -> Result<(), CliError> {
    let mut octets = Vec::new();
    match file {
        "-" => std::io::stdin()
            .read_to_end(&mut octets)
            .map_err(CliError::failed)?,
        path => std::fs::File::open(path)
            .and_then(|mut opened| opened.read_to_end(&mut octets))
            .map_err(|error| CliError::Failed(format!("can't read {path}: {error}")))?,
    };
    let (rules, unread) = import(&String::from_utf8_lossy(&octets), defaults);
    if !rules.is_empty() {
        let rules = rules.iter().map(ToString::to_string).collect();
        place.ask(request(scope, FilterAction::Add { rules }))?;
    }
    if unread.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = unread.iter().map(ToString::to_string).collect();
    Err(CliError::Failed(format!(
        "{} lines can't be read:\n{}",
        lines.len(),
        lines.join("\n")
    )))
}

fn export(place: &Place, scope: ScopeArgs) -> Result<(), CliError> {
    let answer = place.answer(&place.config()?, &request(scope, FilterAction::List))?;
    let Response::Done(lines) = answer else {
        return Ok(());
    };
    let rules = lines.iter().filter_map(|line| line.parse::<Rule>().ok());
    let mut csv = vec!["decision,subject,value,force".to_owned()];
    csv.extend(rules.map(|rule| in_csv(&rule)));
    out::lines(&csv);
    Ok(())
}

fn in_csv(rule: &Rule) -> String {
    let quoted = |text: String| match text.contains(['"', ',']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    };
    let (decision, subject) = (rule.decision.as_str(), rule.about.subject());
    let force = match rule.to_string().ends_with(" final") {
        true => "final",
        false => "",
    };
    format!(
        "{decision},{subject},{},{force}",
        quoted(rule.about.value())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_as_csv_is_imported() {
        for text in [
            "deny sender \"a,b\"@x.test final",
            "allow client mx:.x.test",
            "deny recipient <>",
            "deny client 2001:db8::/32 final",
        ] {
            let rule: Rule = text.parse().unwrap();
            let (rules, _) = import(&in_csv(&rule), RuleDefaults::none());
            assert_eq!(rules, [rule], "{text}");
        }
    }
}
