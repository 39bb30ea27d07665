//! URLs within URLs: what redirectors lead on to ([`targets`]).

use mailcore::message::{TransferDecoder, TransferEncoding};
use memchr::memmem;

use super::{percent_decode, url::Url};

/// URLs looked for within one.
const MAX_WITHIN: usize = 4;

/// Octets of the shortest path that holds a URL.
const SHORTEST: usize = "/http:/a.bc".len();

/// What `url` carries in its path, its query or its fragment, in any of the ways
/// that redirectors and mail gateways write it.
pub(super) fn targets(url: &Url) -> Vec<String> {
    let path = url.path.as_str();
    if path.len() < SHORTEST {
        return Vec::new();
    }
    let mut found = Vec::new();
    find(path, &mut found);
    if path.contains('%') {
        // Twice for what one redirector was handed by another.
        let once = text_of(percent_decode(path));
        find(&once, &mut found);
        if once.contains('%') {
            find(&text_of(percent_decode(&once)), &mut found);
        }
    }
    if url.host.organization() == Some("proofpoint.com") && path.starts_with("/v2/") {
        // `u=https-3A__host_path`.
        let written = path.replace('_', "/").replace('-', "%");
        find(&text_of(percent_decode(&written)), &mut found);
    }
    if let Some(rest) = path.strip_prefix("/amp/s/") {
        found.push(format!("https://{rest}"));
    }
    base64(path, &mut found);
    found.dedup();
    found.truncate(MAX_WITHIN);
    found
}

/// Each `http://…` and `https://…` in `text`, up to the parameter's end.
fn find(text: &str, found: &mut Vec<String>) {
    let lower = text.to_ascii_lowercase();
    let mut at = 0;
    while found.len() < MAX_WITHIN * 2 {
        let Some(place) = memmem::find(lower.as_bytes().get(at..).unwrap_or_default(), b"http")
        else {
            return;
        };
        let start = at + place;
        at = start + 4;
        let after = lower.get(at..).unwrap_or_default();
        let after = after.strip_prefix('s').unwrap_or(after);
        // Paths are often cleaned of doubled slashes.
        if !after.starts_with(":/") && !after.starts_with(":\\") {
            continue;
        }
        let target = text.get(start..).unwrap_or_default();
        let end = target.find(['&', ';', '"', '\'', '<', '>', ' ']);
        found.extend(target.get(..end.unwrap_or(target.len())).map(str::to_owned));
    }
}

/// `aHR0c` is how `http` begins in base64.
fn base64(path: &str, found: &mut Vec<String>) {
    if let Some(at) = memmem::find(path.as_bytes(), b"aHR0c") {
        let coded: Vec<u8> = path
            .bytes()
            .skip(at)
            .take_while(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'+' | b'/'))
            .map(|it| match it {
                b'-' => b'+',
                b'_' => b'/',
                it => it,
            })
            .collect();
        let mut decoded = Vec::new();
        let mut decoder = TransferDecoder::new(TransferEncoding::Base64);
        decoder.push(&coded, &mut decoded);
        decoder.finish(&mut decoded);
        find(&text_of(decoded), found);
    }
}

fn text_of(octets: Vec<u8>) -> String {
    String::from_utf8(octets)
        .unwrap_or_else(|fault| String::from_utf8_lossy(fault.as_bytes()).into_owned())
}
