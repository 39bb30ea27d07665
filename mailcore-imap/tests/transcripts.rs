//! Plays every transcript under `tests/transcripts`: whole, octet by octet and
//! in random pieces. `BLESS=1` rewrites what the server says.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

mod runner;

use std::path::PathBuf;

use runner::{Cut, Play};

fn scripts() -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn transcripts_hold_however_they_are_cut() {
    for (path, script) in scripts() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if std::env::var_os("BLESS").is_some() {
            let blessed = Play::run(&name, &script, Cut::Whole, true);
            std::fs::write(&path, blessed).unwrap();
            continue;
        }
        Play::run(&name, &script, Cut::Whole, false);
        Play::run(&name, &script, Cut::Bytes, false);
        (1..9).for_each(|seed| drop(Play::run(&name, &script, Cut::Random(seed), false)));
    }
}
