//! `[pop3]`: what a session may do, and which folder it serves.

use std::num::NonZeroUsize;
use std::time::Duration;

use mailcore_pop3::session::{Expire, Utf8Header};
use mailcore_pop3::{ApopUse, Folders, Pop3};

use super::file::Section;
use super::parse_duration;

const FOLDERS: [(&str, Folders); 2] = [("chosen", Folders::Chosen), ("by-login", Folders::ByLogin)];
const UTF8_HEADERS: [(&str, Utf8Header); 3] = [
    ("surrogate", Utf8Header::Surrogate),
    ("refuse", Utf8Header::Refuse),
    ("as-is", Utf8Header::AsIs),
];

/// RFC 1939 section 3.
const LEAST_IDLE: Duration = Duration::from_secs(600);
/// Seconds of a day.
const DAY: u64 = 86_400;

/// Reads the table; every default is the library's.
pub(super) fn pop3(root: &Section<'_, '_>, settings: &mut Pop3) {
    let section = root.section("pop3", "[pop3]");
    let mut pop3 = settings.clone();
    if let Some(text) = section.string("folder") {
        pop3 = pop3.folders(section.word("folder", text, &FOLDERS).unwrap_or_default());
    }
    if section.flag("apop") == Some(true) {
        pop3 = pop3.apop(ApopUse::Offered);
    }
    if let Some(text) = section.string("utf8_header") {
        let form = section.word("utf8_header", text, &UTF8_HEADERS);
        pop3 = pop3.utf8_header(form.unwrap_or_default());
    }
    if let Some(time) = section.duration("login_timeout") {
        pop3 = pop3.login_timeout(time.value);
    }
    if let Some(time) = section.duration("idle_timeout") {
        if time.value < LEAST_IDLE {
            section.problem(time.line, "idle_timeout must be 10m or more (RFC 1939)");
        }
        pop3 = pop3.idle_timeout(time.value);
    }
    if let Some(time) = section.duration("login_delay") {
        pop3 = pop3.login_delay(time.value);
    }
    if let Some(expire) = expire(&section) {
        pop3 = pop3.expire(expire);
    }
    if let Some(count) = section.count("messages") {
        let count = NonZeroUsize::new(count);
        pop3 = pop3.max_messages(count.map_or(usize::MAX, NonZeroUsize::get));
    }
    if let Some(octets) = section.size("read_ahead") {
        pop3 = pop3.read_ahead(octets);
    }
    if let Some(errors) = section.count("errors") {
        pop3 = pop3.max_errors(u32::try_from(errors).unwrap_or(u32::MAX).max(1));
    }
    if let Some(failures) = section.count("login_failures") {
        pop3 = pop3.max_login_failures(u32::try_from(failures).unwrap_or(u32::MAX).max(1));
    }
    section.finish();
    *settings = pop3;
}

/// Days are what a client can be told (RFC 2449 section 6.7).
fn expire(section: &Section<'_, '_>) -> Option<Expire> {
    let text = section.string("expire")?;
    if text.value == "never" {
        return Some(Expire::Never);
    }
    let seconds = parse_duration(text.value).map(|time| time.as_secs());
    let days = seconds.filter(|seconds| seconds % DAY == 0);
    match days.and_then(|seconds| u32::try_from(seconds / DAY).ok()) {
        Some(days) => Some(Expire::Days(days)),
        None => {
            section.problem(text.line, "expire is \"never\" or whole days: \"30d\"");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::resolve::resolve;

    const SERVER: &str = "[server]\nhostname = \"mail.example.com\"\n";

    #[test]
    fn what_a_session_may_do_is_read_and_checked() {
        let path = Path::new("mailserver.toml");
        let good = format!(
            "{SERVER}[pop3]\nfolder = \"by-login\"\nlogin_delay = \"1m\"\nmessages = 9\nexpire = \"30d\"\n"
        );
        assert!(resolve(path, &good).is_ok());
        let bad = format!(
            "{SERVER}[pop3]\nfolder = \"all\"\nidle_timeout = \"1m\"\nutf8_header = \"no\"\nexpire = \"1h\"\nx = 1\n"
        );
        let problems = resolve(path, &bad).unwrap_err().to_string();
        for line in [":4: ", ":5: ", ":6: ", ":7: ", ":8: "] {
            assert!(problems.contains(line), "{problems}");
        }
    }
}
