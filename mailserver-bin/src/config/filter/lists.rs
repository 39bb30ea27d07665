//! `[filter] access_list` and `[filter.lists]`: who is let in and who is not.

use std::path::Path;

use mailcore_filter::lists::{RuleSet, SenderProof};

use crate::config::file::Section;

/// Lists.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListsConfig {
    /// The operator's own rules, which nobody lifts.
    pub(crate) file: RuleSet,
    /// Whether a sender that is let through must be proven.
    pub(crate) proof: SenderProof,
}

pub(super) fn lists(filter: &Section<'_, '_>, folder: &Path, config: &mut ListsConfig) {
    file(filter, folder, config);
    let section = filter.section("lists", "[filter.lists]");
    if section.flag("authenticated") == Some(false) {
        config.proof = SenderProof::Waived;
    }
    section.finish();
}

fn file(filter: &Section<'_, '_>, folder: &Path, config: &mut ListsConfig) {
    let Some(file) = filter.string("access_list") else {
        return;
    };
    let path = folder.join(file.value);
    let rules = std::fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| RuleSet::parse(&text).map_err(|error| error.to_string()));
    match rules {
        Ok(rules) => config.file = rules,
        Err(error) => filter.problem(
            file.line,
            format!("access_list {}: {error}", path.display()),
        ),
    }
}
