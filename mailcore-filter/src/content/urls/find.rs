//! URLs in text: [`Finder`], which goes through it once.
//!
//! Finds what mail programs make a link of, and names of hosts that people can
//! copy: `http://…`, `www.…`, `example.com/x`, `user@example.com`.

use super::super::html::Turn;
use super::url::{MAX_URL, Origin, Scheme, Url};
use super::{Tricks, UrlHost};

/// Top-level domains that are names of files more often than of hosts: without a
/// path such a name is left alone.
const FILES: [&str; 20] = [
    "ai", "app", "cc", "md", "mov", "pl", "pm", "ps", "py", "rs", "sh", "so", "st", "zip", "ms",
    "am", "is", "in", "at", "to",
];

/// Octets of text that cost as much as a URL.
const COST: usize = 100;
/// Words before colons of one run that are tried as schemes, and brackets at its
/// end: more are no text of anybody's.
const MAX_TRIES: usize = 16;

/// Looks for URLs in one text, in turns.
#[derive(Debug)]
pub(super) struct Finder<'a> {
    rest: &'a str,
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Goes through about `octets` more, handing over what it finds.
    pub(super) fn turn(&mut self, octets: usize, found: &mut impl FnMut(Url)) -> Turn {
        let mut left = octets;
        while !self.rest.is_empty() {
            if left == 0 {
                return Turn::More;
            }
            let before = self.rest.len();
            self.rest = self.rest.trim_start_matches(is_between);
            let run = self.rest.get(..self.rest.floor_char_boundary(MAX_URL));
            let run = run.unwrap_or_default();
            let end = run.find(is_between).unwrap_or(run.len());
            let (run, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
            self.rest = rest;
            left = left.saturating_sub(before - rest.len());
            if let Some(url) = in_run(run) {
                left = left.saturating_sub(COST);
                found(url);
            }
        }
        Turn::Done
    }
}

/// What stands between words that may be URLs.
fn is_between(it: char) -> bool {
    match it {
        '<' | '>' | '"' | '`' | '{' | '}' | '|' | '^' => true,
        it if it.is_ascii() => it.is_ascii_whitespace() || it.is_ascii_control(),
        '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{3001}' | '\u{3008}'..='\u{3011}' => {
            true
        }
        it => it.is_whitespace(),
    }
}

fn in_run(run: &str) -> Option<Url> {
    if !run
        .bytes()
        .any(|it| matches!(it, b'.' | b':' | b'@') || it >= 0x80)
    {
        return None;
    }
    if let Some(url) = with_scheme(run) {
        return Some(url);
    }
    let text = trim(run);
    let lead = text.get(..4).unwrap_or_default();
    if lead.eq_ignore_ascii_case("www.") {
        return Url::after_scheme(Scheme::Http, &format!("//{text}"), Origin::Text);
    }
    if !text.contains('.') && !text.contains(['\u{3002}', '\u{ff0e}', '\u{ff61}']) {
        return None;
    }
    if let Some((local_part, domain)) = text.split_once('@') {
        return address(local_part, domain);
    }
    bare(text)
}

/// `http://…` anywhere in a run: mail without spaces has them, too.
fn with_scheme(run: &str) -> Option<Url> {
    let mut at = 0;
    for _ in 0..MAX_TRIES {
        let colon = at + run.get(at..)?.find(':')?;
        at = colon + 1;
        let before = run.get(..colon)?;
        let letters = before.bytes().rev().take(6);
        let length = letters.take_while(u8::is_ascii_alphabetic).count();
        let word = before.get(colon - length..)?;
        // Of `xhttp` the end is one, too.
        let scheme = (3..=length)
            .rev()
            .find_map(|it| Scheme::parse(word.get(length - it..)?));
        let after = run.get(at..)?;
        let url = match scheme {
            Some(Scheme::Mailto) => Url::parse_at(&format!("mailto:{}", trim(after)), Origin::Text),
            Some(scheme) if after.starts_with(['/', '\\']) => {
                Url::after_scheme(scheme, trim(after), Origin::Text)
            }
            _ => None,
        };
        if url.is_some() {
            return url;
        }
    }
    None
}

/// Without the punctuation of the sentence around. A bracket at the end belongs to
/// the URL where it closes one within it.
fn trim(text: &str) -> &str {
    let mut text = text.trim_start_matches(['(', '[', '\'', '*', '_', '-', ',', ';', ':', '=']);
    for _ in 0..MAX_TRIES {
        let shorter = text.trim_end_matches([
            '.', ',', ';', ':', '!', '?', '\'', '*', '_', '\u{3002}', '\u{2026}', '\u{ff0c}',
        ]);
        let shorter = match shorter.as_bytes().last() {
            Some(b')') if count(shorter, b'(') < count(shorter, b')') => shorter.strip_suffix(')'),
            Some(b']') if count(shorter, b'[') < count(shorter, b']') => shorter.strip_suffix(']'),
            _ => None,
        }
        .unwrap_or(shorter);
        if shorter.len() == text.len() {
            return text;
        }
        text = shorter;
    }
    text
}

fn count(text: &str, octet: u8) -> usize {
    memchr::memchr_iter(octet, text.as_bytes()).count()
}

fn address(local_part: &str, domain: &str) -> Option<Url> {
    let start = local_part.rfind(|it: char| !it.is_ascii_alphanumeric() && !"._+-=".contains(it));
    let local_part = local_part.get(start.map_or(0, |it| it + 1)..)?;
    let end = domain
        .find(|it: char| it.is_ascii() && !is_host(it))
        .unwrap_or(domain.len());
    let domain = domain.get(..end)?.trim_end_matches(['.', '-']);
    let url = Url::address(&format!("{local_part}@{domain}"), Origin::Text)?;
    is_registered(&url.host).then_some(url)
}

/// A host without a scheme: only under a suffix that exists, and not where the
/// full stop is more likely a sentence's or a file's.
fn bare(text: &str) -> Option<Url> {
    let end = text
        .find(|it: char| it.is_ascii() && !is_host(it))
        .unwrap_or(text.len());
    let (host_text, rest) = text.split_at_checked(end)?;
    let has_path = rest.starts_with('/') && rest.len() > 1;
    if !(rest.is_empty() || rest.starts_with(['/', '?', '#', ':', ',', ';', ')', ']', '\'', '!'])) {
        return None;
    }
    let host = UrlHost::parse(host_text.trim_end_matches('.'), &mut Tricks::default())?;
    if !is_registered(&host) {
        return None;
    }
    let last = host_text.trim_end_matches('.').rsplit('.').next()?;
    // `the end.It was`: a capital after a small letter.
    let is_sentence = last.starts_with(|it: char| it.is_uppercase())
        && last.contains(|it: char| it.is_lowercase());
    let is_file = FILES.contains(&host.top_level()?);
    if !has_path && (is_sentence || is_file) {
        return None;
    }
    let rest = if rest.starts_with(['/', '?', '#', ':']) {
        rest
    } else {
        ""
    };
    Url::after_scheme(Scheme::Http, &format!("//{host_text}{rest}"), Origin::Text)
}

fn is_host(it: char) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_')
}

/// True for a name below a suffix under which names are registered.
fn is_registered(host: &UrlHost) -> bool {
    let Some(name) = host.name() else {
        return false;
    };
    let suffix = psl::suffix(name.as_bytes());
    suffix.is_some_and(|it| it.is_known()) && psl::domain(name.as_bytes()).is_some()
}
