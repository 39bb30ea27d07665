//! Where a message leads: [`Urls`], each once, as a browser would go there.
//!
//! URLs come from text, from markup, and from within other URLs. Nothing is
//! fetched and nobody is asked.

mod find;
mod host;
mod nested;
mod url;

use std::collections::HashMap;

use super::html::{Html, Link, LinkKind, Turn};

pub use host::UrlHost;
pub use url::{Origin, Scheme, Trick, Tricks, Url};

use self::find::Finder;

/// URLs within URLs within URLs that are followed.
const MAX_NESTING: usize = 3;

/// The distinct URLs of a message, in the order they were found.
#[derive(Debug, Clone, Default)]
pub struct Urls {
    all: Vec<Url>,
    places: HashMap<String, usize>,
    looked_at: usize,
    limits: UrlLimits,
}

/// How many URLs are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UrlLimits {
    /// Looked at.
    pub seen: usize,
    /// Distinct ones kept.
    pub kept: usize,
}

impl Default for UrlLimits {
    fn default() -> Self {
        Self {
            seen: 10_000,
            kept: 1_000,
        }
    }
}

impl Urls {
    /// None yet.
    pub fn new(limits: UrlLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The URLs of a text.
    ///
    /// ```
    /// use mailcore_filter::content::Urls;
    ///
    /// let urls = Urls::of_text("Go to www.example.com/a, or (http://192.0.2.1/).");
    /// let all: Vec<_> = urls.iter().map(ToString::to_string).collect();
    /// assert_eq!(all, ["http://www.example.com/a", "http://192.0.2.1/"]);
    /// ```
    pub fn of_text(text: &str) -> Self {
        let mut urls = Self::default();
        while urls.take_text(&mut TextUrls::new(text), usize::MAX) == Turn::More {}
        urls
    }

    /// The URLs of markup and of the text it shows.
    pub fn of_html(html: &Html) -> Self {
        let mut urls = Self::default();
        for link in &html.links {
            urls.take_link(link, html.base.as_deref());
        }
        while urls.take_text(&mut TextUrls::new(&html.text), usize::MAX) == Turn::More {}
        urls
    }

    /// Each once.
    pub fn iter(&self) -> impl Iterator<Item = &Url> {
        self.all.iter()
    }

    /// How many there are, each counted once.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many were looked at, those that stood there twice among them.
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// True when there are more than were looked at or kept.
    pub fn is_cut(&self) -> bool {
        self.looked_at >= self.limits.seen || self.all.len() >= self.limits.kept
    }

    /// The hosts, each once: those that people click on or read first, those that
    /// only load something after.
    pub fn hosts(&self) -> Vec<&UrlHost> {
        let mut hosts: Vec<(bool, usize, &UrlHost)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (place, url) in self.all.iter().enumerate() {
            let loads = matches!(
                url.origin,
                Origin::Link(LinkKind::Image | LinkKind::Resource)
            );
            if !loads && seen.insert(&url.host) {
                hosts.push((false, place, &url.host));
            }
        }
        for (place, url) in self.all.iter().enumerate() {
            if seen.insert(&url.host) {
                hosts.push((true, place, &url.host));
            }
        }
        hosts.into_iter().map(|(_, _, host)| host).collect()
    }

    /// The organizations that names of hosts belong to, each once, in the order of
    /// [`Urls::hosts`].
    pub fn organizations(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        let names = self.hosts().into_iter().filter_map(UrlHost::organization);
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// How many more are looked at.
    pub(super) fn room(&self) -> usize {
        self.limits.seen.saturating_sub(self.looked_at)
    }

    /// Takes about `octets` more of a text.
    pub(super) fn take_text(&mut self, text: &mut TextUrls<'_>, octets: usize) -> Turn {
        if self.looked_at >= self.limits.seen {
            return Turn::Done;
        }
        text.0.turn(octets, &mut |url| self.take(url, MAX_NESTING))
    }

    /// Takes a link of markup; one without a host leads to `base`.
    pub(super) fn take_link(&mut self, link: &Link, base: Option<&str>) {
        let origin = Origin::Link(link.kind);
        // Line ends and tabs within are none (WHATWG URL section 4.4).
        let target: String = link
            .target
            .chars()
            .filter(|it| !matches!(it, '\t' | '\r' | '\n'))
            .collect();
        let Some(mut url) = absolute(&target, base, origin) else {
            return;
        };
        if link.kind == LinkKind::Anchor && names_another(&link.label, &url) {
            url.tricks.note(Trick::Mismatch);
        }
        self.take(url, MAX_NESTING);
    }

    fn take(&mut self, mut url: Url, nesting: usize) {
        if self.looked_at >= self.limits.seen {
            return;
        }
        self.looked_at += 1;
        let within = nested::targets(&url);
        if !within.is_empty() {
            url.tricks.note(Trick::Carries);
        }
        let key = url.to_string();
        if let Some(known) = self.places.get(&key).and_then(|at| self.all.get_mut(*at)) {
            known.tricks.join(url.tricks);
            return;
        }
        if self.all.len() >= self.limits.kept {
            return;
        }
        self.places.insert(key, self.all.len());
        self.all.push(url);
        if let Some(nesting) = nesting.checked_sub(1) {
            for target in within {
                if let Some(url) = Url::parse_at(&target, Origin::Within) {
                    self.take(url, nesting);
                }
            }
        }
    }
}

/// A text whose URLs are taken in turns.
#[derive(Debug)]
pub(super) struct TextUrls<'a>(Finder<'a>);

impl<'a> TextUrls<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(Finder::new(text))
    }
}

