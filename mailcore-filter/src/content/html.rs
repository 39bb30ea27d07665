//! HTML as people see it: [`HtmlReader`], which gives [`Html`].
//!
//! One pass over the markup in turns, never back, whatever is written; builds no
//! tree, runs no script and reads no sheet. Elements are followed as far as it
//! tells what text is shown and what a link says of itself.

mod entities;
mod entity_names;
mod style;
mod tag;

use memchr::{memchr, memmem};

use self::style::Look;
use self::tag::{Name, Tag, name};

/// Elements within elements that are followed.
const MAX_DEPTH: usize = 200;
/// Octets kept of what a link says of itself.
const MAX_LABEL: usize = 256;
/// Octets of text taken in one go.
const MAX_RUN: usize = 4 * 1024;

/// What a part in HTML says and shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Html {
    /// The text that people see, each block on lines of its own.
    pub text: String,
    /// The text they don't: not displayed, without size, in the colour of its
    /// paper.
    pub hidden: String,
    /// The page's title.
    pub title: String,
    /// What leads or loads from elsewhere, in order.
    pub links: Vec<Link>,
    /// Links beyond those kept.
    pub links_left: usize,
    /// Where links without a host lead (`<base href>`).
    pub base: Option<String>,
    /// Octets of the markup.
    pub length: usize,
    /// How often what stands there.
    pub counts: HtmlCounts,
}

/// How often elements of a kind stand in a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HtmlCounts {
    /// Tags that open something.
    pub tags: usize,
    /// Pictures.
    pub images: usize,
    /// Forms.
    pub forms: usize,
    /// Fields of forms that take a password.
    pub passwords: usize,
    /// Scripts.
    pub scripts: usize,
    /// Pages within the page.
    pub frames: usize,
    /// Comments.
    pub comments: usize,
}

/// Something that leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// What kind.
    pub kind: LinkKind,
    /// Where it leads, as written, references decoded.
    pub target: String,
    /// The text that people click on; cut to 256 octets.
    pub label: String,
}

/// How something leads elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LinkKind {
    /// People click on it: `<a href>`.
    Anchor,
    /// Loaded to be shown: `<img src>`, backgrounds, `url()` of a style.
    Image,
    /// Where a form sends what is typed.
    Form,
    /// Where the page goes on by itself.
    Refresh,
    /// A page within the page.
    Frame,
    /// Anything else that is loaded: sheets, scripts, sounds.
    Resource,
}

/// Whether a reader is through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is more to read.
    More,
    /// All is read.
    Done,
}

/// Reads one part. A caller that must not hold up others takes it in turns.
#[derive(Debug)]
pub struct HtmlReader<'a> {
    rest: &'a str,
    html: Html,
    max_links: usize,
    open: Vec<Open>,
    look: Look,
    /// The link that text now belongs to.
    anchor: Option<usize>,
    /// White space that text has yet to follow.
    is_space_due: bool,
}

/// An element whose end has not been seen, and how text looked outside of it.
#[derive(Debug, Clone, Copy)]
struct Open {
    name: Name,
    outside: Look,
}

