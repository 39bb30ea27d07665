//! Every dialogue in `tests/transcripts/`, played whole, octet by octet and in
//! random cuts. `BLESS=1` writes down what the server says now.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a step that fails is a test that fails"
)]

mod play;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

fn transcripts() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect()
}

/// Those that go alike however the client's octets arrive.
fn divisible() -> impl Iterator<Item = (PathBuf, String)> {
    transcripts()
        .into_iter()
        .filter(|(_, text)| !text.contains("! whole"))
}

#[test]
fn dialogues_go_as_written() {
    for (file, text) in transcripts() {
        let played = play::play(&text, &mut || usize::MAX);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, played).unwrap();
        } else {
            assert_eq!(played, text, "{}", file.display());
        }
    }
}

#[test]
fn dialogues_go_alike_octet_by_octet() {
    for (file, text) in divisible() {
        assert_eq!(play::play(&text, &mut || 1), text, "{}", file.display());
    }
}

#[test]
fn dialogues_go_alike_when_nobody_waits() {
    for (file, text) in divisible().filter(|(_, text)| !text.contains("! in turn")) {
        assert_eq!(
            play::play_pipelined(&text),
            play::expected(&text),
            "{}",
            file.display()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn dialogues_go_alike_in_any_cut(sizes in proptest::collection::vec(1usize..60, 1..20)) {
        for (file, text) in divisible() {
            let mut sizes = sizes.iter().cycle();
            let played = play::play(&text, &mut || *sizes.next().unwrap());
            prop_assert_eq!(played, text, "{}", file.display());
        }
    }
}
