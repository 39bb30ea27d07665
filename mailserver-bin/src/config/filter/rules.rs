//! `[filter.rules]`: weighted rules asked of what a message says.

use std::path::Path;
use std::sync::Arc;

use mailcore_filter::content::ViewLimits;
use mailcore_filter::rules::{RuleErrors, RuleSet, SHIPPED};

use crate::config::file::Section;

/// Rules of content.
#[derive(Debug, Clone)]
pub(crate) struct RulesConfig {
    /// False: none are asked.
    pub(crate) on: bool,
    /// The rules that files of the operator's give; none without files.
    own: Option<Arc<RuleSet>>,
    /// How much of a message is looked at.
    pub(crate) limits: ViewLimits,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            on: true,
            own: None,
            limits: ViewLimits::default(),
        }
    }
}

impl RulesConfig {
    /// The rules in force.
    ///
    /// # Errors
    /// What is wrong with the shipped rules, which is nothing.
    pub(crate) fn rules(&self) -> Result<Arc<RuleSet>, RuleErrors> {
        match &self.own {
            Some(own) => Ok(Arc::clone(own)),
            None => RuleSet::shipped().map(Arc::new),
        }
    }
}

/// Reads the table.
pub(super) fn rules(filter: &Section<'_, '_>, folder: &Path, config: &mut RulesConfig) {
    let section = filter.section("rules", "[filter.rules]");
    config.on = section.flag("on") != Some(false);
    let shipped = section.flag("shipped") != Some(false);
    if let Some(text) = section.size("text") {
        config.limits.text = usize::try_from(text).unwrap_or(usize::MAX);
    }
    if let Some(parts) = section.count("parts") {
        config.limits.parts = parts;
    }
    if let Some(urls) = section.count("urls") {
        config.limits.urls.seen = urls;
    }
    let files = section.strings_or_string("files").unwrap_or_default();
    if !files.is_empty() || !shipped {
        let line = files.first().map_or(section.line(), |file| file.line);
        let names = files.iter().map(|file| file.value);
        match read(shipped, names, folder) {
            Ok(rules) => config.own = Some(Arc::new(rules)),
            Err(errors) => {
                for error in errors.0 {
                    section.problem(line, error.to_string());
                }
            }
        }
    }
    section.finish();
}

/// The shipped rules, when they are wanted, and after them those of `files`, whose
/// names start at `folder`.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn read<'a>(
    shipped: bool,
    files: impl Iterator<Item = &'a str>,
    folder: &Path,
) -> Result<RuleSet, RuleErrors> {
    let mut load = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    };
    let shipped = shipped.then_some(SHIPPED);
    let names = shipped.into_iter().chain(files);
    RuleSet::parse_files(names, &mut load)
}