/// The URL that a link means.
fn absolute(target: &str, base: Option<&str>, origin: Origin) -> Option<Url> {
    let target = target.trim_matches(|it: char| it <= ' ');
    if let Some(url) = Url::parse_at(target, origin) {
        return Some(url);
    }
    let is_slash = |it: char| matches!(it, '/' | '\\');
    let base = base.and_then(|it| Url::parse_at(it, origin));
    if target.starts_with(is_slash) && target.get(1..).is_some_and(|it| it.starts_with(is_slash)) {
        let scheme = base.map_or(Scheme::Http, |it| it.scheme);
        return Url::after_scheme(scheme, target, origin);
    }
    // Another scheme: `javascript:`, `cid:`, `tel:`.
    let head = target.split(['/', '?', '#']).next().unwrap_or_default();
    if head.contains(':') {
        return None;
    }
    let mut url = base?;
    let slash = if target.starts_with(is_slash) {
        ""
    } else {
        "/"
    };
    url.path = format!("{slash}{target}");
    Some(url)
}

/// True when the text of a link is itself a place, of another organization than
/// `url` and than all that `url` leads on to.
fn names_another(label: &str, url: &Url) -> bool {
    let label = label.trim();
    if label.is_empty() || url.scheme == Scheme::Mailto {
        return false;
    }
    // Of a sentence that names a place nobody expects to go there.
    let mut named = None;
    Finder::new(label).turn(usize::MAX, &mut |it| {
        named.get_or_insert(it);
    });
    let Some(named) = named.filter(|_| label.split_whitespace().count() <= 2) else {
        return false;
    };
    named.scheme != Scheme::Mailto
        && match (named.host.organization(), url.host.organization()) {
            (Some(named), Some(led_to)) => named != led_to,
            _ => named.host != url.host,
        }
}

/// Percent-encoding undone (RFC 3986 section 2.1); what is none stays.
fn percent_decode(text: &str) -> Vec<u8> {
    let digit = |octet: Option<&u8>| octet.and_then(|it| char::from(*it).to_digit(16));
    let octets = text.as_bytes();
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        let value = match octet {
            b'%' => digit(octets.get(at + 1)).zip(digit(octets.get(at + 2))),
            _ => None,
        };
        match value {
            Some((high, low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            None => {
                decoded.push(*octet);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests;
