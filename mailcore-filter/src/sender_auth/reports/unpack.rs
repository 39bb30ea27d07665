//! [`unpack`]: a report out of the archive that it was sent in.
//!
//! Archives come from strangers: what comes out of one is bounded, as a whole and
//! by what went in, and archives within archives are opened but once.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use thiserror::Error;

use super::aggregate::SIZE;

/// Octets out for each octet in.
const RATIO: usize = 100;
/// What a small archive may hold all the same.
const SMALL: usize = 1024 * 1024;
/// Archives within each other.
const DEEPEST: usize = 2;
/// Files taken from one archive.
const MOST_FILES: usize = 16;
/// Files of an archive that are looked at.
const MOST_ENTRIES: usize = 256;

/// Why nothing comes out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// More than is read comes out of it.
    #[error("more than {SIZE} octets come out of it, or {RATIO} for each that went in")]
    Size,
    /// An archive in an archive in an archive.
    #[error("archives lie more than {DEEPEST} deep within each other")]
    Depth,
    /// It is cut off or broken.
    #[error("the archive is damaged")]
    Damaged,
    /// A password, or a method nobody uses for reports.
    #[error("the archive is encrypted or packed by a method that is not known")]
    Method,
}

/// The files in `octets`, which may be of gzip or zip; the octets themselves when
/// they are neither.
///
/// # Errors
/// [`UnpackError`].
pub fn unpack(octets: &[u8]) -> Result<Vec<Vec<u8>>, UnpackError> {
    let mut found = Vec::new();
    open(octets, 0, &mut found)?;
    Ok(found)
}

fn open(octets: &[u8], depth: usize, found: &mut Vec<Vec<u8>>) -> Result<(), UnpackError> {
    let is_gzip = octets.starts_with(&[0x1f, 0x8b]);
    let is_zip = octets.starts_with(b"PK\x03\x04");
    if !is_gzip && !is_zip {
        if room(found) < octets.len() {
            return Err(UnpackError::Size);
        }
        if found.len() < MOST_FILES {
            found.push(octets.to_vec());
        }
        return Ok(());
    }
    if depth == DEEPEST {
        return Err(UnpackError::Depth);
    }
    if is_gzip {
        let inner = inflate(MultiGzDecoder::new(octets), octets.len(), room(found))?;
        return open(&inner, depth + 1, found);
    }
    for entry in entries(octets)?.into_iter().take(MOST_FILES) {
        let inner = match entry.method {
            Method::Stored => entry.octets.to_vec(),
            Method::Deflated => {
                let decoder = DeflateDecoder::new(entry.octets);
                inflate(decoder, entry.octets.len(), room(found))?
            }
        };
        open(&inner, depth + 1, found)?;
    }
    Ok(())
}

fn room(found: &[Vec<u8>]) -> usize {
    let taken = found.iter().map(Vec::len);
    SIZE.saturating_sub(taken.sum())
}

fn inflate(decoder: impl Read, packed: usize, room: usize) -> Result<Vec<u8>, UnpackError> {
    let most = packed.saturating_mul(RATIO).max(SMALL).min(room);
    let mut out = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.take(limit).read_to_end(&mut out);
    if out.len() > most {
        return Err(UnpackError::Size);
    }
    // Some writers of gzip end without the sum that it ends with: what is whole
    // XML is a report all the same.
    match read {
        Err(_) if out.is_empty() => Err(UnpackError::Damaged),
        _ => Ok(out),
    }
}

enum Method {
    Stored,
    Deflated,
}

struct Entry<'a> {
    method: Method,
    octets: &'a [u8],
}

