//! `mailserver suppress`.

use std::io::Read;

use clap::Subcommand;
use mailcore::seams::{Clock, SystemClock};
use mailcore::time::Timestamp;
use serde_json::json;

use super::{CliError, Place};
use crate::config::parse_duration;
use crate::control::suppress::{Entry, SuppressRequest, parse};
use crate::control::{Request, Response, aligned};
use crate::{out, when};

/// Entries sent at a time: a request holds no more.
const AT_ONCE: usize = 10_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sends nothing to an address any more
    Add(Addition),
    /// Lists them
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Sends to them again
    Remove {
        /// `bob@example.com`, or `@example.com`
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
    },
    /// Adds those of a file, one a line, each with a reason after a comma or a
    /// tab or without one; says which lines it can't read
    Import {
        /// The file; "-" for standard input
        file: String,
    },
    /// Writes them in the form that import reads
    Export,
}

#[derive(Debug, clap::Args)]
pub(super) struct Addition {
    /// `bob@example.com`, or `@example.com` for all of a domain
    address: String,
    /// Why; senders are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Until then: "2027-01-31", "2027-01-31 12:00" (UTC)
    #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
    until: Option<String>,
    /// For so long: "30d"
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<String>,
}

/// Carries one command out.
pub(super) fn run(place: &Place, command: Command) -> Result<(), CliError> {
    match command {
        Command::Add(addition) => place.ask(addition.request()?),
        Command::Remove { addresses } => {
            let request = SuppressRequest::Remove { who: addresses };
            place.ask(Request::Suppress { request })
        }
        Command::List { json: true } => each_page(place, |page| {
            out::lines(&page.iter().map(shown_as_json).collect::<Vec<_>>());
        }),
        Command::List { json: false } => each_page(place, |page| {
            let rows: Vec<Vec<String>> = page.iter().map(row).collect();
            out::lines(&aligned(&rows));
        }),
        Command::Export => each_page(place, |page| {
            out::lines(&page.iter().map(exported).collect::<Vec<_>>());
        }),
        Command::Import { file } => import(place, &file),
    }
}

impl Addition {
    fn request(self) -> Result<Request, CliError> {
        let now = SystemClock::new().now();
        parse(&self.address).map_err(CliError::Usage)?;
        let until = match (self.until, self.lasting) {
            (Some(text), _) => Some(moment(&text, now).map_err(CliError::Usage)?),
            (None, Some(text)) => {
                let lasting = parse_duration(&text).filter(|it| !it.is_zero());
                let wrong = || format!("--for {text:?} is not a time; write \"30d\" or \"12h\"");
                Some(now.after(lasting.ok_or_else(|| CliError::Usage(wrong()))?))
            }
            (None, None) => None,
        };
        let entry = Entry {
            who: self.address,
            reason: self.reason,
            since: None,
            until: until.map(Timestamp::millis),
        };
        let request = SuppressRequest::Add {
            entries: vec![entry],
        };
        Ok(Request::Suppress { request })
    }
}

/// A moment that is to come.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = when::parse(text, now)
        .ok_or_else(|| format!("\"{text}\" is not a moment; write \"2027-01-31\" (UTC)"))?;
    match at > now {
        true => Ok(at),
        false => Err(format!("\"{text}\" is over; give a moment to come")),
    }
}

/// Does something with all of the list, a page at a time.
fn each_page(place: &Place, mut print: impl FnMut(&[Entry])) -> Result<(), CliError> {
    let config = place.config()?;
    let mut after = None;
    loop {
        let request = SuppressRequest::Page { after };
        let answer = place.answer(&config, &Request::Suppress { request })?;
        let Response::Done(lines) = answer else {
            return Ok(());
        };
        let page = lines.iter().map(|line| serde_json::from_str(line));
        let page: Vec<Entry> = page.collect::<Result<_, _>>().map_err(CliError::failed)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.who.clone());
        print(&page);
    }
}

fn shown_as_json(entry: &Entry) -> String {
    json!({
        "address": entry.who,
        "reason": entry.reason,
        "since": entry.since,
        "until": entry.until,
    })
    .to_string()
}

fn row(entry: &Entry) -> Vec<String> {
    let time = |word: &str, at: Option<i64>| {
        at.map(|at| format!("{word} {}", when::shown(Timestamp::from_millis(at))))
    };
    let mut row = vec![entry.who.clone()];
    row.extend(time("since", entry.since));
    row.push(time("until", entry.until).unwrap_or_default());
    row.extend(entry.reason.clone());
    row
}

