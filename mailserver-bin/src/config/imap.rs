//! `[imap]`: what a session may ask of the server.

use std::num::NonZeroU32;

use mailcore_imap::server::Imap;
use mailcore_imap::session::{Compression, Literals};

use super::file::Section;

const LITERALS: [(&str, Literals); 2] = [("any", Literals::Plus), ("small", Literals::Minus)];

/// Reads the table; every default is the library's.
pub(super) fn imap(root: &Section<'_, '_>, settings: &mut Imap) {
    let section = root.section("imap", "[imap]");
    let mut imap = settings.clone();
    if let Some(text) = section.string("literals") {
        imap = imap.literals(
            section
                .word("literals", text, &LITERALS)
                .unwrap_or_default(),
        );
    }
    if let Some(ranges) = section.count("saved_search") {
        imap = imap.max_saved_ranges(ranges);
    }
    if let Some(mailboxes) = section.count("notify_mailboxes") {
        imap = imap.max_notify_mailboxes(mailboxes);
    }
    if let Some(messages) = section.count("append_messages") {
        imap = imap.max_append_messages(messages);
    }
    if let Some(messages) = section.count("message_limit") {
        let limit = u32::try_from(messages).ok().and_then(NonZeroU32::new);
        imap = imap.message_limit(limit);
    }
    if let Some(uri) = section.string("admin") {
        match uri.value.contains(':') {
            true => imap = imap.admin(uri.value),
            false => section.problem(
                uri.line,
                "admin is a URI: \"mailto:postmaster@example.com\" (RFC 5464)",
            ),
        }
    }
    if let Some(text) = section.string("comment") {
        imap = imap.comment(text.value);
    }
    if let Some(count) = section.count("annotations") {
        imap = imap.max_annotations(count);
    }
    if let Some(octets) = section.size("annotation_size") {
        imap = imap.annotation_size(usize::try_from(octets).unwrap_or(usize::MAX));
    }
    if section.flag("compression") == Some(false) {
        imap = imap.compression(Compression::Off);
    }
    section.finish();
    *settings = imap;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::resolve::resolve;

    const SERVER: &str = "[server]\nhostname = \"mail.example.com\"\n";

    #[test]
    fn what_a_session_may_ask_is_read_and_checked() {
        let path = Path::new("mailserver.toml");
        let good = format!(
            "{SERVER}[imap]\nliterals = \"small\"\nsaved_search = 10\nadmin = \"tel:+1\"\nannotations = 20\n"
        );
        assert!(resolve(path, &good).is_ok());
        let bad = format!("{SERVER}[imap]\nliterals = \"none\"\nsaved = 1\nadmin = \"me\"\n");
        let problems = resolve(path, &bad).unwrap_err().to_string();
        assert!(
            problems.contains(":4: ") && problems.contains(":5: ") && problems.contains(":6: "),
            "{problems}"
        );
    }
}