/// The files of a zip archive, by the directory at its end.
fn entries(zip: &[u8]) -> Result<Vec<Entry<'_>>, UnpackError> {
    const END: &[u8] = b"PK\x05\x06";
    /// The end record, and the longest comment after it.
    const TAIL: usize = 22 + 65_535;
    let tail = zip.len().saturating_sub(TAIL);
    let window = zip.get(tail..).unwrap_or_default();
    let end = window.windows(END.len()).rposition(|at| at == END);
    let end = tail + end.ok_or(UnpackError::Damaged)?;
    let count = number(zip, end + 10, 2)?.min(MOST_ENTRIES);
    let mut at = number(zip, end + 16, 4)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        if !zip
            .get(at..)
            .is_some_and(|it| it.starts_with(b"PK\x01\x02"))
        {
            return Err(UnpackError::Damaged);
        }
        let flags = number(zip, at + 8, 2)?;
        let method = number(zip, at + 10, 2)?;
        let packed = number(zip, at + 20, 4)?;
        let skipped =
            number(zip, at + 28, 2)? + number(zip, at + 30, 2)? + number(zip, at + 32, 2)?;
        let local = number(zip, at + 42, 4)?;
        at += 46 + skipped;
        if packed == 0 {
            // A folder.
            continue;
        }
        let start = local + 30 + number(zip, local + 26, 2)? + number(zip, local + 28, 2)?;
        let octets = zip.get(start..start.saturating_add(packed));
        entries.push(Entry {
            method: match (flags & 1, method) {
                (0, 0) => Method::Stored,
                (0, 8) => Method::Deflated,
                _ => return Err(UnpackError::Method),
            },
            octets: octets.ok_or(UnpackError::Damaged)?,
        });
    }
    Ok(entries)
}

/// A number of up to four octets, the least first.
fn number(zip: &[u8], at: usize, octets: usize) -> Result<usize, UnpackError> {
    let found = zip.get(at..at + octets).ok_or(UnpackError::Damaged)?;
    let sum = found
        .iter()
        .rev()
        .fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
    usize::try_from(sum).map_err(|_| UnpackError::Damaged)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(octets: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    }

    fn zip(files: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for file in files {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(file).unwrap();
            let packed = encoder.finish().unwrap();
            let start = u32::try_from(out.len()).unwrap().to_le_bytes();
            let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            for len in [packed.len(), file.len()] {
                common.extend(u32::try_from(len).unwrap().to_le_bytes());
            }
            common.extend([1, 0, 0, 0]);
            out.extend(b"PK\x03\x04");
            out.extend(&common);
            out.push(b'x');
            out.extend(&packed);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(start);
            directory.push(b'x');
        }
        let count = u8::try_from(files.len()).unwrap();
        let start = u32::try_from(out.len()).unwrap().to_le_bytes();
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend([count, 0, count, 0, 0, 0, 0, 0]);
        out.extend(start);
        out.extend([0, 0]);
        out
    }

    #[test]
    fn reports_come_out_of_what_they_are_sent_in() {
        let is = |packed: &[u8], files: &[&[u8]]| assert_eq!(unpack(packed).unwrap(), files);
        is(b"<feedback>", &[b"<feedback>"]);
        is(&gzip(b"<feedback>"), &[b"<feedback>"]);
        is(&zip(&[b"<a>", b"<b>"]), &[b"<a>", b"<b>"]);
        is(&zip(&[&gzip(b"<a>")]), &[b"<a>"]);
    }

    #[test]
    fn bombs_do_not_go_off() {
        let zeros = vec![0; 4 * 1024 * 1024];
        assert_eq!(unpack(&gzip(&zeros)), Err(UnpackError::Size));
        assert_eq!(unpack(&zip(&[&zeros])), Err(UnpackError::Size));
        let many: Vec<&[u8]> = vec![&zeros[..1024 * 1024]; 16];
        assert_eq!(unpack(&zip(&many)), Err(UnpackError::Size));
        let deep = zip(&[&gzip(&gzip(b"<a>"))]);
        assert_eq!(unpack(&deep), Err(UnpackError::Depth));
        assert_eq!(unpack(&vec![b' '; SIZE + 1]), Err(UnpackError::Size));
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let whole = zip(&[b"<feedback>"]);
        for end in 4..whole.len() - 2 {
            assert!(unpack(&whole[..end]).is_err(), "{end}");
        }
        let mut locked = whole;
        let at = locked.len() - 22 - 47 + 8;
        locked[at] |= 1;
        assert_eq!(unpack(&locked), Err(UnpackError::Method));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_bounded(at in 0usize..120, octet: u8) {
            let mut octets = zip(&[b"<a>", b"<b>"]);
            let len = octets.len();
            octets[at % len] = octet;
            let _ = unpack(&octets);
        }
    }
}
