//! Files of members: one address a line, `#` begins a comment.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::address::Address;
use crate::seams::DirectoryError;

/// Octets of a line; more of one are skipped, and it is no address.
const MAX_LINE: u64 = 1_024;
/// Lines read at a time.
const PAGE: usize = 1_000;

/// A file that is read in pages, each on a thread where that may take its time. It
/// stays open: in a new file under its name a place would be within another line,
/// and half an address may be another's.
#[derive(Debug)]
pub(super) struct MembersFile {
    path: PathBuf,
    open: Option<BufReader<File>>,
    line: u64,
}

/// Some of its lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The members, each with the number of its line.
    pub(super) members: Vec<(u64, Address)>,
    /// The numbers of lines that are no address.
    pub(super) bad: Vec<u64>,
    /// True when nothing follows.
    pub(super) last: bool,
}

impl MembersFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            line: 0,
        }
    }

    /// The next lines.
    pub(super) async fn next(&mut self) -> Result<Lines, DirectoryError> {
        let (path, open, line) = (self.path.clone(), self.open.take(), self.line);
        let page = tokio::task::spawn_blocking(move || {
            let mut file = match open {
                Some(file) => file,
                None => BufReader::new(File::open(&path)?),
            };
            read(&mut file, line).map(|(lines, line)| (lines, file, line))
        });
        let page = page.await;
        let page = page.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let (lines, file, line) = page.map_err(|error| {
            let path = self.path.display();
            DirectoryError::Unavailable(format!("{path}, a file of members: {error}"))
        })?;
        (self.open, self.line) = (Some(file), line);
        Ok(lines)
    }
}

/// True when one of `names` is in the file.
pub(super) async fn names_any(path: &Path, names: &[Address]) -> Result<bool, DirectoryError> {
    let names: Vec<Address> = names.iter().map(Address::folded).collect();
    let mut file = MembersFile::new(path);
    loop {
        let lines = file.next().await?;
        let found = |(_, member): &(u64, Address)| names.contains(&member.folded());
        if lines.members.iter().any(found) {
            return Ok(true);
        }
        if lines.last {
            return Ok(false);
        }
    }
}

fn read(file: &mut BufReader<File>, mut line: u64) -> std::io::Result<(Lines, u64)> {
    let mut lines = Lines::default();
    let mut octets = Vec::new();
    for _ in 0..PAGE {
        octets.clear();
        let taken = file.take(MAX_LINE).read_until(b'\n', &mut octets)? as u64;
        if taken == 0 {
            lines.last = true;
            break;
        }
        let whole = octets.ends_with(b"\n") || taken < MAX_LINE;
        if !whole {
            file.skip_until(b'\n')?;
        }
        line += 1;
        match parse(&octets).filter(|_| whole) {
            Some(Ok(member)) => lines.members.push((line, member)),
            None if whole => {}
            _ => lines.bad.push(line),
        }
    }
    Ok((lines, line))
}

/// The address of a line; `None` for one that says nothing.
fn parse(octets: &[u8]) -> Option<Result<Address, ()>> {
    let Ok(text) = std::str::from_utf8(octets) else {
        return Some(Err(()));
    };
    // `#` may stand in a local part: within a line only after white space.
    let text = match text.trim_start().starts_with('#') {
        true => "",
        false => text.split(" #").next().unwrap_or_default().trim(),
    };
    let text = text.trim_start_matches('\u{feff}');
    (!text.is_empty()).then(|| Address::parse(text).map_err(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn all(octets: &[u8]) -> (Vec<String>, Vec<u64>) {
        let path = std::env::temp_dir().join(format!("members-{:016x}", rand(octets)));
        std::fs::write(&path, octets).unwrap();
        let (mut members, mut bad) = (Vec::new(), Vec::new());
        let mut file = MembersFile::new(&path);
        loop {
            let lines = file.next().await.unwrap();
            members.extend(lines.members.iter().map(|(_, it)| it.to_string()));
            bad.extend(lines.bad);
            if lines.last {
                break;
            }
        }
        std::fs::remove_file(&path).unwrap();
        (members, bad)
    }

    fn rand(octets: &[u8]) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(octets)
    }

    #[tokio::test]
    async fn a_file_has_a_member_a_line_and_bad_lines_are_numbered() {
        let long = "x".repeat(3_000);
        let text =
            format!("# us\r\nann@a.test\r\n\n bob@b.test  # in the office\nno\n{long}\ncat@c.test");
        let (members, bad) = all(text.as_bytes()).await;
        assert_eq!(members, ["ann@a.test", "bob@b.test", "cat@c.test"]);
        assert_eq!(bad, [5, 6]);
        let many: String = (0..2_500).map(|n| format!("u{n}@a.test\n")).collect();
        assert_eq!(all(many.as_bytes()).await.0.len(), 2_500);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_to_their_end(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(all(&octets));
        }
    }
}
