//! `[journal]`: where what happened is kept, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mailcore::intake::{Subjects, Transcripts};
use mailcore::seams::JournalRetention;

use super::file::Section;

/// What is kept of what happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct JournalConfig {
    pub(crate) mode: JournalMode,
    /// `None` for `journal.db` in the data directory.
    pub(crate) path: Option<PathBuf>,
    pub(crate) subjects: Subjects,
    pub(crate) transcripts: Transcripts,
    pub(crate) retention: JournalRetention,
}

/// Whether there is a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum JournalMode {
    #[default]
    On,
    Off,
}

/// Reads the table.
pub(super) fn journal(root: &Section<'_, '_>, folder: &Path, config: &mut JournalConfig) {
    let section = root.section("journal", "[journal]");
    if section.flag("enabled") == Some(false) {
        config.mode = JournalMode::Off;
    }
    if let Some(path) = section.string("path") {
        config.path = Some(folder.join(path.value));
    }
    if section.flag("subjects") == Some(false) {
        config.subjects = Subjects::LeftOut;
    }
    if section.flag("transcripts") == Some(false) {
        config.transcripts = Transcripts::LeftOut;
    }
    let kept = &mut config.retention;
    let times: [(&'static str, &mut Duration); 4] = [
        ("messages", &mut kept.messages),
        ("sessions", &mut kept.sessions),
        ("events", &mut kept.events),
        ("statistics", &mut kept.statistics),
    ];
    for (key, kept) in times {
        if let Some(time) = section.duration(key) {
            *kept = time.value;
        }
    }
    if let Some(size) = section.size("size") {
        kept.octets = Some(size);
    }
    section.finish();
}
