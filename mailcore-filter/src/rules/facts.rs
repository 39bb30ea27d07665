//! What rules look at: [`Facts`] of one message.

use std::borrow::Cow;

use mailcore::address::Address;
use mailcore::message::date::DateTime;
use mailcore::message::decode::header_text;
use mailcore::message::{ContentFields, HeaderMailbox, PartKind, Summary, parse_addresses};
use mailcore::plan::Finding;
use mailcore::time::Timestamp;

use super::syntax::{AddressPart, Form, PageNumber, PartFact, Quantity, Source, UrlPart};
use crate::content::{Html, Placement, TextBody, View};
use crate::pipeline::Look;
use crate::sender::reverse::{IprevResult, ReverseNames};

/// Addresses of one header field that are looked at.
const MAX_ADDRESSES: usize = 1_000;

/// Octets of text made plain before others have their turn.
const PIECE: usize = 32 * 1024;

/// A message and how it came.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) look: &'a Look<'a>,
    pub(super) view: &'a View,
    pub(super) summary: &'a Summary,
    pub(super) now: Timestamp,
    /// What other tests found.
    pub(super) findings: Vec<Finding>,
    /// The texts that people see, white space made single.
    pub(super) text: String,
    pub(super) hidden: String,
    /// The message as it is sent, as far as it is looked at.
    pub(super) raw: String,
}

/// Texts of a source; none when it is not known whether there are any.
pub(super) type Texts<'t> = Option<Vec<Cow<'t, str>>>;

impl<'a> Facts<'a> {
    /// Gathers at most `limit` octets of each kind of text.
    pub(super) async fn new(
        look: &'a Look<'a>,
        view: &'a View,
        summary: &'a Summary,
        limit: usize,
    ) -> Self {
        let (mut seen, mut hidden) = (Plain::default(), Plain::default());
        for text in &view.texts {
            if text.placement == Placement::Inline {
                seen.gather(text.seen(), limit).await;
                if let Some(html) = text.html() {
                    hidden.gather(&html.hidden, limit).await;
                }
            }
        }
        Self {
            look,
            view,
            summary,
            now: Timestamp::EPOCH,
            findings: look.session.memory.findings(),
            text: seen.text,
            hidden: hidden.text,
            raw: String::new(),
        }
    }

    fn pages(&self) -> impl Iterator<Item = &'a Html> {
        let inline = self
            .view
            .texts
            .iter()
            .filter(|it| it.placement == Placement::Inline);
        inline.filter_map(|text| match &text.body {
            TextBody::Html(html) => Some(&**html),
            TextBody::Plain(_) => None,
        })
    }

    pub(super) fn texts(&self, source: &Source) -> Texts<'_> {
        match source {
            Source::Header(name, form) => {
                let fields = self.view.fields(name);
                Some(
                    fields
                        .map(|field| match form {
                            Form::Decoded => plain_text(&field.text),
                            Form::Raw => Cow::Borrowed(field.raw.as_str()),
                        })
                        .collect(),
                )
            }
            Source::HeaderNames => {
                let names = self.view.fields.iter().map(|field| field.name.as_str());
                Some(names.map(Cow::Borrowed).collect())
            }
            Source::Address(name, part) => {
                let fields = self.view.fields(name);
                let addresses =
                    fields.flat_map(|field| parse_addresses(field.raw.as_bytes(), MAX_ADDRESSES));
                let boxes = addresses.filter_map(|it| it.mailbox().map(|it| of_mailbox(it, *part)));
                Some(boxes.flatten().map(Cow::Owned).collect())
            }
            Source::Text => Some(some(&self.text)),
            Source::Hidden => Some(some(&self.hidden)),
            Source::Raw => Some(some(&self.raw)),
            Source::Title => {
                let titles = self.pages().map(|html| html.title.as_str());
                Some(titles.filter(|it| !it.is_empty()).map(plain_text).collect())
            }
            Source::Url(part) => Some(self.urls(*part)),
            Source::Part(fact) => Some(self.parts(*fact)),
            Source::Helo => self.look.session.helo.as_deref().map(some),
            Source::ClientName => {
                let names = self.look.session.memory.get::<ReverseNames>()?;
                let known = names.result != IprevResult::TempError;
                let names = names.confirmed.iter().map(|it| Cow::Owned(it.to_string()));
                known.then(|| names.collect())
            }
            Source::ClientAddress => {
                let peer = self.look.session.peer?;
                Some(vec![Cow::Owned(peer.ip().to_canonical().to_string())])
            }
            Source::Sender(part) => {
                let path = self.look.reverse_path?;
                let address = path.address().and_then(|it| of_address(it, *part));
                Some(address.into_iter().map(Cow::Owned).collect())
            }
            Source::Recipient(part) => {
                let envelope = self.look.envelope?;
                let addresses = envelope.recipients.iter().map(|it| &it.address);
                let parts = addresses.filter_map(|it| of_address(it, *part));
                Some(parts.map(Cow::Owned).collect())
            }
        }
    }

    fn urls(&self, part: UrlPart) -> Vec<Cow<'_, str>> {
        let urls = self.view.urls.iter();
        match part {
            UrlPart::Text => urls.map(|it| Cow::Owned(it.to_string())).collect(),
            UrlPart::Host => urls
                .filter_map(|it| it.host.name())
                .map(Cow::Borrowed)
                .collect(),
            UrlPart::Organization => {
                let names = self.view.urls.organizations().into_iter();
                names.map(Cow::Borrowed).collect()
            }
            UrlPart::TopLevel => urls
                .filter_map(|it| it.host.top_level())
                .map(Cow::Borrowed)
                .collect(),
            UrlPart::Path => urls.map(|it| Cow::Borrowed(it.path.as_str())).collect(),
            UrlPart::Address => {
                let addresses = urls.filter_map(|it| it.host.ip());
                addresses.map(|it| Cow::Owned(it.to_string())).collect()
            }
            UrlPart::Trick => {
                let tricks = urls.flat_map(|it| it.tricks.iter());
                tricks.map(|it| Cow::Borrowed(it.as_str())).collect()
            }
        }
    }

    fn parts(&self, fact: PartFact) -> Vec<Cow<'_, str>> {
        let parts = self.summary.parts.iter();
        let leaves = parts.filter(|part| !matches!(part.kind, PartKind::Multipart));
        leaves
            .filter_map(|part| of_part(&part.content, fact))
            .collect()
    }

    /// A number of the message; none where it has none.
    pub(super) fn number(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Size => Some(self.summary.size as f64),
            Quantity::DateAhead => self.date_ahead(),
            Quantity::DateBehind => self.date_ahead().map(|it| -it),
            Quantity::Page(number) => {
                self.pages().next()?;
                let sum = |of: fn(&Html) -> usize| self.pages().map(of).sum::<usize>() as f64;
                Some(match number {
                    PageNumber::Ratio => {
                        let markup = sum(|it| it.length).max(1.0);
                        100.0 * sum(|it| it.text.len()) / markup
                    }
                    PageNumber::Tags => sum(|it| it.counts.tags),
                    PageNumber::Images => sum(|it| it.counts.images),
                    PageNumber::Links => sum(|it| it.links.len() + it.links_left),
                    PageNumber::Forms => sum(|it| it.counts.forms),
                    PageNumber::Passwords => sum(|it| it.counts.passwords),
                    PageNumber::Scripts => sum(|it| it.counts.scripts),
                    PageNumber::Frames => sum(|it| it.counts.frames),
                    PageNumber::Comments => sum(|it| it.counts.comments),
                })
            }
        }
    }

    /// Seconds by which the Date field is ahead of the clock.
    fn date_ahead(&self) -> Option<f64> {
        let field = self.view.fields("date").next()?;
        let date = DateTime::parse(field.raw.as_bytes())?.timestamp();
        Some((date.millis() - self.now.millis()) as f64 / 1000.0)
    }
}