/// Elements whose content is no markup, and whether people see it.
const RAW: [(Name, Raw); 8] = [
    (name(b"script"), Raw::Dropped),
    (name(b"style"), Raw::Sheet),
    (name(b"title"), Raw::Title),
    (name(b"textarea"), Raw::Shown),
    (name(b"xmp"), Raw::Shown),
    (name(b"iframe"), Raw::Dropped),
    (name(b"noembed"), Raw::Dropped),
    (name(b"noframes"), Raw::Dropped),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raw {
    Dropped,
    Sheet,
    Title,
    Shown,
}

/// Elements that have no end.
const VOID: [Name; 14] = [
    name(b"area"),
    name(b"base"),
    name(b"br"),
    name(b"col"),
    name(b"embed"),
    name(b"hr"),
    name(b"img"),
    name(b"input"),
    name(b"link"),
    name(b"meta"),
    name(b"param"),
    name(b"source"),
    name(b"track"),
    name(b"wbr"),
];

/// Elements within a line: all others end one.
const INLINE: [Name; 26] = [
    name(b"a"),
    name(b"abbr"),
    name(b"b"),
    name(b"bdi"),
    name(b"bdo"),
    name(b"big"),
    name(b"cite"),
    name(b"code"),
    name(b"del"),
    name(b"em"),
    name(b"font"),
    name(b"i"),
    name(b"img"),
    name(b"ins"),
    name(b"kbd"),
    name(b"label"),
    name(b"mark"),
    name(b"q"),
    name(b"s"),
    name(b"small"),
    name(b"span"),
    name(b"strike"),
    name(b"strong"),
    name(b"sub"),
    name(b"sup"),
    name(b"u"),
];

impl<'a> HtmlReader<'a> {
    /// A reader at the start of `html`, which keeps at most `max_links` links.
    pub fn new(html: &'a str, max_links: usize) -> Self {
        Self {
            rest: html,
            html: Html {
                length: html.len(),
                ..Html::default()
            },
            max_links,
            open: Vec::new(),
            look: Look::default(),
            anchor: None,
            is_space_due: false,
        }
    }

    /// Reads about `octets` more.
    pub fn turn(&mut self, octets: usize) -> Turn {
        let goal = self.rest.len().saturating_sub(octets);
        while !self.rest.is_empty() {
            if self.rest.len() <= goal {
                return Turn::More;
            }
            self.step();
        }
        Turn::Done
    }

    /// What has been read.
    pub fn finish(self) -> Html {
        self.html
    }

    /// Reads all of `html`.
    pub fn read(html: &str, max_links: usize) -> Html {
        let mut reader = HtmlReader::new(html, max_links);
        while reader.turn(usize::MAX) == Turn::More {}
        reader.finish()
    }

    /// Takes one run of text, one tag, or one comment.
    fn step(&mut self) {
        let text = self.rest;
        match text.strip_prefix('<') {
            Some(markup) => self.markup(markup),
            None => {
                let run = text
                    .get(..text.floor_char_boundary(MAX_RUN))
                    .unwrap_or(text);
                let end = memchr(b'<', run.as_bytes()).unwrap_or(run.len());
                // A reference is not torn apart where the run is cut.
                let end = match run.get(..end).and_then(|run| run.rfind('&')) {
                    Some(at) if end == run.len() && end < text.len() && at > 0 => at,
                    _ => end,
                };
                let (run, rest) = text.split_at_checked(end).unwrap_or((text, ""));
                self.rest = rest;
                self.text(&entities::decode(run));
            }
        }
    }

    fn markup(&mut self, markup: &'a str) {
        if let Some(comment) = markup.strip_prefix("!--") {
            self.html.counts.comments += 1;
            // `<!-->` is a whole comment; one that never ends takes the rest.
            let close = match comment.strip_prefix('>') {
                Some(_) => Some(1),
                None => memmem::find(comment.as_bytes(), b"-->").map(|at| at + 3),
            };
            self.rest = close.and_then(|at| comment.get(at..)).unwrap_or_default();
            return;
        }
        match markup.as_bytes().first() {
            Some(b'!' | b'?') => {
                let close = memchr(b'>', markup.as_bytes());
                self.rest = close
                    .and_then(|at| markup.get(at + 1..))
                    .unwrap_or_default();
            }
            Some(octet) if octet.is_ascii_alphabetic() => self.tag(markup, markup, false),
            Some(b'/') => {
                let after = markup.get(1..).unwrap_or_default();
                self.tag(markup, after, true);
            }
            _ => {
                self.rest = markup;
                self.text("<");
            }
        }
    }

    fn tag(&mut self, markup: &'a str, text: &'a str, is_end: bool) {
        let Some((tag, length)) = Tag::read(text, is_end) else {
            self.rest = "";
            return;
        };
        let read = markup.len() - text.len() + length;
        self.rest = markup.get(read..).unwrap_or_default();
        if !INLINE.contains(&tag.name) {
            self.break_line();
        }
        if tag.is_end {
            self.close(tag.name);
        } else {
            self.html.counts.tags += 1;
            self.open(&tag);
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        let outside = self.look;
        self.take(tag);
        if let Some((_, raw)) = RAW.iter().find(|(name, _)| *name == tag.name) {
            self.raw(tag.name, *raw);
            self.look = outside;
        } else if VOID.contains(&tag.name) {
            self.look = outside;
        } else if self.open.len() < MAX_DEPTH {
            self.open.push(Open {
                name: tag.name,
                outside,
            });
        } else {
            // Beyond the depth followed an end would not be known for one's own.
            self.look = outside;
        }
    }

    /// Closes the innermost open element of this name, and those within it.
    fn close(&mut self, ended: Name) {
        if ended == name(b"a") {
            self.anchor = None;
        }
        if let Some(place) = self.open.iter().rposition(|open| open.name == ended)
            && let Some(open) = self.open.get(place)
        {
            self.look = open.outside;
            self.open.truncate(place);
        }
    }

    /// Takes the content of an element that holds no markup.
    fn raw(&mut self, element: Name, raw: Raw) {
        let mut at = 0;
        let octets = self.rest.as_bytes();
        let (content, rest) = loop {
            let Some(found) = memmem::find(octets.get(at..).unwrap_or_default(), b"</") else {
                break (self.rest, "");
            };
            let after = self.rest.get(at + found + 2..).unwrap_or_default();
            let length = after.bytes().take(16).take_while(u8::is_ascii_alphabetic);
            let ended = after.get(..length.count()).unwrap_or_default();
            if name(ended.as_bytes()) == element {
                break self.rest.split_at_checked(at + found).unwrap_or_default();
            }
            at += found + 2;
        };
        self.rest = rest;
        match raw {
            Raw::Dropped => {}
            Raw::Sheet => self.css_links(content),
            Raw::Shown => self.text(&entities::decode(content)),
            Raw::Title if self.html.title.is_empty() => {
                let title = content.get(..content.floor_char_boundary(MAX_RUN));
                let title = entities::decode(title.unwrap_or_default());
                self.html.title = title.trim().to_owned();
            }
            Raw::Title => {}
        }
    }

    /// What a tag itself says: links, looks, counts.
    fn take(&mut self, tag: &Tag<'_>) {
        let is = |text: &[u8]| tag.name == name(text);
        let counts = &mut self.html.counts;
        counts.images += usize::from(is(b"img"));
        counts.forms += usize::from(is(b"form"));
        counts.scripts += usize::from(is(b"script"));
        counts.frames += usize::from(is(b"iframe") || is(b"frame"));
        if is(b"a") {
            self.anchor = None;
        }
        if is(b"template") {
            self.look.hide();
        }
        let mut content = None;
        let mut is_refresh = false;
        for (attribute, value) in tag.attributes() {
            let value = value.decoded();
            match attribute.to_ascii_lowercase().as_str() {
                "href" if is(b"base") => {
                    self.html.base.get_or_insert_with(|| value.into_owned());
                }
                "href" if is(b"a") || is(b"area") => {
                    self.link(LinkKind::Anchor, &value);
                    let last = self.html.links.len().checked_sub(1);
                    self.anchor = last.filter(|_| self.html.links_left == 0);
                }
                "href" | "data" => self.link(LinkKind::Resource, &value),
                "src" if is(b"iframe") || is(b"frame") => self.link(LinkKind::Frame, &value),
                "src" if is(b"script") || is(b"embed") => self.link(LinkKind::Resource, &value),
                "src" => self.link(LinkKind::Image, &value),
                "background" => self.link(LinkKind::Image, &value),
                "action" | "formaction" => self.link(LinkKind::Form, &value),
                "style" => {
                    self.look.style(&value);
                    self.css_links(&value);
                }
                "bgcolor" => self.look.paper(&value),
                "color" | "text" if is(b"font") || is(b"body") => self.look.ink(&value),
                "hidden" => self.look.hide(),
                "type" if is(b"input") && value.eq_ignore_ascii_case("password") => {
                    self.html.counts.passwords += 1;
                }
                "http-equiv" => is_refresh = value.trim().eq_ignore_ascii_case("refresh"),
                "content" if is(b"meta") => content = Some(value),
                _ => {}
            }
        }
        if let Some(content) = content.filter(|_| is_refresh) {
            self.refresh(&content);
        }
    }

    /// `5; url=http://…`.
    fn refresh(&mut self, content: &str) {
        if let Some((_, target)) = content.split_once([';', ',']) {
            let target = target.trim_start();
            let named = target
                .get(..3)
                .is_some_and(|it| it.eq_ignore_ascii_case("url"));
            let target = if named {
                target.get(3..).unwrap_or_default()
            } else {
                target
            };
            let target = target.trim_start().trim_start_matches('=').trim();
            self.link(LinkKind::Refresh, target.trim_matches(['"', '\'']));
        }
    }

    /// What a style loads: `url(…)`.
    fn css_links(&mut self, css: &str) {
        let mut rest = css;
        while let Some(at) = memmem::find(rest.as_bytes(), b"(") {
            let (before, after) = rest.split_at_checked(at + 1).unwrap_or((rest, ""));
            let is_url = before.len() >= 4
                && before
                    .get(before.len() - 4..)
                    .is_some_and(|it| it.eq_ignore_ascii_case("url("));
            rest = after;
            if is_url && let Some(close) = memchr(b')', after.as_bytes()) {
                let target = after.get(..close).unwrap_or_default().trim();
                self.link(LinkKind::Image, target.trim_matches(['"', '\'']));
                rest = after.get(close..).unwrap_or_default();
            } else if is_url {
                return;
            }
        }
    }

    fn link(&mut self, kind: LinkKind, target: &str) {
        let target = target.trim();
        // Pictures written out in the mail lead nowhere.
        if target.is_empty() || target.starts_with(['#']) || has_scheme(target, "data:") {
            return;
        }
        if self.html.links.len() >= self.max_links {
            self.html.links_left += 1;
            return;
        }
        self.html.links.push(Link {
            kind,
            target: target.to_owned(),
            label: String::new(),
        });
    }

    fn break_line(&mut self) {
        self.is_space_due = false;
        let text = &mut self.html.text;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }

    /// Text as it stands in the markup: runs of white space are one space.
    fn text(&mut self, text: &str) {
        let is_unseen = self.look.is_unseen();
        let mut words = text.split_ascii_whitespace();
        let starts_with_space = text.starts_with(|it: char| it.is_ascii_whitespace());
        self.is_space_due |= starts_with_space;
        let Some(first) = words.next() else { return };
        for word in std::iter::once(first).chain(words) {
            let into = match is_unseen {
                true => &mut self.html.hidden,
                false => &mut self.html.text,
            };
            let space = self.is_space_due && !into.is_empty() && !into.ends_with(['\n', ' ']);
            if space {
                into.push(' ');
            }
            into.push_str(word);
            if let Some(link) = self.anchor.and_then(|at| self.html.links.get_mut(at))
                && link.label.len() < MAX_LABEL
            {
                if self.is_space_due && !link.label.is_empty() {
                    link.label.push(' ');
                }
                let room = word.floor_char_boundary(MAX_LABEL - link.label.len());
                link.label.push_str(word.get(..room).unwrap_or_default());
            }
            self.is_space_due = true;
        }
        self.is_space_due = text.ends_with(|it: char| it.is_ascii_whitespace());
    }
}

fn has_scheme(target: &str, scheme: &str) -> bool {
    target
        .get(..scheme.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests;
