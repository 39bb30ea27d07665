//! FETCH BINARY of parts that are too large to be at hand: what comes is what
//! was encoded, whole and in part (RFC 3516 section 4.2).

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reports by panicking"
)]

mod runner;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use runner::{Cut, Play};

/// A message with `text` in base64, and the commands that ask for it.
fn script(text: &str, partial: Option<(usize, usize)>) -> String {
    let encoded = STANDARD.encode(text);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let (name, told) = match partial {
        None => (String::new(), text),
        Some((start, length)) => {
            let start = start.min(text.len());
            let end = (start + length).min(text.len());
            (format!("<{start}>"), &text[start..end])
        }
    };
    let asked = partial.map_or(String::new(), |(start, length)| {
        format!("<{start}.{length}>")
    });
    format!(
        "! message INBOX\n\
         M: Content-Transfer-Encoding: base64\n\
         M:\n\
         M: {}\n\
         C: a1 LOGIN alice secret\n\
         C: a2 SELECT INBOX\n\
         S: ...\n\
         S: a2 OK ...\n\
         C: a3 FETCH 1 BINARY.SIZE[1]\n\
         S: * 1 FETCH (BINARY.SIZE[1] {})\n\
         S: a3 OK ...\n\
         C: a4 FETCH 1 BINARY.PEEK[1]{asked}\n\
         S: * 1 FETCH (BINARY[1]{name} {{{}}}\n\
         S: {told})\n\
         S: a4 OK ...\n",
        lines.join("\nM: "),
        text.len(),
        told.len(),
    )
}

/// Text in which every place is told from its neighbours.
fn text(length: usize) -> String {
    let mut text: String = (0..)
        .flat_map(|n: u32| format!("{n:x}-").chars().collect::<Vec<_>>())
        .take(length)
        .collect();
    text.truncate(length);
    text
}

#[test]
fn a_part_comes_decoded_whatever_its_size() {
    for length in [1, 2, 1_000, 16_383, 16_384, 70_000, 400_000] {
        let text = text(length);
        for partial in [
            None,
            Some((0, 1)),
            Some((length / 2, 100)),
            Some((length - 1, 100_000)),
            Some((100, 300_000)),
        ] {
            let partial = partial.filter(|(start, _)| *start < length);
            Play::run("binary", &script(&text, partial), Cut::Whole, false);
        }
    }
}