fn some(text: &str) -> Vec<Cow<'_, str>> {
    match text.is_empty() {
        true => Vec::new(),
        false => vec![Cow::Borrowed(text)],
    }
}

fn of_mailbox(mailbox: &HeaderMailbox, part: AddressPart) -> Option<String> {
    let host = || Some(String::from_utf8_lossy(&mailbox.host).to_lowercase());
    match part {
        AddressPart::Address => Some(String::from_utf8_lossy(&mailbox.address()).to_lowercase()),
        AddressPart::Local => Some(String::from_utf8_lossy(&mailbox.local_part).to_lowercase()),
        AddressPart::Domain => host(),
        AddressPart::Organization => host().map(|it| organization(&it)),
        AddressPart::Name => mailbox.name.as_deref().map(header_text),
    }
}

fn of_address(address: &Address, part: AddressPart) -> Option<String> {
    let domain = || address.domain().as_str().to_lowercase();
    match part {
        AddressPart::Address => Some(address.to_string().to_lowercase()),
        AddressPart::Local => Some(address.local_part().to_lowercase()),
        AddressPart::Domain => Some(domain()),
        AddressPart::Organization => Some(organization(&domain())),
        AddressPart::Name => None,
    }
}

fn organization(domain: &str) -> String {
    psl::domain_str(domain).unwrap_or(domain).to_owned()
}

fn of_part(content: &ContentFields, fact: PartFact) -> Option<Cow<'_, str>> {
    let name = || content.file_name().map(header_text);
    match fact {
        PartFact::Type => {
            let (media_type, subtype) = (&content.media_type, &content.subtype);
            Some(Cow::Owned(format!("{media_type}/{subtype}")))
        }
        PartFact::Name => name().map(Cow::Owned),
        PartFact::Extension => {
            let name = name()?;
            let (_, extension) = name.trim_end().rsplit_once('.')?;
            Some(Cow::Owned(extension.to_lowercase()))
        }
        PartFact::Charset => {
            let charset = content.parameter("charset")?;
            Some(Cow::Owned(String::from_utf8_lossy(charset).to_lowercase()))
        }
        PartFact::Encoding => Some(Cow::Borrowed(&content.encoding)),
    }
}

fn plain_text(text: &str) -> Cow<'_, str> {
    let mut plain = Plain::default();
    plain.push(text);
    Cow::Owned(plain.text)
}

/// Text with each run of white space as one space, and without the characters that
/// show nothing and only tear words apart.
#[derive(Debug, Default)]
struct Plain {
    text: String,
    is_space_due: bool,
}

impl Plain {
    /// Takes in one text, giving way to others after each piece.
    async fn gather(&mut self, text: &str, limit: usize) {
        self.is_space_due = true;
        let mut rest = text;
        while !rest.is_empty() && self.text.len() < limit {
            let end = rest.floor_char_boundary(PIECE);
            let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            self.push(piece);
            rest = after;
            if !rest.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.text.reserve(text.len());
        for character in text.chars() {
            match character {
                '!'..='~' => {}
                _ if character.is_whitespace() => {
                    self.is_space_due = true;
                    continue;
                }
                '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{feff}' => continue,
                _ => {}
            }
            if std::mem::take(&mut self.is_space_due) && !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push(character);
        }
    }
}
