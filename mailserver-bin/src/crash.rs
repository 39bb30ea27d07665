//! Reports of crashes: where the program was, in a file of the data directory,
//! when the operator has asked for them. They go nowhere else.
//!
//! A report names a place in the program and how it came there. What a panic
//! says is left out: it may quote what was being worked on, which may be mail.

use std::backtrace::Backtrace;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Reports in the directory: a crash that comes again and again fills no disk.
const MAX_REPORTS: usize = 20;
const PREFIX: &str = "crash-";
/// Ends the name of a report that nobody was told of.
const NEW: &str = ".new";
const TOLD: &str = ".txt";

/// Has every panic from now on write a report into `folder`, beside what is
/// done about it anyway.
pub(crate) fn report_to(folder: &Path) {
    let folder = folder.to_owned();
    let before = std::panic::take_hook();
    let written = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(move |info| {
        let nth = written.fetch_add(1, Ordering::Relaxed);
        if nth < MAX_REPORTS {
            // There is nobody to tell that it failed.
            let _ = write(&folder, nth, info);
        }
        before(info);
    }));
}

fn write(folder: &Path, nth: usize, info: &PanicHookInfo<'_>) -> io::Result<()> {
    if reports(folder)?.len() >= MAX_REPORTS {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = now.map_or(0, |now| now.as_millis());
    let path = folder.join(format!("{PREFIX}{millis}-{nth}{NEW}"));
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let place = info.location();
    let place = place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    writeln!(
        file,
        "mailserver {} ended its work at {place}\nin thread {}, {millis} ms after 1970 (UTC)\n",
        env!("CARGO_PKG_VERSION"),
        thread.name().unwrap_or("without a name"),
    )?;
    writeln!(file, "{}", Backtrace::force_capture())?;
    file.sync_all()
}

fn reports(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PREFIX)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The reports that nobody was told of yet; from now on they count as told.
pub(crate) fn untold(folder: &Path) -> Vec<PathBuf> {
    let is_new = |path: &PathBuf| path.to_string_lossy().ends_with(NEW);
    let told = |path: PathBuf| {
        let text = path.to_string_lossy();
        let told = PathBuf::from(format!("{}{TOLD}", text.strip_suffix(NEW)?));
        std::fs::rename(&path, &told).ok()?;
        Some(told)
    };
    let found = reports(folder).unwrap_or_default();
    found.into_iter().filter(is_new).filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_a_report_without_its_words_which_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        report_to(folder.path());
        let thread = std::thread::Builder::new().name("at-work".to_owned());
        let ended = thread.spawn(|| panic!("Subject: a secret")).unwrap().join();
        std::panic::set_hook(before);
        assert!(ended.is_err());
        let told = untold(folder.path());
        assert_eq!(told.len(), 1);
        let text = std::fs::read_to_string(&told[0]).unwrap();
        assert!(
            text.contains("crash.rs") && text.contains("at-work"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
        assert!(untold(folder.path()).is_empty());
    }
}