/// `address`, `address TAB reason` or `address TAB reason TAB until`.
fn exported(entry: &Entry) -> String {
    let mut line = match entry.who.rsplit_once('@') {
        // Unquoted, it would be read back as a comment.
        Some((local, domain)) if local.starts_with('#') => format!("\"{local}\"@{domain}"),
        _ => entry.who.clone(),
    };
    if entry.reason.is_some() || entry.until.is_some() {
        line.push('\t');
        line.push_str(entry.reason.as_deref().unwrap_or_default());
    }
    if let Some(until) = entry.until {
        line.push('\t');
        line.push_str(&when::shown(Timestamp::from_millis(until)));
    }
    line
}

fn import(place: &Place, file: &str) -> Result<(), CliError> {
    let mut octets = Vec::new();
    match file {
        "-" => std::io::stdin()
            .read_to_end(&mut octets)
            .map_err(CliError::failed)?,
        path => std::fs::File::open(path)
            .and_then(|mut opened| opened.read_to_end(&mut octets))
            .map_err(|error| CliError::Failed(format!("can't read {path}: {error}")))?,
    };
    let now = SystemClock::new().now();
    let (mut entries, mut unread, mut over) = (Vec::new(), Vec::new(), 0);
    for (number, line) in String::from_utf8_lossy(&octets).lines().enumerate() {
        match imported(line, now) {
            Ok(Some(entry)) if entry.until.is_some_and(|until| until <= now.millis()) => over += 1,
            Ok(entry) => entries.extend(entry),
            Err(why) => unread.push(format!("line {}: {why}", number + 1)),
        }
    }
    let config = place.config()?;
    for entries in entries.chunks(AT_ONCE) {
        let request = SuppressRequest::Add {
            entries: entries.to_vec(),
        };
        place.answer(&config, &Request::Suppress { request })?;
    }
    let mut lines = vec![format!("{} put on the suppression list", entries.len())];
    if over > 0 {
        lines.push(format!("{over} left out, since their time is over"));
    }
    out::lines(&lines);
    match unread.is_empty() {
        true => Ok(()),
        false => Err(CliError::Failed(format!(
            "{} lines can't be read:\n{}",
            unread.len(),
            unread.join("\n")
        ))),
    }
}

/// An entry by its line; `None` for an empty line or a comment.
fn imported(line: &str, now: Timestamp) -> Result<Option<Entry>, String> {
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut cells = line.splitn(3, '\t');
    let first = cells.next().unwrap_or_default().trim();
    // A comma may stand within the quotes of a local part.
    let (who, words) = match (parse(first), first.split_once(',')) {
        (Err(_), Some((who, words))) => (who.trim(), Some(words)),
        _ => (first, None),
    };
    parse(who)?;
    let reason = cells.next().or(words).map(str::trim);
    let until = cells.next().map(|text| {
        let at = when::parse(text.trim(), now);
        at.ok_or_else(|| format!("\"{text}\" is not a moment"))
    });
    Ok(Some(Entry {
        who: who.to_owned(),
        reason: reason.filter(|it| !it.is_empty()).map(str::to_owned),
        since: None,
        until: until.transpose()?.map(Timestamp::millis),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(who: &str, reason: Option<&str>, until: Option<i64>) -> Entry {
        Entry {
            who: who.to_owned(),
            reason: reason.map(str::to_owned),
            since: None,
            until,
        }
    }

    #[test]
    fn a_line_is_an_address_with_a_reason_and_an_end_or_without() {
        let now = Timestamp::from_secs(0);
        let read = |line: &str| imported(line, now);
        for (line, expected) in [
            ("bob@x.test", entry("bob@x.test", None, None)),
            (
                " @x.test , left us ",
                entry("@x.test", Some("left us"), None),
            ),
            (
                "b@x.test\tgone, really",
                entry("b@x.test", Some("gone, really"), None),
            ),
            ("\"a,b\"@x.test", entry("\"a,b\"@x.test", None, None)),
            ("\"#1\"@x.test", entry("\"#1\"@x.test", None, None)),
            (
                "b@x.test\t\t1970-01-02",
                entry("b@x.test", None, Some(86_400_000)),
            ),
        ] {
            assert_eq!(read(line), Ok(Some(expected.clone())), "{line}");
            let again = exported(&expected);
            assert_eq!(read(&again), Ok(Some(expected)), "{line}");
        }
        let kept = parse("\"#1\"@x.test").unwrap();
        let kept = entry(&kept.to_string(), None, None);
        let again = read(&exported(&kept)).unwrap().unwrap();
        assert_eq!(parse(&again.who), parse(&kept.who), "no comment");
        assert_eq!(read("# a comment"), Ok(None));
        assert_eq!(read("  "), Ok(None));
        for bad in ["bob", "bob@", "@", "b@x.test\tx\tsoon"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
