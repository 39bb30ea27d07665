//! [`search_command`]: SEARCH, written.

use mailcore::mailbox::SystemFlag;
use mailcore::message::Date;

use super::command::Command;
use super::messages::By;
use super::name::NameForm;
use crate::types::search::{Age, DateTest};
use crate::types::{SearchKey, SearchProgram};

/// SEARCH by `program`. The charset is named only where some text needs it:
/// not every server knows one (RFC 9051 section 6.4.4).
pub(super) fn search_command(
    by: By,
    program: &SearchProgram,
    as_set: bool,
    form: NameForm,
) -> Command {
    let mut command = Command::new(match by {
        By::Uid => "UID SEARCH",
        By::Number => "SEARCH",
    });
    if as_set {
        command = command.raw("RETURN (ALL)");
    }
    // With UTF-8 in use there is no other charset (RFC 6855 section 3).
    if form == NameForm::ModifiedUtf7 && program.keys.iter().any(needs_charset) {
        command = command.raw("CHARSET UTF-8");
    }
    if program.keys.is_empty() {
        command = command.raw("ALL");
    }
    program.keys.iter().fold(command, key)
}

fn needs_charset(key: &SearchKey) -> bool {
    match key {
        SearchKey::Header { name, text } => !name.is_ascii() || !text.is_ascii(),
        SearchKey::Body(text) | SearchKey::Text(text) => !text.is_ascii(),
        SearchKey::Not(key) => needs_charset(key),
        SearchKey::Or(a, b) => needs_charset(a) || needs_charset(b),
        SearchKey::And(keys) => keys.iter().any(needs_charset),
        _ => false,
    }
}

fn key(command: Command, key: &SearchKey) -> Command {
    match key {
        SearchKey::All => command.raw("ALL"),
        SearchKey::Flag(flag) => command.raw(match flag {
            SystemFlag::Answered => "ANSWERED",
            SystemFlag::Flagged => "FLAGGED",
            SystemFlag::Deleted => "DELETED",
            SystemFlag::Seen => "SEEN",
            SystemFlag::Draft => "DRAFT",
        }),
        SearchKey::Keyword(keyword) => command.raw("KEYWORD").raw(keyword.as_str()),
        SearchKey::Recent => command.raw("RECENT"),
        SearchKey::Sequence(set) => command.raw(set),
        SearchKey::Uid(set) => command.raw("UID").raw(set),
        SearchKey::Saved => command.raw("$"),
        SearchKey::Received(test) => date(command, "", *test),
        SearchKey::Within(Age::Older(seconds)) => command.raw("OLDER").raw(seconds),
        SearchKey::Within(Age::Younger(seconds)) => command.raw("YOUNGER").raw(seconds),
        SearchKey::Sent(test) => date(command, "SENT", *test),
        SearchKey::SaveDate(test) => date(command, "SAVED", *test),
        SearchKey::EmailId(id) => command.raw("EMAILID").astring(id.as_bytes()),
        SearchKey::ThreadId(id) => command.raw("THREADID").astring(id.as_bytes()),
        SearchKey::ModSeq(modseq) => command.raw("MODSEQ").raw(modseq),
        SearchKey::Larger(size) => command.raw("LARGER").raw(size),
        SearchKey::Smaller(size) => command.raw("SMALLER").raw(size),
        SearchKey::Header { name, text } => {
            let command = command.raw("HEADER").astring(name.as_bytes());
            command.astring(text.as_bytes())
        }
        SearchKey::Body(text) => command.raw("BODY").astring(text.as_bytes()),
        SearchKey::Text(text) => command.raw("TEXT").astring(text.as_bytes()),
        SearchKey::Not(inner) => self::key(command.raw("NOT"), inner),
        SearchKey::Or(a, b) => self::key(self::key(command.raw("OR"), a), b),
        SearchKey::And(keys) if keys.is_empty() => command.raw("ALL"),
        SearchKey::And(keys) => keys.iter().fold(command.open(), self::key).joined(")"),
    }
}

fn date(command: Command, prefix: &str, test: DateTest) -> Command {
    let (name, day): (_, Date) = match test {
        DateTest::Before(day) => ("BEFORE", day),
        DateTest::On(day) => ("ON", day),
        DateTest::Since(day) => ("SINCE", day),
    };
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = usize::from(day.month()).checked_sub(1);
    let month = month.and_then(|at| MONTHS.get(at)).unwrap_or(&"Jan");
    let (day, year) = (day.day(), day.year());
    command.raw(format_args!("{prefix}{name} {day}-{month}-{year:04}"))
}
