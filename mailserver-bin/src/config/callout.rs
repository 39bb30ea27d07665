//! `[callout]`: how hosts of relayed domains are asked for recipients. Which are
//! asked is a rule of each domain, kept in the directory.

use mailcore::intake::CalloutConfig;

use super::file::Section;

/// Reads the table.
pub(super) fn callout(root: &Section<'_, '_>, settings: &mut CalloutConfig) {
    let section = root.section("callout", "[callout]");
    for (key, time) in [
        ("known", &mut settings.known_for),
        ("unknown", &mut settings.unknown_for),
        ("deadline", &mut settings.deadline),
    ] {
        let Some(wanted) = section.duration(key) else {
            continue;
        };
        if wanted.value.is_zero() {
            section.problem(wanted.line, format!("{key} can't be 0"));
        }
        *time = wanted.value;
    }
    settings.at_once = section.count("at_once").unwrap_or(settings.at_once);
    section.finish();
}
