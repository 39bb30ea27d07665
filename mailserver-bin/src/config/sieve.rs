//! `[sieve]`: scripts of users and of the site, and what they may do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mailcore_sieve::engine::{Compiler, Limits};
use mailcore_sieve::filter::EventScripts;
use mailcore_sieve::host::{SieveSettings, SiteScripts};

use super::file::Section;
use super::problems::nearest;
use super::sieve_events;

/// How the files of scripts end.
const ENDING: &str = "sieve";

/// Names and texts of scripts.
pub(crate) type Scripts = Vec<(Arc<str>, Arc<str>)>;

/// What holds for scripts.
#[derive(Debug, Clone)]
pub(crate) struct SieveConfig {
    /// Whether mail goes by scripts at all.
    pub(crate) on: bool,
    /// Whether what IMAP clients change runs scripts of mailboxes.
    pub(crate) imap: bool,
    /// Where the site's scripts lie.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) settings: SieveSettings,
    /// The site's scripts for sessions.
    pub(crate) events: EventScripts,
}

impl Default for SieveConfig {
    fn default() -> Self {
        Self {
            on: true,
            imap: true,
            folder: None,
            settings: SieveSettings::default(),
            events: EventScripts::new(),
        }
    }
}

/// Reads the table, and the scripts in its folder.
pub(super) fn sieve(root: &Section<'_, '_>, folder: &Path, config: &mut SieveConfig) {
    let section = root.section("sieve", "[sieve]");
    config.on = section.flag("enabled") != Some(false);
    config.imap = config.on && section.flag("imap") != Some(false);
    if !config.imap {
        config.settings.without.push("imapsieve".to_owned());
    }
    limits(&section, &mut config.settings.limits);
    if let Some(octets) = section.size("cache") {
        config.settings.cache = usize::try_from(octets).unwrap_or(usize::MAX);
    }
    without(&section, &mut config.settings);
    if let Some(name) = section.string("folder") {
        let path = folder.join(name.value);
        let compiler = config.settings.compiler();
        match site(&path, &compiler) {
            Ok(site) => config.settings.site = site,
            Err(problems) => {
                for problem in problems {
                    section.problem(name.line, problem);
                }
            }
        }
        match sieve_events::events(&path, &config.settings) {
            Ok(events) => config.events = events,
            Err(problems) => {
                for problem in problems {
                    section.problem(name.line, problem);
                }
            }
        }
        config.folder = Some(path);
    }
    section.finish();
}

fn limits(section: &Section<'_, '_>, limits: &mut Limits) {
    let counts: [(&'static str, &mut usize); 9] = [
        ("nesting", &mut limits.nesting),
        ("elements", &mut limits.elements),
        ("actions", &mut limits.actions),
        ("redirects", &mut limits.redirects),
        ("notifications", &mut limits.notifications),
        ("includes", &mut limits.includes),
        ("variables", &mut limits.variables),
        ("edits", &mut limits.edits),
        ("variable", &mut limits.variable),
    ];
    for (key, limit) in counts {
        if let Some(count) = section.count(key) {
            *limit = count;
        }
    }
    let sizes: [(&'static str, &mut usize); 3] = [
        ("script_size", &mut limits.script_size),
        ("memory", &mut limits.memory),
        ("body", &mut limits.body),
    ];
    for (key, limit) in sizes {
        if let Some(octets) = section.size(key) {
            *limit = usize::try_from(octets).unwrap_or(usize::MAX);
        }
    }
    if let Some(steps) = section.number("steps") {
        limits.steps = steps.value;
    }
    let times: [(&'static str, &mut u64); 3] = [
        ("vacation_least", &mut limits.vacation_least),
        ("vacation_most", &mut limits.vacation_most),
        ("duplicate_most", &mut limits.duplicate_most),
    ];
    for (key, limit) in times {
        if let Some(time) = section.duration(key) {
            *limit = time.value.as_secs();
        }
    }
    if limits.vacation_most < limits.vacation_least {
        let most = Duration::from_secs(limits.vacation_least);
        section.problem(
            section.line(),
            format!("vacation_most must be vacation_least or more: {most:?}"),
        );
    }
}

fn without(section: &Section<'_, '_>, settings: &mut SieveSettings) {
    let known = Compiler::new().extensions();
    for name in section.strings("without").unwrap_or_default() {
        if known.contains(&name.value) {
            settings.without.push(name.value.to_owned());
            continue;
        }
        let hint = match nearest(name.value, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("there are {}", known.join(", ")),
        };
        let problem = format!("without names no extension \"{}\"; {hint}", name.value);
        section.problem(name.line, problem);
    }
}

/// The site's scripts for deliveries, each of which compiles, or all that is
/// wrong with them.
fn site(folder: &Path, compiler: &Compiler) -> Result<SiteScripts, Vec<String>> {
    let mut problems = Vec::new();
    if !folder.is_dir() {
        return Err(vec![format!("{} is no folder", folder.display())]);
    }
    let mut read = |name: &str| scripts_of(&folder.join(name), compiler, &mut problems);
    let mut site = SiteScripts::default();
    site.before = read("before");
    site.after = read("after");
    site.include = read("include").into_iter().collect();
    match problems.is_empty() {
        true => Ok(site),
        false => Err(problems),
    }
}

/// The scripts in a folder, by the names of their files without the ending and in
/// their order; none where there is no folder. What is wrong is added to
/// `problems`.
pub(crate) fn scripts_of(
    folder: &Path,
    compiler: &Compiler,
    problems: &mut Vec<String>,
) -> Scripts {
    let mut scripts = Vec::new();
    if !folder.exists() {
        return scripts;
    }
    let files = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()),
        Err(error) => {
            problems.push(format!("can't read {}: {error}", folder.display()));
            return scripts;
        }
    };
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|it| it == ENDING))
        .collect();
    files.sort();
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match script(&path, &name, compiler) {
            Ok(text) => scripts.push((name.as_ref().into(), text)),
            Err(reason) => problems.push(reason),
        }
    }
    scripts
}

/// The text of a script that compiles.
fn script(path: &Path, name: &str, compiler: &Compiler) -> Result<Arc<str>, String> {
    let shown = path.display();
    let octets = std::fs::read(path).map_err(|error| format!("can't read {shown}: {error}"))?;
    let compiled = compiler.compile(name, &octets);
    compiled.map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8(octets);
    let text = text.map_err(|_| format!("{shown} is not UTF-8"))?;
    Ok(text.into())
}
